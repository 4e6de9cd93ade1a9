/**
 * A statement as CSV: a line for the opening balance, one for each entry, and one for the closing balance with the sums.
 */
import { Effect, Option, Stream } from "effect"
import type { Account } from "#domain/account/Account.ts"
import type { Entry, Queries } from "#domain/ledger/Queries.ts"
import type { ShardUnavailable } from "#domain/sharding/Shards.ts"
import * as Csv from "../http/Csv.ts"
import * as Views from "./Views.ts"

/** The entries of an account after the one, if there is one, and up to the other. */
export interface Period {
  readonly account: Account
  readonly opening: Entry | null
  readonly closing: Entry | null
}

/** How many entries are in memory at a time. */
const pageLimit = 1_000

const names = ["line", "sequence", "created_at", "transfer", "debit", "credit", "posted", "currency"] as const

type Line = Readonly<Record<typeof names[number], Csv.Cell>>

const written = (line: Line): string => Csv.line(names.map((name) => line[name]))

/** The balance after an entry, or before the first. */
const balance = (line: "opening" | "entry" | "closing", account: Account, entry: Entry | null): Line => ({
  line,
  sequence: entry?.sequence ?? 0n,
  created_at: entry === null ? null : Views.time(entry.createdAtMillis),
  transfer: null,
  debit: null,
  credit: null,
  posted: Views.postedAfter(entry, account.normalSide),
  currency: account.currency
})

const lineOf = (account: Account, entry: Entry): string =>
  written({
    ...balance("entry", account, entry),
    transfer: entry.transfer,
    [entry.direction === "DEBIT" ? "debit" : "credit"]: entry.amount
  })

/** All of it, a page in memory at a time; one that cannot be read to its end breaks off, and has no closing line. */
export const stream = (
  queries: Queries["Service"],
  { account, closing, opening }: Period
): Stream.Stream<Uint8Array, ShardUnavailable> => {
  const end = closing?.sequence ?? 0n
  const heading = Csv.line(names) + written(balance("opening", account, opening))
  const lines = Stream.paginate(
    { after: opening?.sequence ?? 0n, debits: 0n, credits: 0n },
    Effect.fnUntraced(function*({ after, credits, debits }) {
      if (after >= end) {
        return [[written({ ...balance("closing", account, closing), debit: debits, credit: credits })], Option.none()]
      }
      const entries = yield* queries.entriesAfter(account.id, after, end, pageLimit)
      const last = entries.at(-1)
      if (last === undefined) {
        return yield* Effect.die(new Error(`${account.id} lacks the entries from ${after} to ${end}`))
      }
      const sums = Views.sums(entries)
      return [
        entries.map((entry) => lineOf(account, entry)),
        Option.some({ after: last.sequence, debits: debits + sums.debits, credits: credits + sums.credits })
      ]
    })
  )
  return Stream.make(heading).pipe(Stream.concat(lines), Stream.encodeText)
}
