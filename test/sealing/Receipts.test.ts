/**
 * Receipts, verified as a customer would: by the program that we hand out, in a process of its own, with nothing but the
 * receipt and the public keys. It shares no code with what made them.
 */
import { expect, layer } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { spawnSync } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import path from "node:path"
import { documentOf, type PublicKey, receiptFor } from "#domain/sealing/Receipt.ts"
import { connect } from "#infra/postgres/Postgres.ts"
import { sha256, trusting } from "#infra/Signatures.ts"
import { type Books, fill, type TransferName } from "../checks/Books.ts"
import { TestPostgres, type TestShards } from "../support/TestPostgres.ts"
import { makeSigner, sealing, sealShard, verifying } from "./Sealing.ts"

const program = path.resolve(import.meta.dirname, "../../receipts/verify.mjs")
const verifier: { readonly verifyReceipt: (receipt: unknown, seals: unknown) => ReadonlyArray<string> } = await import(
  program
)

/** The key of the first blocks, and the one that came after it. */
const [first, second, stranger] = [makeSigner(), makeSigner(), makeSigner()]

const publishing = (...keys: ReadonlyArray<PublicKey>) => ({
  keys: keys.map(({ id, publicKey }) => ({ id, public_key: publicKey }))
})
const published = publishing(first.publicKey, second.publicKey)

class SealedBooks extends Context.Service<SealedBooks, { readonly books: Books; readonly shards: TestShards }>()(
  "counterpoise/test/ReceiptBooks"
) {
  static readonly layer = Layer.effect(
    SealedBooks,
    Effect.gen(function*() {
      const shards = yield* (yield* TestPostgres).freshShards(2)
      const books = yield* fill(shards)
      yield* Effect.gen(function*() {
        for (const shard of [0, 1]) yield* sealShard(shard, first, { most: 7, blocks: 2, witness: 1 - shard })
        for (const shard of [0, 1]) yield* sealShard(shard, second, { most: 7, witness: 1 - shard })
      }).pipe(Effect.provide(sealing(shards), { local: true }))
      return { books, shards }
    })
  )
}

const receiptOf = (shards: TestShards, books: Books, name: TransferName) =>
  receiptFor(books.transfer(name), {
    hash: sha256,
    trusted: trusting([first.publicKey, second.publicKey]),
    map: shards.map
  }).pipe(
    Effect.map((receipt) => documentOf(receipt, [first.publicKey, second.publicKey, stranger.publicKey])),
    Effect.provide(verifying(shards), { local: true })
  )

const receipt = Effect.fnUntraced(function*(name: TransferName) {
  const { books, shards } = yield* SealedBooks
  return yield* receiptOf(shards, books, name)
})

