/** Receipts over HTTP, and the public keys that they are verified with. */
import { layer } from "@effect/vitest"
import { Effect } from "effect"
import path from "node:path"
import { expect } from "vitest"
import { even, shardOfAccount } from "#domain/sharding/ShardMap.ts"
import { get, goodTransfer, Harness, json, partitions, post } from "./Harness.ts"

const verifier: { readonly verifyReceipt: (receipt: unknown, seals: unknown) => ReadonlyArray<string> } = await import(
  path.resolve(import.meta.dirname, "../../receipts/verify.mjs")
)

const home = shardOfAccount(even(2, partitions), "wallet-anna")

/** A transfer that was committed, within one shard as far as the books know. */
const committed = Effect.gen(function*() {
  const { books, chains } = yield* Harness
  const destination = ["wallet-ben", "wallet-cyd", "wallet-dan", "wallet-eve"].find((id) =>
    shardOfAccount(even(2, partitions), id) === home
  ) ?? ""
  const answer = yield* post("/v1/transfers", json({ ...goodTransfer, destination: JSON.stringify(destination) }))
  const id = String(answer.body["id"])
  chains.write(home, id, { source: "wallet-anna", destination, amount: "1250" })
  yield* books.move(id, "committed")
  return { id, receipt: `/v1/transfers/${id}/receipt`, destination }
})

const published = "/.well-known/counterpoise-seals.json"

layer(Harness.layer, { excludeTestServices: true })("receipts", (it) => {
  it.effect("a receipt is there once the transfer is sealed, and is valid", () =>
    Effect.gen(function*() {
      const { chains } = yield* Harness
      const { destination, id, receipt } = yield* committed
      const early = yield* get(receipt)
      expect(early).toMatchObject({ status: 409, body: { code: "not_sealed", retryable: true } })
      expect(early.headers.get("retry-after")).toBe("2")

      chains.seal(home)
      const answer = yield* get(receipt)
      expect(answer.status).toBe(200)
      expect(answer.body).toMatchObject({ id, object: "receipt", format: "counterpoise receipt 1" })
      const keys = yield* get(published)
      expect(verifier.verifyReceipt(answer.body, keys.body)[0]).toBe(
        `${id} is committed: 1250 minor units of EUR from wallet-anna to ${destination}`
      )
    }))

  it.effect("a transfer on its way has none", () =>
    Effect.gen(function*() {
      const answer = yield* post("/v1/transfers", json(goodTransfer))
      const receipt = yield* get(`/v1/transfers/${String(answer.body["id"])}/receipt`)
      expect(receipt).toMatchObject({
        status: 409,
        body: { code: "not_sealed", detail: "the transfer is requested" }
      })
    }))

  it.effect("a transfer that nobody asked for has none", () =>
    Effect.gen(function*() {
      for (const id of ["trf_01KAJ7QZ6C0NV5XJ9A4T7MZB3D", "trf_0", "wallet-anna"]) {
        const answer = yield* get(`/v1/transfers/${id}/receipt`)
        expect(answer).toMatchObject({ status: 404, body: { code: "transfer_not_found" } })
      }
    }))

  it.effect("no receipt is made of rows that were changed; the operators hear of it, the client does not", () =>
    Effect.gen(function*() {
      const { chains, lines } = yield* Harness
      const { id, receipt } = yield* committed
      chains.seal(home)
      const rows = chains.rows[home] ?? []
      const at = rows.findIndex(({ event, journals }) => event.subject === id && journals.length > 0)
      const row = rows[at]
      if (row === undefined) return expect.fail("there is no such row")
      rows[at] = { ...row, journals: row.journals.map((journal) => ({ ...journal, creditPosted: "9999" })) }
      const answer = yield* get(receipt)
      expect(answer).toMatchObject({ status: 500, body: { code: "internal_error" } })
      expect(JSON.stringify(answer.body)).not.toContain("changed")
      expect(lines.some(([level, message]) => level === "Error" && message === "a request failed")).toBe(true)
    }))

  it.effect("the public keys are there for everybody, whichever shard is down", () =>
    Effect.gen(function*() {
      const { call, chains } = yield* Harness
      yield* committed
      chains.seal(home)
      const { id, publicKey } = chains.signer.publicKey
      const ask = call("GET", published, { as: null })
      const before = yield* ask
      expect(before.status).toBe(200)
      expect(before.body).toMatchObject({
        object: "seals",
        algorithm: "Ed25519",
        keys: [{ id, public_key: publicKey }],
        heads: [{ shard: home, number: chains.blocks[home]?.length }]
      })
      chains.down.add(home)
      expect((yield* ask).body).toMatchObject({ keys: [{ id, public_key: publicKey }], heads: [] })
      expect(yield* get(`/v1/transfers/trf_01KAJ7QZ6C0NV5XJ9A4T7MZB3D/receipt`)).toMatchObject({ status: 404 })
      chains.down.delete(home)
    }))

  it.effect("a receipt needs a key of the API, and its shards", () =>
    Effect.gen(function*() {
      const { call, chains } = yield* Harness
      const { receipt } = yield* committed
      chains.seal(home)
      expect(yield* call("GET", receipt, { as: null })).toMatchObject({ status: 401 })
      chains.down.add(home)
      expect(yield* get(receipt)).toMatchObject({ status: 503, body: { code: "shard_unavailable" } })
      chains.down.delete(home)
      expect(yield* get(receipt)).toMatchObject({ status: 200 })
    }))
})
