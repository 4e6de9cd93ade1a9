import { layer } from "@effect/vitest"
import { Deferred, Effect } from "effect"
import { describe, expect, it as plain } from "vitest"
import { Amount } from "#domain/money/Amount.ts"
import { Currency } from "#domain/money/Currency.ts"
import { line } from "../../apps/api/http/Csv.ts"
import { isObject } from "./conformance.ts"
import type { Books } from "./fakes.ts"
import { get, goodAccount, Harness, json, key, post } from "./Harness.ts"

const noon = Date.UTC(2026, 10, 21, 12)

/** Opens an account and gives it entries, one a second from noon on: +100, +100, −30, and again. */
const withEntries = Effect.fn("withEntries")(function*(
  id: string,
  count: number,
  members: Readonly<Record<string, string>> = {}
) {
  const { books } = yield* Harness
  const opened = yield* post("/v1/accounts", json({ ...goodAccount, ...members, id: JSON.stringify(id) }))
  expect(opened.status).toBe(201)
  books.entries.set(id, [])
  write(books, id, count)
})

const write = (books: Books, id: string, count: number) => {
  const entries = books.entries.get(id)
  const record = books.accounts.get(id)
  if (entries === undefined || record === undefined) throw new Error(`no account ${id}`)
  for (let n = 0; n < count; n++) {
    const at = entries.length
    const signed = at % 3 === 2 ? -30n : 100n
    entries.push({
      account: id,
      sequence: BigInt(at + 1),
      transfer: `trf_${at}`,
      direction: signed < 0n ? "DEBIT" : "CREDIT",
      amount: Amount.make(signed < 0n ? -signed : signed),
      currency: Currency.make("EUR"),
      posted: (entries.at(-1)?.posted ?? 0n) + signed,
      createdAtMillis: noon + at * 1_000
    })
  }
  const balance = {
    posted: entries.at(-1)?.posted ?? 0n,
    held: 0n,
    version: BigInt(entries.length),
    sequence: BigInt(entries.length)
  }
  books.accounts.set(id, { ...record, account: { ...record.account, balance } })
}

const seconds = (n: number) => new Date(noon + n * 1_000).toISOString()

const sequences = (body: { readonly [key: string]: unknown }) =>
  Array.isArray(body["data"]) ? body["data"].map((entry: unknown) => isObject(entry) ? entry["sequence"] : entry) : []

const nextOf = (headers: Headers): string | undefined => /^<([^>]+)>; rel="next"$/.exec(headers.get("link") ?? "")?.[1]

const asCsv = { accept: "text/csv" }

/** Reads a statement as it comes, and tells at each piece what has come so far; dies if it breaks off. */
const reading = Effect.fn("reading")(function*(id: string, onText: (received: string) => void) {
  const { url } = yield* Harness
  return yield* Effect.promise(async () => {
    const response = await fetch(`${url}/v1/accounts/${id}/statement`, {
      headers: { ...asCsv, authorization: `Bearer ${key}` }
    })
    let received = ""
    for await (const chunk of response.body ?? []) onText(received += Buffer.from(chunk).toString())
    return received
  })
})

