/** Silent transfers, found by age on the shard of their source. */
import { Duration, Effect, Layer, Schema } from "effect"
import { SilentTransfers } from "#domain/reconciliation/SilentTransfers.ts"
import { millis, transferColumns, transferOf, TransferRow } from "./Rows.ts"
import { ShardDatabases } from "./ShardDatabases.ts"

const silentRows = Schema.decodeUnknownSync(Schema.Array(Schema.Struct({
  ...TransferRow.fields,
  client: Schema.String,
  expired: Schema.Boolean,
  open_since_millis: Schema.Finite
})))

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
          ))
    })
  })
)
