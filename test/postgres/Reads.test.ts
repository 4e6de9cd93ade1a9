/**
 * The reads of the ledger on real PostgreSQL: what they find, and that they look at no more than they must.
 *
 * That a shard is not scanned is read off its own counters: how often a table was gone through, how often an index was
 * entered, and how many rows were fetched. It is what EXPLAIN would say of the statements as they are really run.
 */
import { describe, expect, layer } from "@effect/vitest"
import { Effect, Layer, Option, Redacted } from "effect"
import { AccountId, defaultsOf } from "#domain/account/Account.ts"
import { Queries, type TransferFilter, type TransferPage } from "#domain/ledger/Queries.ts"
import { Amount } from "#domain/money/Amount.ts"
import { Currency } from "#domain/money/Currency.ts"
import { partitionOf } from "#domain/sharding/Partition.ts"
import type { ShardMap } from "#domain/sharding/ShardMap.ts"
import type { ShardUnavailable } from "#domain/sharding/Shards.ts"
import { type AccountRecord, Intake } from "#domain/transfer/Intake.ts"
import * as TransferId from "#domain/transfer/TransferId.ts"
import { random } from "#infra/Entropy.ts"
import { texts } from "#infra/postgres/Columns.ts"
import { migrateShard } from "#infra/postgres/Migrations.ts"
import * as PgIntake from "#infra/postgres/PgIntake.ts"
import * as PgQueries from "#infra/postgres/PgQueries.ts"
import { connect } from "#infra/postgres/Postgres.ts"
import { ShardDatabases } from "#infra/postgres/ShardDatabases.ts"
import { idAt } from "../checks/Books.ts"
import { TestPostgres, type TestShards } from "../support/TestPostgres.ts"

const EUR = Currency.make("EUR")
const begun = Date.UTC(2026, 10, 21, 9)

/** The API's ports over shards, in its role: what it may not read, it does not. */
const api = (shards: TestShards) =>
  Layer.mergeAll(PgIntake.layer(), PgQueries.layer).pipe(
    Layer.provideMerge(ShardDatabases.layer({ ...shards, role: "counterpoise_api", maxConnections: 1 }))
  )

const over = <A, E, R>(shards: TestShards, work: Effect.Effect<A, E, R>) =>
  Effect.provide(work, api(shards), { local: true })

const oneShard = Effect.flatMap(TestPostgres, (postgres) => postgres.freshShards(1))
const threeShards = Effect.flatMap(TestPostgres, (postgres) => postgres.freshShards(3))

/** A shard, as its owner. */
const ownerOf = ({ urls }: TestShards, shard: number) => {
  const url = urls[shard]
  return url === undefined
    ? Effect.die(new RangeError(`there is no shard ${shard}`))
    : connect({ url, maxConnections: 1 })
}

/** Opens an account, and what stands against it, on shard 0; and writes entries at those times: +5, +5, −3, and again. */
const account = Effect.fn("account")(function*(shards: TestShards, name: string, times: ReadonlyArray<number>) {
  const sql = yield* ownerOf(shards, 0)
  const id = idAt(shards.map, 0, name)
  const bank = idAt(shards.map, 0, `${name}-bank`)
  yield* sql`
    INSERT INTO account (account_id, partition, kind, normal_side, currency)
    VALUES (${id}, 0, 'customer', 'credit', 'EUR'), (${bank}, 0, 'external', 'debit', 'EUR')`
  yield* sql`
    INSERT INTO journal (transfer_id, step, amount, currency, debit_account, debit_sequence, debit_posted,
      credit_account, credit_sequence, credit_posted, created_at)
    SELECT ${`trf_${name}_`} || n, 'direct', abs(signed), 'EUR',
      CASE WHEN signed < 0 THEN ${id} ELSE ${bank} END, n, CASE WHEN signed < 0 THEN posted ELSE -posted END,
      CASE WHEN signed < 0 THEN ${bank} ELSE ${id} END, n, CASE WHEN signed < 0 THEN -posted ELSE posted END,
      -- The shard's clock has microseconds, of which none is told.
      to_timestamp(millis / 1000.0) + n % 1000 * interval '1 microsecond'
    FROM (
      SELECT n, millis::int8 AS millis, signed, sum(signed) OVER (ORDER BY n) AS posted
      FROM unnest(${texts(times.map(String))}::text[]) WITH ORDINALITY AS t (millis, n),
        LATERAL (SELECT CASE WHEN n % 3 = 0 THEN -3 ELSE 5 END AS signed) AS change
    ) AS change`
  yield* sql`
    INSERT INTO balance (account_id, posted, sequence)
    SELECT ${id}, coalesce(sum(CASE WHEN credit_account = ${id} THEN amount ELSE -amount END), 0), count(*)
    FROM journal WHERE ${id} IN (debit_account, credit_account)`
  return id
})

