/** The journals of a shard along their key, page by page: each page is a statement of its own, so nothing is held open. */
import { Effect, Layer, Schema } from "effect"
import { Journals } from "#domain/audit/Journals.ts"
import { Currency } from "#domain/money/Currency.ts"
import { millis, Numeric } from "./Rows.ts"
import { ShardDatabases } from "./ShardDatabases.ts"

const journalRows = Schema.decodeUnknownSync(Schema.Array(Schema.Struct({
  transfer_id: Schema.String,
  leg: Schema.Int,
  step: Schema.Literals(["direct", "credit", "commit"]),
  amount: Numeric,
  currency: Currency,
  debit_account: Schema.String,
  debit_sequence: Schema.BigInt,
  debit_posted: Numeric,
  credit_account: Schema.String,
  credit_sequence: Schema.BigInt,
  credit_posted: Numeric,
  created_at_millis: Schema.Finite
})))

export const layer = Layer.effect(
  Journals,
  Effect.gen(function*() {
    const databases = yield* ShardDatabases
    return Journals.of({
      after: (shard, key, most) =>
        databases.on(shard, (sql) =>
          sql`
            SELECT transfer_id, leg::int4 AS leg, step, amount, currency, debit_account, debit_sequence, debit_posted,
              credit_account, credit_sequence, credit_posted, ${sql.literal(millis("created_at"))} AS created_at_millis
            FROM journal
            WHERE (transfer_id, leg, step) > (${key?.transfer ?? ""}, ${key?.leg ?? 0}::int2, ${key?.step ?? ""})
            ORDER BY transfer_id, leg, step LIMIT ${most}`.pipe(
            Effect.map((rows) =>
              journalRows(rows).map((row) => {
                const both = {
                  transfer: row.transfer_id,
                  amount: row.amount,
                  currency: row.currency,
                  createdAtMillis: row.created_at_millis
                }
                return {
                  transfer: row.transfer_id,
                  leg: row.leg,
                  step: row.step,
                  entries: [
                    {
                      ...both,
                      direction: "DEBIT" as const,
                      account: row.debit_account,
                      sequence: row.debit_sequence,
                      posted: row.debit_posted
                    },
                    {
                      ...both,
                      direction: "CREDIT" as const,
                      account: row.credit_account,
                      sequence: row.credit_sequence,
                      posted: row.credit_posted
                    }
                  ] as const
                }
              })
            )
          )),
      about: (shard) =>
        databases.on(shard, (sql) =>
          sql<{ readonly about: number }>`
            SELECT greatest(reltuples, 0)::float8 AS about FROM pg_class WHERE oid = 'journal'::regclass`.pipe(
            Effect.map(([row]) => row?.about ?? 0)
          ))
    })
  })
)
