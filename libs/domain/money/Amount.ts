/**
 * Amounts: whole numbers of minor units, `bigint` inside and decimal digits outside, never a float.
 *
 * An amount always stands beside its currency. What is transferred, held or posted is a positive {@link Amount} of at most
 * 38 digits; a balance is a {@link Sum}, which may be negative and has room for ten thousand million of the largest amounts.
 */
import { Schema, SchemaTransformation } from "effect"

/** The most that one amount may be: 38 digits, what `numeric(38, 0)` holds. */
export const maximum: bigint = 10n ** 38n - 1n

/** A positive number of minor units. On the wire: digits without sign, leading zero, fraction or exponent. */
export const Amount = Schema.String.check(
  Schema.isPattern(/^[1-9][0-9]{0,37}$/, {
    message: "must be a positive whole number of minor units, as a string of at most 38 digits"
  })
).pipe(
  Schema.decodeTo(Schema.BigInt, SchemaTransformation.bigintFromString),
  Schema.check(Schema.isBetweenBigInt({ minimum: 1n, maximum })),
  Schema.brand("Amount")
)
export type Amount = typeof Amount.Type

/** A sum of amounts, of either sign and at most 48 digits. On the wire: digits, with a minus sign where it is negative. */
export const Sum = Schema.String.check(
  Schema.isPattern(/^(0|-?[1-9][0-9]{0,47})$/, { message: "must be a whole number of minor units, as a string" })
).pipe(Schema.decodeTo(Schema.BigInt, SchemaTransformation.bigintFromString))
