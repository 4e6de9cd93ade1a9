/** Webhooks as they go over the wire: signed by Standard Webhooks 1.0, and what each answer is taken for. */
import { expect, it } from "@effect/vitest"
import { Clock, Context, Duration, Effect, Fiber, Layer, Redacted, Result } from "effect"
import { type Notification, Receiver } from "#domain/notification/Notification.ts"
import * as WebhookReceiver from "#infra/webhook/WebhookReceiver.ts"
import { answering, type Endpoint, endpoint, keyOf, newSecret, verifies } from "./Endpoint.ts"

const secret = newSecret()

const notification: Notification = {
  id: "1-1742",
  type: "transfer.committed",
  body: `{"type":"transfer.committed","data":{"id":"trf_1","note":"é 🧀"}}`,
  traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
}

const deliver = (
  url: string,
  rest: Partial<WebhookReceiver.Options> = {},
  what: Notification = notification
) =>
  Layer.build(WebhookReceiver.layer({ url: Redacted.make(url), secrets: [Redacted.make(keyOf(secret))], ...rest }))
    .pipe(
      Effect.map(Context.get(Receiver)),
      Effect.flatMap((receiver) => receiver.deliver(what))
    )

/** What a delivery comes to, in a word, and why. */
const outcome = (at: Endpoint, answer: Endpoint["answer"], rest: Partial<WebhookReceiver.Options> = {}) =>
  Effect.suspend(() => {
    at.answer = answer
    return Effect.result(deliver(at.url, rest))
  }).pipe(
    Effect.map((result) =>
      Result.isSuccess(result)
        ? { is: "accepted", why: "", after: null }
        : {
          is: result.failure._tag,
          why: result.failure.message,
          after: "after" in result.failure ? result.failure.after : null
        }
    )
  )

it.live("posts the notification, signed so that its receiver can verify it over the raw body", () =>
  Effect.gen(function*() {
    const at = yield* endpoint
    yield* deliver(at.url)
    const [sent] = at.sent
    if (sent === undefined) return expect.fail("nothing was sent")
    expect(sent.method).toBe("POST")
    expect(sent.body).toBe(notification.body)
    expect(sent.headers).toMatchObject({
      "content-type": "application/json",
      "webhook-id": "1-1742",
      traceparent: notification.traceparent
    })
    const now = yield* Clock.currentTimeMillis
    expect(verifies(sent, secret, now)).toBe(true)
    expect(verifies(sent, newSecret(), now)).toBe(false)
    expect(verifies({ ...sent, body: sent.body.replace("trf_1", "trf_2") }, secret, now)).toBe(false)
    const others = {
      "webhook-id": "1-1743",
      "webhook-timestamp": String(Number(sent.headers["webhook-timestamp"]) + 1)
    }
    for (const [name, value] of Object.entries(others)) {
      expect(verifies({ ...sent, headers: { ...sent.headers, [name]: value } }, secret, now)).toBe(false)
    }
    expect(verifies(sent, secret, now + 301_000)).toBe(false)
  }))

