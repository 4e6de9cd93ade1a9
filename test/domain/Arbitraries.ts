/**
 * What properties are tried with: values of the domain, drawn so that the interesting ones are common.
 *
 * The runner prints a replay token with every failure; put it into the property's `arbitrary: { replay }` to see it again.
 */
import { Arbitrary, Schema } from "effect"
import { AccountId } from "#domain/account/Account.ts"
import { InstructionId } from "#domain/ledger/Instruction.ts"
import { Amount, maximum } from "#domain/money/Amount.ts"
import { Currency, exponents } from "#domain/money/Currency.ts"
import { type Terms, TransferEvent } from "#domain/transfer/TransferEvent.ts"
import { make as makeTransferId } from "#domain/transfer/TransferId.ts"

export const integer = (minimum: number, maximum: number): Arbitrary.Arbitrary<number> =>
  Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum, maximum })))

/** Any currency there is. A schema that filters text by a table would find one about once in ten million tries. */
export const currency: Arbitrary.Arbitrary<Currency> = Arbitrary.map(
  Arbitrary.schema(Schema.Literals([...exponents.keys()])),
  (code) => Currency.make(code)
)

/** Chance in [0, 1) that is the same for the same seed: the id drawn with it can be drawn again. */
export const chance = (seed: number) => () => {
  seed = (seed + 0x6d2b79f5) | 0
  let mixed = Math.imul(seed ^ (seed >>> 15), seed | 1)
  mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
  return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
}

/** A time that a transfer id can carry: 48 bits of milliseconds. */
export const millis = integer(0, 2 ** 48 - 1)
export const partition = integer(0, 1023)
export const seed = integer(0, 2 ** 31 - 1)

export const transferId = Arbitrary.map(
  Arbitrary.all({ millis, partition, seed }),
  ({ millis, partition, seed }) => makeTransferId(millis, partition, chance(seed))
)

export const accountId = Arbitrary.schema(AccountId)
export const amount = Arbitrary.schema(Amount)

export const terms: Arbitrary.Arbitrary<Terms> = Arbitrary.all({
  transfer: transferId,
  source: accountId,
  destination: accountId,
  amount,
  currency
})

const reason = Arbitrary.all({
  code: Arbitrary.schema(Schema.Literals(["insufficient_funds", "account_closed", "timeout", "voided"])),
  detail: Arbitrary.schema(Schema.String)
})

const eventTypes = TransferEvent.members.map((member) => member.fields.type.literal)

const instruction = InstructionId.make("ins_00000000000000000000000001")

/** Every kind of transfer event, with all that any of them carries. */
export const transferEvent: Arbitrary.Arbitrary<TransferEvent> = Arbitrary.map(
  Arbitrary.all({
    type: Arbitrary.schema(Schema.Literals(eventTypes)),
    terms,
    reason,
    capture: Arbitrary.schema(Schema.Literals(["automatic", "manual"])),
    client: Arbitrary.schema(Schema.String),
    captured: Arbitrary.schema(Schema.NullOr(Schema.BigInt.check(Schema.isBetweenBigInt({ minimum: 1n, maximum }))))
  }),
  ({ capture, captured, client, reason, terms, type }): TransferEvent => {
    switch (type) {
      case "transfer.requested":
        return { type, ...terms, capture, client }
      case "transfer.capture_requested":
        return { type, ...terms, captured: captured === null ? null : Amount.make(captured), instruction }
      case "transfer.void_requested":
        return { type, ...terms, instruction }
      case "transfer.refused":
      case "transfer.recalled":
      case "transfer.rejected":
      case "transfer.cancelled":
        return { type, ...terms, reason }
      default:
        return { type, ...terms }
    }
  }
)
