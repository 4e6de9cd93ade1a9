/**
 * The port to a shard's books. It exists only inside `Shards.transact`.
 */
import { Context, type Effect, Schema } from "effect"
import type { ShardUnavailable } from "../sharding/Shards.ts"
import type { Changes, Known, Needs } from "./Batch.ts"

/**
 * A balance, a transfer or a verdict is no longer what the batch assumed. In health it never happens, as one worker writes
 * a shard; it is what makes a second one harmless. The one right reaction: read again and decide again.
 */
export class LostRace extends Schema.TaggedError<LostRace>()("LostRace", { on: Schema.String }) {
  override get message() {
    return `another writer changed ${this.on} of this shard`
  }
}

export class Ledger extends Context.Service<Ledger, {
  /** Reads what a batch needs to know. What does not exist is not in the maps. */
  readonly read: (needs: Needs) => Effect.Effect<Known, ShardUnavailable>
  /** Writes what a batch decided: everything by compare-and-set on what was read. */
  readonly write: (changes: Changes) => Effect.Effect<void, LostRace | ShardUnavailable>
}>()("counterpoise/domain/ledger/Ledger") {}
