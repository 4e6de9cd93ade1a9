/** The operators' API as a process of its own. */
import { main } from "#infra/Program.ts"
import { run } from "./run.ts"

main("admin", run)
