/**
 * Adjustments: proposed by one operator, approved by another, and then requested like any transfer.
 */
import { Clock, Effect, Option } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { Queries } from "#domain/ledger/Queries.ts"
import {
  type Adjustment as Found,
  adjustmentId,
  AdjustmentNotFound,
  Adjustments,
  type AdjustmentTerms,
  intentOfAdjustment,
  placeOfAdjustment,
  SameOperator
} from "#domain/operations/Adjustments.ts"
import { partitionOf } from "#domain/sharding/Partition.ts"
import { type ShardId, type ShardMap, shardOfAccount } from "#domain/sharding/ShardMap.ts"
import { Intake } from "#domain/transfer/Intake.ts"
import * as TransferId from "#domain/transfer/TransferId.ts"
import { random } from "#infra/Entropy.ts"
import * as Answer from "#infra/http/Answer.ts"
import { fingerprintOf } from "#infra/http/Body.ts"
import * as Cursor from "#infra/http/Cursor.ts"
import { answered, ofPort, Refusal } from "#infra/http/Refusal.ts"
import { page } from "#infra/http/Values.ts"
import { AdminApi } from "../contract/AdminApi.ts"
import { Adjustment } from "../contract/Adjustments.ts"
import { CurrentOperator } from "../contract/Operators.ts"
import { isPlace, shardByShard } from "./AcrossShards.ts"
import { operate, refusalOf } from "./Operating.ts"
import { time } from "./Views.ts"

const Page = page(Adjustment)

const view = (
  { approved, proposedAtMillis, proposedBy, reason, terms, ...place }: Found,
  transferStatus: string | null = null
): typeof Adjustment.Encoded => ({
  id: adjustmentId(place),
  object: "adjustment",
  status: approved === null ? "proposed" : "approved",
  source: terms.source,
  destination: terms.destination,
  amount: terms.amount.toString(),
  currency: terms.currency,
  reason,
  proposed_by: proposedBy,
  created_at: time(proposedAtMillis),
  approved_by: approved?.by ?? null,
  approved_at: approved === null ? null : time(approved.atMillis),
  transfer: approved?.transfer ?? null,
  transfer_status: transferStatus
})

const inWords = ({ amount, currency, destination, source }: AdjustmentTerms) =>
  `${amount} ${currency} from ${source} to ${destination}`

/** What the same key must come with again. */
const fingerprint = ({ amount, currency, destination, source }: AdjustmentTerms, reason: string) =>
  fingerprintOf("POST /admin/v1/adjustments", { source, destination, amount: amount.toString(), currency, reason })

export const layer = (map: ShardMap, shards: ReadonlyArray<ShardId>) =>
  HttpApiBuilder.group(
    AdminApi,
    "adjustments",
    Effect.fn(function*(handlers) {
      const adjustments = yield* Adjustments
      const intake = yield* Intake
      const queries = yield* Queries

      const find = Effect.fnUntraced(function*(id: string) {
        const place = placeOfAdjustment(id)
        if (place === undefined || !shards.includes(place.shard)) return yield* AdjustmentNotFound.make({ id })
        const found = yield* adjustments.find(place)
        return Option.isNone(found) ? yield* AdjustmentNotFound.make({ id }) : found.value
      })

      /** Both accounts are there: what cannot be moved need not be approved. */
      const bothExist = ({ destination, source }: AdjustmentTerms) =>
        Effect.forEach([source, destination], (id) =>
          Effect.flatMap(Effect.mapError(queries.account(id), ofPort), (found) =>
            Option.isSome(found)
              ? Effect.void
              : Effect.fail(new Refusal({ code: "account_not_found", detail: `there is no account ${id}` }))), {
          discard: true
        })

      return handlers.handleAll({
        propose: Effect.fnUntraced(function*({ headers, payload: { dry_run = false, reason, ...terms } }) {
          if (terms.source === terms.destination) {
            return yield* new Refusal({ code: "same_account" })
          }
          yield* bothExist(terms)
          return yield* operate({
            action: "adjustment.propose",
            subject: `${terms.source} → ${terms.destination}`,
            shard: shardOfAccount(map, terms.source),
            tried: Effect.succeed(`would propose to move ${inWords(terms)}; another operator must approve it`),
            done: (operation) =>
              Effect.map(
                adjustments.propose(terms, operation, {
                  idempotencyKey: headers["idempotency-key"],
                  fingerprint: fingerprint(terms, reason)
                }),
                ({ record, replayed }) => ({
                  changed: !replayed,
                  says: `${adjustmentId(record)}: ${inWords(record.terms)}; another operator must approve it`,
                  resource: adjustmentId(record)
                })
              )
          }, { dry_run, reason })
        }, answered),

        approve: Effect.fnUntraced(function*({ params: { id }, payload }) {
          const { name } = yield* CurrentOperator
          const found = yield* Effect.mapError(find(id), refusalOf)
          const { terms } = found
          const transfer = TransferId.make(
            yield* Clock.currentTimeMillis,
            partitionOf(terms.source, map.partitions),
            random
          )
          return yield* operate({
            action: "adjustment.approve",
            subject: id,
            shard: found.shard,
            tried: found.proposedBy === name
              ? SameOperator.make({ id, operator: name })
              : Effect.succeed(
                found.approved === null
                  ? `would request a transfer of ${inWords(terms)}`
                  : `${id} is approved already, as ${found.approved.transfer}: nothing would change`
              ),
            done: Effect.fnUntraced(function*(operation) {
              const { record, replayed } = yield* adjustments.approve(found, operation, transfer)
              const intent = intentOfAdjustment(record, operation.requestId, fingerprint(terms, found.reason))
              const requested = yield* Effect.uninterruptible(intake.request(intent))
              return {
                changed: !replayed || !requested.replayed,
                says: `${requested.record.terms.transfer} moves ${inWords(terms)}`,
                resource: requested.record.terms.transfer
              }
            })
          }, payload)
        }, answered),

        list: Effect.fnUntraced(function*({ query: { after, limit = Answer.defaultPageLimit, status } }) {
          const filters = Answer.filters({ status: status ?? null })
          const list = `adjustments?${filters}`
          const place = yield* Cursor.decode(list, after, isPlace)
          const found = yield* shardByShard(shards, place, limit + 1, (shard, number, most) =>
            adjustments.list(shard, status ?? null, number, most)).pipe(Effect.mapError(ofPort))
          const page = Answer.page(
            found,
            limit,
            (one) =>
              view(one),
            ({ number, shard }) =>
              Cursor.encode(list, `${shard} ${number}`)
          )
          return Answer.json(Page, page, { headers: Answer.pageHeaders("/admin/v1/adjustments", limit, page, filters) })
        }, answered),

        get: Effect.fnUntraced(function*({ params: { id } }) {
          const found = yield* Effect.mapError(find(id), refusalOf)
          if (found.approved === null) {
            return Answer.json(Adjustment, view(found))
          }
          const transfer = yield* Effect.mapError(queries.transfer(found.approved.transfer), ofPort)
          const status = Option.match(transfer, {
            onNone: () =>
              null,
            onSome: ({ status }) =>
              status
          })
          return Answer.json(Adjustment, view(found, status))
        }, answered)
      })
    })
  )
