import { layer } from "@effect/vitest"
import { Deferred, Effect } from "effect"
import { connect } from "node:net"
import { describe, expect } from "vitest"
import type { Books } from "./fakes.ts"
import { partitionOf } from "#domain/sharding/Partition.ts"
import { freshKey, get, goodAccount, goodTransfer, Harness, json, otherKey, partitions, post } from "./Harness.ts"

const header = (key: string) => ({ "idempotency-key": key })

const lastIntent = Effect.map(Harness, ({ books }): Books["intents"][number] => {
  const last = books.intents.at(-1)
  if (last === undefined) throw new Error("nothing came as far as the intake")
  return last
})

layer(Harness.layer, { excludeTestServices: true })("idempotency", (it) => {
  for (
    const [path, good, status] of [
      ["/v1/transfers", goodTransfer, 202],
      ["/v1/accounts", goodAccount, 201],
      ["/v1/accounts", { ...goodAccount, id: "\"wallet-carl\"" }, 201]
    ] as const
  ) {
    describe(`of POST ${path} ${"id" in good ? "with an id" : ""}`, () => {
      it.effect("the same request under the same key gets the same answer, and says that it is one", () =>
        Effect.gen(function*() {
          const key = freshKey()
          const members = { ...good, ...uniqueId(path, good, key) }
          const first = yield* post(path, json(members), header(key))
          const again = yield* post(path, json(members), header(key))
          expect(first.status).toBe(status)
          expect(first.headers.get("idempotent-replayed")).toBeNull()
          expect(again.status).toBe(status)
          expect(again.headers.get("idempotent-replayed")).toBe("true")
          expect(again.text).toBe(first.text)
          expect(again.headers.get("location")).toBe(first.headers.get("location"))
        }))

      it.effect("the order of members and the white space do not make another request", () =>
        Effect.gen(function*() {
          const key = freshKey()
          const members = { ...good, ...uniqueId(path, good, key) }
          const shuffled = `{ \n ${json(Object.fromEntries(Object.entries(members).toReversed())).slice(1, -1)} }\t`
          const first = yield* post(path, json(members), header(key))
          const again = yield* post(path, shuffled, header(key))
          expect(again.text).toBe(first.text)
        }))

      it.effect("a quoted key is the key in the quotes", () =>
        Effect.gen(function*() {
          const key = freshKey()
          const members = { ...good, ...uniqueId(path, good, key) }
          const first = yield* post(path, json(members), header(key))
          const again = yield* post(path, json(members), header(`"${key}"`))
          expect(again.text).toBe(first.text)
          expect(yield* lastIntent).toMatchObject({ request: { idempotencyKey: key } })
        }))

      it.effect("another request under the same key is refused, and told what the key made", () =>
        Effect.gen(function*() {
          const key = freshKey()
          const members = { ...good, ...uniqueId(path, good, key) }
          const first = yield* post(path, json(members), header(key))
          const other = yield* post(path, json({ ...members, metadata: "{\"a\":\"b\"}" }), header(key))
          expect(other).toMatchObject({
            status: 422,
            body: { code: "idempotency_key_reused", resource: first.body["id"], retryable: false }
          })
          expect(other.body["detail"]).toContain(String(first.body["id"]))
        }))

      it.effect("50 requests at once under one key make one thing, and get one answer", () =>
        Effect.gen(function*() {
          const { books } = yield* Harness
          const key = freshKey()
          const before = books.transfers.size + books.accounts.size
          const answers = yield* Effect.all(
            Array.from({ length: 50 }, () => post(path, json({ ...good, ...uniqueId(path, good, key) }), header(key))),
            { concurrency: "unbounded" }
          )
          expect(new Set(answers.map(({ text }) => text)).size).toBe(1)
          expect(answers.every((answer) => answer.status === status)).toBe(true)
          expect(answers.filter(({ headers }) => headers.get("idempotent-replayed") === null).length).toBe(1)
          expect(books.transfers.size + books.accounts.size).toBe(before + 1)
        }))

      for (const key of ["k", "k".repeat(255), "!#$%&'()*+,-./:;<=>?@[]^_`{|}~", "a\"b", "018c7a2e-0000-7000-8000-0"]) {
        it.effect(`${key.slice(0, 40)} of ${key.length} characters is a key`, () =>
          Effect.gen(function*() {
            const answer = yield* post(
              path,
              json({ ...good, ...uniqueId(path, good, String(key.length)) }),
              header(key)
            )
            expect(answer.status).toBe(status)
            expect(yield* lastIntent).toMatchObject({ request: { idempotencyKey: key } })
          }))
      }

      it.effect("a quoted key may hold quotes and backslashes", () =>
        Effect.gen(function*() {
          yield* post(path, json({ ...good, ...uniqueId(path, good, "quotes") }), header("\"a\\\"b\\\\c\""))
          expect(yield* lastIntent).toMatchObject({ request: { idempotencyKey: "a\"b\\c" } })
        }))
    })
  }

  it.effect("a key belongs to its client: another may use the same", () =>
    Effect.gen(function*() {
      const { call } = yield* Harness
      const key = freshKey()
      const first = yield* post("/v1/transfers", json(goodTransfer), header(key))
      const other = yield* call("POST", "/v1/transfers", {
        body: json(goodTransfer),
        headers: header(key),
        as: otherKey
      })
      expect(other.status).toBe(202)
      expect(other.headers.get("idempotent-replayed")).toBeNull()
      expect(other.body["id"]).not.toBe(first.body["id"])
    }))

  it.effect("a refused request keeps no key: mended, it may come under the same", () =>
    Effect.gen(function*() {
      const key = freshKey()
      const refused = yield* post("/v1/transfers", json({ ...goodTransfer, amount: "1" }), header(key))
      const mended = yield* post("/v1/transfers", json(goodTransfer), header(key))
      expect([refused.status, mended.status]).toStrictEqual([400, 202])
      expect(mended.headers.get("idempotent-replayed")).toBeNull()
    }))

  it.effect("a repetition gets the first answer though the transfer has ended since", () =>
    Effect.gen(function*() {
      const { books } = yield* Harness
      const key = freshKey()
      const first = yield* post("/v1/transfers", json(goodTransfer), header(key))
      yield* books.move(String(first.body["id"]), "rejected", { code: "insufficient_funds", detail: "no" })
      const again = yield* post("/v1/transfers", json(goodTransfer), header(key))
      expect(again).toMatchObject({ status: 202, text: first.text })
    }))

  it.effect("a repetition that prefers to wait gets the end", () =>
    Effect.gen(function*() {
      const { books } = yield* Harness
      const key = freshKey()
      const first = yield* post("/v1/transfers", json(goodTransfer), header(key))
      yield* books.move(String(first.body["id"]), "committed")
      const again = yield* post("/v1/transfers", json(goodTransfer), { ...header(key), prefer: "wait=5" })
      expect(again).toMatchObject({ status: 200, body: { id: first.body["id"], status: "committed" } })
      expect(again.headers.get("idempotent-replayed")).toBe("true")
      expect(again.headers.get("preference-applied")).toBe("wait=5")
    }))

  it.effect("a repetition gets the account as it was opened, though money has moved since", () =>
    Effect.gen(function*() {
      const { books } = yield* Harness
      const key = freshKey()
      const first = yield* post("/v1/accounts", json(goodAccount), header(key))
      const id = String(first.body["id"])
      const record = books.accounts.get(id)
      if (record === undefined) throw new Error("no account")
      const balance = { posted: 500n, held: 20n, version: 7n, sequence: 3n }
      books.accounts.set(id, { ...record, account: { ...record.account, status: "frozen", balance } })
      const again = yield* post("/v1/accounts", json(goodAccount), header(key))
      expect(again.text).toBe(first.text)
    }))

  it.effect("an account without a name lives where the client's key does, whichever id is drawn", () =>
    Effect.gen(function*() {
      const key = freshKey()
      const ids = yield* Effect.forEach(Array.from({ length: 20 }), () =>
        Effect.gen(function*() {
          yield* post("/v1/accounts", json(goodAccount), header(key))
          const intent = yield* lastIntent
          return "account" in intent ? intent.account.id : ""
        }))
      expect(new Set(ids).size).toBe(20)
      expect(new Set(ids.map((id) => partitionOf(id, partitions)))).toStrictEqual(
        new Set([partitionOf(`anna ${key}`, partitions)])
      )
      expect(ids.every((id) => /^acc_[0-7][0-9A-HJKMNP-TV-Z]{25}$/.test(id))).toBe(true)
    }))

  it.effect("a client that hangs up does not undo what it began", () =>
    Effect.gen(function*() {
      const { books, port } = yield* Harness
      const begun = yield* Deferred.make<void>()
      const goOn = yield* Deferred.make<void>()
      const size = books.transfers.size
      books.before = Effect.andThen(Deferred.succeed(begun, undefined), Deferred.await(goOn))
      const body = json(goodTransfer)
      const socket = connect(port, "127.0.0.1")
      const closed = yield* Deferred.make<void>()
      socket.on("error", () => undefined)
      socket.on("close", () => Deferred.doneUnsafe(closed, Effect.void))
      socket.write(
        `POST /v1/transfers HTTP/1.1\r\nhost: test\r\nauthorization: Bearer cp_test_anna\r\nidempotency-key: ${freshKey()}` +
          `\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`
      )
      yield* Deferred.await(begun)
      socket.destroy()
      yield* Deferred.await(closed)
      // The server learns of it in its own time: it has when it has answered another request.
      yield* get("/livez")
      books.before = Effect.void
      yield* Deferred.succeed(goOn, undefined)
      yield* get("/livez")
      expect(books.transfers.size).toBe(size + 1)
    }))

  it.effect("what is counted tells first requests, repetitions and clashes apart", () =>
    Effect.gen(function*() {
      const count = (text: string, outcome: string) =>
        Number(new RegExp(`idempotency_requests_total\\{outcome="${outcome}"\\} (\\d+)`).exec(text)?.[1] ?? 0)
      const before = (yield* get("/metrics")).text
      const key = freshKey()
      yield* post("/v1/transfers", json(goodTransfer), header(key))
      yield* post("/v1/transfers", json(goodTransfer), header(key))
      yield* post("/v1/transfers", json({ ...goodTransfer, amount: "\"1\"" }), header(key))
      const after = (yield* get("/metrics")).text
      expect(["first", "replay", "mismatch"].map((outcome) => count(after, outcome) - count(before, outcome)))
        .toStrictEqual([1, 1, 1])
    }))

  it.effect("fingerprints are 256 bits, differ with the request and say nothing of the key", () =>
    Effect.gen(function*() {
      const fingerprint = (members: Readonly<Record<string, string>>) =>
        Effect.gen(function*() {
          yield* post("/v1/transfers", json(members))
          return (yield* lastIntent).request.fingerprint
        })
      const [one, same, other] = [
        yield* fingerprint(goodTransfer),
        yield* fingerprint(goodTransfer),
        yield* fingerprint({ ...goodTransfer, amount: "\"1251\"" })
      ]
      expect(one).toMatch(/^[0-9a-f]{64}$/)
      expect(same).toBe(one)
      expect(other).not.toBe(one)
    }))
})

/** Accounts with a name of their own need a fresh one where the key is fresh. */
const uniqueId = (path: string, good: object, name: string): Readonly<Record<string, string>> =>
  path === "/v1/accounts" && "id" in good ? { id: JSON.stringify(`wallet-${name.replaceAll(/[^a-z0-9-]/g, "")}`) } : {}
