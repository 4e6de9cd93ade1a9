/**
 * Statements: a stretch of an account's entries, found by time and from then on known by its numbers.
 */
import { Effect, Option, Stream } from "effect"
import { HttpServerResponse } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import type { Account } from "#domain/account/Account.ts"
import { type Entry, Queries } from "#domain/ledger/Queries.ts"
import * as Answer from "#infra/http/Answer.ts"
import { CurrentRequest } from "#infra/http/CurrentRequest.ts"
import * as Cursor from "#infra/http/Cursor.ts"
import { answered, ofPort, Refusal } from "#infra/http/Refusal.ts"
import { CounterpoiseApi } from "../contract/CounterpoiseApi.ts"
import { csv, Statement } from "../contract/Statements.ts"
import { prefers } from "../http/Accept.ts"
import * as FindAccount from "./FindAccount.ts"
import * as StatementCsv from "./StatementCsv.ts"
import * as Views from "./Views.ts"

/** The numbers of the entries after which the period begins, with which it ends, and after which the next page begins. */
type Place = `${bigint} ${bigint} ${bigint}`
const isPlace = (text: string): text is Place => /^(?:0|[1-9][0-9]{0,14})(?: (?:0|[1-9][0-9]{0,14})){2}$/.test(text)

const pagesOnly = (parameter: string): Refusal => {
  const pointer = `query:${parameter}`
  const message = "goes with JSON only: as CSV a statement comes whole"
  return new Refusal({
    code: "validation_failed",
    detail: `${pointer} ${message}`,
    errors: [{ pointer, code: "not_allowed", message }]
  })
}

const sequenceOf = (entry: Entry | null): bigint => entry?.sequence ?? 0n

export const layer = HttpApiBuilder.group(
  CounterpoiseApi,
  "statements",
  Effect.fn(function*(handlers) {
    const queries = yield* Queries

    const entry = ({ id }: Account, sequence: bigint) =>
      sequence === 0n
        ? Effect.succeed(null)
        : Effect.mapBoth(queries.entry(id, sequence), { onFailure: ofPort, onSuccess: Option.getOrNull })

    const lastBefore = ({ id }: Account, millis: number) =>
      Effect.mapBoth(queries.lastEntryBefore(id, millis), { onFailure: ofPort, onSuccess: Option.getOrNull })

    const between = (account: Account, from: number | undefined, to: number | undefined) =>
      Effect.all({
        account: Effect.succeed(account),
        opening: from === undefined ? Effect.succeed(null) : lastBefore(account, from),
        closing: to === undefined ? entry(account, account.balance.sequence) : lastBefore(account, to)
      })

    /** The period that a cursor goes on with: by its numbers, so that it stays the one that the first page was of. */
    const numbered = Effect.fnUntraced(function*(account: Account, opening: bigint, closing: bigint) {
      const period = { account, opening: yield* entry(account, opening), closing: yield* entry(account, closing) }
      const isThere = sequenceOf(period.opening) === opening && sequenceOf(period.closing) === closing
      return isThere ? period : yield* Cursor.invalid
    })

    const asCsv = Effect.fnUntraced(function*(period: StatementCsv.Period) {
      const { requestId } = yield* CurrentRequest
      const name = period.account.id.replaceAll(/[:@]/g, "_")
      return HttpServerResponse.stream(
        StatementCsv.stream(queries, period).pipe(
          Stream.tapCause((cause) => Effect.logWarning("a statement broke off", { request_id: requestId }, cause))
        ),
        {
          contentType: csv,
          headers: { "content-disposition": `attachment; filename="statement-${name}.csv"`, vary: "accept" }
        }
      )
    })

    return handlers.handle(
      "get",
      Effect.fnUntraced(function*({ params, query, request }) {
        const { from, limit = Answer.defaultPageLimit, to } = query
        const isCsv = prefers(request.headers["accept"], "text/csv", "application/json")
        for (const parameter of ["limit", "after"] as const) {
          if (isCsv && query[parameter] !== undefined) return yield* pagesOnly(parameter)
        }
        const times = { from: Views.timeOrNull(from), to: Views.timeOrNull(to) }
        const filters = Answer.filters(times)
        const list = `statement of ${params.id}?${filters}`
        const place = yield* Cursor.decode(list, query.after, isPlace)
        const { account } = yield* FindAccount.read(queries, yield* FindAccount.known(params.id))

        const [opening = 0n, closing = 0n, after] = place?.split(" ").map(BigInt) ?? []
        const period = yield* after === undefined ? between(account, from, to) : numbered(account, opening, closing)
        if (isCsv) return yield* asCsv(period)

        const [begin, end] = [sequenceOf(period.opening), sequenceOf(period.closing)]
        const entries = yield* Effect.mapError(
          queries.entriesAfter(account.id, after ?? begin, end, limit + 1),
          ofPort
        )
        const page = Answer.page(
          entries,
          limit,
          (entry) => Views.entry(entry, account.normalSide),
          ({ sequence }) => Cursor.encode(list, `${begin} ${end} ${sequence}`)
        )
        const sums = Views.sums(entries.slice(0, limit))
        const statement: typeof Statement.Encoded = {
          ...page,
          object: "statement",
          account: account.id,
          currency: account.currency,
          normal_side: account.normalSide,
          ...times,
          opening: Views.balanceAsOf(account, period.opening),
          closing: Views.balanceAsOf(account, period.closing),
          credits: sums.credits.toString(),
          debits: sums.debits.toString()
        }
        const path = `${FindAccount.pathOf(account.id)}/statement`
        return Answer.json(Statement, statement, {
          headers: { ...Answer.pageHeaders(path, limit, page, filters), vary: "accept" }
        })
      }, answered)
    )
  })
)
