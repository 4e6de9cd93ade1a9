/**
 * Accounts: opened through the intake, read through the queries.
 */
import { Clock, Effect, Option } from "effect"
import type { HttpServerRequest } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import { ulid } from "ulid"
import { AccountId, defaultsOf, emptyBalance } from "#domain/account/Account.ts"
import { type Entry, Queries } from "#domain/ledger/Queries.ts"
import { partitionOf } from "#domain/sharding/Partition.ts"
import type { ShardMap } from "#domain/sharding/ShardMap.ts"
import { type AccountRecord, Intake, type Metadata } from "#domain/transfer/Intake.ts"
import { random } from "#infra/Entropy.ts"
import * as Answer from "#infra/http/Answer.ts"
import * as Body from "#infra/http/Body.ts"
import { CurrentRequest } from "#infra/http/CurrentRequest.ts"
import * as Cursor from "#infra/http/Cursor.ts"
import { answered, ofPort, Refusal } from "#infra/http/Refusal.ts"
import { NoMembers } from "#infra/http/Values.ts"
import {
  Account,
  AccountList,
  Balance,
  BalanceAsOf,
  DescribeAccount,
  EntryList,
  OpenAccount
} from "../contract/Accounts.ts"
import { CurrentClient } from "../contract/Authorization.ts"
import { CounterpoiseApi } from "../contract/CounterpoiseApi.ts"
import { counted, notRecorded } from "../http/Recorded.ts"
import * as FindAccount from "./FindAccount.ts"
import * as Instructing from "./Instructing.ts"
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
const asOpened = (record: AccountRecord, metadata: Metadata): AccountRecord => ({
  ...record,
  account: { ...record.account, status: "open", balance: emptyBalance },
  metadata,
  revision: 1n
})

/** One account, with the ETag that a change of it must name. */
const answer = (
  record: AccountRecord,
  options: { readonly status?: number; readonly headers?: Readonly<{ [name: string]: string }> } = {}
) =>
  Answer.json(Account, Views.account(record), {
    ...options,
    headers: { ...options.headers, etag: `"v${record.revision}"` }
  })

const entryNotFound = new Refusal({ code: "entry_not_found" })

const isSequence = (text: string): text is `${bigint}` => /^[1-9][0-9]{0,14}$/.test(text)

const subject: Instructing.Subject<AccountRecord> = {
  idOf: ({ account }) => account.id,
  statusOf: ({ account }) => account.status,
  answer
}

export const layer = (map: ShardMap) =>
  HttpApiBuilder.group(
    CounterpoiseApi,
    "accounts",
    Effect.fn(function*(handlers) {
      const intake = yield* Intake
      const queries = yield* Queries
      const instruct = yield* Instructing.make(subject)
      const readBody = Body.reader("POST /v1/accounts", OpenAccount)
      const readDescription = Body.reader("PATCH /v1/accounts/:id", DescribeAccount)

      const read = (id: AccountId) => FindAccount.read(queries, id)

      const find = (id: string) => Effect.flatMap(FindAccount.known(id), read)

      /** The entry of that number; null is before the first. */
      const entryOf = (account: string, sequence: bigint): Effect.Effect<Entry | null, Refusal> =>
        sequence === 0n
          ? Effect.succeed(null)
          : Effect.mapError(queries.entry(account, sequence), ofPort).pipe(
            Effect.flatMap((found) => Effect.mapError(Effect.fromOption(found), () => entryNotFound))
          )

      /** The last entry that was written at that time or before; null is before the first. */
      const entryAt = (account: string, millis: number): Effect.Effect<Entry | null, Refusal> =>
        Effect.mapBoth(queries.lastEntryBefore(account, millis + 1), { onFailure: ofPort, onSuccess: Option.getOrNull })

      const asking = (asks: "freeze" | "unfreeze" | "close") => {
        const readNothing = Body.reader(`POST /v1/accounts/:id/${asks}`, NoMembers, { leftOut: true })
        return Effect.fnUntraced(function*({ headers, params, request }: {
          readonly headers: Instructing.Asked<AccountRecord>["headers"]
          readonly params: { readonly id: string }
          readonly request: HttpServerRequest.HttpServerRequest
        }) {
          const { fingerprint } = yield* readNothing(request)
          const account = yield* FindAccount.known(params.id)
          return yield* instruct({
            headers,
            fingerprint,
            find: read(account),
            event: (_, instruction) => ({ type: `account.${asks}_requested`, account, instruction })
          })
        }, answered)
      }

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
            return answer(asOpened(recorded.record, value.metadata ?? {}), {
              status: 201,
              headers: {
                location: FindAccount.pathOf(recorded.record.account.id),
                ...Answer.replayed(recorded.replayed)
              }
            })
          }, answered)
        )
        .handle(
          "list",
          Effect.fnUntraced(function*({ query }) {
            const limit = query.limit ?? Answer.defaultPageLimit
            const after = yield* Cursor.decode("accounts", query.after, FindAccount.isAccountId)
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
            return answer(yield* find(params.id))
          }, answered)
        )
        .handleRaw(
          "describe",
          Effect.fnUntraced(function*({ headers, params, request }) {
            const { value } = yield* readDescription(request)
            const account = yield* FindAccount.known(params.id)
            const described = yield* Effect.mapError(
              intake.describe(account, headers["if-match"], value.metadata),
              ofPort
            )
            return answer(yield* Effect.mapError(Effect.fromOption(described), () => FindAccount.notFound))
          }, answered)
        )
        .handleRaw("freeze", asking("freeze"))
        .handleRaw("unfreeze", asking("unfreeze"))
        .handleRaw("close", asking("close"))
        .handle(
          "balance",
          Effect.fnUntraced(function*({ params, query }) {
            const { account } = yield* find(params.id)
            const { at, sequence } = query
            if (at === undefined && sequence === undefined) return Answer.json(Balance, Views.balance(account))
            const entry = yield* at === undefined ? entryOf(account.id, sequence ?? 0n) : entryAt(account.id, at)
            return Answer.json(BalanceAsOf, Views.balanceAsOf(account, entry))
          }, answered)
        )
        .handle(
          "entries",
          Effect.fnUntraced(function*({ params, query }) {
            const limit = query.limit ?? Answer.defaultPageLimit
            const list = `entries of ${params.id}`
            const before = yield* Cursor.decode(list, query.after, isSequence)
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
              headers: Answer.pageHeaders(`${FindAccount.pathOf(params.id)}/entries`, limit, page)
            })
          }, answered)
        )
    })
  )
