/**
 * The events of transfers and accounts: immutable facts, and the messages by which partitions speak to each other.
 *
 * Each event carries the whole terms of its transfer, so a consumer needs nothing else. Its key is the account that acts
 * next (DESIGN: the transfer protocol); an event on which nobody acts is keyed by the source.
 */
import { Schema } from "effect"
import { AccountId, AccountKind, Side } from "../account/Account.ts"
import { Amount, Sum } from "../money/Amount.ts"
import { Currency } from "../money/Currency.ts"
import { TransferId } from "./TransferId.ts"

/** Why a transfer was rejected, refused or cancelled: a stable code, and prose for people. */
export const Reason = Schema.Struct({ code: Schema.String, detail: Schema.String })
export type Reason = typeof Reason.Type

/** What was agreed. In a transfer captured in part, `amount` is the captured amount from then on. */
const terms = {
  transfer: TransferId,
  source: AccountId,
  destination: AccountId,
  amount: Amount,
  currency: Currency
}

export const Terms = Schema.Struct(terms)
export type Terms = typeof Terms.Type

export const Capture = Schema.Literals(["automatic", "manual"])
export type Capture = typeof Capture.Type

const fact = <const Type extends string>(type: Type) => Schema.Struct({ type: Schema.Literal(type), ...terms })
const refusal = <const Type extends string>(type: Type) =>
  Schema.Struct({ type: Schema.Literal(type), ...terms, reason: Reason })

export const TransferEvent = Schema.Union([
  Schema.Struct({
    type: Schema.Literal("transfer.requested"),
    ...terms,
    capture: Capture,
    client: Schema.String
  }),
  fact("transfer.authorized"),
  fact("transfer.held"),
  fact("transfer.credited"),
  refusal("transfer.refused"),
  refusal("transfer.recalled"),
  Schema.Struct({ type: Schema.Literal("transfer.capture_requested"), ...terms, captured: Schema.NullOr(Amount) }),
  fact("transfer.void_requested"),
  fact("transfer.expiry_due"),
  fact("transfer.committed"),
  refusal("transfer.rejected"),
  refusal("transfer.cancelled")
])
export type TransferEvent = typeof TransferEvent.Type
export type TransferEventType = TransferEvent["type"]

/** An account was opened. Nobody acts on it; read models and replay need it. */
export const AccountOpened = Schema.Struct({
  type: Schema.Literal("account.opened"),
  account: AccountId,
  kind: AccountKind,
  normalSide: Side,
  currency: Currency,
  floor: Schema.NullOr(Sum),
  ceiling: Schema.NullOr(Sum)
})
export type AccountOpened = typeof AccountOpened.Type

/** Everything that stands in a shard's event log. */
export const LedgerEvent = Schema.Union([...TransferEvent.members, AccountOpened])
export type LedgerEvent = typeof LedgerEvent.Type

/** The wire form: JSON with amounts as strings. */
export const LedgerEventJson = Schema.fromJsonString(LedgerEvent)

/** The account that acts next on an event, and so the key under which it travels. */
export const keyOf = (event: LedgerEvent): AccountId => {
  switch (event.type) {
    case "account.opened":
      return event.account
    case "transfer.held":
    case "transfer.recalled":
      return event.destination
    default:
      return event.source
  }
}

/** The terms of an event, without its type and the rest. */
export const termsOf = (event: Terms): Terms => ({
  transfer: event.transfer,
  source: event.source,
  destination: event.destination,
  amount: event.amount,
  currency: event.currency
})