/** Irregular times, several entries in some milliseconds and none in most. */
const irregular = (count: number) =>
  Array.from({ length: count }, (_, n) => begun + Math.floor(n / 3) ** 2 % 17 + n * 7)
    .toSorted((one, other) => one - other)

layer(TestPostgres.layer, { excludeTestServices: true })("the entries of an account", (it) => {
  it.effect("can be asked for by number", () =>
    Effect.gen(function*() {
      const shards = yield* oneShard
      const id = yield* account(shards, "ann", irregular(7))
      yield* over(
        shards,
        Effect.gen(function*() {
          const queries = yield* Queries
          expect(Option.getOrNull(yield* queries.entry(id, 6n))).toStrictEqual(
            {
              account: id,
              sequence: 6n,
              transfer: "trf_ann_6",
              direction: "DEBIT",
              amount: 3n,
              currency: EUR,
              posted: 14n,
              createdAtMillis: irregular(7)[5]
            }
          )
          for (const sequence of [0n, 8n, 999_999_999_999_999n]) {
            expect(Option.isNone(yield* queries.entry(id, sequence))).toBe(true)
          }
          expect(Option.isNone(yield* queries.entry("nobody", 1n))).toBe(true)
        })
      )
    }))

  it.effect("are found by time: the last one before it, at every millisecond and however many there are", () =>
    Effect.gen(function*() {
      const shards = yield* oneShard
      for (const count of [0, 1, 2, 3, 4, 7, 8, 9, 64, 100]) {
        const times = irregular(count)
        const id = yield* account(shards, `bob${count}`, times)
        const moments = new Set([0, begun - 1, begun, ...times.flatMap((time) => [time, time + 1]), begun + 1e9])
        const found = yield* over(
          shards,
          Queries.use((queries) =>
            Effect.forEach(moments, (moment) => Effect.map(queries.lastEntryBefore(id, moment), Option.getOrNull))
          )
        )
        const expected = [...moments].map((moment) => times.findLastIndex((time) => time < moment))
        expect(found.map((entry) => Number(entry?.sequence ?? 0))).toStrictEqual(expected.map((last) => last + 1))
        expect(found.map((entry) => entry?.createdAtMillis)).toStrictEqual(expected.map((last) => times[last]))
      }
    }))

  it.effect("are found by time though the clock was set back: one before it whose successor is not", () =>
    Effect.gen(function*() {
      const shards = yield* oneShard
      const times = Array.from({ length: 40 }, (_, n) => begun + (n < 25 ? n : n - 20) * 10)
      const id = yield* account(shards, "cyd", times)
      yield* over(
        shards,
        Effect.gen(function*() {
          const queries = yield* Queries
          for (let moment = begun; moment < begun + 300; moment += 5) {
            const found = Number(Option.getOrNull(yield* queries.lastEntryBefore(id, moment))?.sequence ?? 0)
            if (found > 0) expect(times[found - 1]).toBeLessThan(moment)
            if (found < times.length) expect(times[found]).toBeGreaterThanOrEqual(moment)
          }
        })
      )
    }))

  it.effect("come in ascending order after one and up to another, each on one page", () =>
    Effect.gen(function*() {
      const shards = yield* oneShard
      const id = yield* account(shards, "dan", irregular(50))
      yield* over(
        shards,
        Effect.gen(function*() {
          const queries = yield* Queries
          const pages: Array<ReadonlyArray<bigint>> = []
          for (let after = 4n; after < 42n;) {
            const page = yield* queries.entriesAfter(id, after, 42n, 10)
            pages.push(page.map(({ sequence }) => sequence))
            after = page.at(-1)?.sequence ?? 42n
          }
          expect(pages.map(({ length }) => length)).toStrictEqual([10, 10, 10, 8])
          expect(pages.flat()).toStrictEqual(Array.from({ length: 38 }, (_, n) => BigInt(n + 5)))
          expect(yield* queries.entriesAfter(id, 42n, 42n, 10)).toStrictEqual([])
        })
      )
    }))
})