layer(Harness.layer, { excludeTestServices: true })("the balance as of", (it) => {
  it.effect("an entry is what was posted after it", () =>
    Effect.gen(function*() {
      yield* withEntries("past-1", 4)
      expect((yield* get("/v1/accounts/past-1/balance?sequence=3")).body).toStrictEqual({
        posted: "170",
        currency: "EUR",
        sequence: 3,
        created_at: "2026-11-21T12:00:02.000Z"
      })
      expect((yield* get("/v1/accounts/past-1/balance")).body).toMatchObject({ posted: "270", available: "270" })
    }))

  it.effect("a time is what was posted by the last entry of that millisecond or before", () =>
    Effect.gen(function*() {
      yield* withEntries("past-2", 4)
      const at = (time: string) => get(`/v1/accounts/past-2/balance?at=${encodeURIComponent(time)}`)
      for (
        const [time, sequence, posted] of [
          ["2026-11-21T12:00:01.999Z", 2, "200"],
          ["2026-11-21T12:00:02Z", 3, "170"],
          ["2026-11-21T12:00:02.000999Z", 3, "170"],
          ["2026-11-21T13:00:02.5+01:00", 3, "170"],
          ["2026-11-21T07:00:02-05:00", 3, "170"],
          ["2199-01-01T00:00:00Z", 4, "270"]
        ] as const
      ) {
        expect((yield* at(time)).body, time).toMatchObject({ sequence, posted })
      }
    }))

  it.effect("the time before its first entry is 0, and so is that before the entry of number 1", () =>
    Effect.gen(function*() {
      yield* withEntries("past-3", 1)
      const before = { posted: "0", currency: "EUR", sequence: 0, created_at: null }
      for (const query of ["at=2026-11-21T11:59:59.999Z", "sequence=0", "at=0001-01-01T00:00:00Z"]) {
        expect((yield* get(`/v1/accounts/past-3/balance?${query}`)).body).toStrictEqual(before)
      }
    }))

  it.effect("is seen from the account's normal side", () =>
    Effect.gen(function*() {
      yield* withEntries("past-4", 3, { kind: "\"external\"" })
      expect((yield* get("/v1/accounts/past-4/balance?sequence=2")).body).toMatchObject({ posted: "-200" })
      expect((yield* get("/v1/accounts/past-4/balance?sequence=0")).body).toMatchObject({ posted: "0" })
    }))

  it.effect("an entry that is not there, or not yet, is not found", () =>
    Effect.gen(function*() {
      yield* withEntries("past-5", 2)
      for (const sequence of ["3", "999999999999999"]) {
        expect(yield* get(`/v1/accounts/past-5/balance?sequence=${sequence}`)).toMatchObject({
          status: 404,
          body: { code: "entry_not_found" }
        })
      }
    }))

  it.effect("a time and a number at once is neither", () =>
    Effect.gen(function*() {
      yield* withEntries("past-6", 2)
      expect(yield* get("/v1/accounts/past-6/balance?sequence=1&at=2026-11-21T12:00:00Z")).toMatchObject({
        status: 400,
        body: { code: "validation_failed", errors: [{ pointer: "query:at" }] }
      })
    }))
})

