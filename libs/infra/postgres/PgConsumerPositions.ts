/** The ledger worker's places, in the shard that they guard. */
import type { PgClient } from "@effect/sql-pg"
import { Effect } from "effect"
import { ConsumerPositions, type Place, StaleOwner } from "#domain/messaging/ConsumerPositions.ts"
import { int4s, int8s, texts } from "./Columns.ts"
import { whatItMeans } from "./ShardDatabases.ts"

export const make = (sql: PgClient.PgClient, shard: number) => {
  const load = Effect.fnUntraced(function*(log: string, partitions: ReadonlyArray<number>) {
    yield* sql`
      INSERT INTO consumer_position AS place (partition, log, next_offset)
      SELECT partition, ${log}, 0 FROM unnest(${int4s(partitions)}::int4[]) AS t (partition)
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
  })

  const advance = Effect.fnUntraced(function*(
    log: string,
    epoch: bigint,
    moves: ReadonlyArray<{ readonly was: Place; readonly now: Place }>
  ) {
    if (moves.length === 0) return
    const moved = yield* sql`
      UPDATE consumer_position AS place
      SET next_offset = move.now, seen = move.seen::int8[]
      FROM unnest(
        ${int4s(moves.map((move) => move.now.partition))}::int4[],
        ${int8s(moves.map((move) => move.was.next))}::int8[],
        ${int8s(moves.map((move) => move.now.next))}::int8[],
        ${texts(moves.map((move) => seenArray(move.now)))}::text[]
      ) AS move (partition, was, now, seen)
      WHERE place.partition = move.partition AND place.log = ${log} AND place.next_offset = move.was
        AND EXISTS (SELECT FROM lease WHERE role = 'ledger' AND epoch = ${epoch})
      RETURNING place.partition`
    if (moved.length !== moves.length) return yield* StaleOwner.make({ shard })
  })

  return ConsumerPositions.of({
    load: (log, partitions) => whatItMeans(shard, load(log, partitions)),
    advance: (log, epoch, moves) => whatItMeans(shard, advance(log, epoch, moves))
  })
}

/** PostgreSQL's text form of the array of highest positions, indexed by source shard. */
const seenArray = (place: Place): string => {
  const shards = Math.max(-1, ...place.seen.keys()) + 1
  return `{${Array.from({ length: shards }, (_, source) => place.seen.get(source) ?? 0n).join(",")}}`
}
