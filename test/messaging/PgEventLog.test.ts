import { mkdtempSync } from "node:fs"
import { tmpdir } from "node:os"
import path from "node:path"
import { expect, layer as suite } from "@effect/vitest"
import { Context, Effect, Fiber, Layer, Redacted, Schedule } from "effect"
import { EventLog, type LogRecord } from "#domain/messaging/EventLog.ts"
import * as LocalPostgres from "#infra/local/LocalPostgres.ts"
import { migrate } from "#infra/postgres/Migrations.ts"
import * as PgEventLog from "#infra/postgres/PgEventLog.ts"
import { connect } from "#infra/postgres/Postgres.ts"
import { eventLogLaws, EventLogs } from "../laws/EventLogLaws.ts"

/** Makes new databases for event logs. */
class Databases extends Context.Service<Databases, {
  readonly fresh: Effect.Effect<Redacted.Redacted<string>>
}>()("counterpoise/test/EventLogDatabases") {
  static readonly layer = Layer.effect(
    Databases,
    Effect.gen(function*() {
      const admin = process.env["TEST_DATABASE_URL"] ?? (yield* LocalPostgres.start({
        dataDir: mkdtempSync(path.join(tmpdir(), "counterpoise-event-log-")),
        ephemeral: true
      })).url("postgres")
      let made = 0
      return Databases.of({
        fresh: Effect.gen(function*() {
          const name = `event_log_${process.pid}_${++made}`
          yield* LocalPostgres.createDatabase(admin, name)
          const url = Redacted.make(Object.assign(new URL(admin), { pathname: name }).href)
          yield* migrate(url, "log")
          return url
        }).pipe(Effect.orDie)
      })
    })
  )
}

const open = (url: Redacted.Redacted<string>) =>
  Layer.build(Layer.fresh(PgEventLog.layer({ url }))).pipe(Effect.map(Context.get(EventLog)), Effect.orDie)

eventLogLaws(
  "the event log in PostgreSQL",
  { denseOffsets: true, atomicAppends: true, fencesWriters: true, durable: true },
  Layer.effect(EventLogs, Effect.map(Databases, ({ fresh }) => ({ fresh: Effect.map(fresh, open) }))).pipe(
    Layer.provide(Databases.layer)
  )
)

const record = (position: number): LogRecord => ({
  partition: position % 3,
  source: 0,
  position: BigInt(position),
  key: "acc_1",
  type: "transfer.held",
  subject: "transfer",
  payload: "{}",
  occurredAtMillis: 1_790_000_000_000,
  traceparent: null,
  requestId: null
})

suite(Databases.layer, { excludeTestServices: true, timeout: "2 minutes" })("the event log in PostgreSQL", (it) => {
  it.effect("has every event once, in order, when connections are cut all the time while it is written and read", () =>
    Effect.gen(function*() {
      const url = yield* Effect.flatten(Effect.map(Databases, ({ fresh }) => fresh))
      const log = yield* open(url)
      const sql = yield* connect({ url, name: "the cutter", maxConnections: 1 })
      const cutter = yield* sql`
        SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = 'counterpoise event log'`.pipe(
        Effect.repeat(Schedule.spaced("40 millis")),
        Effect.forkChild
      )
      const often = { schedule: Schedule.spaced("1 millis"), times: 1000 }
      const total = 3_000
      let acknowledged = 0
      let troubles = 0
      const writing = Effect.gen(function*() {
        const { append } = yield* log.writer(0)
        while (acknowledged < total) {
          const batch = Array.from({ length: 30 }, (_, index) => record(acknowledged + index + 1))
          yield* append(batch)
          acknowledged += batch.length
        }
      }).pipe(
        Effect.scoped,
        Effect.tapError(() => Effect.sync(() => troubles++)),
        Effect.retry(often)
      )
      const delivered: Array<LogRecord> = []
      const reading = Effect.gen(function*() {
        const { take } = yield* log.reader(new Map([[0, 0n], [1, 0n], [2, 0n]])).pipe(Effect.retry(often))
        while (delivered.length < total) delivered.push(...yield* Effect.retry(take(50), often))
      })
      yield* Effect.all([writing, reading], { concurrency: 2 })
      yield* Fiber.interrupt(cutter)
      expect(troubles).toBeGreaterThan(0)
      for (const partition of [0, 1, 2]) {
        expect(delivered.filter((each) => each.partition === partition).map(({ position }) => Number(position)))
          .toEqual(
            Array.from({ length: total }, (_, index) => index + 1).filter((position) => position % 3 === partition)
          )
      }
    }))

  it.effect("is not taken for the log that stood at the same address before", () =>
    Effect.gen(function*() {
      const url = yield* Effect.flatten(Effect.map(Databases, ({ fresh }) => fresh))
      const log = yield* open(url)
      const { append } = yield* log.writer(0)
      const { take } = yield* log.reader(new Map([[0, 0n]]))
      const sql = yield* connect({ url, maxConnections: 1 })
      yield* sql`DELETE FROM log_writer`
      yield* sql`UPDATE log_identity SET id = gen_random_uuid()`
      expect(yield* Effect.flip(append([record(3)]))).toMatchObject({ _tag: "WriterFenced" })
      expect(yield* Effect.flip(log.writer(0))).toMatchObject({ _tag: "EventLogUnavailable" })
      expect(yield* Effect.flip(take(1))).toMatchObject({ _tag: "EventLogUnavailable" })
      expect((yield* open(url)).identity).not.toBe(log.identity)
    }))
})
