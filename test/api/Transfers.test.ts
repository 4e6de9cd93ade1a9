import { layer } from "@effect/vitest"
import { Deferred, Effect, Fiber } from "effect"
import { expect } from "vitest"
import { partitionOf } from "#domain/sharding/Partition.ts"
import type { TransferStatus } from "#domain/transfer/Transfer.ts"
import * as TransferId from "#domain/transfer/TransferId.ts"
import { isObject } from "./conformance.ts"
import { freshKey, get, goodTransfer, Harness, json, otherKey, partitions, post } from "./Harness.ts"

const id = TransferId.TransferId.make

const requested = Effect.fn("requested")(function*(members: Readonly<Record<string, string>> = {}) {
  const answer = yield* post("/v1/transfers", json({ ...goodTransfer, ...members }))
  expect(answer.status).toBe(202)
  return String(answer.body["id"])
})

const insufficient = { code: "insufficient_funds", detail: "wallet-anna has 0.00 EUR available, 12.50 EUR needed" }

layer(Harness.layer, { excludeTestServices: true })("transfers", (it) => {
  it.effect("a wish is accepted with 202, a place to follow it, and all that was said", () =>
    Effect.gen(function*() {
      const answer = yield* post(
        "/v1/transfers",
        json({
          ...goodTransfer,
          reference: "\"invoice-42\"",
          description: "\"Lunch – 12,50 €\"",
          metadata: "{\"order\":\"42\",\"note\":\"grüße\"}"
        })
      )
      expect(answer.status).toBe(202)
      expect(answer.headers.get("location")).toBe(`/v1/transfers/${String(answer.body["id"])}`)
      expect(answer.headers.get("retry-after")).toBe("1")
      expect(answer.headers.get("cache-control")).toBe("no-store")
      expect(answer.body).toStrictEqual({
        id: expect.stringMatching(/^trf_[0-9A-Z]{26}$/),
        object: "transfer",
        status: "requested",
        status_changed_at: answer.body["created_at"],
        source: "wallet-anna",
        destination: "wallet-ben",
        amount: "1250",
        currency: "EUR",
        capture: "automatic",
        captured_amount: null,
        expires_at: null,
        reverses: null,
        reference: "invoice-42",
        description: "Lunch – 12,50 €",
        metadata: { order: "42", note: "grüße" },
        created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
      })
    }))

  it.effect("its id leads to the partition of its source", () =>
    Effect.gen(function*() {
      for (const source of ["wallet-anna", "bank:1", "w_2", "x@y.z"]) {
        const transfer = id(yield* requested({ source: JSON.stringify(source) }))
        expect(TransferId.partitionOf(transfer)).toBe(partitionOf(source, partitions))
      }
    }))

  it.effect("two wishes never share an id", () =>
    Effect.gen(function*() {
      const ids = yield* Effect.all(Array.from({ length: 200 }, () => requested()), { concurrency: 20 })
      expect(new Set(ids).size).toBe(200)
    }))

  for (const amount of ["1", "9007199254740993", "9".repeat(38)]) {
    it.effect(`an amount of ${amount} comes out as it went in`, () =>
      Effect.gen(function*() {
        const transfer = yield* requested({ amount: JSON.stringify(amount) })
        expect((yield* get(`/v1/transfers/${transfer}`)).body["amount"]).toBe(amount)
      }))
  }

  for (
    const [status, failure] of [
      ["requested", undefined],
      ["held", undefined],
      ["committed", undefined],
      ["rejected", insufficient],
      ["cancelled", { code: "account_closed", detail: "wallet-ben is closed" }]
    ] as const satisfies ReadonlyArray<readonly [TransferStatus, typeof insufficient | undefined]>
  ) {
    it.effect(`a ${status} transfer is answered with 200: the status of the money is in the body`, () =>
      Effect.gen(function*() {
        const { books } = yield* Harness
        const transfer = yield* requested()
        yield* books.move(transfer, status, failure ?? null)
        const answer = yield* get(`/v1/transfers/${transfer}`)
        expect(answer.status).toBe(200)
        expect(answer.body["status"]).toBe(status)
        expect(answer.body["failure"]).toStrictEqual(failure)
        const onItsWay = failure === undefined && status !== "committed"
        expect(answer.headers.get("retry-after")).toBe(onItsWay ? "1" : null)
      }))
  }

  it.effect("a manual transfer expires after 7 days unless it says otherwise", () =>
    Effect.gen(function*() {
      const { books } = yield* Harness
      for (const [expiry, seconds] of [[{}, 604_800], [{ expires_in: "60" }, 60]] as const) {
        const answer = yield* post("/v1/transfers", json({ ...goodTransfer, capture: "\"manual\"", ...expiry }))
        expect(books.intents.at(-1)).toMatchObject({ capture: "manual", expiresInSeconds: seconds })
        expect(Date.parse(String(answer.body["expires_at"])) - Date.parse(String(answer.body["created_at"])))
          .toBe(seconds * 1000)
      }
    }))

  it.effect("a transfer says which one it reverses", () =>
    Effect.gen(function*() {
      const { books } = yield* Harness
      const reverses = yield* requested()
      const reversal = yield* requested({
        source: "\"wallet-ben\"",
        destination: "\"wallet-anna\"",
        reverses: JSON.stringify(reverses)
      })
      expect(books.intents.at(-1)).toMatchObject({ reverses })
      expect((yield* get(`/v1/transfers/${reversal}`)).body["reverses"]).toBe(reverses)
    }))

  it.effect("an automatic transfer never expires", () =>
    Effect.gen(function*() {
      const { books } = yield* Harness
      yield* requested({ capture: "\"automatic\"" })
      expect(books.intents.at(-1)).toMatchObject({ capture: "automatic", expiresInSeconds: null })
    }))

  it.effect("Prefer: wait answers 200 as soon as the transfer has ended", () =>
    Effect.gen(function*() {
      const { books } = yield* Harness
      const written = yield* Deferred.make<void>()
      books.before = Deferred.succeed(written, undefined)
      const waiting = yield* Effect.forkChild(
        post("/v1/transfers", json({ ...goodTransfer, source: "\"wallet-wait\"" }), { prefer: "wait=10" })
      )
      yield* Deferred.await(written)
      books.before = Effect.void
      yield* get("/livez")
      const transfer = [...books.transfers.values()].find(({ terms }) => terms.source === "wallet-wait")?.terms.transfer
      yield* books.move(transfer ?? "", "committed")
      const answer = yield* Fiber.join(waiting)
      expect(answer).toMatchObject({ status: 200, body: { status: "committed", id: transfer } })
      expect(answer.headers.get("preference-applied")).toBe("wait=10")
      expect(answer.headers.get("location")).toBe(`/v1/transfers/${transfer}`)
    }))

  it.effect("Prefer: wait answers 202 when the time is up", () =>
    Effect.gen(function*() {
      const answer = yield* post("/v1/transfers", json(goodTransfer), { prefer: "wait=1" })
      expect(answer).toMatchObject({ status: 202, body: { status: "requested" } })
      expect(answer.headers.get("preference-applied")).toBeNull()
    }))

  for (const prefer of ["wait=0", "wait", "wait=-1", "wait=ten", "respond-async", "wait=1.5", "x".repeat(1_000)]) {
    it.effect(`Prefer: ${prefer.slice(0, 20)} is not understood, and ignored`, () =>
      Effect.gen(function*() {
        const answer = yield* post("/v1/transfers", json(goodTransfer), { prefer })
        expect(answer.status).toBe(202)
      }))
  }

  it.effect("a GET that prefers to wait is held until the transfer has ended", () =>
    Effect.gen(function*() {
      const { books } = yield* Harness
      const transfer = yield* requested()
      const waiting = yield* Effect.forkChild(get(`/v1/transfers/${transfer}`, { prefer: "respond-async, wait=9999" }))
      yield* get("/livez")
      yield* books.move(transfer, "rejected", insufficient)
      const answer = yield* Fiber.join(waiting)
      expect(answer).toMatchObject({ status: 200, body: { status: "rejected", failure: insufficient } })
      // More than it is willing to wait is cut to that.
      expect(answer.headers.get("preference-applied")).toBe("wait=10")
    }))

  it.effect("a GET that prefers to wait gets the transfer as it is when the time is up", () =>
    Effect.gen(function*() {
      const answer = yield* get(`/v1/transfers/${yield* requested()}`, { prefer: "wait=1" })
      expect(answer).toMatchObject({ status: 200, body: { status: "requested" } })
      expect(answer.headers.get("preference-applied")).toBeNull()
    }))

  it.effect("the timeline tells the events of both shards in order", () =>
    Effect.gen(function*() {
      const { books } = yield* Harness
      const transfer = yield* requested()
      const terms = books.transfers.get(transfer)?.terms
      if (terms === undefined) throw new Error("no transfer")
      const step = { requestId: null, occurredAtMillis: 1_763_717_460_000 }
      books.steps.set(transfer, [
        { ...step, shard: 0, position: 12n, requestId: "req_1", event: { type: "transfer.held", ...terms } },
        { ...step, shard: 1, position: 7n, event: { type: "transfer.refused", ...terms, reason: insufficient } }
      ])
      const answer = yield* get(`/v1/transfers/${transfer}/timeline`)
      expect(answer.body).toStrictEqual({
        object: "list",
        data: [
          {
            id: "0:12",
            object: "timeline_step",
            event: "transfer.held",
            shard: 0,
            position: 12,
            request_id: "req_1",
            created_at: "2025-11-21T09:31:00.000Z"
          },
          {
            id: "1:7",
            object: "timeline_step",
            event: "transfer.refused",
            shard: 1,
            position: 7,
            request_id: null,
            failure: insufficient,
            created_at: "2025-11-21T09:31:00.000Z"
          }
        ],
        has_more: false,
        next_cursor: null
      })
    }))
})

