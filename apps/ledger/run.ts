/** The ledger process: works every shard whose lease it can hold. */
import { Effect, Layer } from "effect"
import * as CrashPoints from "#infra/CrashPoints.ts"
import { ShardDatabases } from "#infra/postgres/ShardDatabases.ts"
import * as PgShards from "#infra/postgres/PgShards.ts"
import * as Processes from "#infra/Processes.ts"
import { ledgerWorker } from "./LedgerWorker.ts"

/** Everything the process stands on but the event log. */
export const layer = Layer.provideMerge(
  CrashPoints.around("ledger", Layer.mergeAll(PgShards.layer, Processes.leases)),
  Processes.shardDatabases("ledger")
)

export const work = ShardDatabases.use(({ shards }) =>
  Effect.forEach(shards, ledgerWorker, { concurrency: "unbounded", discard: true })
)

export const run = Effect.provide(work, layer)
