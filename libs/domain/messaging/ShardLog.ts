/**
 * The port to a shard's own event log: what the relay carries away, and where reconcilers append their questions.
 */
import { Context, type Effect } from "effect"
import type { LedgerEvent } from "../ledger/LedgerEvent.ts"
import type { Lease, LeaseLost } from "../sharding/Leases.ts"
import type { ShardId } from "../sharding/ShardMap.ts"
import type { ShardUnavailable } from "../sharding/Shards.ts"
import type { LogRecord } from "./EventLog.ts"

/** A stretch of the log: everything there is, and ever will be, after one position and up to another. */
export interface Stretch {
  readonly records: ReadonlyArray<LogRecord>
  readonly upTo: bigint
}

export class ShardLog extends Context.Service<ShardLog, {
  /** The next stretch after a position, of at most `most` records; without records where nothing was written. */
  readonly after: (shard: ShardId, position: bigint, most: number) => Effect.Effect<Stretch, ShardUnavailable>
  /** How far this shard's log has been carried into the event log of that name; 0 where never. */
  readonly cursor: (shard: ShardId, log: string) => Effect.Effect<bigint, ShardUnavailable>
  /** Moves the cursor forward, if the lease still stands. */
  readonly advance: (lease: Lease, log: string, to: bigint) => Effect.Effect<void, LeaseLost | ShardUnavailable>
  /** Appends events that ask again. */
  readonly append: (shard: ShardId, events: ReadonlyArray<LedgerEvent>) => Effect.Effect<void, ShardUnavailable>
}>()("counterpoise/domain/messaging/ShardLog") {}
