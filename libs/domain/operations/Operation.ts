/**
 * What an operator does by hand: who, why, and in which request; and what is kept of it for ever.
 */
import { Context, type Effect } from "effect"
import type { Actor } from "../messaging/Parked.ts"
import type { ShardId } from "../sharding/ShardMap.ts"
import type { ShardUnavailable } from "../sharding/Shards.ts"

export interface Operation extends Actor {
  readonly requestId: string
}

/** An operation as it is kept. */
export interface AuditRecord extends Operation {
  readonly shard: ShardId
  readonly number: bigint
  /** Such as `break.resolve`. */
  readonly action: string
  readonly subject: string
  /** The code of the refusal; null where it was done. */
  readonly refusedWith: string | null
  readonly atMillis: number
}

/** What is done is kept with what it changes, in one transaction; what is refused, or changes nothing on a shard, is noted. */
export class Audit extends Context.Service<Audit, {
  readonly note: (
    shard: ShardId,
    operation: Operation,
    note: { readonly action: string; readonly subject: string; readonly refusedWith: string | null }
  ) => Effect.Effect<void, ShardUnavailable>
  /** Records of a shard, newest first, with a number below `below`; of one subject or one actor, or of all. */
  readonly list: (
    shard: ShardId,
    filter: { readonly subject: string | null; readonly actor: string | null },
    below: bigint | null,
    most: number
  ) => Effect.Effect<ReadonlyArray<AuditRecord>, ShardUnavailable>
}>()("counterpoise/domain/operations/Audit") {}
