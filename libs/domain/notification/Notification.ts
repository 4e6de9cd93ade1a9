/**
 * Notifications: what the world is told, which is facts only, and in which words. The words are those of the API.
 *
 * A notification is thin: it says what happened to what; who needs more asks the API, which knows what has happened since.
 */
import { Context, type Effect, Result, Schema } from "effect"
import { AccountId, AccountKind } from "../account/Account.ts"
import type { LogRecord } from "../messaging/EventLog.ts"
import { Amount } from "../money/Amount.ts"
import { Currency } from "../money/Currency.ts"
import { TransferId } from "../transfer/TransferId.ts"

export interface Notification {
  /** The same for the same event, however often it is delivered: the shard that wrote it, and its position there. */
  readonly id: string
  /** The event's type. */
  readonly type: string
  /** JSON: type, timestamp, data. */
  readonly body: string
  /** W3C trace context of the request that it began with. */
  readonly traceparent: string | null
}

/** The event does not say what its type promises. */
export class Undecodable extends Schema.TaggedError<Undecodable>()("Undecodable", {
  type: Schema.String,
  why: Schema.String
}) {
  override get message() {
    return `the ${this.type} event cannot be read: ${this.why}`
  }
}

const transferFacts: ReadonlySet<string> = new Set([
  "transfer.authorized",
  "transfer.committed",
  "transfer.rejected",
  "transfer.cancelled"
])

/** Is this something that has happened for good? All else is how the shards speak to each other, or a wish. */
export const isFact = (type: string): boolean =>
  transferFacts.has(type) || (type.startsWith("account.") && !type.endsWith("_requested"))

/** What is needed of the events; members that are not known here are nobody's business. */
const TransferFact = Schema.fromJsonString(Schema.Struct({
  transfer: TransferId,
  source: AccountId,
  destination: AccountId,
  amount: Amount,
  currency: Currency,
  reason: Schema.optionalKey(Schema.Struct({ code: Schema.String, detail: Schema.String }))
}))

const AccountFact = Schema.fromJsonString(Schema.Struct({
  account: AccountId,
  kind: Schema.optionalKey(AccountKind),
  currency: Schema.optionalKey(Currency)
}))

const transferFact = Schema.decodeUnknownResult(TransferFact)
const accountFact = Schema.decodeUnknownResult(AccountFact)

/** The account's status after a fact that changes it. */
const statusAfter: Readonly<Record<string, string>> = {
  "account.opened": "open",
  "account.frozen": "frozen",
  "account.unfrozen": "open",
  "account.closed": "closed"
}

/** What is told of a fact. */
export const notificationOf = (record: LogRecord): Result.Result<Notification, Undecodable> => {
  const { type } = record
  const undecodable = (why: string) => Result.fail(Undecodable.make({ type, why: why.replaceAll(/\s+/g, " ") }))
  const data = type.startsWith("transfer.") ? ofTransfer(record) : ofAccount(record)
  if (Result.isFailure(data)) return undecodable(data.failure.message)
  const time = new Date(record.occurredAtMillis)
  if (Number.isNaN(time.getTime())) return undecodable("it happened at no time")
  return Result.succeed({
    id: `${record.source}-${record.position}`,
    type,
    body: JSON.stringify({ type, timestamp: time.toISOString(), data: data.success }),
    traceparent: record.traceparent
  })
}

const ofTransfer = ({ payload, type }: LogRecord) =>
  Result.map(
    transferFact(payload),
    ({ amount, currency, destination, reason, source, transfer }): Readonly<Record<string, unknown>> => ({
      id: transfer,
      object: "transfer",
      status: type.slice("transfer.".length),
      source,
      destination,
      amount: amount.toString(),
      currency,
      ...(reason === undefined ? {} : { failure: reason })
    })
  )

const ofAccount = ({ payload, type }: LogRecord) =>
  Result.map(
    accountFact(payload),
    ({ account, ...rest }): Readonly<Record<string, unknown>> => ({
      id: account,
      object: "account",
      ...(statusAfter[type] === undefined ? {} : { status: statusAfter[type] }),
      ...rest
    })
  )

/** The receiver did not take a notification, and may take it later: it is down, or busy, or cannot be reached. */
export class DeliveryFailed extends Schema.TaggedError<DeliveryFailed>()("DeliveryFailed", {
  why: Schema.String,
  /** How long it asked to be left alone. */
  after: Schema.NullOr(Schema.Duration)
}) {
  override get message() {
    return this.why
  }
}

/** The receiver says that it will not take this notification, now or later. */
export class DeliveryRefused extends Schema.TaggedError<DeliveryRefused>()("DeliveryRefused", { why: Schema.String }) {
  override get message() {
    return this.why
  }
}

/** Who is told. */
export class Receiver extends Context.Service<Receiver, {
  /** Succeeds when the receiver has said that it took the notification. */
  readonly deliver: (notification: Notification) => Effect.Effect<void, DeliveryFailed | DeliveryRefused>
}>()("counterpoise/domain/notification/Receiver") {}
