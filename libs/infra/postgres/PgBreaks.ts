/** Breaks, on the shard that they are about. */
import type { PgClient } from "@effect/sql-pg"
import { Effect, Layer, Option, Schema } from "effect"
import {
  type Break,
  type BreakChanges,
  BreakClosed,
  type BreakEvidence,
  breakId,
  BreakNotFound,
  type BreakRecord,
  Breaks
} from "#domain/reconciliation/Breaks.ts"
import type { ShardId } from "#domain/sharding/ShardMap.ts"
import { int8s, texts } from "./Columns.ts"
import { noted } from "./PgAudit.ts"
import { transaction } from "./Postgres.ts"
import { millis } from "./Rows.ts"
import { ShardDatabases } from "./ShardDatabases.ts"

const BreakRow = Schema.Struct({
  number: Schema.BigInt,
  invariant: Schema.String,
  severity: Schema.Literals(["critical", "warning"]),
  subject: Schema.String,
  detail: Schema.String,
  status: Schema.Literals(["open", "resolved", "closed"]),
  times_seen: Schema.BigInt,
  opened_at_millis: Schema.Finite,
  seen_at_millis: Schema.Finite,
  closed_at_millis: Schema.NullOr(Schema.Finite)
})

const columns = `number, invariant, severity, subject, detail, status, times_seen,
  ${millis("opened_at")} AS opened_at_millis, ${millis("seen_at")} AS seen_at_millis,
  ${millis("closed_at")} AS closed_at_millis`

const breakRows = Schema.decodeUnknownSync(Schema.Array(BreakRow))

const breakOf = (shard: ShardId) => (row: typeof BreakRow.Type): Break => ({
  shard,
  number: row.number,
  invariant: row.invariant,
  severity: row.severity,
  subject: row.subject,
  detail: row.detail,
  status: row.status,
  timesSeen: Number(row.times_seen),
  openedAtMillis: row.opened_at_millis,
  seenAtMillis: row.seen_at_millis,
  closedAtMillis: row.closed_at_millis
})

const recordRows = Schema.decodeUnknownSync(Schema.Array(Schema.Struct({
  what: Schema.Literals(["opened", "changed", "resolved", "reopened", "closed"]),
  detail: Schema.String,
  evidence: Schema.NullOr(Schema.Array(Schema.Struct({ shard: Schema.Int, says: Schema.Unknown }))),
  actor: Schema.NullOr(Schema.String),
  reason: Schema.NullOr(Schema.String),
  request_id: Schema.NullOr(Schema.String),
  at_millis: Schema.Finite
})))

const recordOf = (row: ReturnType<typeof recordRows>[number]): BreakRecord => ({
  what: row.what,
  detail: row.detail,
  evidence: row.evidence ?? [],
  by: row.actor === null
    ? null
    : { name: row.actor, reason: row.reason ?? "", requestId: row.request_id ?? "" },
  atMillis: row.at_millis
})

const evidenceRows = Schema.decodeUnknownSync(
  Schema.Array(Schema.Struct({ subject: Schema.String, says: Schema.Record(Schema.String, Schema.Unknown) }))
)

/** Everything on record of a subject. Amounts are text: JSON's numbers are not exact enough for money. */
const onRecord = `
  SELECT subject, json_strip_nulls(json_build_object(
    'transfer', (
      SELECT json_build_object('status', status, 'source', source, 'destination', destination, 'amount', amount::text,
        'moving', moving::text, 'currency', currency, 'reason', reason_code, 'status_changed_at', status_changed_at)
      FROM transfer WHERE transfer_id = subject
    ),
    'verdict', (
      SELECT json_agg(json_build_object('ruling', ruling, 'source', source, 'destination', destination,
        'amount', amount::text, 'currency', currency, 'from_shard', from_shard, 'created_at', created_at))
      FROM verdict WHERE transfer_id = subject
    ),
    'journals', (
      SELECT json_agg(json_build_object('step', step, 'amount', amount::text, 'currency', currency,
        'debit', debit_account, 'credit', credit_account, 'created_at', created_at))
      FROM journal WHERE transfer_id = subject
    ),
    'holds', (
      SELECT json_agg(json_build_object('number', number, 'account', account_id, 'change', change, 'amount', amount::text))
      FROM hold WHERE transfer_id = subject
    ),
    'account', (
      SELECT json_build_object('kind', kind, 'status', status, 'currency', currency, 'floor', floor::text,
        'ceiling', ceiling::text)
      FROM account WHERE account_id = subject
    ),
    'balance', (
      SELECT json_build_object('posted', posted::text, 'held', held::text, 'version', version::text,
        'sequence', sequence::text)
      FROM balance WHERE account_id = subject
    ),
    'events', (
      SELECT json_agg(json_build_object('position', position::text, 'type', type, 'occurred_at', occurred_at)
        ORDER BY position)
      FROM (SELECT * FROM event WHERE event.subject = named.subject ORDER BY position LIMIT 50) AS first
    )
  )) AS says`

