/**
 * The port through which a shard says of itself whether it is worked: who holds its leases, how far its log was carried, how
 * far the ledger worker has come, and how far it is sealed. One look, which changes nothing and counts no table.
 */
import { Context, type Effect } from "effect"
import type { ShardId } from "./ShardMap.ts"
import type { ShardUnavailable } from "./Shards.ts"

/** Who holds a lease, or held it last. */
export interface LeaseHolder {
  readonly role: string
  readonly holder: string
  readonly epoch: bigint
  readonly expiresAtMillis: number
}

/** How far a shard's log was carried into an event log. */
export interface Carried {
  readonly log: string
  readonly position: bigint
  readonly movedAtMillis: number
  /** How many events wait to be carried, up to {@link mostWaiting}, and since when the first of them does. */
  readonly waiting: number
  readonly waitingSinceMillis: number | null
}

/** Who counts further than this wants to know no more than that it is many. */
export const mostWaiting = 100_000

/** Where the shard's ledger worker is in one of its partitions. */
export interface WorkedPartition {
  readonly partition: number
  readonly log: string
  readonly next: bigint
}

export interface Pulse {
  readonly shard: ShardId
  /** The shard's clock. */
  readonly atMillis: number
  /** The last position that was written to its log; 0 if none was. */
  readonly lastPosition: bigint
  readonly leases: ReadonlyArray<LeaseHolder>
  readonly carried: ReadonlyArray<Carried>
  readonly worked: ReadonlyArray<WorkedPartition>
  /** Who has seen how much more of its log than it has, if somebody has: it lost data, and takes nothing before it has caught up. */
  readonly behind: { readonly logEnd: bigint; readonly seenTo: bigint; readonly seenBy: string } | null
  /** The last block that was sealed, if there is one. */
  readonly sealed: { readonly upTo: bigint; readonly atMillis: number } | null
}

/** Is the lease held at the time of the look? */
export const isHeld = (pulse: Pulse, lease: LeaseHolder): boolean => lease.expiresAtMillis > pulse.atMillis

export class Pulses extends Context.Service<Pulses, {
  readonly of: (shard: ShardId) => Effect.Effect<Pulse, ShardUnavailable>
}>()("counterpoise/domain/sharding/Pulses") {}
