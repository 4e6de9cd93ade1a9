/**
 * The port to the shards: the only door to what writes money.
 */
import { Context, type Effect, Predicate, Schema } from "effect"
import type { ConsumerPositions } from "../messaging/ConsumerPositions.ts"
import type { Ledger } from "../ledger/Ledger.ts"
import type { ShardId, ShardMap } from "./ShardMap.ts"

/** What exists only inside a transaction on one shard. */
export type ShardServices = Ledger | ConsumerPositions

/**
 * A shard's database cannot be reached, or gave up on the work (time-out, fail-over, deadlock). Whether a commit that
 * was on its way took place is unknown: the caller must look before it does anything twice.
 */
export class ShardUnavailable extends Schema.TaggedError<ShardUnavailable>()("ShardUnavailable", {
  shard: Schema.Int,
  cause: Schema.Defect()
}) {
  override get message() {
    return `shard ${this.shard} is not available: ${
      this.cause instanceof Error ? this.cause.message : String(this.cause)
    }`
  }
}

/**
 * Others have seen more of the shard's log than it has: it was restored from an older copy, and lost what came after. It takes
 * nothing before it has caught up; to go on would be to guess. It comes as the cause of a {@link ShardUnavailable}.
 */
export class ShardBehind extends Schema.TaggedError<ShardBehind>()("ShardBehind", {
  shard: Schema.Int,
  found: Schema.String
}) {
  override get message() {
    return `shard ${this.shard} was restored from an older copy: ${this.found}. ` +
      `\`counterpoise shards recover --shard ${this.shard}\` lets it catch up`
  }
}

/** Is a shard not available because it lost data? */
export const isBehind = ({ cause }: { readonly cause: unknown }): boolean => Predicate.isTagged(cause, "ShardBehind")

export class Shards extends Context.Service<Shards, {
  readonly map: ShardMap
  /** Runs `work` in one transaction on one shard: all of it happens there, or none of it. */
  readonly transact: <A, E, R>(
    shard: ShardId,
    work: Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E | ShardUnavailable, Exclude<R, ShardServices>>
}>()("counterpoise/domain/sharding/Shards") {}
