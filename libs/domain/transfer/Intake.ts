/**
 * The port through which wishes come in: a transfer, or the opening of an account. Each is recorded with its idempotency
 * row and its event in one transaction on the shard of its account; when the effect succeeds it is on disk.
 */
import { Context, type Effect, type Exit, type Option, Schema } from "effect"
import type { Account, AccountId } from "../account/Account.ts"
import type { ShardUnavailable } from "../sharding/Shards.ts"
import type { Instruction, Reason } from "../ledger/Instruction.ts"
import type { LedgerEvent } from "../ledger/LedgerEvent.ts"
import type { Capture, Terms } from "./TransferEvent.ts"
import type { TransferStatus } from "./Transfer.ts"
import type { TransferId } from "./TransferId.ts"

/** Who asks, and how a repetition is recognised. */
export interface Request {
  readonly client: string
  /** The client's `Idempotency-Key`. Its scope is the client and the account that the request is routed by. */
  readonly idempotencyKey: string
  /** SHA-256 of the request in canonical form, in hexadecimal: what the same key must come with again. */
  readonly fingerprint: string
  readonly requestId: string
  /** W3C trace context. */
  readonly traceparent: string | null
}

/** A small JSON object of the client's own; the platform keeps it and never looks into it. */
export type Metadata = Readonly<Record<string, string>>

export interface TransferIntent {
  readonly request: Request
  readonly terms: Terms
  readonly capture: Capture
  /** After how many seconds an authorization that was not captured ends. */
  readonly expiresInSeconds: number | null
  /** The transfer whose money this one brings back. */
  readonly reverses: TransferId | null
  readonly reference: string | null
  readonly description: string | null
  readonly metadata: Metadata
}

/** A transfer as it is kept. Times are in milliseconds since 1970, by the shard's clock. */
export interface TransferRecord {
  readonly terms: Terms
  readonly capture: Capture
  readonly status: TransferStatus
  readonly captured: bigint | null
  readonly reason: Reason | null
  readonly reverses: TransferId | null
  readonly reference: string | null
  readonly description: string | null
  readonly metadata: Metadata
  readonly expiresAtMillis: number | null
  readonly createdAtMillis: number
  readonly statusChangedAtMillis: number
}

export interface AccountIntent {
  readonly request: Request
  /** The account, without a balance; its id was chosen by the client or drawn for it. */
  readonly account: Omit<Account, "id" | "balance" | "status"> & { readonly id: AccountId }
  /** Did the client choose the id? */
  readonly named: boolean
  readonly metadata: Metadata
}

/** An account as it is kept. */
export interface AccountRecord {
  readonly account: Account
  readonly metadata: Metadata
  /** Counts the changes of the account itself: its status and metadata, not its balance. */
  readonly revision: bigint
  readonly createdAtMillis: number
}

/** What a client asks of a transfer or an account that exists: the event that carries it to the worker. */
export interface InstructionIntent {
  readonly request: Request
  readonly event: InstructionEvent
}
export type InstructionEvent = Extract<LedgerEvent, { readonly instruction: unknown }>

/** A fresh request, or one that was recorded before under the same key. */
export interface Recorded<A> {
  readonly replayed: boolean
  readonly record: A
}

/** The idempotency key was used before with another request. Nothing was changed. */
export class IdempotencyKeyReused extends Schema.TaggedError<IdempotencyKeyReused>()("IdempotencyKeyReused", {
  key: Schema.String,
  resource: Schema.String
}) {
  readonly code = "idempotency_key_reused"
  override get message() {
    return `this idempotency key was used with another request, which led to ${this.resource}`
  }
}

/** There is an account with this id already. */
export class AccountExists extends Schema.TaggedError<AccountExists>()("AccountExists", { account: Schema.String }) {
  readonly code = "account_exists"
  override get message() {
    return `there is an account ${this.account} already`
  }
}

/** The account is not as the client last saw it. Nothing was changed. */
export class RevisionMismatch extends Schema.TaggedError<RevisionMismatch>()("RevisionMismatch", {
  account: Schema.String,
  revision: Schema.BigInt
}) {
  readonly code = "revision_mismatch"
  override get message() {
    return `${this.account} is at revision ${this.revision} now`
  }
}

/** More requests wait to be written than the queue holds. Nothing was written; try again later. */
export class Overloaded extends Schema.TaggedError<Overloaded>()("Overloaded", { shard: Schema.Int }) {
  readonly code = "overloaded"
  override get message() {
    return `too many requests wait for shard ${this.shard}`
  }
}

export class Intake extends Context.Service<Intake, {
  readonly request: (
    intent: TransferIntent
  ) => Effect.Effect<Recorded<TransferRecord>, IdempotencyKeyReused | Overloaded | ShardUnavailable>
  /** Many at once, on whatever shards; each is recorded or refused on its own, and answered in the order given. */
  readonly requestAll: (
    intents: ReadonlyArray<TransferIntent>
  ) => Effect.Effect<
    ReadonlyArray<Exit.Exit<Recorded<TransferRecord>, IdempotencyKeyReused | ShardUnavailable>>
  >
  readonly open: (
    intent: AccountIntent
  ) => Effect.Effect<Recorded<AccountRecord>, IdempotencyKeyReused | AccountExists | Overloaded | ShardUnavailable>
  /** Records an instruction; the worker answers it. Its subject must exist. */
  readonly instruct: (
    intent: InstructionIntent
  ) => Effect.Effect<Recorded<Instruction>, IdempotencyKeyReused | ShardUnavailable>
  /** Replaces the metadata of an account that is at that revision. `None`: there is no such account. */
  readonly describe: (
    account: AccountId,
    revision: bigint,
    metadata: Metadata
  ) => Effect.Effect<Option.Option<AccountRecord>, RevisionMismatch | ShardUnavailable>
}>()("counterpoise/domain/transfer/Intake") {}
