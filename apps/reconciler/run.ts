/** The reconciler process: looks after every shard whose lease it can hold. */
import { Effect, Layer } from "effect"
import * as PgChecks from "#infra/postgres/PgChecks.ts"
import * as PgShardLog from "#infra/postgres/PgShardLog.ts"
import * as PgSilentTransfers from "#infra/postgres/PgSilentTransfers.ts"
import { ShardDatabases } from "#infra/postgres/ShardDatabases.ts"
import * as Processes from "#infra/Processes.ts"
import * as Settings from "#infra/Settings.ts"
import { reconciler } from "./Reconciler.ts"

export const layer = Layer.provideMerge(
  Layer.mergeAll(PgChecks.layer, PgShardLog.layer, PgSilentTransfers.layer, Processes.leases),
  Processes.shardDatabases("reconciler")
)

export const work = Effect.gen(function*() {
  const { checkEvery, every, held, requested } = yield* Settings.read(Settings.patience)
  const { shards } = yield* ShardDatabases
  return yield* Effect.forEach(
    shards,
    (shard) => reconciler(shard, { patience: { requested, held }, every, checkEvery }),
    {
      concurrency: "unbounded",
      discard: true
    }
  )
})

export const run = Effect.provide(work, layer)
