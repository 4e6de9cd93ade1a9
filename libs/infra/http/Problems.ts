/**
 * Problems: what the API answers when it does not do what was asked (RFC 9457, `application/problem+json`).
 *
 * One registry: from it come the codes as a type, the schemas of the contract, the pages under `/problems` and the answers
 * themselves. A code is a promise: it is never renamed, and what it means never changes. Titles and details may.
 */
import { Schema } from "effect"
import { HttpApiSchema } from "effect/http-api"

/** What is always true of a problem with a certain code. */
export interface Kind {
  readonly status: number
  readonly title: string
  /** May the same request succeed later, unchanged (with the same idempotency key)? */
  readonly retryable: boolean
  /** Cause and remedy, for the page of the code. */
  readonly explanation: string
}

const kind = (status: number, title: string, explanation: string, retryable = false): Kind => ({
  status,
  title,
  retryable,
  explanation
})

export const registry = {
  // The request as a message
  malformed_http: kind(400, "Malformed HTTP request", "The bytes are not an HTTP/1.1 request. Nothing was done."),
  malformed_json: kind(
    400,
    "Malformed JSON",
    "The body is not one JSON value in UTF-8 without a byte order mark. Nothing was done."
  ),
  duplicate_key: kind(
    400,
    "Duplicate key",
    "A JSON object names a member twice. Readers disagree on which one counts, so neither does. Send it once."
  ),
  forbidden_key: kind(
    400,
    "Forbidden key",
    "A JSON object has a member named __proto__, constructor or prototype. Rename it."
  ),
  nesting_too_deep: kind(400, "Nesting too deep", "The body nests more than 16 objects and arrays. Send it flatter."),
  request_timeout: kind(
    408,
    "Request timeout",
    "The request did not arrive in full in time. Nothing was done; send it again with the same idempotency key.",
    true
  ),
  payload_too_large: kind(
    413,
    "Payload too large",
    "The body is larger than 64 KiB, or than 4 MiB where many transfers are asked for at once. Nothing was done."
  ),
  unsupported_media_type: kind(
    415,
    "Unsupported media type",
    "Bodies are application/json, in UTF-8, without a content encoding such as gzip."
  ),
  expectation_failed: kind(417, "Expectation failed", "The only expectation that is understood is 100-continue."),
  headers_too_large: kind(431, "Headers too large", "The request line and the headers exceed 16 KiB together."),
  // Its content
  validation_failed: kind(
    400,
    "Validation failed",
    "Members are missing, of the wrong type or out of range, or several things are wrong at once: `errors` names each " +
      "by a JSON pointer. Nothing was done."
  ),
  unknown_parameter: kind(
    400,
    "Unknown parameter",
    "A member of the body or a query parameter has a name that the operation does not know. It is refused, not ignored: " +
      "a mistyped name must not quietly lose its meaning."
  ),
  amount_not_minor_units: kind(
    400,
    "Amount not in minor units",
    "Amounts are strings of digits that count the currency's minor unit: 1000.00 EUR is \"100000\", 1000 JPY is " +
      "\"1000\", 1.000 BHD is \"1000\". A JSON number, a fraction, an exponent, a leading zero, a plus sign or a " +
      "separator is refused."
  ),
  amount_not_positive: kind(
    400,
    "Amount not positive",
    "An amount is at least one minor unit. The direction is said by source and destination, never by a sign."
  ),
  amount_too_large: kind(400, "Amount too large", "An amount has at most 38 digits."),
  unknown_currency: kind(
    400,
    "Unknown currency",
    "A currency is an active ISO 4217 alphabetic code in capitals, such as EUR."
  ),
  invalid_account_id: kind(
    400,
    "Invalid account id",
    "An account id is 1 to 64 letters, digits or one of _ . : @ - and begins with a letter or digit; ids that begin with " +
      "clearing: are the platform's own."
  ),
  same_account: kind(400, "Same account", "Source and destination of a transfer are two different accounts."),
  invalid_cursor: kind(
    400,
    "Invalid cursor",
    "`after` takes the next_cursor of a page of the same list, unchanged. Cursors are opaque."
  ),
  idempotency_key_missing: kind(
    400,
    "Idempotency key missing",
    "Every POST that moves or creates needs an Idempotency-Key header: a fresh one for each wish, the same one for each " +
      "repetition of it."
  ),
  idempotency_key_invalid: kind(
    400,
    "Idempotency key invalid",
    "An idempotency key is 1 to 255 visible ASCII characters without spaces, bare or as a quoted string."
  ),
  // Who asks
  unauthenticated: kind(
    401,
    "Unauthenticated",
    "The request needs `Authorization: Bearer <key>` with a key that the platform knows."
  ),
  // What is asked for
  route_not_found: kind(404, "Route not found", "No resource lives at this path. See /docs."),
  account_not_found: kind(404, "Account not found", "There is no account with this id."),
  entry_not_found: kind(404, "Entry not found", "The account has no entry of this number, or not yet."),
  transfer_not_found: kind(404, "Transfer not found", "There is no transfer with this id."),
  method_not_allowed: kind(
    405,
    "Method not allowed",
    "The resource does not know this method; Allow lists those it does."
  ),
  account_exists: kind(
    409,
    "Account exists",
    "There is an account with this id already, opened under another idempotency key."
  ),
  account_frozen: kind(
    409,
    "Account frozen",
    "The account is frozen, so it cannot be frozen again. As the `failure` of a transfer: a frozen account neither sends " +
      "nor takes what is new; unfreeze it first."
  ),
  account_not_frozen: kind(409, "Account not frozen", "The account is open: there is nothing to unfreeze."),
  account_closed: kind(
    409,
    "Account closed",
    "The account is closed, and stays so for ever. As the `failure` of a transfer: use another account."
  ),
  account_not_empty: kind(
    409,
    "Account not empty",
    "An account closes with nothing posted and nothing held. Move what is there, let its transfers end, and ask again " +
      "under a fresh idempotency key."
  ),
  already_captured: kind(
    409,
    "Already captured",
    "The transfer was captured before, once and for ever: what was not captured then is free again. For more, request " +
      "another transfer; to give money back, reverse this one."
  ),
  already_voided: kind(409, "Already voided", "The authorization was voided before; its money is free again."),
  authorization_expired: kind(
    409,
    "Authorization expired",
    "The transfer was not captured in time, and its money is free again. Request another transfer."
  ),
  not_authorized: kind(
    409,
    "Not authorized",
    "Only a transfer that was requested with capture manual waits for a capture or a void. This one moves by itself."
  ),
  transfer_cancelled: kind(
    409,
    "Transfer cancelled",
    "The transfer was refused at its destination, so its money is free again; its `failure` says why."
  ),
  transfer_rejected: kind(
    409,
    "Transfer rejected",
    "The transfer never reserved any money; its `failure` says why."
  ),
  capture_exceeds_authorization: kind(
    409,
    "Capture exceeds authorization",
    "More was to be captured than was authorized. The transfer is still authorized: capture its amount or less, under a " +
      "fresh idempotency key."
  ),
  // What operators ask
  break_not_found: kind(404, "Break not found", "There is no break with this id."),
  transfer_not_held: kind(
    409,
    "Transfer not held",
    "Only of a transfer that is held can its destination be asked to rule. Nothing was asked."
  ),
  transfer_not_waiting: kind(
    409,
    "Transfer not waiting",
    "Asked again is a transfer that is requested, or authorized and past its time. Recall one that is held. Nothing was asked."
  ),
  shard_not_found: kind(
    404,
    "Shard not found",
    "There is no shard with this id: they are called shard_0, shard_1 and so on."
  ),
  position_not_carried: kind(
    409,
    "Position not carried",
    "The relay has not come so far: what lies ahead of it, it will carry anyhow. Nothing was done."
  ),
  message_not_found: kind(404, "Message not found", "No parked message has this id."),
  message_not_waiting: kind(
    409,
    "Message not waiting",
    "No person is waited for by this message: it has ended, is being tried again, or only waits behind another of its account."
  ),
  notifier_unavailable: kind(
    503,
    "Notifier unavailable",
    "The notifier's database does not answer. Ask again after Retry-After seconds.",
    true
  ),
  adjustment_not_found: kind(404, "Adjustment not found", "There is no adjustment with this id."),
  two_operators_needed: kind(
    409,
    "Two operators needed",
    "Nobody approves what they proposed: another operator must. Nothing was done."
  ),
  break_closed: kind(409, "Break closed", "The check finds it no more: there is nothing left to explain."),
  revision_mismatch: kind(
    412,
    "Revision mismatch",
    "The account has changed since it was at the revision that If-Match names; `detail` says where it is now. Nothing was " +
      "done. Read it again, and decide anew. A change whose answer was lost, and that is repeated, ends here as well."
  ),
  not_sealed: kind(
    409,
    "Not sealed",
    "There is a receipt once the transfer has ended and everything known of it is sealed, a few seconds later: ask again " +
      "after Retry-After seconds. A platform without a key seals nothing.",
    true
  ),
  idempotency_key_reused: kind(
    422,
    "Idempotency key reused",
    "The key came before with another request; `resource` names what that one made. Use a fresh key for a fresh wish, " +
      "and repeat a request without any change."
  ),
  precondition_required: kind(
    428,
    "Precondition required",
    "A change names what it changes: If-Match, with the ETag of the account as it was last read. So no change is lost to " +
      "another that came in between."
  ),
  rate_limited: kind(
    429,
    "Rate limited",
    "The client has made more requests than it may. Nothing was done. Repeat the request with the same idempotency key " +
      "after Retry-After seconds; RateLimit says in every answer how much is left. Many transfers in one request " +
      "(/v1/transfers/batch) count as one.",
    true
  ),
  // What went wrong here
  internal_error: kind(
    500,
    "Internal error",
    "A mistake of the platform. Whether something was done is not known: repeat the request with the same idempotency " +
      "key, which never does it twice, and report the request_id.",
    true
  ),
  overloaded: kind(
    503,
    "Overloaded",
    "More requests are under way, or wait to be written, than can be answered in time, or too many batches are being read. " +
      "Nothing was done. Repeat the request with the same idempotency key after Retry-After seconds.",
    true
  ),
  shard_unavailable: kind(
    503,
    "Shard unavailable",
    "The database that is home to the account cannot be reached. Whether something was written is not known: repeat the " +
      "request with the same idempotency key after Retry-After seconds. Other accounts are not affected.",
    true
  ),
  shard_recovering: kind(
    503,
    "Shard recovering",
    "The database that is home to the account was restored from an older copy: it takes nothing before it has caught up, and " +
      "what it would say is out of date. Nothing was done. Repeat the request with the same idempotency key later. Other accounts are not affected.",
    true
  ),
  not_ready: kind(
    503,
    "Not ready",
    "A part that the API needs does not answer; `errors` names it. Send requests to another instance.",
    true
  )
} as const satisfies Record<string, Kind>

