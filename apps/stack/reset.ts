/** `npm run reset`: wipes the state of the local platform, and says so. Refuses while it runs. */
import { existsSync, rmSync } from "node:fs"
import path from "node:path"
import { Effect } from "effect"
import * as LocalPostgres from "#infra/local/LocalPostgres.ts"

const dataDir = path.resolve(process.env["COUNTERPOISE_DATA"] ?? path.join(import.meta.dirname, "../../.data"))
if (existsSync(path.join(dataDir, "stack.json"))) {
  console.error(`The platform runs, or was killed: stop it first, or remove ${path.join(dataDir, "stack.json")}.`)
  process.exit(1)
}
await Effect.runPromise(LocalPostgres.remove(path.join(dataDir, "postgres")))
rmSync(dataDir, { recursive: true, force: true })
console.log(`Wiped ${dataDir}.`)
