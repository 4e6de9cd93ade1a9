/**
 * The port through which wishes come in: a transfer, or the opening of an account. Each is recorded with its idempotency
 * row and its event in one transaction on the shard of its account; when the effect succeeds it is on disk.
 */
import { Context, type Effect, Schema } from "effect"
import type { Account, AccountId } from "../account/Account.ts"
import type { ShardUnavailable } from "../sharding/Shards.ts"
import type { Capture, Reason, Terms } from "./TransferEvent.ts"
import type { TransferStatus } from "./Transfer.ts"

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
  readonly createdAtMillis: number
}

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
    return `this idempotency key was used with another request, which made ${this.resource}`
  }
}

/** There is an account with this id already. */
export class AccountExists extends Schema.TaggedError<AccountExists>()("AccountExists", { account: Schema.String }) {
  readonly code = "account_exists"
  override get message() {
    return `there is an account ${this.account} already`
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
  readonly open: (
    intent: AccountIntent
  ) => Effect.Effect<Recorded<AccountRecord>, IdempotencyKeyReused | AccountExists | Overloaded | ShardUnavailable>
}>()("counterpoise/domain/transfer/Intake") {}
