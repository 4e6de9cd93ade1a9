/**
 * The events of transfers: immutable facts, and the messages by which partitions speak to each other.
 *
 * Each event carries the whole terms of its transfer, so a consumer needs nothing else.
 */
import { Schema } from "effect"
import { AccountId } from "../account/Account.ts"
import { InstructionId, Reason } from "../ledger/Instruction.ts"
import { Amount } from "../money/Amount.ts"
import { Currency } from "../money/Currency.ts"
import { askedWith } from "./IdempotencyKey.ts"
import { TransferId } from "./TransferId.ts"

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
    client: Schema.String,
    /** The transfer whose money this one brings back, in whole or in part. */
    reverses: Schema.optionalKey(TransferId),
    /** After how many seconds an authorization that was not captured ends. */
    expiresIn: Schema.optionalKey(Schema.Int),
    ...askedWith
  }),
  fact("transfer.authorized"),
  fact("transfer.held"),
  fact("transfer.credited"),
  refusal("transfer.refused"),
  refusal("transfer.recalled"),
  Schema.Struct({
    type: Schema.Literal("transfer.capture_requested"),
    ...terms,
    /** The part that shall move; `null` is all of it. */
    captured: Schema.NullOr(Amount),
    instruction: InstructionId,
    ...askedWith
  }),
  Schema.Struct({
    type: Schema.Literal("transfer.void_requested"),
    ...terms,
    instruction: InstructionId,
    ...askedWith
  }),
  fact("transfer.expiry_due"),
  fact("transfer.committed"),
  refusal("transfer.rejected"),
  refusal("transfer.cancelled")
])
export type TransferEvent = typeof TransferEvent.Type
export type TransferEventType = TransferEvent["type"]

/** The terms of an event, without its type and the rest. */
export const termsOf = (event: Terms): Terms => ({
  transfer: event.transfer,
  source: event.source,
  destination: event.destination,
  amount: event.amount,
  currency: event.currency
})
