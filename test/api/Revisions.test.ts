import { layer } from "@effect/vitest"
import { Effect } from "effect"
import { expect } from "vitest"
import { freshKey, get, goodAccount, Harness, json, post } from "./Harness.ts"

const opened = Effect.gen(function*() {
  const id = `wallet:${freshKey()}`
  const answer = yield* post(
    "/v1/accounts",
    json({ ...goodAccount, id: JSON.stringify(id), metadata: "{\"a\":\"1\"}" })
  )
  return { id, path: `/v1/accounts/${encodeURIComponent(id)}`, etag: answer.headers.get("etag") ?? "" }
})

const change = (path: string, metadata: string, headers: Readonly<Record<string, string>>) =>
  Effect.flatMap(Harness, ({ call }) => call("PATCH", path, { body: `{"metadata":${metadata}}`, headers }))

layer(Harness.layer, { excludeTestServices: true })("the revision of an account", (it) => {
  it.effect("is in the ETag of everything that answers with the account", () =>
    Effect.gen(function*() {
      const { books } = yield* Harness
      const { etag, id, path } = yield* opened
      expect(etag).toBe("\"v1\"")
      expect((yield* get(path)).headers.get("etag")).toBe("\"v1\"")
      const changed = yield* change(path, "{}", { "if-match": etag })
      expect(changed.headers.get("etag")).toBe("\"v2\"")
      books.worker = () => Effect.as(books.become(id, "frozen"), null)
      expect((yield* post(`${path}/freeze`, "{}")).headers.get("etag")).toBe("\"v3\"")
    }))

  it.effect("that is named lets the metadata be replaced as a whole", () =>
    Effect.gen(function*() {
      const { etag, path } = yield* opened
      const answer = yield* change(path, "{\"b\":\"2\"}", { "if-match": etag })
      expect(answer).toMatchObject({ status: 200 })
      expect(answer.body["metadata"]).toStrictEqual({ b: "2" })
      expect((yield* get(path)).text).toBe(answer.text)
    }))

  it.effect("that is stale refuses a change with 412, and keeps what another has changed", () =>
    Effect.gen(function*() {
      const { etag, id, path } = yield* opened
      yield* change(path, "{\"b\":\"2\"}", { "if-match": etag })
      const late = yield* change(path, "{\"c\":\"3\"}", { "if-match": etag })
      expect(late).toMatchObject({
        status: 412,
        body: { code: "revision_mismatch", resource: id, detail: expect.stringContaining("revision 2") }
      })
      expect((yield* get(path)).body["metadata"]).toStrictEqual({ b: "2" })
    }))

  it.effect("must be named by whoever changes the account", () =>
    Effect.gen(function*() {
      const { path } = yield* opened
      expect(yield* change(path, "{}", {})).toMatchObject({ status: 428, body: { code: "precondition_required" } })
      expect((yield* get(path)).body["metadata"]).toStrictEqual({ a: "1" })
    }))

  it.effect("lets one of two who change it at once through", () =>
    Effect.gen(function*() {
      const { etag, path } = yield* opened
      const answers = yield* Effect.all(
        ["1", "2", "3", "4", "5"].map((value) => change(path, `{"by":"${value}"}`, { "if-match": etag })),
        { concurrency: "unbounded" }
      )
      expect(answers.map(({ status }) => status).toSorted()).toStrictEqual([200, 412, 412, 412, 412])
    }))

  it.effect("does not move with the balance", () =>
    Effect.gen(function*() {
      const { books } = yield* Harness
      const { etag, id, path } = yield* opened
      const record = books.accounts.get(id)
      if (record === undefined) throw new Error("no account")
      const balance = { posted: 100n, held: 0n, version: 1n, sequence: 1n }
      books.accounts.set(id, { ...record, account: { ...record.account, balance } })
      expect((yield* get(path)).headers.get("etag")).toBe(etag)
    }))

  it.effect("and the metadata are those of the first answer when the opening is repeated", () =>
    Effect.gen(function*() {
      const key = { "idempotency-key": freshKey() }
      const body = json({ ...goodAccount, metadata: "{\"a\":\"1\"}" })
      const first = yield* post("/v1/accounts", body, key)
      const path = `/v1/accounts/${String(first.body["id"])}`
      yield* change(path, "{\"b\":\"2\"}", { "if-match": first.headers.get("etag") ?? "" })
      const again = yield* post("/v1/accounts", body, key)
      expect(again.text).toBe(first.text)
      expect(again.headers.get("etag")).toBe("\"v1\"")
    }))

  it.effect("of an account that is not there is none to change", () =>
    Effect.gen(function*() {
      for (const id of ["nobody", "clearing:0:to:1:EUR", "%00", "a".repeat(65)]) {
        expect(yield* change(`/v1/accounts/${id}`, "{}", { "if-match": "\"v1\"" })).toMatchObject({
          status: 404,
          body: { code: "account_not_found" }
        })
      }
    }))

  it.effect("cannot be changed while the shard is down", () =>
    Effect.gen(function*() {
      const { books } = yield* Harness
      const { etag, path } = yield* opened
      books.mishap = "shard-unavailable"
      expect((yield* change(path, "{}", { "if-match": etag })).status).toBe(503)
      books.mishap = "none"
    }))
})
