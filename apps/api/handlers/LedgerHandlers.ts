/**
 * The books as a whole.
 */
import { Clock, Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { Queries } from "#domain/ledger/Queries.ts"
import * as Answer from "#infra/http/Answer.ts"
import { answered, ofPort } from "#infra/http/Refusal.ts"
import { CounterpoiseApi } from "../contract/CounterpoiseApi.ts"
import { TrialBalance } from "../contract/LedgerBooks.ts"
import * as Views from "./Views.ts"

export const layer = HttpApiBuilder.group(
  CounterpoiseApi,
  "ledger",
  Effect.fn(function*(handlers) {
    const queries = yield* Queries
    return handlers.handle(
      "trialBalance",
      Effect.fnUntraced(function*() {
        const sums = yield* Effect.mapError(queries.trialBalance, ofPort)
        return Answer.json(TrialBalance, Views.trialBalance(sums, yield* Clock.currentTimeMillis))
      }, answered)
    )
  })
)
