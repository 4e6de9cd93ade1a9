import { layer } from "@effect/vitest"
import { Deferred, Effect, Fiber } from "effect"
import { describe, expect } from "vitest"
import type { Code } from "#infra/http/Problems.ts"
import * as Bad from "./bad-input.ts"
import { isObject } from "./conformance.ts"
import { freshKey, get, goodTransfer, Harness, json, parsed, post } from "./Harness.ts"

const path = "/v1/transfers/batch"

/** An item as JSON text; its key is JSON text, too. */
const item = (key: string, members: Readonly<Record<string, string>> = goodTransfer) =>
  json({ idempotency_key: key, ...members })

const asked = (...items: ReadonlyArray<string>) => `{"transfers":[${items.join(",")}]}`

/** Asks for many transfers; there is no key in the header. */
const many = (...items: ReadonlyArray<string>) =>
  Effect.flatMap(Harness, ({ call }) => call("POST", path, { body: asked(...items) }))

const dataOf = (body: { readonly [key: string]: unknown }) =>
  Array.isArray(body["data"]) ? body["data"].filter(isObject) : []

const problemOf = (data: { readonly [key: string]: unknown } | undefined) =>
  isObject(data?.["problem"]) ? data["problem"] : {}

const idOf = (data: { readonly [key: string]: unknown } | undefined) =>
  isObject(data?.["transfer"]) ? data["transfer"]["id"] : undefined

const quoted = (key: string) => JSON.stringify(key)

