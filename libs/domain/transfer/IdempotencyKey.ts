/**
 * An idempotency key as it is kept, and as it travels with the event of what it made: a shard that lost data learns it again from
 * the event log, and so still does nothing twice.
 */
import { Schema } from "effect"

export const IdempotencyKey = Schema.Struct({
  client: Schema.String,
  /** What the request was routed by, so that one shard can answer for it. */
  scope: Schema.String,
  key: Schema.String,
  /** SHA-256 of the request, in hexadecimal. */
  fingerprint: Schema.String
})
export type IdempotencyKey = typeof IdempotencyKey.Type

/** The member that events which a client caused carry it in. Those written before it was carried have none. */
export const askedWith = { askedWith: Schema.optionalKey(IdempotencyKey) }