/** Three shards whose databases sort as people do: case and punctuation count last. */
const threeSortedByPeople = Effect.gen(function*() {
  const { map, urls } = yield* threeShards
  const sorted = yield* Effect.forEach(urls, (url, shard) =>
    Effect.gen(function*() {
      const admin = yield* connect({ url, maxConnections: 1 })
      const name = `test_people_${shard}_${crypto.randomUUID().replaceAll("-", "")}`
      yield* Effect.acquireRelease(
        admin`CREATE DATABASE ${admin(name)} TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en-US'`.unprepared,
        () => Effect.orDie(admin`DROP DATABASE IF EXISTS ${admin(name)} WITH (FORCE)`.unprepared)
      )
      const theirs = Redacted.make(Object.assign(new URL(Redacted.value(url)), { pathname: `/${name}` }).href)
      yield* Effect.orDie(migrateShard(theirs, shard, map.partitions))
      return theirs
    }))
  return { map, urls: sorted }
})

layer(TestPostgres.layer, { excludeTestServices: true })("the accounts of three shards", (it) => {
  const open = Effect.fn("open")(function*(name: string) {
    const intake = yield* Intake
    const id = AccountId.make(name)
    yield* intake.open({
      request: {
        client: "shop",
        idempotencyKey: name,
        fingerprint: "ab".repeat(32),
        requestId: "req_test",
        traceparent: null
      },
      account: { id, kind: "customer", currency: EUR, ceiling: null, ...defaultsOf("customer") },
      named: true,
      metadata: {}
    })
    return id
  })

  /** The pages of the list, while accounts are opened before and behind the place where it is read. */
  const pages = Effect.fn("pages")(function*(limit: number) {
    const queries = yield* Queries
    const found: Array<AccountId> = []
    for (let after: string | null = null, n = 0;; n++) {
      const page: ReadonlyArray<AccountRecord> = yield* queries.accounts(after, limit)
      found.push(...page.map(({ account }) => AccountId.make(account.id)))
      if (page.length < limit) return found
      after = found.at(-1) ?? null
      yield* open(`0-late-${n}`)
      yield* open(`zz-late-${n}`)
    }
  })

  const names = [
    "Zoe",
    "adam",
    "Bea",
    "bea",
    "b-ea",
    "be_a",
    "a.1",
    "A1",
    "a-2",
    "Ab",
    "aa",
    "B",
    "b",
    "a",
    "z",
    "0",
    "Y:y",
    "y@y"
  ]

  for (const [what, make] of [["as machines do", threeShards], ["as people do", threeSortedByPeople]] as const) {
    it.effect(`come each once while new ones arrive, on databases that sort ${what}`, () =>
      Effect.gen(function*() {
        yield* over(
          yield* make,
          Effect.gen(function*() {
            const there = yield* Effect.forEach(names, open)
            const found = yield* pages(4)
            expect(found.length).toBe(new Set(found).size)
            expect(there.filter((id) => !found.includes(id))).toStrictEqual([])
          })
        )
      }))
  }
})

