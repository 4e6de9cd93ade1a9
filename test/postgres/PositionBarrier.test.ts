/**
 * Reading a log while others write it. Positions are drawn from a sequence: a lower one may become visible after a higher
 * one. The two popular ways to read it stay here as regression tests: one loses events, the other breaks the order of an
 * account. The position barrier does neither.
 */
import { describe, expect, layer } from "@effect/vitest"
import { Effect, Fiber, Layer, type Redacted } from "effect"
import * as PgShardLog from "#infra/postgres/PgShardLog.ts"
import { connect } from "#infra/postgres/Postgres.ts"
import { ShardDatabases } from "#infra/postgres/ShardDatabases.ts"
import { ShardLog } from "#domain/messaging/ShardLog.ts"
import { TestPostgres, type TestShards } from "../support/TestPostgres.ts"

/** Writes an event and leaves its transaction open until told to end it. */
const openWriter = Effect.fnUntraced(function*(url: Redacted.Redacted<string>, key: string) {
  const sql = yield* connect({ url, maxConnections: 1 })
  const connection = yield* sql.reserve
  const run = (statement: string) => connection.executeUnprepared(statement, [], undefined)
  yield* run("BEGIN")
  // A transaction takes its id with its first write, as every writer of ours does before it draws a position.
  yield* run("SELECT pg_current_xact_id()::text")
  return {
    write: run(
      `INSERT INTO event (type, subject, key, partition, payload) VALUES ('test', '${key}', '${key}', 0, '{}')`
    ),
    commit: run("COMMIT"),
    rollback: run("ROLLBACK")
  }
})

const shardLog = (shards: TestShards) =>
  Layer.provide(PgShardLog.layer, ShardDatabases.layer({ ...shards, role: "counterpoise_relay" }))

const subjectsOf = (rows: ReadonlyArray<{ readonly subject: string }>) => rows.map(({ subject }) => subject)

