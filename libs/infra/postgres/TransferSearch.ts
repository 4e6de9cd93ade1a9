/**
 * Transfers looked for over all shards, newest first. Each shard is asked for a page of its own, and the pages are merged.
 *
 * A shard reads along one index that has what is looked for in the order of ids, whatever the planner thinks of how often
 * a value occurs. No index knows the status (it would have to be kept up at every step of every transfer), so for that
 * only so many rows are looked at in one go.
 */
import type { PgClient } from "@effect/sql-pg"
import { Effect, Schema } from "effect"
import type { TransferFilter, TransferPage } from "#domain/ledger/Queries.ts"
import { shardOfAccount } from "#domain/sharding/ShardMap.ts"
import * as TransferId from "#domain/transfer/TransferId.ts"
import { transferRecordColumns, transferRecordOf, TransferRecordRow } from "./Rows.ts"
import type { ShardDatabases } from "./ShardDatabases.ts"

/** How many transfers a shard looks at in one go to find those of one status. */
const mostLookedAt = 5_000

const decode = Schema.decodeUnknownSync(
  Schema.Array(Schema.Struct({ ...TransferRecordRow.fields, nth: Schema.BigInt }))
)

type Row = ReturnType<typeof decode>[number]

/** What a shard found, and the id down to which it has found everything; null when it has come to its end. */
interface Found {
  readonly rows: ReadonlyArray<Row>
  readonly downTo: TransferId.TransferId | null
}

/** Below all ids, and above; however a database sorts, so of nothing but what ids are made of. */
const lowest = ""
const highest = `trf_${"Z".repeat(26)}`

const search = Effect.fnUntraced(function*(
  sql: PgClient.PgClient,
  { beforeMillis, fromMillis, reverses, source, status }: TransferFilter,
  below: TransferId.TransferId | null,
  limit: number
) {
  const from = fromMillis === null ? lowest : TransferId.beginningOf(fromMillis)
  const before = beforeMillis === null ? highest : TransferId.beginningOf(beforeMillis)
  const to = below !== null && below < before ? below : before
  const most = status === null ? limit : mostLookedAt

  // Pairs are compared and ordered as a whole: only the index of both can serve that, and it is entered at the very place.
  const within = reverses !== null
    ? sql`reverses IS NOT NULL AND (reverses, transfer_id) >= (${reverses}, ${from}) AND (reverses, transfer_id) < (${reverses}, ${to})
          AND (${source}::text IS NULL OR source = ${source})
          ORDER BY reverses DESC, transfer_id DESC`
    : source !== null
    ? sql`(source, transfer_id) >= (${source}, ${from}) AND (source, transfer_id) < (${source}, ${to})
          ORDER BY source DESC, transfer_id DESC`
    : sql`transfer_id >= ${from} AND transfer_id < ${to} ORDER BY transfer_id DESC`

  // The last row that was looked at comes along, whatever its status, and tells how far that was.
  const rows = decode(
    yield* sql`
      SELECT ${sql.literal(transferRecordColumns)}, nth
      FROM (
        SELECT *, row_number() OVER () AS nth FROM (SELECT * FROM transfer WHERE ${within} LIMIT ${most}) AS near
      ) AS looked_at
      WHERE ${status}::text IS NULL OR status = ${status} OR nth = ${most}
      ORDER BY nth LIMIT ${limit}`
  )
  const last = rows.at(-1)
  const isAll = rows.length < limit && last?.nth !== BigInt(most)
  return {
    rows: rows.filter((row) => status === null || row.status === status),
    downTo: isAll ? null : last?.transfer_id ?? null
  } satisfies Found
})

/** The first `limit` of all that was found, as far down as every shard has looked. */
const merge = (found: ReadonlyArray<Found>, limit: number): TransferPage => {
  const downTo = found.reduce<TransferId.TransferId | null>(
    (highest, { downTo }) => downTo !== null && (highest === null || downTo > highest) ? downTo : highest,
    null
  )
  const certain = found.flatMap(({ rows }) => rows)
    .filter(({ transfer_id }) => downTo === null || transfer_id >= downTo)
    .toSorted((one, other) => one.transfer_id < other.transfer_id ? 1 : -1)
  const shown = certain.slice(0, limit)
  return {
    records: shown.map(transferRecordOf),
    next: certain.length > limit ? shown.at(-1)?.transfer_id ?? null : downTo
  }
}

export const make =
  ({ map, on, shards }: ShardDatabases["Service"]) =>
  (filter: TransferFilter, below: TransferId.TransferId | null, limit: number) =>
    Effect.forEach(
      filter.source === null ? shards : [shardOfAccount(map, filter.source)],
      // One more than is wanted tells whether there are more.
      (shard) => on(shard, (sql) => search(sql, filter, below, limit + 1)),
      { concurrency: "unbounded" }
    ).pipe(Effect.map((found) => merge(found, limit)))
