/**
 * The port through which an auditor reads what became of a transfer: from the shards' logs and entries alone, which nobody
 * can change. What is kept beside them for speed (the state of a transfer, verdicts, holds, balances) is not asked.
 */
import { Context, type Effect } from "effect"
import type { JournalStep } from "../ledger/Journal.ts"
import type { LedgerEvent } from "../ledger/LedgerEvent.ts"
import type { Entry } from "../ledger/Queries.ts"
import type { ShardId } from "../sharding/ShardMap.ts"
import type { ShardUnavailable } from "../sharding/Shards.ts"
import type { TransferId } from "../transfer/TransferId.ts"

/** An event about a transfer, as it stands in a shard's log. */
export interface TracedEvent {
  readonly position: bigint
  readonly type: string
  /** `null`: it says what this version does not understand. */
  readonly event: LedgerEvent | null
  /** The text that was written. */
  readonly payload: string
  readonly requestId: string | null
  readonly traceparent: string | null
  readonly occurredAtMillis: number
}

export interface TracedEntry extends Entry {
  readonly step: JournalStep
}

/** The idempotency key with which something was asked for, and the hash of the request that came with it. */
export interface TracedKey {
  /** The transfer or the instruction that it made. */
  readonly resource: string
  readonly client: string
  readonly key: string
  /** SHA-256 of the request in canonical form, in hexadecimal. */
  readonly fingerprint: string
}

/** What one shard holds of a transfer, each in the order in which it was written. */
export interface Trace {
  readonly shard: ShardId
  readonly events: ReadonlyArray<TracedEvent>
  readonly entries: ReadonlyArray<TracedEntry>
  readonly keys: ReadonlyArray<TracedKey>
}

export class Traces extends Context.Service<Traces, {
  /** The traces of a transfer on its shards: those that hold something of it. */
  readonly of: (transfer: TransferId) => Effect.Effect<ReadonlyArray<Trace>, ShardUnavailable>
}>()("counterpoise/domain/audit/Traces") {}
