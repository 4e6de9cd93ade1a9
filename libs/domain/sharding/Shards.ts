/**
 * The port to the shards: the only door to what writes money.
 */
import { Context, type Effect, Schema } from "effect"
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

export class Shards extends Context.Service<Shards, {
  readonly map: ShardMap
  /** Runs `work` in one transaction on one shard: all of it happens there, or none of it. */
  readonly transact: <A, E, R>(
    shard: ShardId,
    work: Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E | ShardUnavailable, Exclude<R, ShardServices>>
}>()("counterpoise/domain/sharding/Shards") {}