const anything: TransferFilter = { source: null, status: null, reverses: null, fromMillis: null, beforeMillis: null }

let keys = 0

/** Asks for a transfer whose id is of that time. */
const ask = Effect.fn("ask")(function*(
  map: ShardMap,
  source: AccountId,
  millis: number,
  { client = "shop", idempotencyKey = `key-${++keys}`, reverses = null }: {
    readonly client?: string
    readonly idempotencyKey?: string
    readonly reverses?: TransferId.TransferId | null
  } = {}
) {
  const intake = yield* Intake
  const transfer = TransferId.make(millis, partitionOf(source, map.partitions), random)
  yield* intake.request({
    request: { client, idempotencyKey, fingerprint: "ab".repeat(32), requestId: "req_test", traceparent: null },
    terms: { transfer, source, destination: AccountId.make("somebody"), amount: Amount.make(1n), currency: EUR },
    capture: "automatic",
    expiresInSeconds: null,
    reverses,
    reference: null,
    description: null,
    metadata: {}
  })
  return transfer
})

const idsOf = ({ records }: TransferPage) => records.map(({ terms }) => terms.transfer)

/** The pages of a search, with something done after each. */
const pagesOf = Effect.fn("pagesOf")(function*(
  filter: TransferFilter,
  limit: number,
  meanwhile: ReturnType<typeof ask> | Effect.Effect<void> = Effect.void
) {
  const queries = yield* Queries
  const pages: Array<ReadonlyArray<TransferId.TransferId>> = []
  for (let below: TransferId.TransferId | null = null;;) {
    const page: TransferPage = yield* queries.transfers(filter, below, limit)
    pages.push(idsOf(page))
    if (page.next === null) return pages
    below = page.next
    yield* meanwhile
  }
})

const newestFirst = (ids: ReadonlyArray<TransferId.TransferId>) => ids.toSorted().toReversed()

/** Writes many transfers at once, one a second; `status` is told by the number. */
const many = Effect.fn("many")(function*(
  shards: TestShards,
  shard: number,
  count: number,
  { source = "'busy'", status = "'committed'" }: { readonly source?: string; readonly status?: string } = {}
) {
  const sql = yield* ownerOf(shards, shard)
  yield* sql.unsafe(`
    INSERT INTO transfer (transfer_id, source, destination, amount, currency, capture, moving, status, reason_code, client)
    SELECT 'trf_01K' || lpad(n::text, 7, '0') || '0${shard}' || lpad(n::text, 14, '0'), ${source}, 'somebody', 1, 'EUR',
      'automatic', 1, ${status}, CASE ${status} WHEN 'rejected' THEN 'a reason' END, 'shop'
    FROM generate_series(1, ${count}) AS t (n)`).unprepared
  yield* sql`VACUUM ANALYZE transfer`.unprepared
})

