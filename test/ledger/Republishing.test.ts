/** A relay that is sent back while everybody works: what it had carried is in the event log once more, and no money moves. */
import { expect, layer } from "@effect/vitest"
import { Effect, Fiber, Layer, Option, Schedule } from "effect"
import { EventLog, type LogRecord } from "#domain/messaging/EventLog.ts"
import { ShardLog } from "#domain/messaging/ShardLog.ts"
import { Republishing } from "#domain/operations/Republishing.ts"
import { violationsOf } from "#domain/reconciliation/Checks.ts"
import { Leases } from "#domain/sharding/Leases.ts"
import * as MemoryEventLog from "#infra/memory/MemoryEventLog.ts"
import * as PgRepublishing from "#infra/postgres/PgRepublishing.ts"
import { check } from "../checks/Checking.ts"
import { TestPostgres } from "../support/TestPostgres.ts"
import {
  ask,
  ended,
  everybodyWorks,
  logOf,
  nameOn,
  open,
  partitions,
  postedOf,
  somebodyOn,
  World,
  world
} from "./World.ts"

/** Two shards, and an event log that keeps what it is given a second time. */
const here = Layer.merge(
  PgRepublishing.layer,
  Layer.effect(EventLog, Effect.map(MemoryEventLog.makeLog({ keepsReplays: true }), MemoryEventLog.over))
).pipe(Layer.provideMerge(world))

const ann = { name: "ann", reason: "a broker lost its disk", requestId: "req_1" }
const what = { action: "relay.republish", subject: "shard_0" }

const sendBack = (from: bigint) => Republishing.use((republishing) => republishing.sendBack(0, from, ann, what))

/** What the event log holds of shard 0, partition by partition. */
const carriedOf = Effect.gen(function*() {
  const log = yield* EventLog
  const all = Array.from({ length: partitions }, (_, partition) => partition)
  const bounds = yield* log.bounds(all)
  const { next, take } = yield* log.reader(new Map(all.map((partition) => [partition, 0n])))
  const records: Array<LogRecord> = []
  while (all.some((partition) => (next(partition) ?? 0n) < (bounds.get(partition)?.end ?? 0n))) {
    records.push(...yield* take(1_000))
  }
  return records.filter(({ source }) => source === 0)
}).pipe(Effect.scoped)

const positions = (records: ReadonlyArray<LogRecord>) => records.map(({ position }) => position)

const count = (records: ReadonlyArray<LogRecord>, position: bigint) =>
  positions(records).filter((each) => each === position).length

