/** What the command says of real books: accounts, transfers, the ledger as a whole, and who carries and reads the logs. */
import { expect, layer } from "@effect/vitest"
import { Context, Effect, Layer, Redacted } from "effect"
import { connect } from "#infra/postgres/Postgres.ts"
import { type Books, fill } from "../checks/Books.ts"
import { makeSigner, sealing, sealShard } from "../sealing/Sealing.ts"
import { TestPostgres, type TestShards } from "../support/TestPostgres.ts"
import { ask, json, variablesOf } from "./Asking.ts"

const signer = makeSigner()

class Filled extends Context.Service<Filled, {
  readonly books: Books
  readonly shards: TestShards
  readonly variables: Record<string, string>
}>()("counterpoise/test/counterpoise/Filled") {
  static readonly layer = Layer.effect(
    Filled,
    Effect.gen(function*() {
      const postgres = yield* TestPostgres
      const shards = yield* postgres.freshShards(2)
      const books = yield* fill(shards)
      for (const shard of [0, 1]) {
        yield* Effect.provide(sealShard(shard, signer), sealing(shards), { local: true })
      }
      const variables = {
        ...variablesOf(shards, yield* postgres.freshLog),
        SEAL_PUBLIC_KEYS: signer.publicKey.publicKey
      }
      return { books, shards, variables }
    })
  )
}

/** The command on the filled books; an account or transfer by its name in them. */
const on = (line: (books: Books) => string) =>
  Effect.flatMap(Filled, ({ books, variables }) => ask(line(books), variables))

/** A copy of the books to be tampered with, as only a superuser with the triggers off can. */
const tampered = Effect.fnUntraced(function*(statement: string) {
  const { shards, variables } = yield* Filled
  const copy = yield* (yield* TestPostgres).copy(shards)
  const sql = yield* connect({ url: copy.urls[0] ?? Redacted.make(""), maxConnections: 1 })
  yield* sql`SET session_replication_role = replica`
  yield* sql.unsafe(statement)
  return { ...variables, ...variablesOf(copy) }
})

