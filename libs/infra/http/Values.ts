/**
 * The values that requests are made of, with the problem code of each rule beside the rule.
 *
 * A rule without a code of its own is `validation_failed`.
 */
import { Schema, SchemaTransformation } from "effect"
import { Amount, Sum } from "#domain/money/Amount.ts"
import { exponents } from "#domain/money/Currency.ts"
import type { Code } from "./Problems.ts"

/** The annotation under which a rule carries its problem code; Issues.ts reads it. */
export const problemAnnotation = "x-problem"

const rule = (code: Code, message: string) => ({ [problemAnnotation]: code, message })

/** A string; anything else is refused with `code`. */
const stringOr = (code: Code, message: string) => Schema.String.annotate(rule(code, message))

const notMinorUnits = rule(
  "amount_not_minor_units",
  "must be a string of digits that counts minor units: 1000.00 EUR is \"100000\""
)

const digits = (pattern: RegExp) =>
  Schema.String.annotate(notMinorUnits).check(Schema.isPattern(pattern, notMinorUnits))

/** An amount to move: positive, in minor units. Decodes to the domain's `Amount`. */
export const AmountText = digits(/^(?:0|-?[1-9][0-9]*|-0)$/u).check(
  Schema.isPattern(/^[1-9]/u, rule("amount_not_positive", "must be at least 1")),
  Schema.isMaxLength(38, rule("amount_too_large", "must have at most 38 digits"))
).annotate({ description: "Minor units, as a string: 12.50 EUR is \"1250\"" }).pipe(Schema.decodeTo(Amount))

/** A limit of an account: in minor units, of either sign, or null for none. */
export const Limit = Schema.NullOr(
  digits(/^(?:0|-?[1-9][0-9]*)$/u).check(
    Schema.isPattern(/^-?[0-9]{1,38}$/u, rule("amount_too_large", "must have at most 38 digits"))
  ).pipe(Schema.decodeTo(Sum))
).annotate(rule("amount_not_minor_units", `${notMinorUnits.message}, or null`))

const unknownCurrency = rule("unknown_currency", "must be an ISO 4217 currency code in capitals, such as EUR")

export const CurrencyCode = stringOr("unknown_currency", unknownCurrency.message).check(
  Schema.isPattern(/^[A-Z]{3}$/u, unknownCurrency),
  Schema.makeFilter((code) => exponents.has(code), unknownCurrency)
).pipe(Schema.brand("Currency"))

const invalidAccountId = rule(
  "invalid_account_id",
  "must be 1 to 64 letters, digits or one of _ . : @ - and begin with a letter or digit; clearing: is the platform's own"
)

export const AccountIdText = stringOr("invalid_account_id", invalidAccountId.message).check(
  Schema.isPattern(/^(?!clearing:)[A-Za-z0-9][A-Za-z0-9_.:@-]{0,63}$/u, invalidAccountId)
).pipe(Schema.brand("AccountId"))

/** Text for people: without control characters (which databases, logs and statements trip over) and well-formed. */
const text = (most: number) =>
  Schema.String.check(
    Schema.isMinLength(1, { message: "must not be empty" }),
    Schema.isMaxLength(most, { message: `must have at most ${most} characters` }),
    Schema.isPattern(/^[^\p{Cc}\p{Cs}\u2028\u2029]*$/u, { message: "must not contain control characters" })
  )

export const Reference = text(64).annotate({ description: "The client's own reference: 1 to 64 characters" })
export const Description = text(500).annotate({ description: "1 to 500 characters" })

/** A small object of the client's own. */
export const Metadata = Schema.Record(
  Schema.String.check(
    Schema.isPattern(/^[A-Za-z0-9_.-]{1,40}$/u, { message: "must be 1 to 40 letters, digits or one of _ . -" })
  ),
  Schema.String.check(
    Schema.isMaxLength(500, { message: "must have at most 500 characters" }),
    Schema.isPattern(/^[^\p{Cc}\p{Cs}\u2028\u2029]*$/u, { message: "must not contain control characters" })
  )
).check(Schema.isMaxProperties(50, { message: "must have at most 50 members" })).annotate({
  description: "Up to 50 strings of up to 500 characters; kept and never looked into"
})

const invalidKey = rule(
  "idempotency_key_invalid",
  "must be 1 to 255 visible ASCII characters, bare or as a quoted string"
)

