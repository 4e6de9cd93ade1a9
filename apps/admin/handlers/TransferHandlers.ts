/**
 * What operators ask of transfers.
 */
import { Clock, Effect, Option, Schema } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { Queries } from "#domain/ledger/Queries.ts"
import { Interventions, recallOf, requeueOf } from "#domain/operations/Interventions.ts"
import { type ShardMap, shardOfPartition } from "#domain/sharding/ShardMap.ts"
import { partitionOf, TransferId } from "#domain/transfer/TransferId.ts"
import { answered, ofPort, Refusal } from "#infra/http/Refusal.ts"
import { CurrentOperator } from "../contract/Operators.ts"
import { AdminApi } from "../contract/AdminApi.ts"
import { operate } from "./Operating.ts"

const isTransferId = Schema.is(TransferId)

const notFound = new Refusal({ code: "transfer_not_found" })

export const layer = (map: ShardMap) =>
  HttpApiBuilder.group(
    AdminApi,
    "transfers",
    Effect.fn(function*(handlers) {
      const queries = yield* Queries
      const interventions = yield* Interventions

      const find = Effect.fnUntraced(function*(id: string) {
        if (!isTransferId(id) || partitionOf(id) >= map.partitions) return yield* notFound
        const found = yield* Effect.mapError(queries.transfer(id), ofPort)
        if (Option.isNone(found)) return yield* notFound
        return { record: found.value, shard: shardOfPartition(map, partitionOf(id)) }
      })

      return handlers.handleAll({
        recall: Effect.fnUntraced(function*({ params: { id }, payload }) {
          const { record, shard } = yield* find(id)
          const operator = yield* CurrentOperator
          const recall = Effect.fromResult(recallOf(record, operator))
          return yield* operate({
            action: "transfer.recall",
            subject: id,
            shard,
            tried: Effect.as(
              recall,
              `would ask ${record.terms.destination}'s shard to rule on ${id}; its verdict decides`
            ),
            done: (operation) =>
              Effect.gen(function*() {
                yield* interventions.ask(yield* recall, operation, "transfer.recall")
                return { changed: true, says: `asked ${record.terms.destination}'s shard to rule on ${id}` }
              })
          }, payload)
        }, answered),

        requeue: Effect.fnUntraced(function*({ params: { id }, payload }) {
          const { record, shard } = yield* find(id)
          const steps = yield* Effect.mapError(queries.timeline(record.terms.transfer), ofPort)
          const requested = steps.map(({ event }) => event).find((event) => event.type === "transfer.requested")
          const requeue = Effect.fromResult(requeueOf(record, requested, yield* Clock.currentTimeMillis))
          return yield* operate({
            action: "transfer.requeue",
            subject: id,
            shard,
            tried: Effect.as(requeue, `would ask shard ${shard} about ${id} again`),
            done: (operation) =>
              Effect.gen(function*() {
                yield* interventions.ask(yield* requeue, operation, "transfer.requeue")
                return { changed: true, says: `asked shard ${shard} about ${id} again` }
              })
          }, payload)
        }, answered)
      })
    })
  )