layer(Filled.layer.pipe(Layer.provideMerge(TestPostgres.layer)), { excludeTestServices: true })("the command", (it) => {
  it.effect("lists accounts, and as many as are wanted", () =>
    Effect.gen(function*() {
      const all = json(yield* on(() => "accounts list -o json")) as ReadonlyArray<{ readonly id: string }>
      expect(all.length).toBeGreaterThan(10)
      expect(all.map(({ id }) => id)).toEqual(all.map(({ id }) => id).toSorted())
      const two = (yield* on(() => "accounts list --limit 2 -o ndjson")).out.split("\n")
      expect(two.map((line) => JSON.parse(line) as unknown)).toEqual(all.slice(0, 2))
    }))

  it.effect("shows an account and its balance, now and as it was", () =>
    Effect.gen(function*() {
      const account = json(yield* on(({ at }) => `accounts get ${at.ann0} -o json`))
      expect(account).toMatchObject({ kind: "customer", status: "open", floor: "0", ceiling: null })
      const now = json(yield* on(({ at }) => `accounts balance ${at.ann0} -o json`))
      expect(now).toMatchObject({ currency: "EUR", held: expect.stringMatching(/^[1-9]\d*$/) })
      const first = json(yield* on(({ at }) => `accounts balance ${at.ann0} --sequence 1 -o json`))
      expect(first).toMatchObject({ posted: "100000", sequence: "1" })
      const before = json(yield* on(({ at }) => `accounts balance ${at.ann0} --at 2020-01-01T00:00:00Z -o json`))
      expect(before).toMatchObject({ posted: "0", sequence: "0", entry_at: null })
      expect((yield* on(({ at }) => `accounts balance ${at.ann0}`)).out).toMatch(/posted +\d+\.\d\d EUR/)
    }))

  it.effect("says 3 of an account, an entry or a transfer that is not there", () =>
    Effect.gen(function*() {
      for (
        const line of [
          "accounts get nobody",
          "accounts balance nobody",
          "accounts statement nobody",
          "transfers get trf_01KB0000000000000000000000",
          "ledger export --shard 7"
        ]
      ) {
        const { code, err, out } = yield* on(() => line)
        expect({ code, out }, line).toEqual({ code: 3, out: "" })
        expect(err, line).toMatch(/^counterpoise: there is no /)
      }
      expect((yield* on(({ at }) => `accounts balance ${at.ann0} --sequence 10000`)).code).toBe(3)
    }))

  it.effect("tells every entry of an account, with the balance after each", () =>
    Effect.gen(function*() {
      const entries = json(yield* on(({ at }) => `accounts statement ${at.ann0} -o json`)) as ReadonlyArray<
        { readonly sequence: string; readonly balance: string; readonly amount: string; readonly direction: string }
      >
      let balance = 0n
      for (const [index, entry] of entries.entries()) {
        balance += entry.direction === "CREDIT" ? BigInt(entry.amount) : -BigInt(entry.amount)
        expect(entry).toMatchObject({ sequence: String(index + 1), balance: String(balance) })
      }
      expect(json(yield* on(({ at }) => `accounts balance ${at.ann0} -o json`))).toMatchObject({
        posted: String(balance)
      })
      const none = yield* on(({ at }) => `accounts statement ${at.ann0} --to 2020-01-01`)
      expect(none).toMatchObject({ code: 0, out: "no entries in that time" })
    }))

  it.effect("finds transfers by what they are looked for by", () =>
    Effect.gen(function*() {
      const held = json(yield* on(() => "transfers list --status held --limit 1000 -o json")) as ReadonlyArray<
        { readonly id: string; readonly status: string }
      >
      const { books } = yield* Filled
      expect(held.map(({ id }) => id)).toContain(books.transfer("inFlight").transfer)
      expect(new Set(held.map(({ status }) => status))).toEqual(new Set(["held"]))
      const back = json(yield* on(({ transfer }) => `transfers list --reverses ${transfer("lent").transfer} -o json`))
      expect((back as ReadonlyArray<{ readonly id: string }>).map(({ id }) => id)).toContain(
        books.transfer("repaid").transfer
      )
      expect(yield* on(() => "transfers list --status gone")).toMatchObject({ code: 2 })
      expect(yield* on(({ at }) => `transfers list --source ${at.gus1}`)).toMatchObject({
        code: 0,
        out: "no such transfers"
      })
    }))

  it.effect("shows a transfer, with why it failed", () =>
    Effect.gen(function*() {
      const rejected = json(yield* on(({ transfer }) => `transfers get ${transfer("localRejected").transfer} -o json`))
      expect(rejected).toMatchObject({ status: "rejected", reason: { code: "insufficient_funds" } })
    }))

  it.effect("says that the books balance; and where they do not, with 6", () =>
    Effect.gen(function*() {
      const { code, out } = yield* on(() => "ledger trial-balance -o json")
      expect(code).toBe(0)
      const rows = JSON.parse(out) as ReadonlyArray<Record<string, string>>
      expect(rows.filter(({ shard }) => shard === "all").map(({ balances, currency }) => [currency, balances])).toEqual(
        [
          ["EUR", "yes"],
          ["USD", "yes"]
        ]
      )
      const eur = rows.find(({ currency, shard }) => shard === "all" && currency === "EUR")
      expect(BigInt(eur?.["in_flight"] ?? 0)).toBeGreaterThan(0n)

      const variables = yield* tampered("UPDATE balance SET posted = posted + 1 WHERE account_id LIKE 'ann%'")
      const wrong = yield* ask("ledger trial-balance", variables)
      expect(wrong.code).toBe(6)
      expect(wrong.err).toContain("shard 0 does not balance in EUR")
    }))

  it.effect("exports every entry: as CSV, and as JSON lines", () =>
    Effect.gen(function*() {
      const csv = (yield* on(() => "ledger export")).out.split("\n")
      expect(csv[0]).toBe("shard,transfer,leg,step,account,sequence,direction,amount,currency,posted,created_at")
      const lines = (yield* on(() => "ledger export -o ndjson")).out.split("\n")
      expect(csv.length - 1).toBe(lines.length)
      const sums = new Map<string, bigint>()
      for (const line of lines) {
        const { amount, currency, direction } = JSON.parse(line) as Record<string, string>
        const signed = direction === "CREDIT" ? BigInt(amount ?? 0) : -BigInt(amount ?? 0)
        sums.set(currency ?? "", (sums.get(currency ?? "") ?? 0n) + signed)
      }
      expect([...sums.values()]).toEqual([0n, 0n])
      const one = (yield* on(() => "ledger export --shard 1 -o json")).out
      expect((JSON.parse(one) as ReadonlyArray<{ readonly shard: number }>).every(({ shard }) => shard === 1)).toBe(
        true
      )
    }))

  it.effect("verifies the seals: 0 where all is as it was sealed, 6 where a row was edited, 2 without a key to trust", () =>
    Effect.gen(function*() {
      const whole = yield* on(() => "ledger verify -o json")
      expect(whole.code).toBe(0)
      const reports = JSON.parse(whole.out) as ReadonlyArray<{ readonly is: string; readonly head: string }>
      expect(reports.map(({ is }) => is)).toEqual(["ok", "ok"])
      expect(yield* on(() => `ledger verify --head ${reports[0]?.head}`)).toMatchObject({ code: 0 })
      expect(yield* on(() => `ledger verify --head 0:1:${"0".repeat(64)}`)).toMatchObject({ code: 6 })
      expect(yield* on(() => "ledger verify --head 0:1")).toMatchObject({ code: 2 })

      const edited = yield* ask(
        "ledger verify",
        yield* tampered("UPDATE journal SET amount = amount + 1 WHERE step = 'direct'")
      )
      expect(edited.code).toBe(6)
      expect(edited.out).toContain("EDITED  journal direct of trf_")

      const { shards } = yield* Filled
      expect(yield* ask("ledger verify", variablesOf(shards))).toMatchObject({ code: 2 })
    }))

  it.effect("says how far logs were carried and read: 6 where they wait", () =>
    Effect.gen(function*() {
      const waiting = yield* on(() => "relay status -o json")
      expect(waiting.code).toBe(6)
      expect(json(waiting)).toMatchObject([{ shard: 0, is: "stuck", lease: "nobody" }, { shard: 1, is: "stuck" }])

      const carried = yield* tampered(
        "INSERT INTO relay_cursor (log, position) SELECT 'a log', max(position) FROM event"
      )
      const half = yield* ask("relay status -o json", carried)
      expect(json(half)).toMatchObject([{ shard: 0, is: "warning", waiting: 0 }, { shard: 1, is: "stuck" }])

      const lag = json(yield* on(() => "consumers lag -o json"))
      expect(lag).toMatchObject([
        { consumer: "ledger of shard 0", worker: "nobody", partitions: 32, behind: 0, lag: "0" },
        { consumer: "ledger of shard 1" }
      ])
      expect(json(yield* on(() => "consumers lag --partitions -o json"))).toHaveLength(64)
    }))
})
