/**
 * The worker's place in the event log, kept on the shard whose effects it guards. The port exists only inside
 * `Shards.transact`, so a place moves if and only if the effects of what was read are written.
 */
import { Context, type Effect, Schema } from "effect"
import type { ShardId } from "../sharding/ShardMap.ts"
import type { ShardUnavailable } from "../sharding/Shards.ts"

/** The place of one partition. */
export interface Place {
  readonly partition: number
  /** The next offset to read, in the event log whose identity the places were loaded for. */
  readonly next: bigint
  /** The highest position seen of each source shard: what came again is not above it. */
  readonly seen: ReadonlyMap<ShardId, bigint>
}

/** Another worker has moved a place of ours, or holds the shard now: what we know is stale. Stop, and claim it anew. */
export class StaleOwner extends Schema.TaggedError<StaleOwner>()("StaleOwner", { shard: Schema.Int }) {
  override get message() {
    return `shard ${this.shard} is worked by another process now`
  }
}

export class ConsumerPositions extends Context.Service<ConsumerPositions, {
  /**
   * The places of `partitions` in the log named `log`. In a log never read before every place begins at offset 0, with
   * what was seen of each source kept: a lost log that is published again is not applied again.
   */
  readonly load: (
    log: string,
    partitions: ReadonlyArray<number>
  ) => Effect.Effect<ReadonlyArray<Place>, ShardUnavailable>
  /** Moves places by compare-and-set on `next`, if the lease of that epoch still stands. */
  readonly advance: (
    log: string,
    epoch: bigint,
    moves: ReadonlyArray<{ readonly was: Place; readonly now: Place }>
  ) => Effect.Effect<void, StaleOwner | ShardUnavailable>
}>()("counterpoise/domain/messaging/ConsumerPositions") {}
