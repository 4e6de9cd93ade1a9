/** What operators did, on the shard that it was done on. */
import type { PgClient } from "@effect/sql-pg"
import { Effect, Layer, Schema } from "effect"
import { Audit, type AuditRecord, type Operation } from "#domain/operations/Operation.ts"
import { millis } from "./Rows.ts"
import { ShardDatabases } from "./ShardDatabases.ts"

/** Keeps an operation; inside the transaction of what it changes, where it changes something. */
export const noted = (
  sql: PgClient.PgClient,
  { name, reason, requestId }: Operation,
  { action, refusedWith, subject }: Pick<AuditRecord, "action" | "subject" | "refusedWith">
) =>
  sql`
    INSERT INTO operator_action (actor, request_id, action, subject, reason, outcome, code)
    VALUES (${name}, ${requestId}, ${action}, ${subject}, ${reason}, ${refusedWith === null ? "done" : "refused"},
      ${refusedWith})`

const actionRows = Schema.decodeUnknownSync(Schema.Array(Schema.Struct({
  number: Schema.BigInt,
  actor: Schema.String,
  request_id: Schema.String,
  action: Schema.String,
  subject: Schema.String,
  reason: Schema.String,
  code: Schema.NullOr(Schema.String),
  at_millis: Schema.Finite
})))

export const layer = Layer.effect(
  Audit,
  Effect.gen(function*() {
    const databases = yield* ShardDatabases
    return Audit.of({
      note: (shard, operation, note) => databases.on(shard, (sql) => Effect.asVoid(noted(sql, operation, note))),

      list: (shard, { actor, subject }, below, most) =>
        databases.on(shard, (sql) =>
          Effect.map(
            sql`
              SELECT number, actor, request_id, action, subject, reason, code,
                ${sql.literal(millis("occurred_at"))} AS at_millis
              FROM operator_action
              WHERE number < coalesce(${below}::int8, 9223372036854775807)
                AND (${subject}::text IS NULL OR subject = ${subject})
                AND (${actor}::text IS NULL OR actor = ${actor})
              ORDER BY number DESC LIMIT ${most}`,
            (rows) =>
              actionRows(rows).map((row): AuditRecord => ({
                shard,
                number: row.number,
                name: row.actor,
                reason: row.reason,
                requestId: row.request_id,
                action: row.action,
                subject: row.subject,
                refusedWith: row.code,
                atMillis: row.at_millis
              }))
          ))
    })
  })
)
