/** The relay process: carries the log of every shard whose lease it can hold. */
import { Effect, Layer } from "effect"
import * as CrashPoints from "#infra/CrashPoints.ts"
import * as PgShardLog from "#infra/postgres/PgShardLog.ts"
import { ShardDatabases } from "#infra/postgres/ShardDatabases.ts"
import * as Processes from "#infra/Processes.ts"
import { relay } from "./Relay.ts"

/** Everything the process stands on but the event log. */
export const layer = Layer.provideMerge(
  CrashPoints.around("relay", Layer.mergeAll(PgShardLog.layer, Processes.leases)),
  Processes.shardDatabases("relay")
)

export const work = ShardDatabases.use(({ shards }) =>
  Effect.forEach(shards, relay, { concurrency: "unbounded", discard: true })
)

export const run = Effect.provide(work, layer)
