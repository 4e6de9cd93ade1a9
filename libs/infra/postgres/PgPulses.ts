/** What a shard's own tables say of who works on it, and how far that has come; as the auditor. */
import { Effect, Layer, Schema } from "effect"
import { mostWaiting, Pulses } from "#domain/sharding/Pulse.ts"
import { ShardDatabases } from "./ShardDatabases.ts"
import { millis } from "./Rows.ts"

const leaseRows = Schema.decodeUnknownSync(Schema.Array(Schema.Struct({
  role: Schema.String,
  holder: Schema.String,
  epoch: Schema.BigInt,
  expires_at_millis: Schema.Finite
})))

const carriedRows = Schema.decodeUnknownSync(Schema.Array(Schema.Struct({
  log: Schema.String,
  position: Schema.BigInt,
  moved_at_millis: Schema.Finite,
  waiting: Schema.Int,
  waiting_since_millis: Schema.NullOr(Schema.Finite)
})))

const workedRows = Schema.decodeUnknownSync(Schema.Array(Schema.Struct({
  partition: Schema.Int,
  log: Schema.String,
  next: Schema.BigInt
})))

interface OwnRow {
  readonly at_millis: number
  readonly last_position: bigint
  readonly sealed_up_to: bigint | null
  readonly sealed_at_millis: number | null
  readonly behind_from: bigint | null
  readonly seen_to: bigint | null
  readonly seen_by: string | null
}

export const layer = Layer.effect(
  Pulses,
  Effect.gen(function*() {
    const databases = yield* ShardDatabases
    return Pulses.of({
      of: (shard) =>
        databases.on(
          shard,
          Effect.fnUntraced(function*(sql) {
            const [own] = yield* sql<OwnRow>`
              SELECT ${sql.literal(millis("clock_timestamp()"))} AS at_millis,
                coalesce((SELECT max(position) FROM event), 0) AS last_position,
                block.up_to AS sealed_up_to,
                ${sql.literal(millis("block.sealed_at"))} AS sealed_at_millis,
                recovery.log_end AS behind_from, recovery.seen_to, recovery.seen_by
              FROM (VALUES (1)) AS answer
              LEFT JOIN recovery ON recovery.ended_at IS NULL
              LEFT JOIN (SELECT up_to, sealed_at FROM sealed_block ORDER BY number DESC LIMIT 1) AS block ON true`
            const leases = yield* sql`
              SELECT role, holder, epoch, ${sql.literal(millis("expires_at"))} AS expires_at_millis
              FROM lease ORDER BY role`
            const carried = yield* sql`
              SELECT log, cursor.position, ${sql.literal(millis("moved_at"))} AS moved_at_millis, waiting,
                ${sql.literal(millis("waiting_since"))} AS waiting_since_millis
              FROM relay_cursor AS cursor
              CROSS JOIN LATERAL (
                SELECT count(*)::int4 AS waiting, min(occurred_at) AS waiting_since
                FROM (
                  SELECT occurred_at FROM event WHERE event.position > cursor.position ORDER BY position LIMIT ${mostWaiting}
                ) AS later
              ) AS behind
              ORDER BY log`
            const worked = yield* sql`
              SELECT partition, log, next_offset AS next FROM consumer_position ORDER BY partition`
            return {
              shard,
              atMillis: own?.at_millis ?? 0,
              lastPosition: own?.last_position ?? 0n,
              behind: own === undefined || own.behind_from === null || own.seen_to === null || own.seen_by === null
                ? null
                : { logEnd: own.behind_from, seenTo: own.seen_to, seenBy: own.seen_by },
              sealed: own === undefined || own.sealed_up_to === null || own.sealed_at_millis === null
                ? null
                : { upTo: own.sealed_up_to, atMillis: own.sealed_at_millis },
              leases: leaseRows(leases).map(({ expires_at_millis, ...lease }) => ({
                ...lease,
                expiresAtMillis: expires_at_millis
              })),
              carried: carriedRows(carried).map(({ moved_at_millis, waiting_since_millis, ...cursor }) => ({
                ...cursor,
                movedAtMillis: moved_at_millis,
                waitingSinceMillis: waiting_since_millis
              })),
              worked: workedRows(worked)
            }
          })
        )
    })
  })
)
