/** `npm run reset`: wipes the state of the local platform, and says so. Refuses while it runs. */
import { existsSync, realpathSync, rmSync } from "node:fs"
import path from "node:path"

const dataDir = path.resolve(process.env["COUNTERPOISE_DATA"] ?? path.join(import.meta.dirname, "../../.data"))
if (existsSync(path.join(dataDir, "stack.json"))) {
  console.error(`The platform runs, or was killed: stop it first, or remove ${path.join(dataDir, "stack.json")}.`)
  process.exit(1)
}
const postgres = path.join(dataDir, "postgres")
if (existsSync(postgres)) rmSync(realpathSync(postgres), { recursive: true, force: true })
rmSync(dataDir, { recursive: true, force: true })
console.log(`Wiped ${dataDir}.`)