layer(TestPostgres.layer, { excludeTestServices: true })("reading a shard's log while others write", (it) => {
  it.effect("the position alone loses the event that was slow to commit", () =>
    Effect.gen(function*() {
      const postgres = yield* TestPostgres
      const { urls: [url] } = yield* postgres.freshShards(1)
      if (url === undefined) return expect.fail("no shard")
      const sql = yield* connect({ url, maxConnections: 2 })
      const slow = yield* openWriter(url, "slow")
      yield* slow.write
      const fast = yield* openWriter(url, "fast")
      yield* fast.write
      yield* fast.commit

      let cursor = 0n
      const naive = Effect.gen(function*() {
        const rows = yield* sql<{ readonly position: bigint; readonly subject: string }>`
          SELECT position, subject FROM event WHERE position > ${cursor} ORDER BY position`
        cursor = rows.at(-1)?.position ?? cursor
        return subjectsOf(rows)
      })
      const first = yield* naive
      yield* slow.commit
      const second = yield* naive
      expect([...first, ...second]).toEqual(["fast"])
    }))

  it.effect("the transaction's id breaks the order of an account", () =>
    Effect.gen(function*() {
      const postgres = yield* TestPostgres
      const { urls: [url] } = yield* postgres.freshShards(1)
      if (url === undefined) return expect.fail("no shard")
      const sql = yield* connect({ url, maxConnections: 2 })
      // The older transaction writes to the account after the younger one has committed: so it was second.
      const older = yield* openWriter(url, "account: second")
      const younger = yield* openWriter(url, "account: first")
      yield* younger.write
      yield* younger.commit
      yield* older.write
      yield* older.commit
      const byId = yield* sql<{ readonly subject: string }>`
        SELECT subject FROM event WHERE xmin::text::xid8 < pg_snapshot_xmin(pg_current_snapshot())
        ORDER BY xmin::text::int8, position`.pipe(
        // Neither shows while anybody on this server, in whatever database, has an older transaction open.
        Effect.repeat({ until: ({ length }) => length === 2 })
      )
      expect(subjectsOf(byId)).toEqual(["account: second", "account: first"])
    }))

  it.effect("the position barrier waits for the slow one, and keeps the order", () =>
    Effect.gen(function*() {
      const postgres = yield* TestPostgres
      const shards = yield* postgres.freshShards(1)
      const [url] = shards.urls
      if (url === undefined) return expect.fail("no shard")
      const slow = yield* openWriter(url, "slow")
      yield* slow.write
      const fast = yield* openWriter(url, "fast")
      yield* fast.write
      yield* fast.commit
      yield* Effect.gen(function*() {
        const log = yield* ShardLog
        const reading = yield* Effect.forkChild(log.after(0, 0n, 100))
        // The reader must be waiting behind the barrier before the slow one commits: its own transaction shows it.
        const sql = yield* connect({ url, maxConnections: 1 })
        yield* sql<{ readonly n: number }>`
          SELECT count(*)::int4 AS n FROM pg_stat_activity
          WHERE datname = current_database() AND query LIKE '%event_barrier%' AND state = 'active'
            AND pid <> pg_backend_pid()`.pipe(
          Effect.repeat({ until: ([row]) => row?.n === 1 })
        )
        yield* slow.commit
        const stretch = yield* Fiber.join(reading)
        expect(subjectsOf(stretch.records)).toEqual(["slow", "fast"])
      }).pipe(Effect.provide(shardLog(shards)))
    }))

  it.effect("a position that was drawn and rolled back does not hold up the log", () =>
    Effect.gen(function*() {
      const postgres = yield* TestPostgres
      const shards = yield* postgres.freshShards(1)
      const [url] = shards.urls
      if (url === undefined) return expect.fail("no shard")
      const lost = yield* openWriter(url, "lost")
      yield* lost.write
      yield* lost.rollback
      const kept = yield* openWriter(url, "kept")
      yield* kept.write
      yield* kept.commit
      yield* Effect.gen(function*() {
        const log = yield* ShardLog
        const first = yield* log.after(0, 0n, 100)
        expect(subjectsOf(first.records)).toEqual(["kept"])
        expect((yield* log.after(0, first.upTo, 100)).records).toEqual([])
      }).pipe(Effect.provide(shardLog(shards)))
    }))

  it.effect(
    "twenty writers at once, some slow, some rolled back: every event once, each account in order",
    () =>
      Effect.gen(function*() {
        const postgres = yield* TestPostgres
        const shards = yield* postgres.freshShards(1)
        const [url] = shards.urls
        if (url === undefined) return expect.fail("no shard")
        const sql = yield* connect({ url, maxConnections: 20 })
        yield* sql`CREATE TABLE counter (account integer PRIMARY KEY, n integer NOT NULL)`
        yield* sql`INSERT INTO counter SELECT account, 0 FROM generate_series(0, 9) AS account`
        const perWriter = 40
        // Each write locks its account, counts it up and logs the count: the order of an account is its count.
        const writer = (number: number) =>
          Effect.forEach(Array.from({ length: perWriter }), (_, turn) => {
            const account = (number * 7 + turn * 3) % 10
            const work = Effect.gen(function*() {
              const [row] = yield* sql<{ readonly n: number }>`
              UPDATE counter SET n = n + 1 WHERE account = ${account} RETURNING n`
              yield* sql`
              INSERT INTO event (type, subject, key, partition, payload)
              VALUES ('test', ${String(row?.n)}, ${String(account)}, 0, '{}')`
              if (turn % 5 === 0) yield* sql`SELECT pg_sleep(0.005)`
              if (turn % 11 === 0) return yield* Effect.fail("rolled back")
            })
            return Effect.ignore(sql.withTransaction(work))
          }, { discard: true })
        yield* Effect.gen(function*() {
          const log = yield* ShardLog
          const seen: Array<{ readonly key: string; readonly subject: string }> = []
          let position = 0n
          const read = Effect.gen(function*() {
            const stretch = yield* log.after(0, position, 50)
            seen.push(...stretch.records)
            position = stretch.upTo
            return stretch.records.length
          })
          const writers = yield* Effect.forkChild(
            Effect.forEach(Array.from({ length: 20 }, (_, number) => number), writer, {
              concurrency: "unbounded",
              discard: true
            })
          )
          const reading = yield* Effect.forkChild(Effect.forever(Effect.andThen(read, Effect.yieldNow)))
          yield* Fiber.join(writers)
          yield* Fiber.interrupt(reading)
          yield* read.pipe(Effect.repeat({ until: (count) => count === 0 }))

          const [total] = yield* sql<{ readonly n: number }>`SELECT count(*)::int4 AS n FROM event`
          expect(seen.length).toBe(total?.n)
          for (let account = 0; account < 10; account++) {
            const counts = seen.filter(({ key }) => key === String(account)).map(({ subject }) => Number(subject))
            expect(counts).toEqual(counts.toSorted((a, b) => a - b))
          }
        }).pipe(Effect.provide(shardLog(shards)))
      }),
    60_000
  )
})

describe("the barrier as a function", () => {
  layer(TestPostgres.layer, { excludeTestServices: true })("on a log that nobody writes", (it) => {
    it.effect("costs no transaction id", () =>
      Effect.gen(function*() {
        const postgres = yield* TestPostgres
        const { urls: [url] } = yield* postgres.freshShards(1)
        if (url === undefined) return expect.fail("no shard")
        const sql = yield* connect({ url, maxConnections: 1 })
        const barrier = sql.withTransaction(Effect.gen(function*() {
          yield* sql`SELECT event_barrier(0)`
          return (yield* sql<{ readonly id: string | null }>`SELECT pg_current_xact_id_if_assigned()::text AS id`)[0]
            ?.id
        }))
        expect(yield* barrier).toBe(null)
      }))
  })
})
