/**
 * Shards that lost data. What is committed on a shard is never lost but with the shard; so when somebody has seen more of its
 * log than it has, it was restored from an older copy. It is written down there, and from then on it takes nothing.
 */
import type { PgClient } from "@effect/sql-pg"
import { Effect } from "effect"
import { SqlError } from "effect/sql"
import type { ShardId } from "#domain/sharding/ShardMap.ts"
import { ShardBehind, ShardUnavailable } from "#domain/sharding/Shards.ts"
import { isTransient } from "./Postgres.ts"

/** How far somebody has seen a shard's log. */
export interface Seen {
  readonly position: bigint
  readonly by: string
}

/** Where a shard's log ends, and whether it is known already that it ended further on once. */
const endOf = (sql: PgClient.PgClient) =>
  sql<{ readonly log_end: bigint; readonly seen_to: bigint | null; readonly seen_by: string | null }>`
    SELECT
      greatest(
        coalesce((SELECT max(position) FROM event), 0),
        -- what was given up as lost is known
        coalesce((SELECT max(seen_to) FROM recovery WHERE ended_at IS NOT NULL), 0)
      ) AS log_end,
      seen_to, seen_by
    FROM (VALUES (1)) AS one LEFT JOIN recovery ON ended_at IS NULL`.pipe(
    Effect.map((rows) => rows[0] ?? { log_end: 0n, seen_to: null, seen_by: null })
  )

/** Fails if the shard lost data: if that was noticed before, or if what was seen says so now, which is written down then. */
export const examine = Effect.fnUntraced(function*(sql: PgClient.PgClient, shard: ShardId, seen: ReadonlyArray<Seen>) {
  // What others have seen was there before: so their answers are taken first.
  const furthest = seen.toSorted((a, b) => a.position < b.position ? 1 : -1)[0]
  const { log_end: end, seen_by, seen_to } = yield* endOf(sql)
  const known = seen_to === null ? undefined : { position: seen_to, by: seen_by ?? "somebody" }
  const found = known ?? (furthest !== undefined && furthest.position > end ? furthest : undefined)
  if (found === undefined) return
  if (known === undefined) {
    yield* sql`
      INSERT INTO recovery (log_end, seen_to, seen_by) VALUES (${end}, ${found.position}, ${found.by})
      ON CONFLICT DO NOTHING`
  }
  const cause = ShardBehind.make({
    shard,
    found: `its log ends at position ${end}, and ${found.by} has seen ${found.position}`
  })
  yield* Effect.logError("a shard lost data: it takes nothing before it has caught up", { shard, why: cause.message })
  return yield* ShardUnavailable.make({ shard, cause })
})

/** How far the other shards' workers have seen a shard's log; who does not answer says nothing. */
export const seenByOthers = (shard: ShardId, clients: ReadonlyArray<PgClient.PgClient>) =>
  Effect.forEach(
    clients,
    (sql, other) =>
      other === shard ? Effect.succeed([]) : sql<{ readonly position: bigint | null }>`
      SELECT max(seen[${shard + 1}]) AS position FROM consumer_position`.pipe(
        Effect.map(([row]): ReadonlyArray<Seen> =>
          row?.position === null || row === undefined ? [] : [{ position: row.position, by: `shard ${other}` }]
        ),
        Effect.catchIf((error) => SqlError.isSqlError(error) && isTransient(error), () => Effect.succeed([]))
      ),
    { concurrency: "unbounded" }
  ).pipe(Effect.map((found) => found.flat()))
