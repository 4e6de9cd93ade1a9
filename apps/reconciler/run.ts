/** The reconciler process: looks after every shard whose lease it can hold. */
import { Effect, Layer, Option } from "effect"
import * as CrashPoints from "#infra/CrashPoints.ts"
import * as PgBreaks from "#infra/postgres/PgBreaks.ts"
import * as PgChecks from "#infra/postgres/PgChecks.ts"
import * as PgSeals from "#infra/postgres/PgSeals.ts"
import * as PgShardLog from "#infra/postgres/PgShardLog.ts"
import * as PgShards from "#infra/postgres/PgShards.ts"
import * as PgSilentTransfers from "#infra/postgres/PgSilentTransfers.ts"
import { ShardDatabases } from "#infra/postgres/ShardDatabases.ts"
import * as Processes from "#infra/Processes.ts"
import * as Settings from "#infra/Settings.ts"
import { signerOf } from "#infra/Signatures.ts"
import { reconciler } from "./Reconciler.ts"
import { makeSealer } from "./Sealer.ts"

export const layer = Layer.provideMerge(
  CrashPoints.around(
    "reconciler",
    Layer.mergeAll(
      PgBreaks.layer,
      PgChecks.layer,
      PgShards.layer,
      PgSeals.layer,
      PgShardLog.layer,
      PgSilentTransfers.layer,
      Processes.leases
    )
  ),
  Processes.shardDatabases("reconciler")
)

export const work = Effect.gen(function*() {
  const { checkEvery, every, held, requested, sampleEvery } = yield* Settings.read(Settings.patience)
  const { every: sealEvery, key } = yield* Settings.read(Settings.sealing)
  const { shards } = yield* ShardDatabases
  const signer = Option.map(key, signerOf)
  yield* Option.match(signer, {
    onNone: () => Effect.logWarning("nothing is sealed: SEAL_KEY is not set"),
    onSome: ({ publicKey }) => Effect.logInfo("sealing", { ...publicKey })
  })
  return yield* Effect.forEach(
    shards,
    Effect.fnUntraced(function*(shard) {
      const sealer = Option.isNone(signer)
        ? {}
        : { sealer: yield* makeSealer(shard, { signer: signer.value, shards: shards.length, every: sealEvery }) }
      return yield* reconciler(shard, { patience: { requested, held }, every, checkEvery, sampleEvery, ...sealer })
    }),
    {
      concurrency: "unbounded",
      discard: true
    }
  )
})

export const run = Effect.provide(work, layer)