layer(TestPostgres.layer, { excludeTestServices: true, timeout: "2 minutes" })("a relay that is sent back", (it) => {
  it.effect("while everybody works carries everything from there on again, in order, and nothing is applied twice", () =>
    Effect.gen(function*() {
      const bank = yield* open(nameOn(0, "bank"), "external")
      const [near, far] = [yield* open(nameOn(0, "near")), yield* open(nameOn(1, "far"))]
      const pay = (times: number) =>
        Effect.forEach(
          Array.from({ length: times }, (_, index) => index % 2 === 0 ? near : far),
          (to) => ask(bank, to, "1")
        ).pipe(Effect.flatMap(Effect.forEach(ended)))
      yield* Effect.forkScoped(everybodyWorks)
      yield* pay(20)

      const before = yield* carriedOf
      const from = positions(before).toSorted((one, other) => Number(one - other))[7] ?? 0n
      const sent = yield* sendBack(from)
      yield* pay(10)
      // The new ones were carried after the old: whoever waited for them to end has waited for that.
      const after = yield* carriedOf

      for (const position of positions(before)) {
        if (position <= sent.to) expect(count(after, position)).toBe(position < from ? 1 : 2)
      }
      for (const [, records] of Map.groupBy(after, ({ partition }) => partition)) {
        const backwards = positions(records).filter((position, index, all) => position <= (all[index - 1] ?? 0n))
        // Replays, in order: of one stretch, once.
        expect(backwards.length).toBeLessThanOrEqual(1)
      }
      expect(yield* postedOf(near)).toMatchObject({ posted: 15n, sequence: 15n })
      expect(yield* postedOf(far)).toMatchObject({ posted: 15n, sequence: 15n })
      expect(violationsOf(yield* check(yield* World))).toEqual([])
    }).pipe(Effect.provide(Layer.fresh(here))))

  it.effect("while it had nothing to do notices it all the same", () =>
    Effect.gen(function*() {
      const bank = yield* open(nameOn(0, "bank"), "external")
      yield* Effect.forkScoped(everybodyWorks)
      yield* ended(yield* ask(bank, yield* open(nameOn(0, "eve")), "1"))
      const { identity } = yield* EventLog
      const shardLog = yield* ShardLog
      const idle = Effect.gen(function*() {
        const [cursor, events] = [yield* shardLog.cursor(0, identity), yield* logOf(0)]
        return events.length > 0 && events.every(({ position }) => position <= cursor)
      })
      yield* Effect.repeat(idle, { until: (is) => is, schedule: Schedule.spaced("20 millis") })
      const before = yield* carriedOf
      yield* sendBack(1n)
      yield* Effect.repeat(carriedOf, {
        until: (records) => records.length >= 2 * before.length,
        schedule: Schedule.spaced("20 millis")
      })
    }).pipe(Effect.provide(Layer.fresh(here))))

  it.effect("just when it moves its cursor cannot move it: it has lost its lease", () =>
    Effect.gen(function*() {
      const log = yield* ShardLog
      const leases = yield* Leases
      const lease = Option.getOrThrow(yield* leases.acquire(0, "relay"))
      yield* log.advance(lease, "the log", 70n)
      const operator = yield* somebodyOn(0)
      const moving = yield* operator.withTransaction(Effect.gen(function*() {
        expect(yield* operator`SELECT * FROM send_relay_back(5)`).toEqual([{ into_log: "the log", carried_to: 70n }])
        const moving = yield* Effect.forkChild(Effect.exit(log.advance(lease, "the log", 90n)))
        // It waits for what we hold.
        yield* Effect.repeat(
          operator<{ readonly waits: boolean }>`
          SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid))) AS waits`,
          {
            until: ([row]) => row?.waits === true,
            schedule: Schedule.spaced("5 millis")
          }
        )
        return moving
      }))
      expect(yield* Effect.flip(Effect.flatten(Fiber.join(moving)))).toMatchObject({ _tag: "LeaseLost" })
      expect(yield* log.cursor(0, "the log")).toBe(4n)
      const next = Option.getOrThrow(yield* leases.acquire(0, "relay"))
      yield* log.advance(next, "the log", 90n)
      expect(yield* log.cursor(0, "the log")).toBe(90n)
    }).pipe(Effect.provide(Layer.fresh(here))))

  it.effect("further than it has come, or before anything was carried, stays where it is, and keeps its lease", () =>
    Effect.gen(function*() {
      const log = yield* ShardLog
      const leases = yield* Leases
      const lease = Option.getOrThrow(yield* leases.acquire(0, "relay"))
      const refused = { _tag: "PositionNotCarried", shard: 0 }
      expect(yield* Effect.flip(sendBack(1n))).toMatchObject({ ...refused, carriedTo: 0n })
      yield* log.advance(lease, "an old log", 900n)
      yield* log.advance(lease, "the log", 70n)
      const { look } = yield* Republishing
      expect(yield* Effect.flip(look(0, 71n))).toMatchObject({ ...refused, from: 71n, carriedTo: 70n })
      expect(yield* Effect.flip(sendBack(71n))).toMatchObject({ ...refused, from: 71n, carriedTo: 70n })
      yield* log.advance(lease, "the log", 75n)
      expect(yield* look(0, 70n)).toEqual({ log: "the log", from: 70n, to: 75n, events: 0 })
      yield* sendBack(70n)
      expect([yield* log.cursor(0, "the log"), yield* log.cursor(0, "an old log")]).toEqual([69n, 900n])
    }).pipe(Effect.provide(Layer.fresh(here))))
})
