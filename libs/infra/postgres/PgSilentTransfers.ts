/** Silent transfers, found by age on the shard of their source; and silent instructions, on that of their subject. */
import { Duration, Effect, Layer, Schema } from "effect"
import { LedgerEventJson } from "#domain/ledger/LedgerEvent.ts"
import { SilentTransfers } from "#domain/reconciliation/SilentTransfers.ts"
import type { InstructionEvent } from "#domain/transfer/Intake.ts"
import {
  instructionColumns,
  instructionOf,
  InstructionRow,
  millis,
  transferColumns,
  transferOf,
  TransferRow
} from "./Rows.ts"
import { ShardDatabases } from "./ShardDatabases.ts"

const silentRows = Schema.decodeUnknownSync(Schema.Array(Schema.Struct({
  ...TransferRow.fields,
  client: Schema.String,
  expired: Schema.Boolean,
  open_since_millis: Schema.Finite
})))

const askedRows = Schema.decodeUnknownSync(Schema.Array(Schema.Struct({
  ...InstructionRow.fields,
  payload: LedgerEventJson
})))

const asked = ({ payload, ...row }: ReturnType<typeof askedRows>[number]): InstructionEvent => {
  if ("instruction" in payload) return payload
  throw new Error(`${payload.type} carries no instruction, not even ${row.instruction_id}`)
}

export const layer = Layer.effect(
  SilentTransfers,
  Effect.gen(function*() {
    const databases = yield* ShardDatabases
    return SilentTransfers.of({
      find: (shard, patience, sinceMillis, most) =>
        databases.on(shard, (sql) =>
          sql`
            SELECT ${sql.literal(transferColumns)}, client, coalesce(expires_at <= now(), false) AS expired,
              ${sql.literal(millis("greatest(created_at, expires_at)"))} AS open_since_millis
            FROM transfer
            WHERE (created_at >= ${new Date(sinceMillis)} OR expires_at >= ${new Date(sinceMillis)})
              AND (
                (status = 'requested'
                 AND status_changed_at < now() - make_interval(secs => ${Duration.toSeconds(patience.requested)}))
                OR (status = 'held'
                    AND status_changed_at < now() - make_interval(secs => ${Duration.toSeconds(patience.held)}))
                OR (status = 'authorized' AND expires_at <= now())
              )
            ORDER BY status_changed_at LIMIT ${most}`.pipe(
            Effect.map((rows) =>
              silentRows(rows).map((row) => ({
                transfer: transferOf(row),
                client: row.client,
                expired: row.expired,
                openSinceMillis: row.open_since_millis
              }))
            )
          )),
      findInstructions: (shard, patience, most) =>
        databases.on(shard, (sql) =>
          sql`
            SELECT ${sql.literal(instructionColumns)}, asked.payload::text
            FROM instruction
            CROSS JOIN LATERAL (
              SELECT payload FROM event
              WHERE event.subject = instruction.subject AND payload ->> 'instruction' = instruction_id
              ORDER BY position LIMIT 1
            ) AS asked
            WHERE status = 'open'
              AND created_at < now() - make_interval(secs => ${Duration.toSeconds(patience.requested)})
            ORDER BY created_at LIMIT ${most}`.pipe(
            Effect.map((rows) => askedRows(rows).map((row) => ({ instruction: instructionOf(row), event: asked(row) })))
          ))
    })
  })
)
