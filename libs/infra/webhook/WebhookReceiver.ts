/**
 * The receiver behind a webhook: notifications are posted to one address, signed as Standard Webhooks 1.0 says
 * (https://www.standardwebhooks.com), so that it can tell who they are from and that nobody changed them.
 *
 * The address is configuration, set by who operates the platform, and no client can name one. So it may point anywhere,
 * into a private network too. Redirects are not followed: where they lead was not configured.
 */
import { Clock, Duration, Effect, Layer, Predicate, Redacted } from "effect"
import { createHmac, createSecretKey, type KeyObject } from "node:crypto"
import { DeliveryFailed, DeliveryRefused, type Notification, Receiver } from "#domain/notification/Notification.ts"

export interface Options {
  readonly url: Redacted.Redacted<string>
  /** The keys to sign with: one, and while keys are changed the old one too. */
  readonly secrets: ReadonlyArray<Redacted.Redacted<Uint8Array>>
  /** How long the receiver may take to answer; 15 seconds unless given. */
  readonly timeout?: Duration.Duration
}

/** How much of an answer is read, in bytes, and told, in characters. */
const mostRead = 4_096
const mostTold = 200

const longestAfter = Duration.hours(1)

/** What the receiver verifies: it covers the id, the time and the body, byte for byte. */
const signatureOf = (key: KeyObject, id: string, seconds: number, body: string): string =>
  `v1,${createHmac("sha256", key).update(`${id}.${seconds}.${body}`).digest("base64")}`

const headersOf = ({ body, id, traceparent }: Notification, keys: ReadonlyArray<KeyObject>, seconds: number) => ({
  "content-type": "application/json",
  "user-agent": "Counterpoise",
  "webhook-id": id,
  "webhook-timestamp": String(seconds),
  "webhook-signature": keys.map((key) => signatureOf(key, id, seconds, body)).join(" "),
  ...(traceparent === null ? {} : { traceparent })
})

/** May the same notification be taken later, after this status? */
const mayPass = (status: number): boolean => status === 408 || status === 429 || status >= 500

/** How long the receiver asks to be left alone: seconds, or a date. */
const afterOf = (response: Response, nowMillis: number): Duration.Duration | null => {
  const header = response.headers.get("retry-after") ?? ""
  const millis = /^\d+$/.test(header) ? Number(header) * 1000 : Date.parse(header) - nowMillis
  return Number.isNaN(millis) ? null : Duration.min(Duration.millis(Math.max(0, millis)), longestAfter)
}

/** The beginning of an answer; what a receiver says is for people, and never trusted to be short, or text. */
const beginningOf = async (response: Response): Promise<string> => {
  if (response.body === null) return ""
  const chunks: Array<Uint8Array> = []
  let read = 0
  for await (const chunk of response.body) {
    chunks.push(chunk)
    read += chunk.length
    if (read >= mostRead) break
  }
  const text = Buffer.concat(chunks).toString("utf8").replaceAll(/[\p{C}\s]+/gu, " ").trim()
  return text.length > mostTold ? `${text.slice(0, mostTold)}…` : text
}

/** What a failed fetch says of itself hides in its cause. */
const explain = (error: unknown): string => {
  const cause = Predicate.hasProperty(error, "cause") && error.cause instanceof Error ? error.cause : error
  return cause instanceof Error ? cause.message || cause.name : String(cause)
}

/** Why a request is given up: made once, as an exception of its own for each would cost as much as signing it. */
const nobodyWaits = new Error("nobody waits for the answer any more")

const make = ({ secrets, timeout = Duration.seconds(15), url }: Options) => {
  const keys = secrets.map((secret) => createSecretKey(Redacted.value(secret)))

  const deliver = Effect.fnUntraced(function*(notification: Notification, request: AbortController) {
    const now = yield* Clock.currentTimeMillis
    const response = yield* Effect.tryPromise({
      try: () =>
        fetch(Redacted.value(url), {
          method: "POST",
          redirect: "manual",
          headers: headersOf(notification, keys, Math.floor(now / 1000)),
          body: notification.body,
          signal: request.signal
        }),
      catch: (error) => DeliveryFailed.make({ why: `no answer: ${explain(error)}`, after: null })
    }).pipe(
      Effect.timeoutOrElse({
        duration: timeout,
        orElse: () => Effect.fail(DeliveryFailed.make({ why: `no answer in ${Duration.format(timeout)}`, after: null }))
      })
    )
    // Whatever comes of the rest of the answer, its status stands. It is read so that the connection can be used again.
    const said = yield* Effect.promise(() => beginningOf(response).catch(() => "")).pipe(
      Effect.timeoutOrElse({ duration: "1 second", orElse: () => Effect.succeed("") })
    )
    if (response.ok) return
    const why = said === "" ? `answered ${response.status}` : `answered ${response.status}: ${said}`
    if (mayPass(response.status)) return yield* DeliveryFailed.make({ why, after: afterOf(response, now) })
    return yield* DeliveryRefused.make({ why })
  })

  return Receiver.of({
    deliver: (notification) =>
      // Nothing of a request is left when its time is up, or nobody waits for it any more.
      Effect.acquireUseRelease(
        Effect.sync(() => new AbortController()),
        (request) => deliver(notification, request),
        (request) => Effect.sync(() => request.abort(nobodyWaits))
      )
  })
}

export const layer = (options: Options) => Layer.succeed(Receiver, make(options))
