import { it as plain, layer } from "@effect/vitest"
import { Duration, Effect } from "effect"
import { HttpServerResponse } from "effect/http"
import { TestClock } from "effect/testing"
import { describe, expect } from "vitest"
import * as RateLimit from "../../apps/api/http/RateLimit.ts"
import { get, goodTransfer, Harness, json, otherKey, post } from "./Harness.ts"

// So long that nothing comes back while a test runs, however slow the machine is.
const rate = { requests: 5, window: Duration.days(1) }

layer(Harness.layerWith({}, { rate }), { excludeTestServices: true })("a client who may make five requests", (it) => {
  it.effect("makes five, is told each time how many are left, and is refused the sixth", () =>
    Effect.gen(function*() {
      const { books } = yield* Harness
      const answers = yield* Effect.forEach([5, 4, 3, 2, 1], () => post("/v1/transfers", json(goodTransfer)))
      expect(answers.map(({ status }) => status)).toStrictEqual([202, 202, 202, 202, 202])
      expect(answers.map(({ headers }) => headers.get("ratelimit-policy"))).toStrictEqual(
        answers.map(() => "\"default\";q=5;w=86400")
      )
      expect(answers.map(({ headers }) => /^"default";r=(\d);t=\d+$/.exec(headers.get("ratelimit") ?? "")?.[1]))
        .toStrictEqual(["4", "3", "2", "1", "0"])
      const written = books.written
      const sixth = yield* post("/v1/transfers", json(goodTransfer))
      expect(sixth).toMatchObject({ status: 429, body: { code: "rate_limited", retryable: true } })
      expect(Number(sixth.headers.get("retry-after"))).toBeGreaterThan(0)
      expect(sixth.headers.get("ratelimit")).toMatch(/^"default";r=0;t=\d+$/)
      expect(books.written).toBe(written)
      expect((yield* get("/v1/accounts")).status).toBe(429)
    }))

  it.effect("takes nothing from another client, nor from those without a key", () =>
    Effect.gen(function*() {
      const { call } = yield* Harness
      expect((yield* call("GET", "/v1/accounts", { as: otherKey })).headers.get("ratelimit")).toContain("r=4")
      expect((yield* call("GET", "/v1/accounts", { as: "nobody" })).status).toBe(401)
      expect((yield* get("/livez")).status).toBe(200)
      const { text } = yield* get("/metrics")
      expect(text).toContain("rate_limit_decisions_total{outcome=\"refused\"} 2")
    }))
})

layer(Harness.layer, { excludeTestServices: true })("a platform without a limit", (it) => {
  it.effect("says nothing of one", () =>
    Effect.gen(function*() {
      const { headers } = yield* get("/v1/accounts")
      expect([headers.get("ratelimit"), headers.get("ratelimit-policy")]).toStrictEqual([null, null])
    }))
})

describe("a limit", () => {
  plain.effect("lets a client in again when it said so, and not before", () =>
    Effect.gen(function*() {
      const limited = yield* RateLimit.make({ requests: 2, window: Duration.seconds(10) })
      const ask = limited("anna", Effect.succeed(HttpServerResponse.empty()))
      expect([(yield* ask).status, (yield* ask).status]).toStrictEqual([204, 204])
      const refused = yield* ask
      expect([refused.status, refused.headers["retry-after"]]).toStrictEqual([429, "5"])
      yield* TestClock.adjust(4_999)
      expect((yield* ask).status).toBe(429)
      yield* TestClock.adjust(1)
      expect([(yield* ask).status, (yield* ask).status]).toStrictEqual([204, 429])
    }))
})
