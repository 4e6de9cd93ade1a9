/**
 * Bodies: read within limits, parsed strictly, decoded by the contract. What does not hold is refused with its own code.
 */
import { Effect, Result, Schema } from "effect"
import type { HttpServerRequest } from "effect/http"
import { isUtf8 } from "node:buffer"
import { hash } from "node:crypto"
import { IncomingMessage } from "node:http"
import { refusalOf } from "./Issues.ts"
import { Refusal } from "./Refusal.ts"
import { canonical, parse } from "./StrictJson.ts"

/** The largest body that is read. */
export const maximumBytes = 64 * 1024

/** A body, understood. */
export interface Read<A> {
  readonly value: A
  /** SHA-256 over the operation and the canonical form of the body, in hexadecimal. */
  readonly fingerprint: string
}

const jsonMediaType = /^application\/json\s*(?:;\s*charset\s*=\s*(?:utf-8|"utf-8")\s*)?;?$/i

const notJson = new Refusal({ code: "unsupported_media_type", detail: "the body must be application/json in UTF-8" })
const encoded = new Refusal({ code: "unsupported_media_type", detail: "the body must not have a content encoding" })
const notUtf8 = new Refusal({ code: "malformed_json", detail: "the body is not valid UTF-8" })

const tooLarge = new Refusal({
  code: "payload_too_large",
  detail: `the body is larger than ${maximumBytes} bytes`,
  // What was sent and not read would be taken for the next request.
  headers: { connection: "close" }
})

const brokenOff = new Refusal({
  code: "malformed_http",
  detail: "the body broke off",
  headers: { connection: "close" }
})

/** The body's bytes. A client that waits for `100 Continue` is told to go on; for the others there is a shorter way. */
const bytesOf = (request: HttpServerRequest.HttpServerRequest): Effect.Effect<Buffer, Refusal> =>
  request.headers["expect"] === undefined && request.source instanceof IncomingMessage
    ? collected(request.source)
    : Effect.mapBoth(request.arrayBuffer, {
      onFailure: ({ reason }) =>
        reason._tag === "RequestParseError" && reason.reason === "BodyTooLarge" ? tooLarge : brokenOff,
      onSuccess: (bytes) => Buffer.from(bytes)
    })

const collected = (source: IncomingMessage): Effect.Effect<Buffer, Refusal> =>
  Effect.callback((resume) => {
    const chunks: Array<Buffer> = []
    let size = 0
    const onData = (chunk: Buffer) => {
      size += chunk.length
      chunks.push(chunk)
      if (size > maximumBytes) settle(Effect.fail(tooLarge))
    }
    const onEnd = () => settle(Effect.succeed(chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks)))
    const onBreak = () => settle(Effect.fail(brokenOff))
    const stop = () => {
      source.off("data", onData).off("end", onEnd).off("error", onBreak).off("close", onBreak)
    }
    const settle = (outcome: Effect.Effect<Buffer, Refusal>) => {
      stop()
      resume(outcome)
    }
    if (source.destroyed) return settle(Effect.fail(brokenOff))
    source.on("data", onData).on("end", onEnd).on("error", onBreak).on("close", onBreak)
    return Effect.sync(stop)
  })

/** What the headers have against the body, before any of it is read. */
const refusedUnread = ({ headers }: HttpServerRequest.HttpServerRequest): Refusal | undefined => {
  const mediaType = headers["content-type"]
  if (mediaType === undefined || !jsonMediaType.test(mediaType)) return notJson
  const encoding = headers["content-encoding"]
  if (encoding !== undefined && encoding.toLowerCase() !== "identity") return encoded
  return Number(headers["content-length"] ?? 0) > maximumBytes ? tooLarge : undefined
}

/**
 * A reader of the bodies of one operation.
 *
 * @param operation method and route, such as `POST /v1/transfers`: part of the fingerprint
 */
export const reader = <A, I>(operation: string, schema: Schema.Codec<A, I>) => {
  const decode = Schema.decodeUnknownResult(schema, { errors: "all", onExcessProperty: "error" })

  const understood = (bytes: Buffer): Effect.Effect<Read<A>, Refusal> => {
    if (!isUtf8(bytes)) return Effect.fail(notUtf8)
    const parsed = parse(bytes.toString("utf8"))
    if (Result.isFailure(parsed)) return Effect.fail(new Refusal(parsed.failure))
    const decoded = decode(parsed.success)
    if (Result.isFailure(decoded)) return Effect.fail(refusalOf(decoded.failure.issue, ""))
    const fingerprint = hash("sha256", `${operation}\n${canonical(parsed.success)}`, "hex")
    return Effect.succeed({ value: decoded.success, fingerprint })
  }

  return (request: HttpServerRequest.HttpServerRequest): Effect.Effect<Read<A>, Refusal> => {
    const refused = refusedUnread(request)
    return refused === undefined ? Effect.flatMap(bytesOf(request), understood) : Effect.fail(refused)
  }
}
