/** The places of a consumer in the event log: one table, on a shard as in a consumer's own database. */
import type { PgClient } from "@effect/sql-pg"
import { Effect } from "effect"
import type { Statement } from "effect/sql"
import type { Place } from "#domain/messaging/ConsumerPositions.ts"
import { int4s, int8s, texts } from "./Columns.ts"

/** Where a place was, and where it is to be. */
export interface Move {
  readonly was: Place
  readonly now: Place
}

/** The places of partitions; made, where there is none, and begun anew where the log is another one. */
export const load = Effect.fnUntraced(
  function*(sql: PgClient.PgClient, log: string, partitions: ReadonlyArray<number>) {
    yield* sql`
      INSERT INTO consumer_position AS place (partition, log, next_offset)
      SELECT partition, ${log}, 0 FROM unnest(${int4s(partitions)}::int4[]) AS wanted (partition)
      ON CONFLICT (partition) DO UPDATE SET log = excluded.log, next_offset = 0
      WHERE place.log <> excluded.log`
    const rows = yield* sql<
      { readonly partition: number; readonly next_offset: bigint; readonly seen: ReadonlyArray<bigint> }
    >`
      SELECT partition, next_offset, seen FROM consumer_position WHERE partition = ANY(${int4s(partitions)}::int4[])`
    return rows.map((row): Place => ({
      partition: row.partition,
      next: row.next_offset,
      seen: new Map(row.seen.map((position, source) => [source, position]))
    }))
  }
)

/** Moves places by compare-and-set on `next`, where a condition holds; says whether all of them moved. */
export const advance = (
  sql: PgClient.PgClient,
  log: string,
  moves: ReadonlyArray<Move>,
  condition: Statement.Fragment
) =>
  sql`
    UPDATE consumer_position AS place
    SET next_offset = move.now, seen = move.seen::int8[]
    FROM unnest(
      ${int4s(moves.map((move) => move.now.partition))}::int4[],
      ${int8s(moves.map((move) => move.was.next))}::int8[],
      ${int8s(moves.map((move) => move.now.next))}::int8[],
      ${texts(moves.map((move) => seenArray(move.now)))}::text[]
    ) AS move (partition, was, now, seen)
    WHERE place.partition = move.partition AND place.log = ${log} AND place.next_offset = move.was AND ${condition}
    RETURNING place.partition`.pipe(Effect.map((moved) => moved.length === moves.length))

/** PostgreSQL's text form of the array of highest positions, indexed by source shard. */
const seenArray = (place: Place): string => {
  const shards = Math.max(-1, ...place.seen.keys()) + 1
  return `{${Array.from({ length: shards }, (_, source) => place.seen.get(source) ?? 0n).join(",")}}`
}