/** `Idempotency-Key` as it comes: bare, or a quoted string (RFC 9651). Decodes to the key itself. */
export const IdempotencyKey = Schema.String.check(
  Schema.isPattern(/^(?:(?!")[\x21-\x7e]{1,255}|"(?:[\x21\x23-\x5b\x5d-\x7e]|\\["\\]){1,255}")$/u, invalidKey)
).annotate({
  description: "1 to 255 visible ASCII characters: fresh for each wish, the same for each repetition of it"
}).pipe(Schema.decodeTo(
  Schema.String,
  SchemaTransformation.transform({
    decode: (key) => key.startsWith("\"") ? key.slice(1, -1).replace(/\\(.)/g, "$1") : key,
    // What begins with a quote is not understood bare.
    encode: (key) => key.startsWith("\"") ? `"${key.replace(/["\\]/g, "\\$&")}"` : key
  })
)).annotateKey({ [problemAnnotation]: "idempotency_key_missing" satisfies Code })

/** An idempotency key in a body or a query: the key itself. */
export const IdempotencyKeyText = Schema.String.annotate(
  rule("idempotency_key_invalid", "must be 1 to 255 visible ASCII characters")
).check(
  Schema.isPattern(
    /^[\x21-\x7e]{1,255}$/u,
    rule("idempotency_key_invalid", "must be 1 to 255 visible ASCII characters")
  )
).annotateKey({ [problemAnnotation]: "idempotency_key_missing" satisfies Code })

/** `If-Match` as it must come: one ETag of an account. Decodes to the revision that it names. */
export const IfMatch = Schema.String.check(
  Schema.isPattern(/^"v[1-9][0-9]{0,17}"$/u, { message: "must be the ETag of the account, such as \"v3\"" })
).annotate({
  description: "The ETag that the account was read with: it is changed only if it is still the same"
}).pipe(Schema.decodeTo(
  Schema.BigInt,
  SchemaTransformation.transform({
    decode: (tag) => BigInt(tag.slice(2, -1)),
    encode: (revision) => `"v${revision}"`
  })
)).annotateKey({ [problemAnnotation]: "precondition_required" satisfies Code })

export const Prefer = Schema.String.annotate({
  description: "`wait=N` holds the answer up to N seconds (at most 10) until the transfer has ended (RFC 7240)"
})

/** How long an instruction's answer is waited for, in seconds, where its client does not say. */
export const answerSeconds = 5

export const PreferAnswer = Schema.String.annotate({
  description: `\`wait=N\` waits up to N seconds (at most 10; ${answerSeconds} unless given) for the answer (RFC 7240)`
})

/** The body of an instruction whose path says all there is to say. */
export const NoMembers = Schema.Record(
  Schema.String,
  Schema.Never.annotate(rule("unknown_parameter", "is not a parameter of this operation"))
).annotate({ identifier: "NoMembers" })

/** A time as it is answered: RFC 3339 in UTC with milliseconds. */
export const Time = Schema.String.annotate({ format: "date-time" })

const notATime = { message: "must be an RFC 3339 time such as 2026-11-21T09:31:00Z (in a query, + is written %2B)" }

/** A time as it is asked with: RFC 3339, to the millisecond. Decodes to milliseconds since 1970. */
export const Instant = Schema.String.annotate({ format: "date-time" }).check(
  Schema.makeFilter(
    (text) =>
      // A day that its month does not have is another day to Date.
      !Number.isNaN(Date.parse(text)) && new Date(text.slice(0, 10)).getUTCDate() === Number(text.slice(8, 10)),
    notATime
  ),
  Schema.isPattern(
    /^[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3])(?::[0-5][0-9]){2}(?:\.[0-9]{1,9})?(?:Z|[+-][0-9]{2}:[0-9]{2})$/u,
    notATime
  )
).pipe(Schema.decodeTo(
  Schema.Finite,
  SchemaTransformation.transform({
    decode: (text) => Date.parse(text),
    encode: (millis) => new Date(millis).toISOString()
  })
))

/** The number of an entry of an account. */
export const SequenceNumber = Schema.String.check(
  Schema.isPattern(/^(?:0|[1-9][0-9]{0,14})$/u, { message: "must be 0 or the number of an entry" })
).pipe(Schema.decodeTo(Schema.BigInt, SchemaTransformation.bigintFromString))

/** Minor units as they are answered. */
export const Minor = Schema.String.annotate({
  description: "Minor units, as a string of digits, with a minus sign where it is negative"
})

export const PageLimit = Schema.Int.check(
  Schema.isBetween({ minimum: 1, maximum: 200 }, { message: "must be between 1 and 200" })
).annotate({ description: "How many at most; 50 unless given" })

/** A query parameter that may be left out. Its description is that of the text in which it travels. */
export const parameter = <S extends Schema.Top>(schema: S, description: string) =>
  Schema.optionalKey(schema.pipe(Schema.annotateEncoded({ description })))

export const PageCursor = Schema.String.annotate({ description: "The next_cursor of the page before" })

/** A page of a list. */
export const page = <Item extends Schema.Top>(item: Item) =>
  Schema.Struct({
    object: Schema.Literal("list"),
    data: Schema.Array(item),
    has_more: Schema.Boolean,
    next_cursor: Schema.NullOr(Schema.String)
  })
