/** Events that operators ask with: written with the operation in one transaction, as `counterpoise_operator`. */
import { Effect, Layer } from "effect"
import { keyOf, subjectOf, toJson } from "#domain/ledger/LedgerEvent.ts"
import { Interventions } from "#domain/operations/Interventions.ts"
import { partitionOf } from "#domain/sharding/Partition.ts"
import { shardOfAccount } from "#domain/sharding/ShardMap.ts"
import { noted } from "./PgAudit.ts"
import { transaction } from "./Postgres.ts"
import { ShardDatabases } from "./ShardDatabases.ts"

export const layer = Layer.effect(
  Interventions,
  Effect.gen(function*() {
    const { map, on } = yield* ShardDatabases
    return Interventions.of({
      ask: (event, operation, action) =>
        on(shardOfAccount(map, event.source), (sql) => {
          const key = keyOf(event)
          return transaction(
            sql,
            Effect.andThen(
              // First, as it also takes a transaction id: the position barrier relies on it.
              noted(sql, operation, { action, subject: event.transfer, refusedWith: null }),
              sql`
                INSERT INTO event (type, subject, key, partition, payload, request_id)
                VALUES (${event.type}, ${subjectOf(event)}, ${key}, ${partitionOf(key, map.partitions)},
                  ${toJson(event)}::json, ${operation.requestId})`
            )
          ).pipe(Effect.asVoid)
        })
    })
  })
)
