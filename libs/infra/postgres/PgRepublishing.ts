/** A relay is sent back: by a function of the shard that does nothing else, as `counterpoise_operator`. */
import { Effect, Layer } from "effect"
import { PositionNotCarried, Republishing } from "#domain/operations/Republishing.ts"
import { noted } from "./PgAudit.ts"
import { transaction } from "./Postgres.ts"
import { ShardDatabases } from "./ShardDatabases.ts"

interface CursorRow {
  readonly log: string
  readonly carried_to: bigint
}

export const layer = Layer.effect(
  Republishing,
  Effect.gen(function*() {
    const { on } = yield* ShardDatabases
    return Republishing.of({
      look: (shard, from) =>
        on(
          shard,
          Effect.fnUntraced(function*(sql) {
            const [cursor] = yield* sql<CursorRow>`
              SELECT log, position AS carried_to FROM relay_cursor ORDER BY moved_at DESC LIMIT 1`
            const to = cursor?.carried_to ?? 0n
            if (cursor === undefined || to < from) return yield* PositionNotCarried.make({ shard, from, carriedTo: to })
            const [counted] = yield* sql<{ readonly events: number }>`
              SELECT count(*)::int4 AS events FROM event WHERE position BETWEEN ${from}::int8 AND ${to}::int8`
            return { log: cursor.log, from, to, events: counted?.events ?? 0 }
          })
        ),

      sendBack: (shard, from, operation, note) =>
        on(shard, (sql) =>
          transaction(
            sql,
            Effect.gen(function*() {
              const [sent] = yield* sql<CursorRow>`
                SELECT into_log AS log, carried_to FROM send_relay_back(${from}::int8)`
              if (sent === undefined) {
                const [cursor] = yield* sql<Pick<CursorRow, "carried_to">>`
                  SELECT position AS carried_to FROM relay_cursor ORDER BY moved_at DESC LIMIT 1`
                return yield* PositionNotCarried.make({ shard, from, carriedTo: cursor?.carried_to ?? 0n })
              }
              yield* noted(sql, operation, { ...note, refusedWith: null })
              return { log: sent.log, from, to: sent.carried_to }
            })
          ))
    })
  })
)