export type Code = keyof typeof registry

/** The registry row by row. */
export const codes: ReadonlyArray<readonly [code: Code, kind: Kind]> = [
  ...new Map<string, Kind>(Object.entries(registry))
].flatMap(([code, kind]) => isCode(code) ? [[code, kind] as const] : [])

export function isCode(code: unknown): code is Code {
  return typeof code === "string" && Object.hasOwn(registry, code)
}

const CodeSchema = Schema.Literals(codes.map(([code]) => code)).annotate({
  description: "The contract: stable, and never renamed. Text may change."
})

/** One thing that is wrong with a request, and where. */
export const FieldError = Schema.Struct({
  pointer: Schema.String.annotate({
    description: "JSON pointer (RFC 6901) into the body, or `header:<name>`, `query:<name>`, `check:<name>`"
  }),
  code: Schema.String,
  message: Schema.String
}).annotate({ identifier: "FieldError" })
export type FieldError = typeof FieldError.Type

/** The one shape of everything that is not a success. */
export const Problem = Schema.Struct({
  type: Schema.String.annotate({ description: "The page of the code: `/problems/<code>`" }),
  code: CodeSchema,
  title: Schema.String,
  status: Schema.Int,
  detail: Schema.String,
  instance: Schema.String.annotate({ description: "The path that was asked for" }),
  request_id: Schema.String,
  retryable: Schema.Boolean.annotate({
    description: "May the same request succeed later, unchanged and with the same idempotency key?"
  }),
  errors: Schema.Array(FieldError).annotate({ description: "What exactly is wrong; empty where `detail` says it all" }),
  resource: Schema.optionalKey(Schema.String.annotate({
    description:
      "The resource that it is about: that of an idempotency key, or the one that refused what was asked of it"
  })),
  resource_status: Schema.optionalKey(Schema.String.annotate({
    description: "The status that this resource is in now, where it refused what was asked of it"
  }))
}).annotate({ identifier: "Problem", title: "Problem (RFC 9457)" })
export type Problem = typeof Problem.Type

