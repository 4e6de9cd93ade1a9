/**
 * The contract of the API, without any implementation: clients import it, the server serves it, tests hold it.
 */
import { HttpApi, OpenApi } from "effect/http-api"
import { SystemGroup } from "#infra/http/System.ts"
import { AccountsGroup } from "./Accounts.ts"
import { completed } from "./Examples.ts"
import { LedgerGroup } from "./LedgerBooks.ts"
import { ReceiptsGroup, SealsGroup } from "./Receipts.ts"
import { StatementsGroup } from "./Statements.ts"
import { TransfersGroup } from "./Transfers.ts"

export const CounterpoiseApi = HttpApi.make("counterpoise")
  .add(AccountsGroup)
  .add(StatementsGroup)
  .add(TransfersGroup)
  .add(LedgerGroup)
  .add(ReceiptsGroup)
  .add(SealsGroup)
  .add(SystemGroup)
  // All that is wrong is said at once, and what is not known is refused.
  .annotate(HttpApi.PayloadParseOptions, { errors: "all", onExcessProperty: "error" })
  .annotate(HttpApi.QueryParseOptions, { errors: "all", onExcessProperty: "error" })
  .annotateMerge(OpenApi.annotations({
    title: "Counterpoise",
    version: "1.0.0",
    description: "Payments with a double-entry ledger. Money is a string of minor units with a currency. Every POST " +
      "carries an Idempotency-Key and may be repeated. HTTP status describes the request; the resource's `status` " +
      "describes the money. Everything that is not a success is a problem (RFC 9457) with a stable `code`. Where " +
      "requests are limited, `RateLimit-Policy` and `RateLimit` say in every answer how much is left.",
    license: { name: "MIT" },
    transform: completed
  }))
