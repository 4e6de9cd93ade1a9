/** A shard that is not there any more, and of which nobody says so: what is asked of it fails in time, and is asked anew. */
import { expect, layer } from "@effect/vitest"
import { Effect, Redacted, type Scope } from "effect"
import { EventLog, type LogRecord } from "#domain/messaging/EventLog.ts"
import * as PgEventLog from "#infra/postgres/PgEventLog.ts"
import { transaction } from "#infra/postgres/Postgres.ts"
import { ShardDatabases } from "#infra/postgres/ShardDatabases.ts"
import { Link } from "../support/Link.ts"
import { TestPostgres } from "../support/TestPostgres.ts"

const linkTo = Effect.fnUntraced(function*(target: Redacted.Redacted<string>) {
  const url = new URL(Redacted.value(target))
  const link = yield* Effect.acquireRelease(
    Effect.promise(() => new Link("to a database", () => ({ host: url.hostname, port: Number(url.port) })).open()),
    (link) => Effect.sync(() => link.close())
  )
  return { link, through: Redacted.make(Object.assign(new URL(url), { host: link.address }).href) }
})

const record = (position: bigint): LogRecord => ({
  partition: 0,
  source: 0,
  position,
  key: "a",
  type: "transfer.requested",
  subject: "trf_a",
  payload: "{}",
  occurredAtMillis: 0,
  traceparent: null,
  requestId: null
})

/** What was connected leads nowhere from now on; what connects from now on arrives. */
const vanish = (link: Link) =>
  Effect.sync(() => {
    link.weather = { is: "half-open" }
    link.weather = { is: "fair" }
  })

layer(TestPostgres.layer, { excludeTestServices: true })("a connection whose other side is gone in silence", (it) => {
  it.effect("fails the work on it in time, and is replaced", () =>
    Effect.gen(function*() {
      const postgres = yield* TestPostgres
      const { map, urls: [target] } = yield* postgres.freshShards(1)
      if (target === undefined) return expect.fail("no shard")
      const { link, through } = yield* linkTo(target)
      yield* Effect.gen(function*() {
        const { on } = yield* ShardDatabases
        const asked = on(0, (sql) => sql`SELECT 1`)
        yield* asked
        expect(link.connections).toBe(1)

        yield* vanish(link)
        // As the intake does: what is under way there may not be interrupted from outside.
        const lost = yield* Effect.uninterruptible(Effect.flip(asked))
        expect(lost).toMatchObject({ _tag: "ShardUnavailable", shard: 0 })
        yield* asked
        expect(link.connections).toBe(1)
      }).pipe(
        Effect.provide(ShardDatabases.layer({
          urls: [through],
          map,
          role: "counterpoise_api",
          maxConnections: 1,
          patience: "2 seconds"
        }))
      )
    }))

  const whenGone = {
    "before its begin": (vanishes: Effect.Effect<void>) => ({ earlier: vanishes, later: Effect.void }),
    "before its commit": (vanishes: Effect.Effect<void>) => ({ earlier: Effect.void, later: vanishes }),
    "before it is undone": (vanishes: Effect.Effect<void>) => ({
      earlier: Effect.void,
      later: Effect.andThen(vanishes, Effect.fail("undo it" as const))
    })
  }
  it.effect("ends a transaction too, whenever it is gone, and is replaced", () =>
    Effect.gen(function*() {
      const postgres = yield* TestPostgres
      const ends = yield* Effect.forEach(
        Object.entries(whenGone),
        Effect.fnUntraced(function*([when, plan]) {
          const { map, urls: [target] } = yield* postgres.freshShards(1)
          if (target === undefined) return expect.fail("no shard")
          const { link, through } = yield* linkTo(target)
          return yield* Effect.gen(function*() {
            const { on } = yield* ShardDatabases
            yield* on(0, (sql) => sql`SELECT 1`)

            const { earlier, later } = plan(vanish(link))
            yield* earlier
            const end = yield* Effect.uninterruptible(
              Effect.flip(on(0, (sql) => transaction(sql, Effect.andThen(sql`SELECT 1`, later))))
            )
            yield* on(0, (sql) => transaction(sql, sql`SELECT 1`))
            expect(link.connections).toBe(1)
            return [when, end === "undo it" ? end : end._tag] as const
          }).pipe(
            Effect.provide(ShardDatabases.layer({
              urls: [through],
              map,
              role: "counterpoise_ledger",
              maxConnections: 1,
              patience: "2 seconds"
            }))
          )
        }),
        { concurrency: "unbounded" }
      )
      expect(Object.fromEntries(ends)).toEqual({
        "before its begin": "ShardUnavailable",
        "before its commit": "ShardUnavailable",
        "before it is undone": "ShardUnavailable"
      })
    }))

  it.effect("holds up nobody who asks the event log, whatever is asked", () =>
    Effect.gen(function*() {
      const postgres = yield* TestPostgres
      const { link, through } = yield* linkTo(yield* postgres.freshLog)
      yield* Effect.gen(function*() {
        const log = yield* EventLog
        const writer = yield* log.writer(0)
        const reader = yield* log.reader(new Map([[0, 0n]]))
        const questions: Record<string, Effect.Effect<unknown, { readonly _tag: string }, Scope.Scope>> = {
          frontier: log.frontier(0),
          bounds: log.bounds([0]),
          writer: log.writer(1),
          reader: log.reader(new Map([[0, 0n]])),
          append: writer.append([record(2n)])
        }
        // A connection for each, and one more that listens: none has to be made below.
        yield* writer.append([record(1n)])
        yield* Effect.all([...Object.values(questions), reader.take(1)], { concurrency: "unbounded" })
        yield* reader.take(1)

        yield* vanish(link)
        // There is nothing to take: it is looked for, in vain.
        const outcomes = yield* Effect.forEach(
          Object.entries({ ...questions, take: reader.take(1) }),
          ([name, question]) =>
            Effect.map(Effect.uninterruptible(Effect.flip(question)), ({ _tag }) => [name, _tag] as const),
          { concurrency: "unbounded" }
        )
        expect(Object.fromEntries(outcomes)).toEqual({
          frontier: "EventLogUnavailable",
          bounds: "EventLogUnavailable",
          writer: "EventLogUnavailable",
          reader: "EventLogUnavailable",
          append: "AppendAmbiguous",
          take: "EventLogUnavailable"
        })
      }).pipe(Effect.provide(PgEventLog.layer({ url: through, maxConnections: 8, patience: "2 seconds" })))
    }))
})
