/**
 * A process to be killed: starts a server in the named folder, says its process id in a line, and holds it until it is
 * stopped. `node hold.ts postgres|kafka <folder> [ephemeral]`
 */
import { NodeRuntime } from "@effect/platform-node"
import { Effect } from "effect"
import * as LocalKafka from "#infra/local/LocalKafka.ts"
import * as LocalPostgres from "#infra/local/LocalPostgres.ts"

const [kind, dataDir = "", mode] = process.argv.slice(2)
const options = { dataDir, ephemeral: mode === "ephemeral" }

Effect.gen(function*() {
  const { pid } = yield* kind === "kafka" ? LocalKafka.start(options) : LocalPostgres.start(options)
  process.stdout.write(`${pid}\n`)
  return yield* Effect.never
}).pipe(Effect.scoped, NodeRuntime.runMain)