it("is verified here as the reference implementations do: by the test vector that they share", () => {
  const sent = {
    body: `{"test": 2432232314}`,
    headers: {
      "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
      "webhook-timestamp": "1614265330",
      "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    }
  }
  expect(verifies(sent, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", 1_614_265_330_000)).toBe(true)
})

it.live("signs with each secret while one takes the place of another", () =>
  Effect.gen(function*() {
    const at = yield* endpoint
    const next = newSecret(64)
    yield* deliver(at.url, { secrets: [secret, next].map((each) => Redacted.make(keyOf(each))) })
    const [sent] = at.sent
    if (sent === undefined) return expect.fail("nothing was sent")
    const now = yield* Clock.currentTimeMillis
    expect([secret, next, newSecret()].map((each) => verifies(sent, each, now))).toEqual([true, true, false])
  }))

it.live("takes 2xx as accepted, whatever comes of the rest of the answer", () =>
  Effect.gen(function*() {
    const at = yield* endpoint
    for (const status of [200, 201, 202, 204, 299]) {
      expect((yield* outcome(at, answering(status, {}, status === 204 ? "" : "thanks"))).is).toBe("accepted")
    }
    const stalls: Endpoint["answer"] = (_, response) => {
      response.writeHead(200, { "content-length": "1000" })
      response.write("it never ends")
    }
    expect((yield* outcome(at, stalls)).is).toBe("accepted")
    const floods: Endpoint["answer"] = (_, response) => {
      response.writeHead(200)
      for (let each = 0; each < 100; each++) response.write("x".repeat(10_000))
    }
    expect((yield* outcome(at, floods)).is).toBe("accepted")
  }))

it.live("takes what may pass for a failure, to be tried again", () =>
  Effect.gen(function*() {
    const at = yield* endpoint
    for (const status of [408, 429, 500, 502, 503, 504, 599]) {
      expect(yield* outcome(at, answering(status, {}, "busy"))).toEqual({
        is: "DeliveryFailed",
        why: `answered ${status}: busy`,
        after: null
      })
    }
    const cuts: Endpoint["answer"] = (_, response) => response.destroy()
    expect(yield* outcome(at, cuts)).toMatchObject({
      is: "DeliveryFailed",
      why: expect.stringMatching(/^no answer: ./)
    })
  }))

it.live("takes all else for a refusal; a redirect too, and does not follow it", () =>
  Effect.gen(function*() {
    const at = yield* endpoint
    for (const status of [400, 401, 403, 404, 409, 410, 422]) {
      expect(yield* outcome(at, answering(status))).toMatchObject({ is: "DeliveryRefused", why: `answered ${status}` })
    }
    const before = at.sent.length
    for (const status of [301, 302, 303, 307, 308]) {
      expect((yield* outcome(at, answering(status, { location: at.url }))).is).toBe("DeliveryRefused")
    }
    expect(at.sent.length).toBe(before + 5)
  }))

it.live("waits as long as it is asked to, in seconds or until a date, and never longer than an hour", () =>
  Effect.gen(function*() {
    const at = yield* endpoint
    const after = Effect.fnUntraced(function*(value: string) {
      const { after } = yield* outcome(at, answering(503, { "retry-after": value }))
      return after === null ? null : Duration.toMillis(after)
    })
    expect(yield* after("7")).toBe(7_000)
    expect(yield* after("0")).toBe(0)
    expect(yield* after("86400")).toBe(3_600_000)
    expect(yield* after("soon")).toBe(null)
    expect(yield* after("Wed, 21 Oct 2015 07:28:00 GMT")).toBe(0)
    const inAMinute = yield* after(new Date((yield* Clock.currentTimeMillis) + 60_000).toUTCString())
    expect(inAMinute).toBeGreaterThan(50_000)
    expect(inAMinute).toBeLessThanOrEqual(60_000)
  }))

it.live("tells what the receiver said, short and without what would break a line or a database", () =>
  Effect.gen(function*() {
    const at = yield* endpoint
    const { why } = yield* outcome(at, answering(422, {}, `no\u0000pe,\r\n\u001b[31m${"because ".repeat(1_000)}`))
    expect(why).toMatch(/^answered 422: no pe, \[31mbecause because/)
    expect(why.length).toBeLessThan(230)
    // eslint-disable-next-line no-control-regex
    expect(why).not.toMatch(/[\u0000-\u001f]/)
  }))

it.live("gives up on a receiver that does not answer in time", () =>
  Effect.gen(function*() {
    const at = yield* endpoint
    const silence: Endpoint["answer"] = () => undefined
    expect(yield* outcome(at, silence, { timeout: Duration.millis(50) })).toEqual({
      is: "DeliveryFailed",
      why: "no answer in 50ms",
      after: null
    })
  }))

it.live("says what is wrong when nobody is there", () =>
  Effect.gen(function*() {
    const url = yield* Effect.scoped(Effect.map(endpoint, ({ url }) => url))
    const failure = yield* Effect.flip(deliver(url))
    expect(failure).toMatchObject({ _tag: "DeliveryFailed", message: expect.stringMatching(/ECONNREFUSED/) })
  }))

it.live("leaves no request behind when nobody waits for it any more", () =>
  Effect.gen(function*() {
    const at = yield* endpoint
    let closed: (() => void) | undefined
    const isClosed = Effect.callback<void>((resume) => {
      closed = () => resume(Effect.void)
    })
    at.answer = (_, response) => {
      response.on("close", () => closed?.())
    }
    const waiting = yield* Effect.forkChild(isClosed)
    const delivering = yield* Effect.forkChild(deliver(at.url))
    yield* at.until(({ sent }) => sent.length === 1)
    yield* Fiber.interrupt(delivering)
    yield* Fiber.join(waiting)
  }))
