/** The shard's `event` table as a log: read up to the position barrier, appended to after a transaction id is taken. */
import { Effect, Layer } from "effect"
import type { LogRecord } from "#domain/messaging/EventLog.ts"
import { ShardLog } from "#domain/messaging/ShardLog.ts"
import { LeaseLost } from "#domain/sharding/Leases.ts"
import { partitionOf } from "#domain/sharding/Partition.ts"
import { keyOf, subjectOf, toJson } from "#domain/ledger/LedgerEvent.ts"
import { int4s, texts } from "./Columns.ts"
import { transaction } from "./Postgres.ts"
import { millis } from "./Rows.ts"
import { ShardDatabases } from "./ShardDatabases.ts"

interface EventRow {
  readonly position: bigint
  readonly type: string
  readonly subject: string
  readonly key: string
  readonly partition: number
  readonly payload: string
  readonly request_id: string | null
  readonly traceparent: string | null
  readonly occurred_at_millis: number
}

export const layer = Layer.effect(
  ShardLog,
  Effect.gen(function*() {
    const databases = yield* ShardDatabases
    return ShardLog.of({
      after: (shard, position, most) =>
        databases.on(shard, (sql) =>
          Effect.gen(function*() {
            const [row] = yield* sql<{ readonly barrier: bigint | null }>`SELECT event_barrier(${position}) AS barrier`
            const barrier = row?.barrier ?? null
            if (barrier === null) return { records: [], upTo: position }
            const rows = yield* sql<EventRow>`
              SELECT position, type, subject, key, partition, payload::text, request_id, traceparent,
                ${sql.literal(millis("occurred_at"))} AS occurred_at_millis
              FROM event WHERE position > ${position} AND position <= ${barrier}
              ORDER BY position LIMIT ${most}`
            const records = rows.map((row): LogRecord => ({
              partition: row.partition,
              source: shard,
              position: row.position,
              key: row.key,
              type: row.type,
              subject: row.subject,
              payload: row.payload,
              occurredAtMillis: row.occurred_at_millis,
              traceparent: row.traceparent,
              requestId: row.request_id
            }))
            const last = records.at(-1)
            return { records, upTo: records.length === most && last !== undefined ? last.position : barrier }
          })),

      cursor: (shard, log) =>
        databases.on(
          shard,
          (sql) =>
            sql<{ readonly position: bigint }>`SELECT position FROM relay_cursor WHERE log = ${log}`.pipe(
              Effect.map((rows) => rows[0]?.position ?? 0n)
            )
        ),

      advance: (lease, log, to) =>
        databases.on(lease.shard, (sql) =>
          sql`
            INSERT INTO relay_cursor AS cursor (log, position)
            -- Locked: whoever takes the lease and sets the cursor back meanwhile must not be overrun (0016).
            SELECT ${log}, ${to} FROM lease WHERE role = ${lease.role} AND epoch = ${lease.epoch} FOR SHARE
            ON CONFLICT (log) DO UPDATE SET position = excluded.position, moved_at = now()
              WHERE cursor.position <= excluded.position
            RETURNING 1`.pipe(
            Effect.flatMap((rows) =>
              rows.length === 1
                ? Effect.void
                : Effect.fail(LeaseLost.make({ shard: lease.shard, role: lease.role }))
            )
          )),

      append: (shard, events) =>
        databases.on(shard, (sql) => {
          const keys = events.map(keyOf)
          const written = Effect.andThen(
            // As text: the driver does not know xid8, and takes its bytes for text.
            sql`SELECT pg_current_xact_id()::text`,
            sql`
              INSERT INTO event (type, subject, key, partition, payload)
              SELECT type, subject, key, partition, payload::json
              FROM unnest(
                ${texts(events.map((event) => event.type))}::text[],
                ${texts(events.map(subjectOf))}::text[],
                ${texts(keys)}::text[],
                ${int4s(keys.map((key) => partitionOf(key, databases.map.partitions)))}::int4[],
                ${texts(events.map((event) => toJson(event)))}::text[]
              ) AS t (type, subject, key, partition, payload)`
          )
          return Effect.asVoid(transaction(sql, written))
        })
    })
  })
)
