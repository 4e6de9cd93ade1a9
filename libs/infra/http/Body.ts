/**
 * Bodies: read within limits, parsed strictly, decoded by the contract. What does not hold is refused with its own code.
 */
import { ByteSize, Effect, Result, Schema } from "effect"
import { HttpIncomingMessage, type HttpServerRequest } from "effect/http"
import { isUtf8 } from "node:buffer"
import { hash } from "node:crypto"
import { IncomingMessage } from "node:http"
import { refusalOf } from "./Issues.ts"
import { Refusal } from "./Refusal.ts"
import { canonical, type Json, parse } from "./StrictJson.ts"

/** The largest body that is read, where its operation does not say otherwise. */
export const maximumBytes = 64 * 1024

/** What an operation allows of its body. */
export interface Allowance {
  /** `maximumBytes` unless given. */
  readonly bytes?: number
  /** May it be left out? That means the same as an empty object. */
  readonly leftOut?: boolean
}

/** A body, understood. */
export interface Read<A> {
  readonly value: A
  /** What the request is recognised by. */
  readonly fingerprint: string
}

const jsonMediaType = /^application\/json\s*(?:;\s*charset\s*=\s*(?:utf-8|"utf-8")\s*)?;?$/i

const notJson = new Refusal({ code: "unsupported_media_type", detail: "the body must be application/json in UTF-8" })
const encoded = new Refusal({ code: "unsupported_media_type", detail: "the body must not have a content encoding" })
const notUtf8 = new Refusal({ code: "malformed_json", detail: "the body is not valid UTF-8" })

const tooLarge = (most: number) =>
  new Refusal({
    code: "payload_too_large",
    detail: `the body is larger than ${most} bytes`,
    // What was sent and not read would be taken for the next request.
    headers: { connection: "close" }
  })

const brokenOff = new Refusal({
  code: "malformed_http",
  detail: "the body broke off",
  headers: { connection: "close" }
})

/** The body's bytes. A client that waits for `100 Continue` is told to go on; for the others there is a shorter way. */
const bytesOf = (request: HttpServerRequest.HttpServerRequest, most: number): Effect.Effect<Buffer, Refusal> =>
  request.headers["expect"] === undefined && request.source instanceof IncomingMessage
    ? collected(request.source, most)
    : Effect.mapBoth(request.arrayBuffer, {
      onFailure: ({ reason }) =>
        reason._tag === "RequestParseError" && reason.reason === "BodyTooLarge" ? tooLarge(most) : brokenOff,
      onSuccess: (bytes) => Buffer.from(bytes)
    }).pipe(
      Effect.provideService(HttpIncomingMessage.MaxBodySize, ByteSize.fromInputUnsafe(most))
    )

const collected = (source: IncomingMessage, most: number): Effect.Effect<Buffer, Refusal> =>
  Effect.callback((resume) => {
    const chunks: Array<Buffer> = []
    let size = 0
    const onData = (chunk: Buffer) => {
      size += chunk.length
      chunks.push(chunk)
      if (size > most) settle(Effect.fail(tooLarge(most)))
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
const refusedUnread = ({ headers }: HttpServerRequest.HttpServerRequest, most: number): Refusal | undefined => {
  const mediaType = headers["content-type"]
  if (mediaType === undefined || !jsonMediaType.test(mediaType)) return notJson
  const encoding = headers["content-encoding"]
  if (encoding !== undefined && encoding.toLowerCase() !== "identity") return encoded
  return Number(headers["content-length"] ?? 0) > most ? tooLarge(most) : undefined
}

const isLeftOut = ({ headers }: HttpServerRequest.HttpServerRequest): boolean =>
  headers["transfer-encoding"] === undefined && Number(headers["content-length"] ?? 0) === 0

/** The text of a body, within what its operation allows. */
export const text = (
  request: HttpServerRequest.HttpServerRequest,
  { bytes: most = maximumBytes, leftOut = false }: Allowance = {}
): Effect.Effect<string, Refusal> => {
  if (leftOut && isLeftOut(request)) return Effect.succeed("{}")
  const refused = refusedUnread(request, most)
  return refused === undefined
    ? Effect.flatMap(
      bytesOf(request, most),
      (bytes) => isUtf8(bytes) ? Effect.succeed(bytes.toString("utf8")) : Effect.fail(notUtf8)
    )
    : Effect.fail(refused)
}

/**
 * What a request is recognised by when it comes again: SHA-256 over the operation and the canonical form of its body, in
 * hexadecimal.
 *
 * @param operation method and route, such as `POST /v1/transfers`
 */
export const fingerprintOf = (operation: string, body: Json): string =>
  hash("sha256", `${operation}\n${canonical(body)}`, "hex")

/** A reader of the bodies of one operation, which is named by method and route. */
export const reader = <A, I>(operation: string, schema: Schema.Codec<A, I>, allowance: Allowance = {}) => {
  const decode = Schema.decodeUnknownResult(schema, { errors: "all", onExcessProperty: "error" })

  const understood = (text: string): Effect.Effect<Read<A>, Refusal> => {
    const parsed = parse(text)
    if (Result.isFailure(parsed)) return Effect.fail(new Refusal(parsed.failure))
    const decoded = decode(parsed.success)
    if (Result.isFailure(decoded)) return Effect.fail(refusalOf(decoded.failure.issue, ""))
    return Effect.succeed({ value: decoded.success, fingerprint: fingerprintOf(operation, parsed.success) })
  }

  return (request: HttpServerRequest.HttpServerRequest): Effect.Effect<Read<A>, Refusal> =>
    Effect.flatMap(text(request, allowance), understood)
}
