/**
 * The sealer: puts what was written into sealed blocks, on a schedule and whenever a block is full. It reads and appends,
 * and holds nothing that a payment waits for.
 */
import { Clock, Duration, Effect, Metric, Schema } from "effect"
import { type Head, headOf, seal, type Signer, timeOf, type Witness } from "#domain/sealing/Block.ts"
import { Seals } from "#domain/sealing/Seals.ts"
import type { Lease, LeaseLost } from "#domain/sharding/Leases.ts"
import type { ShardId } from "#domain/sharding/ShardMap.ts"
import type { ShardUnavailable } from "#domain/sharding/Shards.ts"
import { newSecret, sha256 } from "#infra/Signatures.ts"
import * as Metrics from "#infra/telemetry/Metrics.ts"

export interface SealerOptions {
  readonly signer: Signer
  /** How many shards there are: each names the last block of the next. */
  readonly shards: number
  /** How long an event may wait to be sealed. */
  readonly every: Duration.Duration
}

/** Seals a shard's log for as long as a lease is held. */
export type Sealer = (lease: Lease) => Effect.Effect<never, LeaseLost | ShardUnavailable>

/**
 * So many events fill a block. Whoever asks for a receipt has all leaves of a block read and hashed; whoever verifies pays
 * for each block with a signature.
 */
export const mostEvents = 2_048

/** How often it is looked whether a block is full. */
const look = Duration.seconds(1)

/**
 * A block that this process appended is not in the chain any more, or another stands in its place. To seal on would be to
 * sign what somebody has changed.
 */
export class ChainChanged extends Schema.TaggedError<ChainChanged>()("ChainChanged", {
  shard: Schema.Int,
  block: Schema.BigInt
}) {
  override get message() {
    return `block ${this.block} of shard ${this.shard} is not the one that this process sealed: nothing more is sealed ` +
      "until somebody has looked (npm run verify) and started the process again"
  }
}

/** The sealer of a shard. What it has sealed it remembers for the life of the process, whoever holds the lease meanwhile. */
export const makeSealer = Effect.fnUntraced(function*(shard: ShardId, { every, shards, signer }: SealerOptions) {
  const seals = yield* Seals
  let known: Head | undefined

  /** Fails where what was sealed is not there any more. Another process may have gone on from it. */
  const unchanged = Effect.gen(function*() {
    if (known === undefined) return
    const found = yield* seals.hashesOf(shard, [known.number])
    if (found.get(known.number) !== known.hash) return yield* ChainChanged.make({ shard, block: known.number })
  })

  /** The end of the next shard's chain; nothing where there is none, or none that answers. */
  const neighbour = Effect.gen(function*() {
    const next = (shard + 1) % shards
    if (next === shard) return null
    return yield* seals.end(next).pipe(
      Effect.map(({ hash, number }): Witness | null => number === 0n ? null : { shard: next, number, hash }),
      Effect.catchTag("ShardUnavailable", () => Effect.succeed(null))
    )
  })

  /** Appends the next block; answers where the chain ends then, and whether there may be more. */
  const sealNext = Effect.fnUntraced(function*(lease: Lease) {
    const end = yield* seals.end(shard)
    const { rows, upTo } = yield* seals.unsealed(shard, end.upTo, mostEvents)
    if (rows.length === 0) return { upTo: end.upTo, full: false }
    const witness = yield* neighbour
    const millis = yield* Clock.currentTimeMillis
    const block = seal(
      sha256,
      signer,
      { shard, head: end, after: end.upTo, upTo, rows },
      { witness, sealedAt: timeOf(millis), secret: newSecret() }
    )
    yield* seals.append(lease, block)
    known = headOf(sha256, block)
    // Whoever keeps this line can show later that the chain was cut off, or made anew.
    yield* Effect.logInfo("sealed", { head: `${shard}:${known.number}:${known.hash}`, upTo, leaves: block.leaves })
    yield* Metrics.sealed(shard, rows.length, upTo)
    return { upTo, full: rows.length === mostEvents }
  })

  const sealAll = Effect.fnUntraced(function*(lease: Lease) {
    yield* unchanged
    for (;;) {
      const { full, upTo } = yield* sealNext(lease)
      if (!full) return upTo
    }
  })

  const work = Effect.fnUntraced(function*(lease: Lease) {
    let { upTo } = yield* seals.end(shard)
    let lastMillis = yield* Clock.currentTimeMillis
    const step = Effect.gen(function*() {
      const now = yield* Clock.currentTimeMillis
      const waiting = yield* seals.waiting(shard, upTo)
      if (waiting >= mostEvents || (waiting > 0n && now - lastMillis >= Duration.toMillis(every))) {
        upTo = yield* sealAll(lease)
        lastMillis = now
      }
      yield* Effect.sleep(Duration.min(look, every))
    })
    return yield* Effect.forever(step)
  })

  /** The reconciler has other work, which goes on. */
  const stopped = (error: ChainChanged) =>
    Effect.logError(error.message).pipe(
      Effect.andThen(Metric.update(Metric.withAttributes(Metrics.sealingStopped, { shard: String(shard) }), 1)),
      Effect.andThen(Effect.never)
    )

  const sealer: Sealer = (lease) => Effect.catchTag(work(lease), "ChainChanged", stopped)
  return sealer
})
