/**
 * `npm run check`: types (with Effect's own diagnostics), lint and format. `npm run format` writes the format instead.
 */
import { spawnSync } from "node:child_process"
import path from "node:path"

const root = path.resolve(import.meta.dirname, "..")
const write = process.argv.includes("--write")

const steps: ReadonlyArray<readonly [what: string, program: string, ...args: ReadonlyArray<string>]> = write
  ? [["format", "dprint", "fmt"]]
  : [
    // Teaches the installed compiler Effect's diagnostics; it does nothing where that was done before.
    ["effect diagnostics", "effect-tsgo", "patch"],
    ["types", "tsc", "--noEmit", "--project", "tsconfig.json"],
    ["lint", "oxlint", "--deny-warnings"],
    ["format", "dprint", "check"]
  ]

let failed = false
for (const [what, program, ...args] of steps) {
  const { error, status } = spawnSync(path.join(root, "node_modules/.bin", program), args, {
    cwd: root,
    stdio: "inherit"
  })
  const passed = error === undefined && status === 0
  failed ||= !passed
  console.log(`${passed ? "✔" : "✘"} ${what}${error === undefined ? "" : `: ${error.message}`}`)
}
process.exit(failed ? 1 : 0)
