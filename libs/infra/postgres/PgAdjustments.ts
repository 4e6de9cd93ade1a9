/** Adjustments, on the home shard of their source; as `counterpoise_operator`, who cannot make the transfer itself. */
import { Effect, Layer, Option, Schema } from "effect"
import { AccountId } from "#domain/account/Account.ts"
import { Amount } from "#domain/money/Amount.ts"
import { Currency } from "#domain/money/Currency.ts"
import {
  type Adjustment,
  adjustmentId,
  AdjustmentNotFound,
  Adjustments,
  SameOperator
} from "#domain/operations/Adjustments.ts"
import { type ShardId, shardOfAccount } from "#domain/sharding/ShardMap.ts"
import { IdempotencyKeyReused } from "#domain/transfer/Intake.ts"
import { TransferId } from "#domain/transfer/TransferId.ts"
import { noted } from "./PgAudit.ts"
import { transaction } from "./Postgres.ts"
import { millis } from "./Rows.ts"
import { ShardDatabases } from "./ShardDatabases.ts"

const Row = Schema.Struct({
  number: Schema.BigInt,
  source: AccountId,
  destination: AccountId,
  amount: Amount,
  currency: Currency,
  reason: Schema.String,
  proposed_by: Schema.String,
  fingerprint: Schema.String,
  proposed_at_millis: Schema.Finite,
  approved_by: Schema.NullOr(Schema.String),
  approved_at_millis: Schema.NullOr(Schema.Finite),
  transfer_id: Schema.NullOr(TransferId)
})

const rowsOf = Schema.decodeUnknownSync(Schema.Array(Row))

const columns = `number, source, destination, amount, currency, reason, proposed_by, fingerprint,
  ${millis("proposed_at")} AS proposed_at_millis, approved_by, ${
  millis("approved_at")
} AS approved_at_millis, transfer_id`

const adjustmentOf = (shard: ShardId) => (row: typeof Row.Type): Adjustment => ({
  shard,
  number: row.number,
  terms: { source: row.source, destination: row.destination, amount: row.amount, currency: row.currency },
  reason: row.reason,
  proposedBy: row.proposed_by,
  proposedAtMillis: row.proposed_at_millis,
  approved: row.approved_by === null || row.approved_at_millis === null || row.transfer_id === null
    ? null
    : { by: row.approved_by, atMillis: row.approved_at_millis, transfer: row.transfer_id }
})

export const layer = Layer.effect(
  Adjustments,
  Effect.gen(function*() {
    const { map, on } = yield* ShardDatabases
    return Adjustments.of({
      propose: ({ amount, currency, destination, source }, operation, { fingerprint, idempotencyKey }) => {
        const shard = shardOfAccount(map, source)
        return on(shard, (sql) =>
          transaction(
            sql,
            Effect.gen(function*() {
              const made = rowsOf(
                yield* sql`
                  INSERT INTO adjustment (source, destination, amount, currency, reason, proposed_by, key, fingerprint)
                  VALUES (${source}, ${destination}, ${amount.toString()}::numeric, ${currency}, ${operation.reason},
                    ${operation.name}, ${idempotencyKey}, ${fingerprint})
                  ON CONFLICT ON CONSTRAINT a_proposal_is_made_once DO NOTHING
                  RETURNING ${sql.literal(columns)}`
              ).map(adjustmentOf(shard))
              const [record] = made
              if (record !== undefined) {
                const subject = adjustmentId(record)
                yield* noted(sql, operation, { action: "adjustment.propose", subject, refusedWith: null })
                return { replayed: false, record }
              }
              const [before] = rowsOf(
                yield* sql`
                  SELECT ${sql.literal(columns)} FROM adjustment
                  WHERE proposed_by = ${operation.name} AND source = ${source} AND key = ${idempotencyKey}`
              )
              if (before === undefined) return yield* Effect.die(new Error("a proposal is there, and is not"))
              const found = adjustmentOf(shard)(before)
              return before.fingerprint === fingerprint
                ? { replayed: true, record: found }
                : yield* IdempotencyKeyReused.make({ key: idempotencyKey, resource: adjustmentId(found) })
            })
          ))
      },

      approve: (of, operation, transfer) =>
        on(of.shard, (sql) =>
          transaction(
            sql,
            Effect.gen(function*() {
              const id = adjustmentId(of)
              // It is locked, so that of two who approve at once the second finds what the first has done.
              const [row] = rowsOf(
                yield* sql`
                  SELECT ${sql.literal(columns)} FROM adjustment WHERE number = ${of.number}::int8 FOR UPDATE`
              )
              if (row === undefined) return yield* AdjustmentNotFound.make({ id })
              const found = adjustmentOf(of.shard)(row)
              if (found.proposedBy === operation.name) {
                return yield* SameOperator.make({ id, operator: operation.name })
              }
              if (found.approved !== null) {
                return { replayed: true, record: { ...found, approved: found.approved } }
              }
              const [now] = yield* sql<{ readonly at: number }>`
                UPDATE adjustment SET approved_by = ${operation.name}, approved_at = now(), transfer_id = ${transfer}
                WHERE number = ${of.number}::int8
                RETURNING ${sql.literal(millis("approved_at"))} AS at`
              yield* noted(sql, operation, { action: "adjustment.approve", subject: id, refusedWith: null })
              const approved = { by: operation.name, atMillis: now?.at ?? 0, transfer }
              return { replayed: false, record: { ...found, approved } }
            })
          )),

      find: ({ number, shard }) =>
        on(shard, (sql) =>
          Effect.map(
            sql`SELECT ${sql.literal(columns)} FROM adjustment WHERE number = ${number}::int8`,
            (rows) => Option.map(Option.fromNullishOr(rowsOf(rows)[0]), adjustmentOf(shard))
          )),

      list: (shard, wanted, after, most) =>
        on(shard, (sql) =>
          Effect.map(
            sql`
              SELECT ${sql.literal(columns)} FROM adjustment
              WHERE number > ${after}::int8
                AND (${wanted}::text IS NULL OR (approved_by IS NULL) = (${wanted} = 'proposed'))
              ORDER BY number LIMIT ${most}`,
            (rows) => rowsOf(rows).map(adjustmentOf(shard))
          ))
    })
  })
)
