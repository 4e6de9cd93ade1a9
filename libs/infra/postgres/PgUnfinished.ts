/** What has not ended on a shard: one statement, so one moment. `counterpoise_auditor` may ask. */
import { Effect, Layer } from "effect"
import { lookBackMillis, type Unfinished, UnfinishedCounts } from "#domain/operations/Unfinished.ts"
import { millis } from "./Rows.ts"
import { ShardDatabases } from "./ShardDatabases.ts"

interface Row {
  readonly requested: number
  readonly authorized: number
  readonly held: number
  readonly oldest_millis: number | null
  readonly open_instructions: number
}

const none: Unfinished = { requested: 0, authorized: 0, held: 0, oldestMillis: null, openInstructions: 0 }

export const layer = Layer.effect(
  UnfinishedCounts,
  Effect.gen(function*() {
    const databases = yield* ShardDatabases
    return UnfinishedCounts.of({
      of: (shard) =>
        databases.on(shard, (sql) =>
          Effect.map(
            sql<Row>`
              SELECT count(*) FILTER (WHERE status = 'requested')::int4 AS requested,
                count(*) FILTER (WHERE status = 'authorized')::int4 AS authorized,
                count(*) FILTER (WHERE status = 'held')::int4 AS held,
                ${sql.literal(millis("min(created_at) FILTER (WHERE status <> 'authorized')"))} AS oldest_millis,
                (SELECT count(*)::int4 FROM instruction WHERE status = 'open') AS open_instructions
              FROM transfer
              WHERE created_at > now() - make_interval(secs => ${lookBackMillis / 1000})
                AND status IN ('requested', 'authorized', 'held')`,
            ([row]) =>
              row === undefined ? none : {
                requested: row.requested,
                authorized: row.authorized,
                held: row.held,
                oldestMillis: row.oldest_millis,
                openInstructions: row.open_instructions
              }
          ))
    })
  })
)