const idsOf = (body: { readonly [key: string]: unknown }) =>
  Array.isArray(body["data"])
    ? body["data"].map((transfer: unknown) => isObject(transfer) ? transfer["id"] : undefined)
    : []

/** The path of the next page, out of `Link`. */
const nextOf = (headers: Headers): string | undefined => /^<([^>]+)>; rel="next"$/.exec(headers.get("link") ?? "")?.[1]

layer(Harness.layerWith(), { excludeTestServices: true })("the list of transfers", (it) => {
  it.effect("is empty where there are none", () =>
    Effect.gen(function*() {
      expect((yield* get("/v1/transfers")).body).toStrictEqual({
        object: "list",
        data: [],
        has_more: false,
        next_cursor: null
      })
    }))

  it.effect("has each transfer once, newest first, while new ones arrive", () =>
    Effect.gen(function*() {
      for (let n = 0; n < 23; n++) yield* requested()
      const { books } = yield* Harness
      const there = [...books.transfers.keys()].toSorted().toReversed()
      const pages: Array<ReadonlyArray<unknown>> = []
      for (let next: string | undefined = "/v1/transfers?limit=5"; next !== undefined;) {
        const page = yield* get(next)
        next = nextOf(page.headers)
        expect(page.body["has_more"]).toBe(next !== undefined)
        pages.push(idsOf(page.body))
        yield* requested()
      }
      expect(pages.map((page) => page.length)).toStrictEqual([5, 5, 5, 5, 3])
      expect(pages.flat()).toStrictEqual(there)
    }))

  it.effect("shows a transfer as it stands", () =>
    Effect.gen(function*() {
      const { books } = yield* Harness
      const transfer = yield* requested({ source: "\"wallet-shown\"" })
      yield* books.move(transfer, "rejected", insufficient)
      const list = yield* get("/v1/transfers?source=wallet-shown")
      const { data } = list.body
      expect(data).toStrictEqual([(yield* get(`/v1/transfers/${transfer}`)).body])
    }))

  it.effect("can be asked by source, status, time and what is reversed, one or all of it, and keeps that from page to page", () =>
    Effect.gen(function*() {
      const { books } = yield* Harness
      const original = yield* requested()
      const mine = { source: "\"wallet-filtered\"" }
      const reversals: Array<string> = []
      for (let n = 0; n < 3; n++) reversals.push(yield* requested({ ...mine, reverses: JSON.stringify(original) }))
      const plain = yield* requested(mine)
      yield* books.move(reversals[1] ?? "", "committed")
      const since = new Date(TransferId.timeOf(id(reversals[0] ?? ""))).toISOString()
      const asked = (query: string) => Effect.map(get(`/v1/transfers?${query}`), ({ body }) => idsOf(body))
      // Ids of one millisecond are in the order of chance.
      const newest = (ids: ReadonlyArray<string>) => ids.toSorted().toReversed()
      const everything = newest([plain, ...reversals])
      expect(yield* asked("source=wallet-filtered")).toStrictEqual(everything)
      expect(yield* asked(`reverses=${original}`)).toStrictEqual(newest(reversals))
      expect(yield* asked("source=wallet-filtered&status=committed")).toStrictEqual([reversals[1]])
      expect(yield* asked(`source=wallet-filtered&created_from=${since}`)).toStrictEqual(everything)
      expect(yield* asked(`source=wallet-filtered&created_to=${since}`)).toStrictEqual([])
      const all = `source=wallet-filtered&status=requested&reverses=${original}&created_from=${since}`
      const first = yield* get(`/v1/transfers?${all}&limit=1`)
      const open = newest(reversals).filter((transfer) => transfer !== reversals[1])
      expect(idsOf(first.body)).toStrictEqual(open.slice(0, 1))
      const second = yield* get(nextOf(first.headers) ?? "")
      expect(idsOf(second.body)).toStrictEqual(open.slice(1))
      expect(second.body["has_more"]).toBe(false)
      const cursor = String(first.body["next_cursor"])
      for (const other of ["limit=1", "source=wallet-filtered", `${all}&created_to=2199-01-01T00:00:00Z`]) {
        expect(yield* get(`/v1/transfers?${other}&after=${cursor}`)).toMatchObject({
          status: 400,
          body: { code: "invalid_cursor" }
        })
      }
    }))

  it.effect("finds the one transfer that a client's key made from an account", () =>
    Effect.gen(function*() {
      const { call } = yield* Harness
      const idempotencyKey = `${freshKey()}/%&+`
      const made = yield* post("/v1/transfers", json({ ...goodTransfer, source: "\"wallet-key\"" }), {
        "idempotency-key": idempotencyKey
      })
      const path = (source: string, text: string) =>
        `/v1/transfers?source=${source}&idempotency_key=${encodeURIComponent(text)}`
      expect((yield* get(path("wallet-key", idempotencyKey))).body).toMatchObject({
        data: [{ id: made.body["id"] }],
        has_more: false,
        next_cursor: null
      })
      expect(idsOf((yield* get(path("wallet-ben", idempotencyKey))).body)).toStrictEqual([])
      expect(idsOf((yield* get(path("wallet-key", "another"))).body)).toStrictEqual([])
      const others = yield* call("GET", path("wallet-key", idempotencyKey), { as: otherKey })
      expect(idsOf(others.body)).toStrictEqual([])
    }))

  it.effect("is not told while a shard does not answer", () =>
    Effect.gen(function*() {
      const { books } = yield* Harness
      books.mishap = "shard-unavailable"
      const answers = yield* Effect.all([
        get("/v1/transfers"),
        get("/v1/transfers?source=wallet-anna&idempotency_key=k")
      ])
      books.mishap = "none"
      for (const answer of answers) expect(answer).toMatchObject({ status: 503, body: { code: "shard_unavailable" } })
    }))
})