layer(Harness.layer, { excludeTestServices: true })("a statement", (it) => {
  it.effect("begins with the balance before the period, ends with that after it, and adds up between", () =>
    Effect.gen(function*() {
      yield* withEntries("statement-1", 9)
      const answer = yield* get(`/v1/accounts/statement-1/statement?from=${seconds(2)}&to=${seconds(5)}`)
      expect(answer.body).toMatchObject({
        object: "statement",
        account: "statement-1",
        currency: "EUR",
        normal_side: "credit",
        from: "2026-11-21T12:00:02.000Z",
        to: "2026-11-21T12:00:05.000Z",
        opening: { posted: "200", sequence: 2, created_at: "2026-11-21T12:00:01.000Z" },
        data: [
          { sequence: 3, direction: "DEBIT", amount: "30", posted: "170", transfer: "trf_2" },
          { sequence: 4, direction: "CREDIT", amount: "100", posted: "270" },
          { sequence: 5, direction: "CREDIT", amount: "100", posted: "370" }
        ],
        credits: "200",
        debits: "30",
        closing: { posted: "370", sequence: 5 },
        has_more: false,
        next_cursor: null
      })
      expect(answer.headers.get("vary")).toBe("accept")
    }))

  it.effect("without a period is of all entries there are", () =>
    Effect.gen(function*() {
      yield* withEntries("statement-2", 3)
      expect((yield* get("/v1/accounts/statement-2/statement")).body).toMatchObject({
        from: null,
        to: null,
        opening: { posted: "0", sequence: 0, created_at: null },
        closing: { posted: "170", sequence: 3 },
        credits: "200",
        debits: "30"
      })
    }))

  it.effect("of an account without entries, or of a period without, opens and closes with the same", () =>
    Effect.gen(function*() {
      yield* withEntries("statement-3", 0)
      const none = { posted: "0", sequence: 0 }
      expect((yield* get("/v1/accounts/statement-3/statement")).body).toMatchObject({
        data: [],
        opening: none,
        closing: none
      })
      yield* withEntries("statement-4", 3)
      for (
        const [period, same] of [["from=2027-01-01T00:00:00Z", { posted: "170", sequence: 3 }], [
          `from=${seconds(1)}&to=${seconds(1)}`,
          { posted: "100", sequence: 1 }
        ]] as const
      ) {
        expect((yield* get(`/v1/accounts/statement-4/statement?${period}`)).body).toMatchObject({
          data: [],
          opening: same,
          closing: same,
          credits: "0",
          debits: "0"
        })
      }
    }))

  it.effect("of a debit-normal account is seen from that side", () =>
    Effect.gen(function*() {
      yield* withEntries("statement-5", 3, { normal_side: "\"debit\"" })
      expect((yield* get("/v1/accounts/statement-5/statement")).body).toMatchObject({
        normal_side: "debit",
        credits: "200",
        debits: "30",
        closing: { posted: "-170" },
        data: [{ posted: "-100" }, { posted: "-200" }, { posted: "-170" }]
      })
    }))

  it.effect("has every entry on one page, and none that came after the first page was read", () =>
    Effect.gen(function*() {
      const { books } = yield* Harness
      yield* withEntries("statement-6", 25)
      const pages: Array<{ readonly [key: string]: unknown }> = []
      for (let next: string | undefined = "/v1/accounts/statement-6/statement?limit=7"; next !== undefined;) {
        const page = yield* get(next)
        expect(page.body).toMatchObject({ opening: { sequence: 0 }, closing: { sequence: 25, posted: "1460" } })
        pages.push(page.body)
        write(books, "statement-6", 3)
        next = nextOf(page.headers)
        expect(page.body["has_more"]).toBe(next !== undefined)
      }
      expect(pages.map((page) => sequences(page).length)).toStrictEqual([7, 7, 7, 4])
      expect(pages.flatMap(sequences)).toStrictEqual(Array.from({ length: 25 }, (_, index) => index + 1))
      const sum = (side: string) => pages.reduce((total, page) => total + BigInt(String(page[side])), 0n)
      expect(0n + sum("credits") - sum("debits")).toBe(1_460n)
    }))

  it.effect("keeps its period from page to page, and its cursor is none of another period's", () =>
    Effect.gen(function*() {
      yield* withEntries("statement-7", 9)
      const path = `/v1/accounts/statement-7/statement?from=${encodeURIComponent("2026-11-21T13:00:02+01:00")}&limit=2`
      const first = yield* get(path)
      expect(sequences(first.body)).toStrictEqual([3, 4])
      const second = yield* get(nextOf(first.headers) ?? "")
      expect(second.body).toMatchObject({ opening: { sequence: 2 }, from: "2026-11-21T12:00:02.000Z" })
      expect(sequences(second.body)).toStrictEqual([5, 6])
      const cursor = String(first.body["next_cursor"])
      for (const other of [`limit=2`, `from=${seconds(3)}`, `from=${seconds(2)}&to=${seconds(9)}`]) {
        expect(yield* get(`/v1/accounts/statement-7/statement?${other}&after=${cursor}`)).toMatchObject({
          status: 400,
          body: { code: "invalid_cursor" }
        })
      }
    }))

  it.effect("with a period that ends before it begins is refused, and so is that of an unknown account", () =>
    Effect.gen(function*() {
      yield* withEntries("statement-8", 1)
      expect(yield* get(`/v1/accounts/statement-8/statement?from=${seconds(2)}&to=${seconds(1)}`)).toMatchObject({
        status: 400,
        body: { code: "validation_failed", errors: [{ pointer: "query:to" }] }
      })
      for (const headers of [{}, asCsv]) {
        expect(yield* get("/v1/accounts/nobody/statement", headers)).toMatchObject({
          status: 404,
          body: { code: "account_not_found" }
        })
      }
    }))
})