export const contentType = "application/problem+json"

const atStatus = (status: number, description: string) =>
  Problem.annotate({ description }).pipe(
    HttpApiSchema.status(status),
    HttpApiSchema.asJson({ contentType })
  )

/** The error schemas of an operation that may answer with these codes: one for each status, described by its codes. */
export const schemasOf = (...possible: ReadonlyArray<Code>) => {
  const byStatus = Map.groupBy([...new Set(possible)], (code) => registry[code].status)
  return [...byStatus].map(([status, codes]) => atStatus(status, codes.map((code) => `\`${code}\``).join(", ")))
}

/** What every operation may answer. */
export const everywhere = ["internal_error"] as const satisfies ReadonlyArray<Code>

/** What every operation behind a key may answer. */
export const authenticated = [
  ...everywhere,
  "unauthenticated",
  "rate_limited",
  "unknown_parameter",
  "validation_failed"
] as const satisfies ReadonlyArray<Code>

/** What every operation that asks a shard may answer. */
export const sharded = [...authenticated, "shard_unavailable", "shard_recovering"] as const satisfies ReadonlyArray<
  Code
>

/** What every operation of the operators' API may answer. */
export const operated = [
  ...everywhere,
  "unauthenticated",
  "unknown_parameter",
  "validation_failed",
  "shard_unavailable"
] as const satisfies ReadonlyArray<Code>

/** What every operation that an operator decides about may answer. */
export const decided = [
  ...operated,
  "malformed_json",
  "payload_too_large",
  "unsupported_media_type"
] as const satisfies ReadonlyArray<Code>

/** What every operation that takes a body may answer. */
export const bodied = [
  ...sharded,
  "malformed_json",
  "duplicate_key",
  "forbidden_key",
  "nesting_too_deep",
  "payload_too_large",
  "unsupported_media_type"
] as const satisfies ReadonlyArray<Code>

/** What every operation that is done once for each idempotency key may answer. */
export const keyed = [
  ...bodied,
  "idempotency_key_missing",
  "idempotency_key_invalid",
  "idempotency_key_reused"
] as const satisfies ReadonlyArray<Code>

/** What every operation that makes a resource may answer. */
export const recorded = [
  ...keyed,
  "unknown_currency",
  "invalid_account_id",
  "amount_not_minor_units",
  "amount_too_large",
  "overloaded"
] as const satisfies ReadonlyArray<Code>