layer(TestPostgres.layer, { excludeTestServices: true })("the transfers of three shards", (it) => {
  for (const [what, make] of [["as machines do", threeShards], ["as people do", threeSortedByPeople]] as const) {
    it.effect(`come newest first, each once, while new ones arrive, on databases that sort ${what}`, () =>
      Effect.gen(function*() {
        const shards = yield* make
        const sources = [0, 1, 2].map((shard) => idAt(shards.map, shard, "source"))
        yield* over(
          shards,
          Effect.gen(function*() {
            const there: Array<TransferId.TransferId> = []
            for (let n = 0; n < 47; n++) {
              // Not in turn, and several in a millisecond: shards end at different places.
              const source = sources[n * n % 7 % 3] ?? AccountId.make("nobody")
              there.push(yield* ask(shards.map, source, begun + Math.floor(n / 4)))
            }
            const arrival = Effect.suspend(() =>
              ask(shards.map, sources[keys % 3] ?? AccountId.make("nobody"), begun + 1_000 + keys)
            )
            const pages = yield* pagesOf(anything, 10, arrival)
            expect(pages.map(({ length }) => length)).toStrictEqual([10, 10, 10, 10, 7])
            expect(pages.flat()).toStrictEqual(newestFirst(there))
          })
        )
      }))
  }

  it.effect("come one to a page, and two hundred, and none where there are none", () =>
    Effect.gen(function*() {
      const shards = yield* threeShards
      const sources = [0, 1, 2].map((shard) => idAt(shards.map, shard, "source"))
      yield* over(
        shards,
        Effect.gen(function*() {
          expect(yield* pagesOf(anything, 1)).toStrictEqual([[]])
          const there = yield* Effect.forEach(sources, (source, n) => ask(shards.map, source, begun + n))
          expect(yield* pagesOf(anything, 1)).toStrictEqual(newestFirst(there).map((id) => [id]))
          expect(yield* pagesOf(anything, 3)).toStrictEqual([newestFirst(there)])
          expect(yield* pagesOf(anything, 200)).toStrictEqual([newestFirst(there)])
        })
      )
    }))

  it.effect("of one source are asked of its shard alone: another one may be away", () =>
    Effect.gen(function*() {
      const shards = yield* threeShards
      const [here, there] = [idAt(shards.map, 0, "here"), idAt(shards.map, 2, "there")]
      const mine = yield* over(
        shards,
        Effect.forEach([here, there, here], (source, n) => ask(shards.map, source, begun + n))
      )
      const away = { ...shards, urls: shards.urls.with(2, Redacted.make("postgres://nobody@127.0.0.1:1/away")) }
      yield* over(
        away,
        Effect.gen(function*() {
          const queries = yield* Queries
          expect(yield* pagesOf({ ...anything, source: here }, 10)).toStrictEqual([[mine[2], mine[0]]])
          const { shard } = yield* Effect.flip(
            queries.transfers(anything, null, 10)
          )
          expect(shard).toBe(2)
        })
      )
    }))

  it.effect("are found by source, by what they reverse and by time, and by all of it", () =>
    Effect.gen(function*() {
      const shards = yield* threeShards
      const [one, two] = [idAt(shards.map, 0, "one"), idAt(shards.map, 1, "two")]
      yield* over(
        shards,
        Effect.gen(function*() {
          const original = yield* ask(shards.map, one, begun)
          const reverses = { reverses: original }
          const plain = yield* Effect.forEach([1, 2, 3, 4], (n) => ask(shards.map, one, begun + n))
          const back = yield* Effect.forEach([2, 3], (n) => ask(shards.map, one, begun + n, reverses))
          const elsewhere = yield* ask(shards.map, two, begun + 2, reverses)
          const search = (filter: Partial<TransferFilter>) =>
            Effect.map(pagesOf({ ...anything, ...filter }, 2), (pages) => pages.flat())

          expect(yield* search({ source: one })).toStrictEqual(newestFirst([original, ...plain, ...back]))
          expect(yield* search(reverses)).toStrictEqual(newestFirst([...back, elsewhere]))
          expect(yield* search({ ...reverses, source: one })).toStrictEqual(newestFirst(back))
          expect(yield* search({ ...reverses, source: two })).toStrictEqual([elsewhere])
          expect(yield* search({ fromMillis: begun + 4 })).toStrictEqual([plain[3]])
          expect(yield* search({ beforeMillis: begun + 1 })).toStrictEqual([original])
          const inTime = { fromMillis: begun + 2, beforeMillis: begun + 3 }
          expect(yield* search({ ...inTime, source: one, ...reverses })).toStrictEqual([back[0]])
          expect(yield* search({ ...inTime, source: one })).toStrictEqual(
            newestFirst([plain[1], back[0]].filter((id) => id !== undefined))
          )
          expect(yield* search({ ...inTime, source: one, status: "committed" })).toStrictEqual([])
        })
      )
    }))

  it.effect("of one status are found among thousands of others, each once, on pages that may be short", () =>
    Effect.gen(function*() {
      const shards = yield* threeShards
      yield* many(shards, 0, 12_000, { status: "CASE WHEN n % 4000 = 7 THEN 'rejected' ELSE 'committed' END" })
      yield* many(shards, 1, 300, { status: "CASE WHEN n % 100 = 50 THEN 'rejected' ELSE 'committed' END" })
      yield* many(shards, 2, 5_000, { status: "CASE WHEN n IN (1, 5000) THEN 'rejected' ELSE 'committed' END" })
      yield* over(
        shards,
        Effect.gen(function*() {
          const rejected = (shard: number, ...numbers: ReadonlyArray<number>) =>
            numbers.map((n) =>
              TransferId.TransferId.make(
                `trf_01K${String(n).padStart(7, "0")}0${shard}${String(n).padStart(14, "0")}`
              )
            )
          const all = newestFirst([
            ...rejected(0, 7, 4_007, 8_007),
            ...rejected(1, 50, 150, 250),
            ...rejected(2, 1, 5_000)
          ])
          for (const limit of [1, 2, 3]) {
            expect((yield* pagesOf({ ...anything, status: "rejected" }, limit)).flat()).toStrictEqual(all)
          }
          const pages = yield* pagesOf({ ...anything, status: "rejected" }, 50)
          expect(pages.flat()).toStrictEqual(all)
          expect(pages.length).toBeGreaterThan(2)
          expect((yield* pagesOf({ ...anything, status: "held" }, 50)).flat()).toStrictEqual([])
          const [first] = yield* pagesOf({ ...anything, status: "committed" }, 50)
          expect(first?.length).toBe(50)
        })
      )
    }))

  it.effect("are found by the key that made them, by the client whose key it was", () =>
    Effect.gen(function*() {
      const shards = yield* threeShards
      const source = idAt(shards.map, 1, "source")
      yield* over(
        shards,
        Effect.gen(function*() {
          const queries = yield* Queries
          const made = yield* ask(shards.map, source, begun, { idempotencyKey: "rent" })
          const others = yield* ask(shards.map, source, begun, { idempotencyKey: "rent", client: "other" })
          const of = (client: string, from: AccountId, key: string) =>
            Effect.map(queries.transferOf(client, from, key), (found) => Option.getOrNull(found)?.terms.transfer)
          expect(yield* of("shop", source, "rent")).toBe(made)
          expect(yield* of("other", source, "rent")).toBe(others)
          expect(yield* of("shop", source, "Rent")).toBeUndefined()
          expect(yield* of("shop", idAt(shards.map, 1, "another"), "rent")).toBeUndefined()
        })
      )
    }))
})

