import { layer } from "@effect/vitest"
import { Effect } from "effect"
import { expect } from "vitest"
import { AccountId } from "#domain/account/Account.ts"
import { Amount } from "#domain/money/Amount.ts"
import { Currency } from "#domain/money/Currency.ts"
import type { Books } from "./fakes.ts"
import { get, goodAccount, Harness, json, post } from "./Harness.ts"
import { isObject } from "./conformance.ts"

const EUR = Currency.make("EUR")

const open = (members: Readonly<Record<string, string>> = {}) =>
  post("/v1/accounts", json({ ...goodAccount, ...members }))

const setBalance = (books: Books, id: string, posted: bigint, held: bigint) => {
  const record = books.accounts.get(id)
  if (record === undefined) throw new Error(`no account ${id}`)
  const balance = { posted, held, version: 4n, sequence: 3n }
  books.accounts.set(id, { ...record, account: { ...record.account, balance } })
}

const dataOf = (body: { readonly [key: string]: unknown }): ReadonlyArray<{ readonly [key: string]: unknown }> =>
  Array.isArray(body["data"]) ? body["data"].filter(isObject) : []

/** The path of the next page, out of `Link`. */
const nextOf = (headers: Headers): string | undefined => /^<([^>]+)>; rel="next"$/.exec(headers.get("link") ?? "")?.[1]

const pagesOf = Effect.fn("pagesOf")(function*(path: string) {
  const pages = []
  for (let next: string | undefined = path; next !== undefined;) {
    const page = yield* get(next)
    expect(page.status).toBe(200)
    pages.push(dataOf(page.body))
    next = nextOf(page.headers)
    expect(page.body["has_more"]).toBe(next !== undefined)
    const cursor = page.body["next_cursor"]
    expect(cursor).toEqual(next === undefined ? null : expect.any(String))
    if (next !== undefined) expect(next).toContain(`after=${String(cursor)}`)
  }
  return pages
})

