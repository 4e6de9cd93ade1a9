import { layer } from "@effect/vitest"
import { Effect } from "effect"
import { describe, expect } from "vitest"
import { CounterpoiseApi } from "../../apps/api/contract/CounterpoiseApi.ts"
import { get, goodAccount, goodTransfer, Harness, json, otherKey, post } from "./Harness.ts"

const operations = Object.values(CounterpoiseApi.groups).flatMap((group) =>
  Object.values(group.endpoints).map(({ method, path }) => ({ method, path: path.replace(":id", "wallet-anna") }))
)
const guarded = operations.filter(({ path }) => path.startsWith("/v1/"))
const open = operations.filter(({ path }) => !path.startsWith("/v1/"))
const paths = [...new Set(operations.map(({ path }) => path))]

layer(Harness.layer, { excludeTestServices: true })("the edge", (it) => {
  describe("who asks", () => {
    for (const { method, path } of guarded) {
      for (
        const [what, authorization] of [
          ["without a key", undefined],
          ["with another key", "Bearer nobody"],
          ["with an empty key", "Bearer "],
          ["with half of a key", "Bearer cp_test"],
          ["with a key and more", "Bearer cp_test_anna2"],
          ["with another scheme", "Basic Y3BfdGVzdF9hbm5hOg=="],
          ["with the key alone", "cp_test_anna"],
          ["with 8,000 characters", `Bearer ${"k".repeat(8_000)}`]
        ] as const
      ) {
        it.effect(`${method} ${path} ${what} is refused as unauthenticated`, () =>
          Effect.gen(function*() {
            const { books, call } = yield* Harness
            const written = books.written
            const answer = yield* call(method, path, {
              as: null,
              headers: { ...(authorization === undefined ? {} : { authorization }), "idempotency-key": "k" },
              ...(method === "POST" ? { body: "{}" } : {})
            })
            expect(answer).toMatchObject({ status: 401, body: { code: "unauthenticated" } })
            expect(answer.headers.get("www-authenticate")).toMatch(/^Bearer/)
            expect(books.written).toBe(written)
          }))
      }
    }

    for (const { method, path } of open) {
      it.effect(`${method} ${path} needs no key`, () =>
        Effect.gen(function*() {
          const { call } = yield* Harness
          expect((yield* call(method, path, { as: null })).status).toBe(200)
        }))
    }

    it.effect("the client's name goes with what it asks", () =>
      Effect.gen(function*() {
        const { books, call } = yield* Harness
        const as = otherKey
        yield* call("POST", "/v1/transfers", { as, body: json(goodTransfer), headers: { "idempotency-key": "name" } })
        expect(books.intents.at(-1)).toMatchObject({ request: { client: "ben" } })
      }))
  })

  describe("where nothing is", () => {
    for (
      const path of [
        "/",
        "/v1",
        "/v2/accounts",
        "/v1/accounts/",
        "/v1//accounts",
        "/v1/Accounts",
        "/v1/accounts/a/b/c",
        "/v1/transfers/trf_1/refund",
        "/favicon.ico",
        "/.env",
        "/v1/%61ccounts",
        "/v1/accounts;limit=1",
        "/v1/accounts/a;",
        "/v1/accounts/a;/balance",
        `/${"a".repeat(4_000)}`
      ]
    ) {
      it.effect(`GET ${path.slice(0, 40)} is answered with route_not_found`, () =>
        Effect.gen(function*() {
          const answer = yield* get(path)
          expect(answer).toMatchObject({ status: 404, body: { code: "route_not_found" } })
          expect(answer.text).toMatch(/^[\x20-\x7e]*$/)
        }))
    }
    it.effect("an id that is no percent-encoding names nothing", () =>
      Effect.gen(function*() {
        for (const id of ["%", "%zz", "%c3%28"]) expect((yield* get(`/v1/accounts/${id}`)).status).toBe(404)
      }))
    it.effect("an id of 1,000 characters names nothing", () =>
      Effect.gen(function*() {
        expect((yield* get(`/v1/accounts/${"a".repeat(1_000)}`)).status).toBe(404)
      }))
  })

  describe("methods", () => {
    for (const path of paths) {
      const known = operations.filter((operation) => operation.path === path).map(({ method }) => method)
      const allow = [...known.flatMap((method) => method === "GET" ? ["GET", "HEAD"] : [method]), "OPTIONS"]
      for (
        const method of ["GET", "POST", "PUT", "PATCH", "DELETE", "PROPFIND"].filter((one) => !allow.includes(one))
      ) {
        it.effect(`${method} ${path} is refused, and told what is allowed`, () =>
          Effect.gen(function*() {
            const { call } = yield* Harness
            const answer = yield* call(method, path)
            expect(answer).toMatchObject({ status: 405, body: { code: "method_not_allowed" } })
            expect(answer.headers.get("allow")?.split(", ").toSorted()).toStrictEqual(allow.toSorted())
          }))
      }
      it.effect(`OPTIONS ${path} says what is allowed`, () =>
        Effect.gen(function*() {
          const { call } = yield* Harness
          const answer = yield* call("OPTIONS", path, { headers: { origin: "https://evil.example" } })
          expect(answer.status).toBe(204)
          expect(answer.headers.get("allow")?.split(", ").toSorted()).toStrictEqual(allow.toSorted())
          expect([...answer.headers.keys()].filter((name) => name.startsWith("access-control"))).toStrictEqual([])
        }))
      if (known.includes("GET")) {
        it.effect(`HEAD ${path} answers as GET does, without the body`, () =>
          Effect.gen(function*() {
            const { call } = yield* Harness
            const [head, whole] = [yield* call("HEAD", path), yield* call("GET", path)]
            expect(head.status).toBe(whole.status)
            expect(head.headers.get("content-type")).toBe(whole.headers.get("content-type"))
          }))
      }
    }
    it.effect("another method in a header is not listened to", () =>
      Effect.gen(function*() {
        expect((yield* get("/livez", { "x-http-method-override": "DELETE", "x-method-override": "PUT" })).status).toBe(
          200
        )
      }))
  })

  describe("what goes wrong here", () => {
    for (
      const [mishap, status, code] of [
        ["overloaded", 503, "overloaded"],
        ["shard-unavailable", 503, "shard_unavailable"],
        ["defect", 500, "internal_error"]
      ] as const
    ) {
      for (const [path, good] of [["/v1/transfers", goodTransfer], ["/v1/accounts", goodAccount]] as const) {
        it.effect(`${mishap} at POST ${path} is answered with ${code}, and nothing of its inside`, () =>
          withMishap(
            mishap,
            Effect.gen(function*() {
              const answer = yield* post(path, json(good))
              expect(answer).toMatchObject({ status, body: { code, retryable: true } })
              expect(answer.text).not.toMatch(/secret|10\.0\.0\.7|relation|Error|at \w+ \(/)
              if (status === 503) expect(answer.headers.get("retry-after")).toBe("1")
            })
          ))
      }
      if (mishap === "overloaded") continue
      for (
        const path of [
          "/v1/accounts",
          "/v1/accounts/a",
          "/v1/accounts/a/balance",
          "/v1/accounts/a/entries",
          "/v1/transfers/trf_01KAJ7QZ6C0NV5XJ9A4T7MZB3D",
          "/v1/transfers/trf_01KAJ7QZ6C0NV5XJ9A4T7MZB3D/timeline",
          "/v1/ledger/trial-balance"
        ]
      ) {
        it.effect(`${mishap} at GET ${path} is answered with ${code}, and nothing of its inside`, () =>
          withMishap(
            mishap,
            Effect.gen(function*() {
              const answer = yield* get(path)
              expect(answer).toMatchObject({ status, body: { code } })
              expect(answer.text).not.toMatch(/secret|10\.0\.0\.7|relation|Error|at \w+ \(/)
            })
          ))
      }
    }
  })

  describe("the name of a request", () => {
    for (const id of ["req-1", "a", "A_b-9", "r".repeat(128)]) {
      it.effect(`${id.slice(0, 20)} of ${id.length} characters is taken over`, () =>
        Effect.gen(function*() {
          const { books } = yield* Harness
          const answer = yield* post("/v1/transfers", json(goodTransfer), { "x-request-id": id })
          expect(answer.headers.get("x-request-id")).toBe(id)
          expect(books.intents.at(-1)).toMatchObject({ request: { requestId: id } })
          expect((yield* get("/nowhere", { "x-request-id": id })).body["request_id"]).toBe(id)
        }))
    }
    for (const id of ["", "a b", "a;b", "r".repeat(129), "../x", "a\"b", "<b>", "é", "a,b"]) {
      it.effect(`${JSON.stringify(id.slice(0, 20))} of ${id.length} characters is replaced, not echoed`, () =>
        Effect.gen(function*() {
          const { books } = yield* Harness
          const answer = yield* post("/v1/transfers", json(goodTransfer), { "x-request-id": id })
          const given = answer.headers.get("x-request-id")
          expect(given).toMatch(/^req_[0-9A-Z]{26}$/)
          expect(books.intents.at(-1)).toMatchObject({ request: { requestId: given } })
        }))
    }
  })

  describe("the trace of a request", () => {
    const trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    for (const traceparent of [trace, trace.replace(/01$/, "00"), `cc${trace.slice(2)}`, `cc${trace.slice(2)}-more`]) {
      it.effect(`${traceparent} is handed on`, () =>
        Effect.gen(function*() {
          const { books } = yield* Harness
          yield* post("/v1/transfers", json(goodTransfer), { traceparent })
          expect(books.intents.at(-1)).toMatchObject({ request: { traceparent } })
        }))
    }
    for (
      const traceparent of [
        "",
        "x",
        trace.toUpperCase(),
        `ff${trace.slice(2)}`,
        `${trace}-more`,
        `${trace} `.repeat(2),
        trace.slice(0, -1),
        trace.replace(/4bf9\w+/, "0".repeat(32)),
        trace.replace(/00f0\w+/, "0".repeat(16)),
        `cc${trace.slice(2)}-${"x".repeat(10_000)}`
      ]
    ) {
      it.effect(`${JSON.stringify(traceparent.slice(0, 60))} is dropped`, () =>
        Effect.gen(function*() {
          const { books } = yield* Harness
          const answer = yield* post("/v1/transfers", json(goodTransfer), { traceparent })
          expect(answer.status).toBe(202)
          expect(books.intents.at(-1)).toMatchObject({ request: { traceparent: null } })
        }))
    }
  })

  describe("the process", () => {
    it.effect("is alive", () =>
      Effect.gen(function*() {
        expect((yield* get("/livez")).body).toStrictEqual({ status: "live" })
      }))

    it.effect("says what it is", () =>
      Effect.gen(function*() {
        expect((yield* get("/version")).body).toStrictEqual({ name: "counterpoise", version: "1.2.3", commit: "abc" })
      }))

    it.effect("is ready as long as its checks pass, and names the one that does not", () =>
      Effect.gen(function*() {
        const { health } = yield* Harness
        const checks = [{ name: "shard 0", healthy: true }, { name: "shard 1", healthy: true }]
        expect(yield* get("/readyz")).toMatchObject({ status: 200, body: { status: "ready", checks } })
        health.healthy = false
        const answer = yield* Effect.ensuring(get("/readyz"), Effect.sync(() => health.healthy = true))
        expect(answer).toMatchObject({
          status: 503,
          body: { code: "not_ready", errors: [{ pointer: "check:shard 0", code: "unhealthy" }] }
        })
        expect(answer.text).not.toContain("10.0.0.7")
        expect((yield* get("/readyz")).status).toBe(200)
        expect((yield* get("/livez")).status).toBe(200)
      }))

    it.effect("counts and times what it answers, by method, route and class of status", () =>
      Effect.gen(function*() {
        yield* get("/v1/accounts/one")
        yield* get("/v1/accounts/two")
        yield* get("/nowhere")
        const { headers, text } = yield* get("/metrics")
        expect(headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8")
        const route = "method=\"GET\",route=\"/v1/accounts/:id\",status_class=\"4xx\""
        expect(text).toMatch(new RegExp(`http_server_request_duration_seconds_count\\{${route}\\} \\d+`))
        expect(text).toMatch(/http_server_request_duration_seconds_count\{[^}]*route="unmatched"[^}]*\} \d+/)
        expect(text).toMatch(/^http_server_active_requests 1$/m)
        for (
          const name of [
            "process_resident_memory_bytes",
            "process_cpu_seconds_total",
            "process_start_time_seconds",
            "nodejs_heap_used_bytes",
            "nodejs_heap_total_bytes",
            "nodejs_eventloop_delay_seconds\\{quantile=\"0.99\"\\}"
          ]
        ) {
          expect(text).toMatch(new RegExp(`^${name} [0-9.e+-]+$`, "m"))
        }
        // No id, no path and no name of a client has become a label.
        expect(text).not.toMatch(/"[^"]*(?:trf_|acc_|wallet|nowhere|anna)[^"]*"/)
      }))
  })

  describe("what is logged", () => {
    it.effect("is one line a request, at debug, with its name and nothing of its content", () =>
      Effect.gen(function*() {
        const { lines } = yield* Harness
        lines.length = 0
        yield* post("/v1/transfers", json({ ...goodTransfer, reference: "\"private\"" }), {
          "x-request-id": "logged-1"
        })
        expect(lines).toStrictEqual([["Debug", "answered", {
          request_id: "logged-1",
          method: "POST",
          route: "/v1/transfers",
          status: 202,
          millis: expect.any(Number)
        }]])
      }))

    it.effect("of a mistake of ours, is all there is to know, under the name that the client was told", () =>
      withMishap(
        "defect",
        Effect.gen(function*() {
          const { lines } = yield* Harness
          lines.length = 0
          const answer = yield* post("/v1/transfers", json(goodTransfer))
          expect(lines).toMatchObject([
            ["Error", "a request failed", { request_id: answer.body["request_id"], route: "/v1/transfers" }],
            ["Debug", "answered", { status: 500 }]
          ])
        })
      ))
  })

  it.effect("answers about money are never kept", () =>
    Effect.gen(function*() {
      for (const path of ["/v1/accounts", "/v1/accounts/a/balance", "/v1/ledger/trial-balance"]) {
        const answer = yield* get(path)
        expect(answer.headers.get("cache-control")).toBe("no-store")
        expect(answer.headers.get("content-security-policy")).toContain("default-src 'none'")
      }
    }))
})

const withMishap = <A, E>(
  mishap: "overloaded" | "shard-unavailable" | "defect",
  test: Effect.Effect<A, E, Harness>
): Effect.Effect<A, E, Harness> =>
  Effect.flatMap(Harness, ({ books }) =>
    Effect.ensuring(
      Effect.andThen(Effect.sync(() => books.mishap = mishap), test),
      Effect.sync(() => books.mishap = "none")
    ))
