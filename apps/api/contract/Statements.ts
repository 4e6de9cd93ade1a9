/**
 * Statements: what happened to an account in a period, so that it can be checked by hand.
 */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import { Side } from "#domain/account/Account.ts"
import * as Problems from "#infra/http/Problems.ts"
import { Validation } from "#infra/http/Validation.ts"
import { Instant, Minor, page, PageCursor, PageLimit, parameter, Time } from "#infra/http/Values.ts"
import { BalanceAsOf, Entry } from "./Accounts.ts"
import { Authorization } from "./Authorization.ts"

export const Statement = Schema.Struct({
  ...page(Entry).fields,
  object: Schema.Literal("statement"),
  account: Schema.String,
  currency: Schema.String,
  normal_side: Side.annotate({
    description: "On a credit-normal account opening + credits − debits = closing, on a debit-normal one opening + " +
      "debits − credits"
  }),
  from: Schema.NullOr(Time).annotate({ description: "Where the period begins; null is with the first entry" }),
  to: Schema.NullOr(Time).annotate({
    description: "Before which the period ends; null is with the entry that was the last when the first page was read"
  }),
  opening: BalanceAsOf.annotate({ description: "The balance before the first entry of the period" }),
  closing: BalanceAsOf.annotate({
    description:
      "The balance after its last entry. Entries are numbered without a gap: there are as many in the period " +
      "as the sequences of closing and opening differ by"
  }),
  credits: Minor.annotate({ description: "The sum of the CREDIT entries on this page" }),
  debits: Minor.annotate({ description: "The sum of the DEBIT entries on this page" })
}).annotate({ identifier: "Statement" })

const Period = Schema.Struct({
  from: parameter(Instant, "Entries that were written at this time or later; from the first one unless given"),
  to: parameter(Instant, "Entries that were written before this time; up to the last one unless given"),
  limit: Schema.optionalKey(PageLimit),
  after: Schema.optionalKey(PageCursor)
}).check(
  Schema.makeFilter(({ from, to }) =>
    from === undefined || to === undefined || from <= to || { path: ["to"], issue: "must not be before from" }
  )
)

/** The media type of a statement that is not JSON (RFC 4180). */
export const csv = "text/csv; charset=utf-8; header=present"

export const StatementsGroup = HttpApiGroup.make("statements").add(
  HttpApiEndpoint.get("get", "/:id/statement", {
    params: { id: Schema.String },
    query: Period,
    success: [Statement, Schema.String.pipe(HttpApiSchema.asText({ contentType: csv }))],
    error: Problems.schemasOf(...Problems.sharded, "account_not_found", "invalid_cursor")
  }).annotateMerge(OpenApi.annotations({
    summary: "Get a statement of an account",
    description:
      "The entries of a period in ascending order, each with the balance after it, between the balance before " +
      "the first and the balance after the last. All pages of a statement are of the same entries, whatever is written " +
      "meanwhile. With `Accept: text/csv`: the whole statement in one answer, a line for each entry between one for the " +
      "opening and one for the closing balance, which has the sums of debits and credits; without that line it broke off. " +
      "A CSV takes no `limit` and no `after`."
  }))
).middleware(Validation).middleware(Authorization).prefix("/v1/accounts").annotateMerge(
  OpenApi.annotations({ title: "Statements", description: "What happened to an account in a period." })
)