layer(Harness.layer, { excludeTestServices: true })("accounts", (it) => {
  it.effect("a customer is credit-normal with a floor of zero unless it says otherwise", () =>
    Effect.gen(function*() {
      const answer = yield* open({ id: "\"wallet-1\"", metadata: "{\"plan\":\"basic\"}" })
      expect(answer.status).toBe(201)
      expect(answer.headers.get("location")).toBe("/v1/accounts/wallet-1")
      expect(answer.body).toStrictEqual({
        id: "wallet-1",
        object: "account",
        kind: "customer",
        normal_side: "credit",
        currency: "EUR",
        status: "open",
        floor: "0",
        ceiling: null,
        balance: { posted: "0", held: "0", available: "0", currency: "EUR", version: 0, sequence: 0 },
        metadata: { plan: "basic" },
        created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
      })
      expect((yield* get("/v1/accounts/wallet-1")).text).toBe(answer.text)
    }))

  for (
    const [kind, side, floor] of [["external", "debit", null], ["house", "credit", null]] as const
  ) {
    it.effect(`${kind} accounts are ${side}-normal without a floor unless they say otherwise`, () =>
      Effect.gen(function*() {
        const answer = yield* open({ kind: JSON.stringify(kind) })
        expect(answer.body).toMatchObject({ kind, normal_side: side, floor })
      }))
  }

  it.effect("what is said of side and limits holds", () =>
    Effect.gen(function*() {
      const answer = yield* open({
        normal_side: "\"debit\"",
        floor: "\"-5000\"",
        ceiling: `"${"9".repeat(38)}"`
      })
      expect(answer.body).toMatchObject({ normal_side: "debit", floor: "-5000", ceiling: "9".repeat(38) })
      expect((yield* open({ floor: "null", ceiling: "null" })).body).toMatchObject({ floor: null, ceiling: null })
    }))

  it.effect("a name that is taken is refused with 409", () =>
    Effect.gen(function*() {
      yield* open({ id: "\"wallet-taken\"" })
      const answer = yield* open({ id: "\"wallet-taken\"" })
      expect(answer).toMatchObject({ status: 409, body: { code: "account_exists", resource: "wallet-taken" } })
    }))

  for (const id of ["a", "A1", "0", "bank:DE89-3704@x.y_z", "w".repeat(64)]) {
    it.effect(`${id.slice(0, 30)} of ${id.length} characters is a name, and can be asked for`, () =>
      Effect.gen(function*() {
        const opened = yield* open({ id: JSON.stringify(id) })
        expect(opened.status).toBe(201)
        for (const path of [String(opened.headers.get("location")), `/v1/accounts/${id}`]) {
          expect((yield* get(path)).body["id"]).toBe(id)
        }
      }))
  }

  it.effect("a balance is seen from the account's normal side", () =>
    Effect.gen(function*() {
      const { books } = yield* Harness
      yield* open({ id: "\"wallet-seen\"" })
      setBalance(books, "wallet-seen", 10_000n, 1_250n)
      expect((yield* get("/v1/accounts/wallet-seen/balance")).body).toStrictEqual({
        posted: "10000",
        held: "1250",
        available: "8750",
        currency: "EUR",
        version: 4,
        sequence: 3
      })
      yield* open({ id: "\"bank-seen\"", kind: "\"external\"" })
      setBalance(books, "bank-seen", -10_000n, 500n)
      expect((yield* get("/v1/accounts/bank-seen")).body["balance"]).toMatchObject({
        posted: "10000",
        held: "500",
        available: "10000"
      })
    }))

  it.effect("pages of accounts come in order, and each account once, while new ones arrive", () =>
    Effect.gen(function*() {
      const { books } = yield* Harness
      for (let at = 0; at < 25; at++) yield* open({ id: `"page-${String(at).padStart(2, "0")}"` })
      yield* open({ id: "\"aaa-arrives-later\"" })
      const pages = yield* pagesOf("/v1/accounts?limit=7")
      const ids = pages.flat().map(({ id }) => id)
      expect(ids).toStrictEqual([...books.accounts.keys()].toSorted())
      expect(pages.every((page) => page.length <= 7)).toBe(true)
    }))

  it.effect("a page has 50 items unless it says otherwise, and may have 200", () =>
    Effect.gen(function*() {
      for (let at = 0; at < 60; at++) yield* open()
      expect(dataOf((yield* get("/v1/accounts")).body).length).toBe(50)
      expect(dataOf((yield* get("/v1/accounts?limit=200")).body).length).toBeGreaterThan(60)
    }))

  it.effect("entries come newest first, from the account's normal side, each once", () =>
    Effect.gen(function*() {
      const { books } = yield* Harness
      yield* open({ id: "\"bank-entries\"", kind: "\"external\"" })
      books.entries.set(
        "bank-entries",
        Array.from({ length: 10 }, (_, index) => ({
          account: AccountId.make("bank-entries"),
          sequence: BigInt(index + 1),
          transfer: `trf_${index}`,
          direction: "DEBIT",
          amount: Amount.make(100n),
          currency: EUR,
          posted: BigInt(-100 * (index + 1)),
          createdAtMillis: 1_763_717_460_000
        }))
      )
      const pages = yield* pagesOf("/v1/accounts/bank-entries/entries?limit=4")
      expect(pages.map((page) => page.map(({ sequence }) => sequence))).toStrictEqual([[10, 9, 8, 7], [6, 5, 4, 3], [
        2,
        1
      ]])
      expect(pages[0]?.[0]).toStrictEqual({
        id: "bank-entries/10",
        object: "entry",
        account: "bank-entries",
        sequence: 10,
        transfer: "trf_9",
        direction: "DEBIT",
        amount: "100",
        currency: "EUR",
        posted: "1000",
        created_at: "2025-11-21T09:31:00.000Z"
      })
    }))

  it.effect("an account without entries has an empty page, and an unknown one has none", () =>
    Effect.gen(function*() {
      yield* open({ id: "\"wallet-empty\"" })
      expect((yield* get("/v1/accounts/wallet-empty/entries")).body).toMatchObject({ data: [], has_more: false })
      expect(yield* get("/v1/accounts/wallet-unknown/entries")).toMatchObject({
        status: 404,
        body: { code: "account_not_found" }
      })
    }))

  it.effect("the cursor of one account's entries is none of another's", () =>
    Effect.gen(function*() {
      const { books } = yield* Harness
      const entry = books.entries.get("bank-entries") ?? []
      yield* open({ id: "\"wallet-x\"" })
      yield* open({ id: "\"wallet-y\"" })
      books.entries.set("wallet-x", entry.map((one) => ({ ...one, account: "wallet-x" })))
      const first = yield* get("/v1/accounts/wallet-x/entries?limit=1")
      const cursor = String(first.body["next_cursor"])
      expect((yield* get(`/v1/accounts/wallet-x/entries?after=${cursor}`)).status).toBe(200)
      expect(yield* get(`/v1/accounts/wallet-y/entries?after=${cursor}`)).toMatchObject({
        status: 400,
        body: { code: "invalid_cursor" }
      })
      expect((yield* get(`/v1/accounts?after=${cursor}`)).status).toBe(400)
    }))

  it.effect("the trial balance adds up the shards, and shows what is in flight between them", () =>
    Effect.gen(function*() {
      const { books } = yield* Harness
      const sums = { currency: EUR, clearingTo: 0n, clearingFrom: 0n, held: 0n }
      books.trialBalance = [
        { ...sums, shard: 0, debits: 500n, credits: 500n },
        { ...sums, shard: 1, debits: 300n, credits: 300n, clearingFrom: -125n },
        { ...sums, shard: 0, currency: Currency.make("CHF"), debits: 7n, credits: 8n }
      ]
      const answer = yield* get("/v1/ledger/trial-balance")
      expect(answer.body).toMatchObject({
        object: "trial_balance",
        balances: false,
        currencies: [
          { currency: "CHF", debits: "7", credits: "8", balances: false, in_flight: "0" },
          {
            currency: "EUR",
            debits: "800",
            credits: "800",
            balances: true,
            in_flight: "125",
            shards: [{ shard: 0, clearing_from: "0" }, { shard: 1, clearing_from: "-125", balances: true }]
          }
        ]
      })
    }))
})