/** What the program says of a receipt, and how it ends. */
const asProcess = (document: unknown, seals: unknown) => {
  const folder = mkdtempSync(path.join(tmpdir(), "counterpoise-receipt-"))
  try {
    const files = [["receipt.json", document], ["seals.json", seals]] as const
    for (const [name, content] of files) writeFileSync(path.join(folder, name), JSON.stringify(content))
    const { status, stdout } = spawnSync(process.execPath, [program, "receipt.json", "seals.json"], {
      cwd: folder,
      // Offline, and alone: no other file of ours can be reached from here.
      env: {},
      encoding: "utf8"
    })
    return { status, stdout }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** The same in this process, for where it is asked a thousand times. */
const isValid = (document: unknown, seals: unknown = published): boolean => {
  try {
    return verifier.verifyReceipt(document, seals).length > 0
  } catch {
    return false
  }
}

const outcomes: ReadonlyArray<readonly [TransferName, string]> = [
  ["depositAnn", "committed: 100000 minor units of EUR"],
  ["local", "committed: 1200 minor units of EUR"],
  ["localCaptured", "committed: 1500 minor units of EUR"],
  ["localRejected", "rejected: 99999999 minor units of EUR"],
  ["cross", "committed: 3000 minor units of EUR"],
  ["crossDollars", "committed: 450 minor units of USD"],
  ["crossCaptured", "committed: 2500 minor units of EUR"],
  ["crossRejected", "rejected: 99999999 minor units of EUR"],
  ["crossUnknown", "cancelled: 10 minor units of EUR"],
  ["recalled", "cancelled: 333 minor units of EUR"],
  ["voided", "cancelled: 600 minor units of EUR"]
]

type Json = string | number | boolean | null | Array<Json> | { readonly [key: string]: Json }

/** Every way to change one thing of a document: each string, number and null, and each list that can lose a member. */
const changes = (value: Json, at = ""): ReadonlyArray<readonly [where: string, changed: Json]> => {
  if (value === null) return [[at, "x"]]
  if (typeof value === "number") return [[at, value + 1]]
  if (typeof value === "boolean") return [[at, !value]]
  if (typeof value === "string") {
    const last = value.at(-1) === "0" ? "1" : "0"
    return [[at, value.slice(0, -1) + last], [at, `${value} `]]
  }
  if (Array.isArray(value)) {
    return [
      ...value.flatMap((each, index) =>
        changes(each, `${at}/${index}`).map(([where, changed]) => [where, value.with(index, changed)] as const)
      ),
      ...value.map((_, index) => [`${at} without ${index}`, value.toSpliced(index, 1)] as const)
    ]
  }
  return Object.entries(value).flatMap(([key, each]) =>
    changes(each, `${at}/${key}`).map(([where, changed]) => [where, { ...value, [key]: changed }] as const)
  )
}

const asJson = (document: unknown): Json => JSON.parse(JSON.stringify(document))

layer(SealedBooks.layer.pipe(Layer.provideMerge(TestPostgres.layer)), {
  excludeTestServices: true,
  timeout: "2 minutes"
})("a receipt", (it) => {
  for (const [name, outcome] of outcomes) {
    it.effect(`of ${name} says: ${outcome}`, () =>
      Effect.gen(function*() {
        const { books } = yield* SealedBooks
        const { destination, source, transfer } = books.transfer(name)
        const { status, stdout } = asProcess(yield* receipt(name), published)
        expect(stdout.split("\n")[0]).toBe(`VALID: ${transfer} is ${outcome} from ${source} to ${destination}`)
        expect(status).toBe(0)
      }))
  }

  it.effect("proves nothing to who does not have the key that signed it", () =>
    Effect.gen(function*() {
      const document = yield* receipt("cross")
      const { status, stdout } = asProcess(document, publishing(stranger.publicKey))
      expect(stdout).toMatch(/^NOT VALID: block \d+ of shard \d is signed with key \w{16}, which is not trusted\n$/)
      expect(status).toBe(1)
      // Nor does it help to give another key its name, or to bring the key along.
      const disguised = { ...stranger.publicKey, id: first.publicKey.id }
      expect(asProcess(document, publishing(disguised, second.publicKey)).stdout).toMatch(/^NOT VALID: .* signature/)
      expect(asProcess({ ...document, keys: published.keys }, { keys: [] }).status).toBe(1)
    }))

  it.effect("is not valid any more, whatever is changed in it or left out", () =>
    Effect.gen(function*() {
      for (const name of ["cross", "localCaptured", "recalled"] as const) {
        const document = asJson(yield* receipt(name))
        expect(isValid(document)).toBe(true)
        const all = changes(document)
        expect(all.length).toBeGreaterThan(100)
        const harmless = all.filter(([, changed]) => isValid(changed)).map(([where]) => where)
        // What the verifier does not look at; and what may be left out, because the story is whole without it.
        const says = (where: string) =>
          where.startsWith("/object") || where.startsWith("/keys") || /^\/(events|blocks) without/.test(where)
        expect(harmless.filter((where) => !says(where))).toEqual([])
        expect(harmless.filter((where) => where.startsWith("/blocks"))).toEqual([])
      }
    }))

  it.effect("of a transfer across shards needs both shards, and each journal", () =>
    Effect.gen(function*() {
      const document = yield* receipt("cross")
      expect(new Set(document.blocks.map(({ shard }) => shard))).toEqual(new Set([0, 1]))
      expect(document.journals.map(({ step }) => step)).toEqual(["commit", "credit"])
      for (const shard of [0, 1]) {
        const elsewhere = ({ leaf }: { readonly leaf: { readonly shard: number } }) => leaf.shard !== shard
        expect(isValid({
          ...document,
          events: document.events.filter(elsewhere),
          journals: document.journals.filter(elsewhere)
        })).toBe(false)
      }
      for (const at of [0, 1]) {
        expect(isValid({ ...document, journals: document.journals.toSpliced(at, 1) })).toBe(false)
      }
    }))

  it.effect("cannot be put together out of others", () =>
    Effect.gen(function*() {
      const [local, cross, rejected] = [
        yield* receipt("local"),
        yield* receipt("cross"),
        yield* receipt("localRejected")
      ]
      const blocks = [
        ...new Map(
          [local, cross, rejected].flatMap((each) => each.blocks).map((block) =>
            [`${block.shard} ${block.number}`, block] as const
          )
        ).values()
      ]
      expect(isValid({ ...local, blocks })).toBe(true)
      expect(isValid({ ...rejected, blocks, journals: local.journals })).toBe(false)
      expect(isValid({ ...rejected, blocks, events: local.events, journals: local.journals })).toBe(false)
      expect(isValid({ ...local, blocks, events: [...local.events, ...cross.events] })).toBe(false)
      expect(isValid({ ...cross, blocks, journals: local.journals })).toBe(false)
      expect(isValid({ ...local, blocks, id: rejected.id })).toBe(false)
    }))

  it.effect("shows no balance of anybody, and nothing of anybody else's transfers", () =>
    Effect.gen(function*() {
      const { books, shards } = yield* SealedBooks
      const text = JSON.stringify(yield* receipt("local"))
      for (const [shard, url] of shards.urls.entries()) {
        yield* Effect.scoped(Effect.gen(function*() {
          const sql = yield* connect({ url, maxConnections: 1 })
          const others = yield* sql<{ readonly id: string }>`
            SELECT transfer_id AS id FROM transfer WHERE transfer_id <> ${books.transfer("local").transfer}`
          expect(others.length).toBeGreaterThan(4 - shard)
          expect(others.filter(({ id }) => text.includes(id))).toEqual([])
          const balances = yield* sql<{ readonly posted: string }>`
            SELECT debit_posted::text AS posted FROM journal WHERE transfer_id = ${books.transfer("local").transfer}
            UNION ALL
            SELECT credit_posted::text FROM journal WHERE transfer_id = ${books.transfer("local").transfer}`
          expect(balances.filter(({ posted }) => text.includes(posted))).toEqual([])
        }))
      }
    }))

  it.effect("is not given while something of the transfer is not sealed", () =>
    Effect.gen(function*() {
      const { books, shards } = yield* SealedBooks
      const copies = yield* (yield* TestPostgres).copy(shards)
      const [url] = copies.urls
      if (url === undefined) return expect.fail("no shard")
      yield* Effect.scoped(Effect.flatMap(connect({ url, maxConnections: 1 }), (sql) =>
        sql`INSERT INTO event (type, subject, key, partition, payload)
            SELECT type, subject, key, partition, payload FROM event
            WHERE subject = ${books.transfer("local").transfer} AND type = 'transfer.requested'`))
      const refused = yield* Effect.flip(receiptOf(copies, books, "local"))
      expect(refused._tag).toBe("NotSealed")
    }))

  it.effect("is not given of rows that were changed: that is for the operators", () =>
    Effect.gen(function*() {
      const { books, shards } = yield* SealedBooks
      const copies = yield* (yield* TestPostgres).copy(shards)
      const [url] = copies.urls
      if (url === undefined) return expect.fail("no shard")
      yield* Effect.scoped(Effect.flatMap(connect({ url, maxConnections: 1 }), (sql) =>
        sql.withTransaction(Effect.andThen(
          sql`SET LOCAL session_replication_role = replica`,
          sql`UPDATE journal SET amount = amount + 1 WHERE transfer_id = ${books.transfer("local").transfer}`
        ))))
      const refused = yield* Effect.flip(receiptOf(copies, books, "local"))
      expect(refused).toMatchObject({ _tag: "NotAsSealed", message: expect.stringMatching(/was changed/) })
    }))
})