layer(Harness.layer, { excludeTestServices: true })("a statement as CSV", (it) => {
  it.effect("has a line for each entry between the opening and the closing balance, with the sums", () =>
    Effect.gen(function*() {
      yield* withEntries("csv:1@x", 5)
      const answer = yield* get(`/v1/accounts/csv:1@x/statement?from=${seconds(1)}&to=${seconds(4)}`, asCsv)
      expect(answer.headers.get("content-type")).toBe("text/csv; charset=utf-8; header=present")
      expect(answer.headers.get("content-disposition")).toBe("attachment; filename=\"statement-csv_1_x.csv\"")
      expect(answer.text.split("\r\n")).toStrictEqual([
        "line,sequence,created_at,transfer,debit,credit,posted,currency",
        "opening,1,2026-11-21T12:00:00.000Z,,,,100,EUR",
        "entry,2,2026-11-21T12:00:01.000Z,trf_1,,100,200,EUR",
        "entry,3,2026-11-21T12:00:02.000Z,trf_2,30,,170,EUR",
        "entry,4,2026-11-21T12:00:03.000Z,trf_3,,100,270,EUR",
        "closing,4,2026-11-21T12:00:03.000Z,,30,200,270,EUR",
        ""
      ])
    }))

  it.effect("of an account without entries is a heading and two balances", () =>
    Effect.gen(function*() {
      yield* withEntries("csv-2", 0)
      const answer = yield* get("/v1/accounts/csv-2/statement", asCsv)
      expect(answer.text).toBe(
        "line,sequence,created_at,transfer,debit,credit,posted,currency\r\n" +
          "opening,0,,,,,0,EUR\r\nclosing,0,,,0,0,0,EUR\r\n"
      )
    }))

  it.effect("of thousands of entries has every one, and none that came while it was written", () =>
    Effect.gen(function*() {
      const { books } = yield* Harness
      yield* withEntries("csv-3", 3_210)
      books.beforeEntries = () => Effect.sync(() => write(books, "csv-3", 10))
      const answer = yield* get("/v1/accounts/csv-3/statement", asCsv)
      books.beforeEntries = () => Effect.void
      const cells = answer.text.trimEnd().split("\r\n").map((row) => row.split(","))
      expect(cells.filter(([what]) => what === "entry").map(([, sequence]) => Number(sequence))).toStrictEqual(
        Array.from({ length: 3_210 }, (_, index) => index + 1)
      )
      const sum = (column: number) =>
        cells.filter(([what]) => what === "entry").reduce((total, row) => total + BigInt(row[column] ?? ""), 0n)
      const [, sequence, , , debit, credit, posted] = cells.at(-1) ?? []
      expect([sequence, debit, credit]).toStrictEqual(["3210", String(sum(4)), String(sum(5))])
      expect(sum(5) - sum(4)).toBe(BigInt(posted ?? ""))
    }))

  it.effect("is on its way before its last page has been read", () =>
    Effect.gen(function*() {
      const { books } = yield* Harness
      yield* withEntries("csv-4", 2_500)
      const arrived = yield* Deferred.make<void>()
      books.beforeEntries = (after) => after === 2_000n ? Deferred.await(arrived) : Effect.void
      const text = yield* reading("csv-4", (received) => {
        if (received.includes("entry,2000,")) Deferred.doneUnsafe(arrived, Effect.void)
      })
      books.beforeEntries = () => Effect.void
      expect(text).toContain("\r\nclosing,2500,")
    }))

  it.effect("whose shard goes away breaks off, without a closing line and not as if it were whole", () =>
    Effect.gen(function*() {
      const { books, lines } = yield* Harness
      yield* withEntries("csv-5", 2_500)
      const arrived = yield* Deferred.make<void>()
      books.beforeEntries = (after) =>
        after < 1_000n
          ? Effect.void
          : Effect.andThen(Deferred.await(arrived), Effect.sync(() => books.mishap = "shard-unavailable"))
      let text = ""
      const outcome = yield* Effect.exit(reading("csv-5", (received) => {
        text = received
        if (received.includes("entry,1000,")) Deferred.doneUnsafe(arrived, Effect.void)
      }))
      books.mishap = "none"
      books.beforeEntries = () => Effect.void
      expect(outcome).toMatchObject({ _tag: "Failure" })
      expect(text).toContain("entry,1000,")
      expect(text).not.toContain("closing,")
      expect(lines.filter(([, said]) => said === "a statement broke off").length).toBe(1)
    }))

  it.effect("is read no further for a client that went away, which is nothing to warn of", () =>
    Effect.gen(function*() {
      const { books, lines, url } = yield* Harness
      yield* withEntries("csv-9", 2_500)
      const noticed = yield* Deferred.make<void>()
      const reads: Array<bigint> = []
      books.beforeEntries = (after) =>
        Effect.suspend(() => {
          reads.push(after)
          return after < 1_000n
            ? Effect.void
            : Effect.onInterrupt(Effect.never, () => Deferred.succeed(noticed, undefined))
        })
      const warnings = () => lines.filter(([level]) => level === "Warn" || level === "Error").length
      const before = warnings()
      const leaving = new AbortController()
      yield* Effect.promise(async () => {
        const headers = { ...asCsv, authorization: `Bearer ${key}` }
        const response = await fetch(`${url}/v1/accounts/csv-9/statement`, { headers, signal: leaving.signal })
        await response.body?.getReader().read()
        leaving.abort()
      })
      yield* Deferred.await(noticed)
      yield* get("/livez")
      books.beforeEntries = () => Effect.void
      expect(reads).toStrictEqual([0n, 1_000n])
      expect(warnings()).toBe(before)
    }))

  it.effect("of a shard that does not answer is a problem, not a statement", () =>
    Effect.gen(function*() {
      const { books } = yield* Harness
      yield* withEntries("csv-6", 1)
      books.mishap = "shard-unavailable"
      const answer = yield* get("/v1/accounts/csv-6/statement", asCsv)
      books.mishap = "none"
      expect(answer).toMatchObject({ status: 503, body: { code: "shard_unavailable" } })
    }))

  it.effect("comes whole: it takes no limit and no cursor", () =>
    Effect.gen(function*() {
      yield* withEntries("csv-7", 3)
      for (const parameter of ["limit", "after"]) {
        expect(yield* get(`/v1/accounts/csv-7/statement?${parameter}=1`, asCsv)).toMatchObject({
          status: 400,
          body: { code: "validation_failed", errors: [{ pointer: `query:${parameter}` }] }
        })
      }
    }))

  for (
    const [accept, mediaType] of [
      ["*/*", "application/json"],
      ["application/json", "application/json"],
      ["image/png", "application/json"],
      ["text/csv, application/json", "application/json"],
      ["text/csv;q=0.5, */*", "application/json"],
      ["text/csv;q=0", "application/json"],
      ["text/html, text/csvx", "application/json"],
      ["TEXT/CSV", "text/csv"],
      ["text/*", "text/csv"],
      ["text/csv; header=present, */*;q=0.1", "text/csv"],
      ["application/json;q=0.2, text/csv;q=0.9", "text/csv"]
    ] as const
  ) {
    it.effect(`a client that accepts ${accept} gets ${mediaType}`, () =>
      Effect.gen(function*() {
        const { books } = yield* Harness
        if (!books.accounts.has("csv-8")) yield* withEntries("csv-8", 3)
        const answer = yield* get("/v1/accounts/csv-8/statement", { accept })
        expect(answer.status).toBe(200)
        expect(answer.headers.get("content-type")?.split(";")[0]).toBe(mediaType)
      }))
  }
})

describe("a line of CSV", () => {
  for (const text of ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"]) {
    plain(`marks ${JSON.stringify(text)} as text: no spreadsheet computes it`, () => {
      expect(line([text]).replace(/^"/, "")).toMatch(/^'/)
    })
  }

  plain("leaves numbers numbers, below zero too", () => {
    expect(line([-1250n, -3, 0n, null, "EUR"])).toBe("-1250,-3,0,,EUR\r\n")
  })

  plain("quotes what would end a cell", () => {
    expect(line(["a,b", "say \"so\"", "two\r\nlines", "plain"])).toBe(
      "\"a,b\",\"say \"\"so\"\"\",\"two\r\nlines\",plain\r\n"
    )
  })
})
