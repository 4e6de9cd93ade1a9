/** Shards sealed and verified, as the reconciler and an auditor would. */
import { Clock, Duration, Effect, Layer, Option, Redacted } from "effect"
import { nothing, seal, type Signer, timeOf, type Witness } from "#domain/sealing/Block.ts"
import { Seals } from "#domain/sealing/Seals.ts"
import { type KnownHead, verify } from "#domain/sealing/Verification.ts"
import { Leases } from "#domain/sharding/Leases.ts"
import type { ShardId } from "#domain/sharding/ShardMap.ts"
import * as PgLeases from "#infra/postgres/PgLeases.ts"
import * as PgSeals from "#infra/postgres/PgSeals.ts"
import { ShardDatabases } from "#infra/postgres/ShardDatabases.ts"
import { newPrivateKey, newSecret, sha256, signerOf, trusting } from "#infra/Signatures.ts"
import type { TestShards } from "../support/TestPostgres.ts"

export const makeSigner = () => signerOf(Redacted.make(newPrivateKey()))

/** Seals everything that a shard has, block by block, without waiting for a schedule. */
export const sealShard = Effect.fnUntraced(function*(
  shard: ShardId,
  signer: Signer,
  options: { readonly most?: number; readonly blocks?: number; readonly witness?: ShardId } = {}
) {
  const { blocks = Infinity, most = 2_048 } = options
  const seals = yield* Seals
  const leases = yield* Leases
  const lease = Option.getOrThrow(yield* leases.acquire(shard, "reconciler"))
  for (let sealed = 0; sealed < blocks; sealed++) {
    const end = yield* seals.end(shard)
    const { rows, upTo } = yield* seals.unsealed(shard, end.upTo, most)
    if (rows.length === 0) break
    const seen = options.witness === undefined ? nothing : yield* seals.end(options.witness)
    const witness: Witness | null = options.witness === undefined || seen.number === 0n
      ? null
      : { shard: options.witness, number: seen.number, hash: seen.hash }
    const sealedAt = timeOf(yield* Clock.currentTimeMillis)
    const stretch = { shard, head: end, after: end.upTo, upTo, rows }
    yield* seals.append(lease, seal(sha256, signer, stretch, { witness, sealedAt, secret: newSecret() }))
  }
  yield* leases.release(lease)
})

/** All that seals and verifies, in the roles that do. */
export const sealing = (shards: TestShards) =>
  Layer.provide(
    Layer.merge(PgSeals.layer, PgLeases.layer({ holder: crypto.randomUUID(), timeToLive: Duration.minutes(10) })),
    ShardDatabases.layer({ ...shards, role: "counterpoise_reconciler" })
  )

export const verifying = (shards: TestShards) =>
  Layer.provide(PgSeals.layer, ShardDatabases.layer({ ...shards, role: "counterpoise_auditor" }))

export const verifyAll = (
  shards: TestShards,
  signer: ReturnType<typeof makeSigner>,
  heads: ReadonlyArray<KnownHead> = []
) =>
  Effect.provide(
    verify(shards.urls.map((_, shard) => shard), { hash: sha256, trusted: trusting([signer.publicKey]), heads }),
    verifying(shards),
    { local: true }
  )
