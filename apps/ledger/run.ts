/** The ledger process: works every shard whose lease it can hold. */
import { Effect, Layer } from "effect"
import * as CrashPoints from "#infra/CrashPoints.ts"
import { ShardDatabases } from "#infra/postgres/ShardDatabases.ts"
import * as PgShards from "#infra/postgres/PgShards.ts"
import * as Processes from "#infra/Processes.ts"
import * as Settings from "#infra/Settings.ts"
import { BatchSize, ledgerWorker } from "./LedgerWorker.ts"

/** Everything the process stands on but the event log. */
export const layer = Layer.provideMerge(
  CrashPoints.around("ledger", Layer.mergeAll(PgShards.layer, Processes.leases)),
  Processes.shardDatabases("ledger")
)

export const work = Effect.gen(function*() {
  const { batchSize } = yield* Settings.read(Settings.batches)
  const { shards } = yield* ShardDatabases
  return yield* Effect.forEach(shards, ledgerWorker, { concurrency: "unbounded", discard: true }).pipe(
    Effect.provideService(BatchSize, batchSize)
  )
})

export const run = Effect.provide(work, layer)