layer(Harness.layer, { excludeTestServices: true })("many transfers in one request", (it) => {
  it.effect("are answered each, in their order, and what is wrong with one does not touch the others", () =>
    Effect.gen(function*() {
      const { books } = yield* Harness
      const [first, second, third] = [freshKey(), freshKey(), freshKey()]
      const before = books.transfers.size
      const { body, status } = yield* many(
        item(quoted(first)),
        item(quoted(second), { ...goodTransfer, amount: "\"0\"" }),
        item(quoted(third), { ...goodTransfer, amount: "\"7\"" })
      )
      expect(status).toBe(200)
      expect(body).toMatchObject({
        object: "batch",
        accepted: 2,
        refused: 1,
        data: [
          {
            idempotency_key: first,
            status: 202,
            replayed: false,
            transfer: { object: "transfer", status: "requested", amount: "1250" }
          },
          {
            idempotency_key: second,
            status: 400,
            problem: { code: "amount_not_positive", instance: path, errors: [{ pointer: "/transfers/1/amount" }] }
          },
          { idempotency_key: third, status: 202, replayed: false, transfer: { amount: "7" } }
        ]
      })
      expect(books.transfers.size).toBe(before + 2)
    }))

  it.effect("are the same requests as each alone: whichever way one comes again, it is recorded once", () =>
    Effect.gen(function*() {
      const { books } = yield* Harness
      const [alone, among] = [freshKey(), freshKey()]
      const members = {
        ...goodTransfer,
        reference: "\"r\"",
        metadata: "{\"b\":\"1\",\"a\":\"2\"}",
        capture: "\"manual\""
      }
      const shuffled = Object.fromEntries(Object.entries(members).toReversed())
      const before = books.transfers.size
      const first = yield* post("/v1/transfers", json(members), { "idempotency-key": alone })
      const { body } = yield* many(item(quoted(alone), shuffled), item(quoted(among), members))
      expect(dataOf(body)).toMatchObject([
        { status: 202, replayed: true, transfer: first.body },
        { status: 202, replayed: false }
      ])
      const again = yield* post("/v1/transfers", json(shuffled), { "idempotency-key": among })
      expect(again.headers.get("idempotent-replayed")).toBe("true")
      expect(again.body).toStrictEqual(dataOf(body)[1]?.["transfer"])
      const all = yield* many(item(quoted(among), members), item(quoted(alone), members))
      expect(dataOf(all.body)).toMatchObject([{ replayed: true }, { replayed: true }])
      expect(books.transfers.size).toBe(before + 2)
    }))

  it.effect("with one key are one transfer, and refused where they are not the same", () =>
    Effect.gen(function*() {
      const { books } = yield* Harness
      const key = quoted(freshKey())
      const before = books.transfers.size
      const { body } = yield* many(item(key), item(key), item(key, { ...goodTransfer, amount: "\"9\"" }))
      const data = dataOf(body)
      expect(data).toMatchObject([
        { status: 202, replayed: false },
        { status: 202, replayed: true },
        { status: 422, problem: { code: "idempotency_key_reused", resource: idOf(data[0]) } }
      ])
      expect(idOf(data[1])).toBe(idOf(data[0]))
      expect(books.transfers.size).toBe(before + 1)
    }))

  it.effect("get 503 where their shard is down, and the others are recorded", () =>
    Effect.gen(function*() {
      const { books } = yield* Harness
      books.away.add("wallet-away")
      const away = { ...goodTransfer, source: "\"wallet-away\"" }
      const { body } = yield* many(item(quoted(freshKey())), item(quoted(freshKey()), away), item(quoted(freshKey())))
      books.away.clear()
      expect(body).toMatchObject({
        accepted: 2,
        refused: 1,
        data: [{ status: 202 }, { status: 503, problem: { code: "shard_unavailable", retryable: true } }, {
          status: 202
        }]
      })
    }))

  it.effect("of which a mistake of the platform keeps some are answered with 500 for these, and it is logged", () =>
    Effect.gen(function*() {
      const { books, lines } = yield* Harness
      const before = lines.length
      books.mishap = "defect"
      const answer = yield* many(item(quoted(freshKey())), item(quoted(freshKey())))
      books.mishap = "none"
      expect(answer).toMatchObject({ status: 200, body: { accepted: 0, refused: 2 } })
      expect(dataOf(answer.body)).toMatchObject([
        { status: 500, problem: { code: "internal_error" } },
        { status: 500 }
      ])
      expect(answer.text).not.toContain("relation")
      expect(lines.slice(before).filter(([level]) => level === "Error").length).toBe(1)
    }))

  it.effect("are asked for with what each needs to be traced", () =>
    Effect.gen(function*() {
      const { books, call } = yield* Harness
      const key = freshKey()
      const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
      yield* call("POST", path, {
        body: asked(item(quoted(key))),
        headers: { "x-request-id": "req_many", traceparent }
      })
      expect(books.intents.at(-1)).toMatchObject({
        request: { client: "anna", idempotencyKey: key, requestId: "req_many", traceparent }
      })
    }))

  it.effect("may be ten thousand", () =>
    Effect.gen(function*() {
      const keys = Array.from({ length: 10_000 }, freshKey)
      const { body } = yield* many(...keys.map((key) => item(quoted(key))))
      expect(body).toMatchObject({ accepted: 10_000, refused: 0 })
      expect(dataOf(body).map((one) => one["idempotency_key"])).toStrictEqual(keys)
    }), 30_000)

  it.effect("may take megabytes, also from a client that waits to be told to go on", () =>
    Effect.gen(function*() {
      const { raw } = yield* Harness
      const body = Buffer.from(asked(...Array.from({ length: 5000 }, () =>
        item(quoted(freshKey()), { ...goodTransfer, description: `"${"d".repeat(400)}"` }))))
      expect(body.length).toBeGreaterThan(2 * 1024 * 1024)
      const answer = yield* raw(
        [
          `POST ${path} HTTP/1.1`,
          "host: test",
          "connection: close",
          "authorization: Bearer cp_test_anna",
          "content-type: application/json",
          "expect: 100-continue",
          `content-length: ${body.length}\r\n\r\n`
        ].join("\r\n"),
        body
      )
      expect(answer.split("\r\n")[0]).toBe("HTTP/1.1 100 Continue")
      expect(answer).toContain("\"accepted\":5000,\"refused\":0")
    }), 30_000)

  it.effect("that take more are refused unread", () =>
    Effect.gen(function*() {
      const { books, raw } = yield* Harness
      const written = books.written
      const answer = yield* raw(
        `POST ${path} HTTP/1.1\r\nhost: test\r\nauthorization: Bearer cp_test_anna\r\n` +
          `content-type: application/json\r\ncontent-length: ${4 * 1024 * 1024 + 1}\r\n\r\n`
      )
      expect(parsed(answer)).toMatchObject({ status: 413, code: "payload_too_large" })
      expect(books.written).toBe(written)
    }))

  it.effect("are taken from eight clients at once; more are asked to come again", () =>
    Effect.gen(function*() {
      const { books } = yield* Harness
      const begun = yield* Deferred.make<void>()
      const goOn = yield* Deferred.make<void>()
      let arrived = 0
      books.before = Effect.andThen(
        Effect.suspend(() => ++arrived === 8 ? Deferred.succeed(begun, undefined) : Effect.void),
        Deferred.await(goOn)
      )
      const waiting = yield* Effect.forkChild(
        Effect.all(Array.from({ length: 8 }, () => many(item(quoted(freshKey())))), { concurrency: "unbounded" })
      )
      yield* Deferred.await(begun)
      const ninth = yield* many(item(quoted(freshKey())))
      books.before = Effect.void
      yield* Deferred.succeed(goOn, undefined)
      expect(ninth).toMatchObject({ status: 503, body: { code: "overloaded", retryable: true } })
      expect((yield* Fiber.join(waiting)).map(({ status }) => status)).toStrictEqual(
        Array.from({ length: 8 }, () => 200)
      )
      expect((yield* many(item(quoted(freshKey())))).status).toBe(200)
    }))

  it.effect("are counted by what their keys meant", () =>
    Effect.gen(function*() {
      const count = (text: string, outcome: string) =>
        Number(new RegExp(`idempotency_requests_total\\{outcome="${outcome}"\\} (\\d+)`).exec(text)?.[1] ?? 0)
      const before = (yield* get("/metrics")).text
      const [key, other] = [quoted(freshKey()), quoted(freshKey())]
      yield* many(item(key), item(key), item(other), item(key, { ...goodTransfer, amount: "\"9\"" }), item("1"))
      const after = (yield* get("/metrics")).text
      expect(["first", "replay", "mismatch"].map((outcome) => count(after, outcome) - count(before, outcome)))
        .toStrictEqual([2, 1, 1])
    }))

  describe("with bad input among them", () => {
    const members: ReadonlyArray<
      readonly [member: string, rows: ReadonlyArray<Bad.Row>, good: Readonly<Record<string, string>>]
    > = [
      ["amount", Bad.amounts.filter(([value]) => value.length < 10_000), goodTransfer],
      ["source", Bad.accountIds, goodTransfer],
      ["destination", Bad.accountIds, goodTransfer],
      ["currency", Bad.currencies, goodTransfer],
      ["reference", Bad.texts, goodTransfer],
      ["metadata", [...Bad.metadata, ...Bad.metadataKeys], goodTransfer],
      ["capture", Bad.captures, goodTransfer],
      ["expires_in", Bad.expiries, { ...goodTransfer, capture: "\"manual\"" }]
    ]
    for (const [member, rows, good] of members) {
      it.effect(`each ${member} that is refused alone is refused, and the last is recorded`, () =>
        Effect.gen(function*() {
          const items = rows.map(([value]) => item(quoted(freshKey()), { ...good, [member]: value }))
          const answer = yield* many(...items, item(quoted(freshKey())))
          expect(answer).toMatchObject({ status: 200, body: { accepted: 1, refused: rows.length } })
          expect(dataOf(answer.body).slice(0, -1).map((one) => problemOf(one)["code"])).toStrictEqual(
            rows.map(([, code]) => code)
          )
          // What came in is not handed back raw.
          expect(answer.text).toMatch(/^[\x20-\x7e]*$/)
        }))
    }

    const keys: ReadonlyArray<Bad.Row> = [
      ["null", "idempotency_key_invalid"],
      ["1", "idempotency_key_invalid"],
      ["\"\"", "idempotency_key_invalid"],
      ["\"a b\"", "idempotency_key_invalid"],
      ["\"a\\n\"", "idempotency_key_invalid"],
      ["\"\\u0000\"", "idempotency_key_invalid"],
      ["\"clé\"", "idempotency_key_invalid"],
      [`"${"k".repeat(256)}"`, "idempotency_key_invalid"]
    ]
    it.effect("keys that are none are refused, and not handed back", () =>
      Effect.gen(function*() {
        const answer = yield* many(...keys.map(([key]) => item(key)), json(goodTransfer))
        expect(dataOf(answer.body).map((one) => [one["idempotency_key"], problemOf(one)["code"]])).toStrictEqual([
          ...keys.map(([, code]) => [null, code]),
          [null, "idempotency_key_missing"]
        ])
        expect(dataOf(answer.body).at(-1)).toMatchObject({
          problem: {
            errors: [{ pointer: `/transfers/${keys.length}/idempotency_key`, code: "idempotency_key_missing" }]
          }
        })
      }))

    const items: ReadonlyArray<Bad.Row> = [
      ["1", "validation_failed"],
      ["null", "validation_failed"],
      ["[]", "validation_failed"],
      ["\"{}\"", "validation_failed"],
      [item("\"k\"", { ...goodTransfer, amuont: "\"1\"" }), "unknown_parameter"],
      [item("\"k\"", { ...goodTransfer, prefer: "\"wait=5\"" }), "unknown_parameter"],
      [item("\"k\"", { ...goodTransfer, destination: goodTransfer["source"] ?? "" }), "same_account"],
      ["{\"idempotency_key\":\"a\",\"idempotency_key\":\"b\"}", "duplicate_key"],
      ["{\"__proto__\":{}}", "forbidden_key"],
      [`${"{\"a\":".repeat(17)}1${"}".repeat(17)}`, "nesting_too_deep"]
    ]
    it.effect("items that cannot be read in one way are refused by themselves", () =>
      Effect.gen(function*() {
        const answer = yield* many(...items.map(([text]) => text), item(quoted(freshKey())))
        expect(answer.body).toMatchObject({ accepted: 1, refused: items.length })
        expect(dataOf(answer.body).slice(0, -1).map((one) => problemOf(one)["code"])).toStrictEqual(
          items.map(([, code]) => code)
        )
      }))
  })

  describe("as a body", () => {
    const good = item("\"k\"")
    const bodies: ReadonlyArray<readonly [what: string, body: string | Uint8Array, code: Code]> = [
      ["that is empty", "", "malformed_json"],
      ["without the list", "{}", "validation_failed"],
      ["with an empty list", asked(), "validation_failed"],
      ["with 10,001 items", asked(...Array.from({ length: 10_001 }, () => "1")), "validation_failed"],
      ["with no list", "{\"transfers\":{}}", "validation_failed"],
      ["that is the list itself", `[${good}]`, "validation_failed"],
      ["with another member", `{"transfers":[${good}],"dry_run":true}`, "unknown_parameter"],
      ["with two lists", `{"transfers":[${good}],"transfers":[]}`, "duplicate_key"],
      ["with a name that is escaped", `{"tr\\u0061nsfers":[${good}]}`, "validation_failed"],
      ["that is cut short", `{"transfers":[${good}`, "malformed_json"],
      ["that goes on after its end", `{"transfers":[${good}]} {}`, "malformed_json"],
      ["with a trailing comma", `{"transfers":[${good},]}`, "malformed_json"],
      ["with an item that is no JSON", `{"transfers":[${good},{amount:1}]}`, "malformed_json"],
      ["with a quote too many", `{"transfers":[${good},"]}`, "malformed_json"],
      [
        "with a byte that is no UTF-8",
        Buffer.concat([Buffer.from(`{"transfers":["`), Buffer.from([0xff])]),
        "malformed_json"
      ]
    ]
    for (const [what, body, code] of bodies) {
      it.effect(`${what} is refused as a whole, as ${code}`, () =>
        Effect.gen(function*() {
          const { books, call } = yield* Harness
          const written = books.written
          expect(yield* call("POST", path, { body })).toMatchObject({ status: 400, body: { code } })
          expect(books.written).toBe(written)
        }))
    }
    for (const headers of Bad.mediaTypes) {
      it.effect(`with ${JSON.stringify(headers)} is refused as unsupported_media_type`, () =>
        Effect.gen(function*() {
          const { call } = yield* Harness
          expect(yield* call("POST", path, { body: asked(good), headers })).toMatchObject({
            status: 415,
            body: { code: "unsupported_media_type" }
          })
        }))
    }
  })
})
