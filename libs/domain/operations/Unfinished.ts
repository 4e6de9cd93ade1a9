/**
 * What has not ended on a shard: its transfers and instructions that are still on their way.
 */
import { Context, type Effect } from "effect"
import type { ShardId } from "../sharding/ShardMap.ts"
import type { ShardUnavailable } from "../sharding/Shards.ts"

export interface Unfinished {
  /** Transfers made within {@link lookBackMillis}, by the status that they are in. */
  readonly requested: number
  readonly authorized: number
  readonly held: number
  /** When the oldest of them was made that waits for nobody but the platform: requested or held. */
  readonly oldestMillis: number | null
  /** Instructions without an answer. */
  readonly openInstructions: number
}

/** A day. What is open for longer lingers, and there is a check for that; to count it would be to read the whole history. */
export const lookBackMillis = 86_400_000

export class UnfinishedCounts extends Context.Service<UnfinishedCounts, {
  readonly of: (shard: ShardId) => Effect.Effect<Unfinished, ShardUnavailable>
}>()("counterpoise/domain/operations/UnfinishedCounts") {}
