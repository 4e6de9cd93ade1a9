/** What tests ask of databases themselves, beside the processes that work on them. */
import type { PgClient } from "@effect/sql-pg"
import { Effect, Redacted } from "effect"
import { connect } from "#infra/postgres/Postgres.ts"

/** Asks one database, on a connection of its own. */
export const asking = <A, E>(
  url: string,
  question: (sql: PgClient.PgClient) => Effect.Effect<A, E>
): Promise<A> =>
  connect({ url: Redacted.make(url), name: "counterpoise tests", maxConnections: 1 }).pipe(
    Effect.flatMap(question),
    Effect.scoped,
    Effect.runPromise
  )

/**
 * A digest of each table of a shard, so that nothing in it can change unseen. Left out is what goes on by itself: leases are
 * renewed all the time, and blocks are sealed a while after the events that are in them.
 */
export const digestOf = Effect.fnUntraced(function*(sql: PgClient.PgClient) {
  const tables = yield* sql<{ readonly name: string }>`
    SELECT table_name AS name FROM information_schema.tables
    WHERE table_schema = 'public' AND table_type = 'BASE TABLE' AND table_name NOT IN ('lease', 'sealed_block')`
  return Object.fromEntries(
    yield* Effect.forEach(tables, ({ name }) =>
      Effect.map(
        sql<{ readonly digest: string }>`
          SELECT count(*) || ' rows, ' || md5(coalesce(string_agg(line, chr(10) ORDER BY line), '')) AS digest
          FROM (SELECT row::text AS line FROM ${sql(name)} AS row)`,
        ([row]) => [name, row?.digest]
      ))
  )
})
