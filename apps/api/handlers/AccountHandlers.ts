/**
 * Accounts: opened through the intake, read through the queries.
 */
import { Clock, Effect, Schema } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { ulid } from "ulid"
import { AccountId, defaultsOf, emptyBalance } from "#domain/account/Account.ts"
import { Queries } from "#domain/ledger/Queries.ts"
import { partitionOf } from "#domain/sharding/Partition.ts"
import type { ShardMap } from "#domain/sharding/ShardMap.ts"
import { type AccountRecord, Intake } from "#domain/transfer/Intake.ts"
import { random } from "#infra/Entropy.ts"
import { Account, AccountList, Balance, EntryList, OpenAccount } from "../contract/Accounts.ts"
import { CurrentClient } from "../contract/Authorization.ts"
import { CounterpoiseApi } from "../contract/CounterpoiseApi.ts"
import * as Answer from "../http/Answer.ts"
import * as Body from "../http/Body.ts"
import { CurrentRequest } from "../http/CurrentRequest.ts"
import * as Cursor from "../http/Cursor.ts"
import { counted, notRecorded } from "../http/Recorded.ts"
import { answered, ofPort, Refusal } from "../http/Refusal.ts"
import * as Views from "./Views.ts"

/**
 * Draws an id for an account whose opener did not choose one.
 *
 * It is drawn again until it lives in the partition of the client's key: so a repetition, which draws another id, still
 * comes to the shard where the key was kept.
 */
const draw = (client: string, key: string, partitions: number, millis: number): AccountId => {
  const home = partitionOf(`${client} ${key}`, partitions)
  for (;;) {
    const id = `acc_${ulid(millis, random)}`
    if (partitionOf(id, partitions) === home) return AccountId.make(id)
  }
}

/** An account as it was first answered, whatever became of it since. */
const asOpened = (record: AccountRecord): AccountRecord => ({
  ...record,
  account: { ...record.account, status: "open", balance: emptyBalance }
})

const isAccountId = Schema.is(AccountId)

const accountNotFound = new Refusal({ code: "account_not_found" })

const accountPath = (id: string): string => `/v1/accounts/${encodeURIComponent(id)}`

export const layer = (map: ShardMap) =>
  HttpApiBuilder.group(
    CounterpoiseApi,
    "accounts",
    Effect.fn(function*(handlers) {
      const intake = yield* Intake
      const queries = yield* Queries
      const readBody = Body.reader("POST /v1/accounts", OpenAccount)

      const find = Effect.fnUntraced(function*(id: string): Effect.fn.Return<AccountRecord, Refusal> {
        // What cannot be an id names nothing.
        if (!isAccountId(id)) return yield* accountNotFound
        const found = yield* Effect.mapError(queries.account(id), ofPort)
        return yield* Effect.mapError(Effect.fromOption(found), () => accountNotFound)
      })

      return handlers
        .handleRaw(
          "open",
          Effect.fnUntraced(function*({ headers, request }) {
            const { name: client } = yield* CurrentClient
            const idempotencyKey = headers["idempotency-key"]
            const { fingerprint, value } = yield* readBody(request)
            const { requestId, traceparent } = yield* CurrentRequest
            const millis = yield* Clock.currentTimeMillis
            const kind = value.kind ?? "customer"
            const defaults = defaultsOf(kind)
            // Once begun it is ended, though the client may have gone away.
            const recorded = yield* Effect.uninterruptible(intake.open({
              request: { client, idempotencyKey, fingerprint, requestId, traceparent },
              account: {
                id: value.id ?? draw(client, idempotencyKey, map.partitions, millis),
                kind,
                normalSide: value.normal_side ?? defaults.normalSide,
                currency: value.currency,
                floor: value.floor === undefined ? defaults.floor : value.floor,
                ceiling: value.ceiling ?? null
              },
              named: value.id !== undefined,
              metadata: value.metadata ?? {}
            })).pipe(Effect.catch(notRecorded))
            yield* counted(recorded.replayed)
            return Answer.json(Account, Views.account(asOpened(recorded.record)), {
              status: 201,
              headers: {
                location: accountPath(recorded.record.account.id),
                ...(recorded.replayed ? { "idempotent-replayed": "true" } : {})
              }
            })
          }, answered)
        )
        .handle(
          "list",
          Effect.fnUntraced(function*({ query }) {
            const limit = query.limit ?? Answer.defaultPageLimit
            const after = yield* Cursor.decode("accounts", query.after)
            const records = yield* Effect.mapError(queries.accounts(after, limit + 1), ofPort)
            const page = Answer.page(
              records,
              limit,
              Views.account,
              ({ account }) => Cursor.encode("accounts", account.id)
            )
            return Answer.json(AccountList, page, {
              headers: Answer.pageHeaders("/v1/accounts", limit, page)
            })
          }, answered)
        )
        .handle(
          "get",
          Effect.fnUntraced(function*({ params }) {
            return Answer.json(Account, Views.account(yield* find(params.id)))
          }, answered)
        )
        .handle(
          "balance",
          Effect.fnUntraced(function*({ params }) {
            return Answer.json(Balance, Views.balance((yield* find(params.id)).account))
          }, answered)
        )
        .handle(
          "entries",
          Effect.fnUntraced(function*({ params, query }) {
            const limit = query.limit ?? Answer.defaultPageLimit
            const list = `entries of ${params.id}`
            const before = yield* Cursor.decode(list, query.after)
            const { account } = yield* find(params.id)
            const records = yield* Effect.mapError(
              queries.entries(params.id, before === null ? null : BigInt(before), limit + 1),
              ofPort
            )
            const page = Answer.page(
              records,
              limit,
              (entry) => Views.entry(entry, account.normalSide),
              ({ sequence }) => Cursor.encode(list, sequence.toString())
            )
            return Answer.json(EntryList, page, {
              headers: Answer.pageHeaders(`${accountPath(params.id)}/entries`, limit, page)
            })
          }, answered)
        )
    })
  )
