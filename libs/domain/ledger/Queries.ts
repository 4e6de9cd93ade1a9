/**
 * The port through which the books are read. Reads are strong: they come from the shard that owns the account.
 */
import { Context, type Effect, type Option } from "effect"
import type { Currency } from "../money/Currency.ts"
import type { ShardUnavailable } from "../sharding/Shards.ts"
import type { Instruction } from "./Instruction.ts"
import type { LedgerEvent } from "./LedgerEvent.ts"
import type { AccountRecord, TransferRecord } from "../transfer/Intake.ts"
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
  /** Accounts of all shards in ascending order of id, after `after`. */
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
  readonly transfer: (id: TransferId) => Effect.Effect<Option.Option<TransferRecord>, ShardUnavailable>
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