/** How a shard was looked at: tables gone through, indexes entered, rows fetched by either. */
interface Looks {
  readonly scans: number
  readonly entered: number
  readonly rows: number
}

const looksOf = Effect.fn("looksOf")(function*(read: Effect.Effect<unknown, ShardUnavailable>) {
  const databases = yield* ShardDatabases
  const counters = databases.on(0, (sql) =>
    Effect.andThen(
      sql`SELECT pg_stat_force_next_flush()`,
      sql<Looks>`
        SELECT sum(seq_scan)::int4 AS scans, sum(idx_scan)::int4 AS entered,
          sum(seq_tup_read + idx_tup_fetch)::int4 AS rows
        FROM pg_stat_user_tables`
    ))
  // More often than PostgreSQL makes a plan for the very values: from then on it is one for all.
  yield* Effect.repeat(read, { times: 9 })
  const [before] = yield* counters
  yield* read
  const [after] = yield* counters
  if (before === undefined || after === undefined) return yield* Effect.die(new Error("no counters"))
  return {
    scans: after.scans - before.scans,
    entered: after.entered - before.entered,
    rows: after.rows - before.rows
  } satisfies Looks
})

layer(TestPostgres.layer, { excludeTestServices: true })("large books", (it) => {
  describe("are not gone through", () => {
    it.effect("to find entries: by number with one look, by time with one for each binary digit of their number", () =>
      Effect.gen(function*() {
        const shards = yield* oneShard
        const count = 60_000
        const id = yield* account(shards, "large", Array.from({ length: count }, (_, n) => begun + n * 10))
        const sql = yield* ownerOf(shards, 0)
        yield* sql`
          WITH others AS (
            INSERT INTO account (account_id, partition, kind, normal_side, currency)
            SELECT 'other-' || n, 0, 'customer', 'credit', 'EUR' FROM generate_series(1, 5000) AS t (n)
            RETURNING account_id
          )
          INSERT INTO balance (account_id) SELECT account_id FROM others`
        yield* sql`VACUUM ANALYZE`.unprepared
        yield* over(
          shards,
          Effect.gen(function*() {
            const queries = yield* Queries
            // An account's entries are in two indexes, of debits and of credits.
            expect(yield* looksOf(queries.entry(id, 40_000n))).toStrictEqual({ scans: 0, entered: 2, rows: 1 })
            const digits = count.toString(2).length
            for (const moment of [0, begun + 299_995, begun + 1e9]) {
              const looks = yield* looksOf(queries.lastEntryBefore(id, moment))
              expect(looks.scans).toBe(0)
              expect(looks.entered).toBeLessThanOrEqual(2 * digits + 3)
              expect(looks.rows).toBeLessThanOrEqual(digits + 2)
            }
            for (
              const page of [
                queries.entriesAfter(id, 30_000n, 60_000n, 1_000),
                queries.entriesAfter(id, 0n, 60_000n, 1_000),
                queries.entries(id, null, 1_000)
              ]
            ) {
              const looks = yield* looksOf(page)
              expect(looks).toMatchObject({ scans: 0, entered: 2 })
              expect(looks.rows).toBeLessThanOrEqual(1_002)
            }
          })
        )
      }))

    it.effect("to find transfers, whoever they are from, wherever in the list and however few there are", () =>
      Effect.gen(function*() {
        const shards = yield* oneShard
        // A source that has a third of all, but none of the newer ones: where a planner counts on meeting one soon.
        const old = AccountId.make("old")
        yield* many(shards, 0, 30_000, { source: "CASE WHEN n <= 10000 THEN 'old' ELSE 'c-' || n % 2000 END" })
        yield* over(
          shards,
          Effect.gen(function*() {
            const queries = yield* Queries
            const search = (filter: Partial<TransferFilter>, below: TransferId.TransferId | null = null) =>
              queries.transfers({ ...anything, ...filter }, below, 50)
            const first = yield* search({ source: old })
            const searches = {
              "the newest": search({}),
              "far below": search({}, first.next),
              "of a source with few": search({ source: AccountId.make("c-5") }),
              "of a source with many, long ago": search({ source: old }),
              "of the same, far below": search({ source: old }, first.next),
              "of a source with none": search({ source: AccountId.make("nobody") }),
              "that reverse one that nobody reversed": search({ reverses: first.next }),
              "of a time without any": search({ fromMillis: 0, beforeMillis: 1 }),
              "of a source and a time without any": search({ source: old, fromMillis: 0, beforeMillis: 1 }),
              "of a client's key": queries.transferOf("shop", old, "rent")
            }
            for (const [name, read] of Object.entries(searches)) {
              const looks = yield* looksOf(read)
              expect(looks.scans, name).toBe(0)
              // One more than a page, and where the search begins and ends.
              expect(looks.rows, name).toBeLessThanOrEqual(51 + 2)
            }
            for (const status of ["held", "committed"] as const) {
              const looks = yield* looksOf(search({ status }))
              expect(looks.scans).toBe(0)
              expect(looks.rows).toBeLessThanOrEqual(5_000)
            }
          })
        )
      }))
  })
})
