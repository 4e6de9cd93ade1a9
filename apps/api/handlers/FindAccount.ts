/**
 * Accounts found by the ids that paths name.
 */
import { Effect, Schema } from "effect"
import { AccountId } from "#domain/account/Account.ts"
import type { Queries } from "#domain/ledger/Queries.ts"
import type { AccountRecord } from "#domain/transfer/Intake.ts"
import { ofPort, Refusal } from "#infra/http/Refusal.ts"

export const isAccountId = Schema.is(AccountId)

export const notFound = new Refusal({ code: "account_not_found" })

/** What cannot be an id names nothing. */
export const known = (id: string): Effect.Effect<AccountId, Refusal> =>
  isAccountId(id) ? Effect.succeed(id) : Effect.fail(notFound)

export const read = (queries: Queries["Service"], id: AccountId): Effect.Effect<AccountRecord, Refusal> =>
  Effect.mapError(queries.account(id), ofPort).pipe(
    Effect.flatMap((found) => Effect.mapError(Effect.fromOption(found), () => notFound))
  )

/** Where an account lives. */
export const pathOf = (id: string): string => `/v1/accounts/${encodeURIComponent(id)}`
