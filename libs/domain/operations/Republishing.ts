/**
 * Republishing: events that were carried into the event log are carried there once more, because it has lost them. The relay
 * does it, as it does everything: it is sent back. Readers drop what they have seen, so nothing happens twice.
 */
import { Context, type Effect, Schema } from "effect"
import type { ShardId } from "../sharding/ShardMap.ts"
import type { ShardUnavailable } from "../sharding/Shards.ts"
import type { Operation } from "./Operation.ts"

/** What is carried again, or would be. */
export interface Republished {
  /** The name of the event log. */
  readonly log: string
  /** The positions of the shard's log from which and to which, both included. */
  readonly from: bigint
  readonly to: bigint
}

/** The relay has not come so far: what lies ahead of it, it will carry anyhow. */
export class PositionNotCarried extends Schema.TaggedError<PositionNotCarried>()("PositionNotCarried", {
  shard: Schema.Int,
  from: Schema.BigInt,
  /** 0 where nothing was ever carried. */
  carriedTo: Schema.BigInt
}) {
  readonly code = "position_not_carried"
  override get message() {
    return this.carriedTo === 0n
      ? `nothing of shard ${this.shard} was carried yet: there is nothing to carry again`
      : `shard ${this.shard} was carried up to position ${this.carriedTo}: there is nothing from ${this.from} on to carry again`
  }
}

export class Republishing extends Context.Service<Republishing, {
  /** What would be carried again, and how many events that are. */
  readonly look: (
    shard: ShardId,
    from: bigint
  ) => Effect.Effect<Republished & { readonly events: number }, PositionNotCarried | ShardUnavailable>
  /**
   * Sends the relay of a shard back to a position, and keeps who did and why, in one transaction. Whoever holds the relay's
   * lease loses it.
   */
  readonly sendBack: (
    shard: ShardId,
    from: bigint,
    operation: Operation,
    note: { readonly action: string; readonly subject: string }
  ) => Effect.Effect<Republished, PositionNotCarried | ShardUnavailable>
}>()("counterpoise/domain/operations/Republishing") {}