const record = Effect.fnUntraced(function*(
  sql: PgClient.PgClient,
  { close, open, see }: BreakChanges,
  evidence: ReadonlyMap<string, ReadonlyArray<BreakEvidence>>
) {
  if (open.length > 0) {
    yield* sql`
      WITH finding AS (
        SELECT * FROM unnest(
          ${texts(open.map(({ invariant }) => invariant))}::text[],
          ${texts(open.map(({ severity }) => severity))}::text[],
          ${texts(open.map(({ subject }) => subject))}::text[],
          ${texts(open.map(({ detail }) => detail))}::text[],
          ${texts(open.map(({ subject }) => JSON.stringify(evidence.get(subject) ?? [])))}::text[]
        ) AS t (invariant, severity, subject, detail, evidence)
      ),
      opened AS (
        INSERT INTO break (invariant, severity, subject, detail)
        SELECT invariant, severity, subject, detail FROM finding
        ON CONFLICT (invariant, subject) WHERE status <> 'closed' DO NOTHING
        RETURNING number, invariant, subject
      )
      INSERT INTO break_record (break, what, detail, evidence)
      SELECT number, 'opened', detail, evidence::json FROM opened JOIN finding USING (invariant, subject)`
  }
  if (see.length > 0) {
    yield* sql`
      WITH finding AS (
        SELECT * FROM unnest(
          ${int8s(see.map(({ number }) => number))}::int8[],
          ${texts(see.map(({ detail }) => detail))}::text[],
          ${texts(see.map(({ status }) => status))}::text[],
          ${texts(see.map(({ what }) => what))}::text[]
        ) AS t (number, detail, status, what)
      ),
      seen AS (
        UPDATE break SET detail = finding.detail, times_seen = times_seen + 1, seen_at = now(),
          -- what somebody explains at this moment stays explained, unless it is another thing by now
          status = CASE WHEN finding.what IS NULL THEN break.status ELSE finding.status END
        FROM finding
        WHERE break.number = finding.number AND break.status <> 'closed'
        RETURNING break.number
      )
      INSERT INTO break_record (break, what, detail)
      SELECT number, what, detail FROM seen JOIN finding USING (number) WHERE what IS NOT NULL`
  }
  if (close.length > 0) {
    yield* sql`
      WITH gone AS (
        UPDATE break SET status = 'closed', closed_at = now()
        WHERE number = ANY(${int8s(close)}::int8[]) AND status <> 'closed'
        RETURNING number, detail
      )
      INSERT INTO break_record (break, what, detail) SELECT number, 'closed', detail FROM gone`
  }
})

export const layer = Layer.effect(
  Breaks,
  Effect.gen(function*() {
    const databases = yield* ShardDatabases
    return Breaks.of({
      standing: (shard) =>
        databases.on(shard, (sql) =>
          Effect.map(
            sql`SELECT ${sql.literal(columns)} FROM break WHERE status <> 'closed' ORDER BY number`,
            (rows) => breakRows(rows).map(breakOf(shard))
          )),

      evidence: (shard, subjects) =>
        databases.on(shard, (sql) =>
          Effect.map(
            sql`${sql.literal(onRecord)} FROM unnest(${texts(subjects)}::text[]) AS named (subject)`,
            (rows) =>
              new Map(
                evidenceRows(rows).flatMap(({ says, subject }) =>
                  Object.keys(says).length === 0 ? [] : [[subject, says]]
                )
              )
          )),

      record: (shard, changes, evidence) =>
        databases.on(shard, (sql) => transaction(sql, record(sql, changes, evidence))),

      list: (shard, { severity, status }, after, most) =>
        databases.on(shard, (sql) =>
          Effect.map(
            sql`
              SELECT ${sql.literal(columns)} FROM break
              WHERE number > ${after}::int8
                AND (${status}::text IS NULL OR status = ${status})
                AND (${severity}::text IS NULL OR severity = ${severity})
              ORDER BY number LIMIT ${most}`,
            (rows) => breakRows(rows).map(breakOf(shard))
          )),

      show: ({ number, shard }) =>
        databases.on(
          shard,
          Effect.fnUntraced(function*(sql) {
            const [found] = breakRows(
              yield* sql`SELECT ${sql.literal(columns)} FROM break WHERE number = ${number}::int8`
            )
            if (found === undefined) return Option.none()
            const history = yield* sql`
              SELECT what, detail, evidence, actor, reason, request_id,
                ${sql.literal(millis("occurred_at"))} AS at_millis
              FROM break_record WHERE break = ${number}::int8 ORDER BY number`
            return Option.some({ found: breakOf(shard)(found), history: recordRows(history).map(recordOf) })
          })
        ),

      resolve: (of, operation) =>
        databases.on(of.shard, (sql) =>
          transaction(
            sql,
            Effect.gen(function*() {
              const id = breakId(of)
              const resolved = yield* sql<{ readonly detail: string }>`
                UPDATE break SET status = 'resolved' WHERE number = ${of.number}::int8 AND status = 'open'
                RETURNING detail`
              const [now] = resolved
              if (now === undefined) {
                const [found] = yield* sql<{ readonly status: string }>`
                  SELECT status FROM break WHERE number = ${of.number}::int8`
                if (found === undefined) return yield* BreakNotFound.make({ id })
                return found.status === "closed" ? yield* BreakClosed.make({ id }) : false
              }
              yield* sql`
                INSERT INTO break_record (break, what, detail, actor, reason, request_id)
                VALUES (${of.number}::int8, 'resolved', ${now.detail}, ${operation.name}, ${operation.reason},
                  ${operation.requestId})`
              yield* noted(sql, operation, { action: "break.resolve", subject: id, refusedWith: null })
              return true
            })
          ))
    })
  })
)
