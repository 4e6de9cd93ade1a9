/**
 * What is known of the request at hand before anything in it is believed: its name, its path and its trace.
 */
import { Context } from "effect"
import { ulid } from "ulid"
import { random } from "../Entropy.ts"

export interface RequestFacts {
  /** The client's `X-Request-Id` where it is well-formed, else a fresh one. */
  readonly requestId: string
  /** The path, without the query, safe to print. */
  readonly instance: string
  /** W3C trace context; null where none came, or none that is well-formed. */
  readonly traceparent: string | null
}

/** Set for each request by the edge. */
export const CurrentRequest = Context.Reference<RequestFacts>("counterpoise/infra/http/CurrentRequest", {
  defaultValue: () => ({ requestId: "", instance: "/", traceparent: null })
})

const wellFormedId = /^[A-Za-z0-9_-]{1,128}$/

/** The name of a request; what is not well-formed is replaced, never echoed. */
export const requestIdOf = (header: string | undefined, millis: number): string =>
  header !== undefined && wellFormedId.test(header) ? header : `req_${ulid(millis, random)}`

// Version 00 as it stands in the recommendation; a later version may carry more after the flags.
const wellFormedTrace = /^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:$|-)/

/** The trace context to hand on, when it is valid (W3C Trace Context, level 1). */
export const traceparentOf = (header: string | undefined): string | null =>
  header !== undefined && header.length <= 128 && wellFormedTrace.test(header) &&
    (header.length === 55 || !header.startsWith("00"))
    ? header
    : null

const unprintable = /[^\x20-\x7e]/g

/** Text from outside, made safe to show: printable ASCII, at most 200 characters. */
export const printable = (text: string): string => {
  const safe = text.replace(unprintable, "?")
  return safe.length <= 200 ? safe : `${safe.slice(0, 200)}...`
}
