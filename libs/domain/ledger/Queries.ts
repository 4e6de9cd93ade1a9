/**
 * The port through which the books are read. Reads are strong: they come from the shard that owns the account.
 */
import { Context, type Effect, type Option } from "effect"
import type { AccountId } from "../account/Account.ts"
import type { Currency } from "../money/Currency.ts"
import type { ShardUnavailable } from "../sharding/Shards.ts"
import type { Instruction } from "./Instruction.ts"
import type { LedgerEvent } from "./LedgerEvent.ts"
import type { AccountRecord, TransferRecord } from "../transfer/Intake.ts"
import type { TransferStatus } from "../transfer/Transfer.ts"
import type { TransferId } from "../transfer/TransferId.ts"

/** One immutable line of an account. */
export interface Entry {
  readonly account: string
  readonly sequence: bigint
  readonly transfer: string
  readonly direction: "DEBIT" | "CREDIT"
  readonly amount: bigint
  readonly currency: Currency
  /** Credits − debits of the account after this entry. */
  readonly posted: bigint
  readonly createdAtMillis: number
}

/** Which transfers are looked for; what is null may be anything. */
export interface TransferFilter {
  readonly source: AccountId | null
  readonly status: TransferStatus | null
  /** The transfer whose money they bring back. */
  readonly reverses: TransferId | null
  /** The time in their ids, which is when they were asked for: from the first, and before the second of these. */
  readonly fromMillis: number | null
  readonly beforeMillis: number | null
}

/** Part of a list of transfers, and where it goes on. */
export interface TransferPage {
  readonly records: ReadonlyArray<TransferRecord>
  /** The id below which the next part begins; null when this was the last. */
  readonly next: TransferId | null
}

/** One step in the story of a transfer, as a shard wrote it. */
export interface TimelineStep {
  readonly shard: number
  readonly position: bigint
  readonly event: LedgerEvent
  readonly requestId: string | null
  readonly occurredAtMillis: number
}

/**
 * The balances of all accounts of one currency on one shard, at one moment: those that stand in debit, those in credit,
 * clearing, and what is held of them.
 */
export interface TrialBalance {
  readonly shard: number
  readonly currency: Currency
  /** Σ of the balances that stand in debit, and of those in credit. They are equal, or the shard is wrong. */
  readonly debits: bigint
  readonly credits: bigint
  /** Credits − debits of the clearing accounts towards other shards, and from them. */
  readonly clearingTo: bigint
  readonly clearingFrom: bigint
  /** Σ of the open holds: reserved for transfers that have not been credited, or not yet committed. */
  readonly held: bigint
}

export class Queries extends Context.Service<Queries, {
  readonly account: (id: string) => Effect.Effect<Option.Option<AccountRecord>, ShardUnavailable>
  /** Accounts of all shards in ascending order of id, as their databases sort, after `after`. */
  readonly accounts: (
    after: string | null,
    limit: number
  ) => Effect.Effect<ReadonlyArray<AccountRecord>, ShardUnavailable>
  /** Entries of an account, newest first, with a sequence below `before`. */
  readonly entries: (
    account: string,
    before: bigint | null,
    limit: number
  ) => Effect.Effect<ReadonlyArray<Entry>, ShardUnavailable>
  /** Entries of an account in ascending order, with a sequence above `after` and not above `upTo`. */
  readonly entriesAfter: (
    account: string,
    after: bigint,
    upTo: bigint,
    limit: number
  ) => Effect.Effect<ReadonlyArray<Entry>, ShardUnavailable>
  /** The account's entry of that number. `None`: it has no such entry, or not yet. One look, however many there are. */
  readonly entry: (account: string, sequence: bigint) => Effect.Effect<Option.Option<Entry>, ShardUnavailable>
  /**
   * The account's last entry that was written before a time, in whole milliseconds of the shard's clock. `None`: all were
   * written later, or there is none. As many looks as the number of entries has binary digits.
   *
   * An account's entries are in the order of time, unless that clock was set back. Where it was, this is an entry before
   * the time whose successor is not; and it stays the same one while only later ones are written.
   */
  readonly lastEntryBefore: (account: string, millis: number) => Effect.Effect<Option.Option<Entry>, ShardUnavailable>
  readonly transfer: (id: TransferId) => Effect.Effect<Option.Option<TransferRecord>, ShardUnavailable>
  /**
   * Transfers of all shards (of one, if their source is known), newest first by the time in their ids, with an id below
   * `below`. Who follows `next` to its end sees each transfer once that was there when he began.
   *
   * At most `limit`, and perhaps fewer or none though there are more: to find those of one status, only so many are looked
   * at in one go.
   */
  readonly transfers: (
    filter: TransferFilter,
    below: TransferId | null,
    limit: number
  ) => Effect.Effect<TransferPage, ShardUnavailable>
  /** The transfer that a client asked for, from that account and under that idempotency key. `None`: it asked for none. */
  readonly transferOf: (
    client: string,
    source: AccountId,
    idempotencyKey: string
  ) => Effect.Effect<Option.Option<TransferRecord>, ShardUnavailable>
  /** The transfer once it has ended, or as it is when `withinMillis` are over. */
  readonly awaitEnd: (
    id: TransferId,
    withinMillis: number
  ) => Effect.Effect<Option.Option<TransferRecord>, ShardUnavailable>
  /** The instruction once it has its answer, or as it is when `withinMillis` are over. */
  readonly awaitAnswer: (instruction: Instruction, withinMillis: number) => Effect.Effect<Instruction, ShardUnavailable>
  /** The events of a transfer from both of its shards, in the order of time. */
  readonly timeline: (id: TransferId) => Effect.Effect<ReadonlyArray<TimelineStep>, ShardUnavailable>
  readonly trialBalance: Effect.Effect<ReadonlyArray<TrialBalance>, ShardUnavailable>
}>()("counterpoise/domain/ledger/Queries") {}

/** The steps of a transfer in the order of time. Shards' clocks may differ by a little; the protocol's order does not. */
export const inOrder = (steps: ReadonlyArray<TimelineStep>): ReadonlyArray<TimelineStep> =>
  steps.toSorted((a, b) =>
    a.shard === b.shard
      ? Number(a.position - b.position)
      : a.occurredAtMillis - b.occurredAtMillis || rank(a) - rank(b)
  )

const protocol: ReadonlyArray<LedgerEvent["type"]> = [
  "transfer.requested",
  "transfer.authorized",
  "transfer.capture_requested",
  "transfer.void_requested",
  "transfer.expiry_due",
  "transfer.held",
  "transfer.recalled",
  "transfer.credited",
  "transfer.refused"
]

const rank = ({ event }: TimelineStep): number => {
  const at = protocol.indexOf(event.type)
  return at === -1 ? protocol.length : at
}
