/**
 * How fast a shard is replayed: `node run.mjs test/replay/volume.ts [--events N] [--from log,kafka] [--profile FILE]`
 *
 * Real workers settle transfers on two shards until there are about so many events (100,000 unless given): half of the transfers
 * go across, some are refused, some are authorized and captured. Then both shards are replayed from each of the logs. The
 * PostgreSQL is one of its own with the settings of `npm start`, fsync and all; Kafka is a real one.
 *
 * The report is JSON: events a second, and the processor time of both sides on an event; where the time went in PostgreSQL, by
 * statement, and with `--profile` in Node, for its profiler.
 */
import { mkdtempSync, writeFileSync } from "node:fs"
import { Session } from "node:inspector/promises"
import { tmpdir } from "node:os"
import path from "node:path"
import { parseArgs } from "node:util"
import { Effect, Layer, Redacted, References } from "effect"
import { makeId } from "#domain/ledger/Instruction.ts"
import { Intake, type TransferIntent } from "#domain/transfer/Intake.ts"
import * as KafkaEventLog from "#infra/kafka/KafkaEventLog.ts"
import { random } from "#infra/Entropy.ts"
import { findKafka } from "#infra/local/FindKafka.ts"
import * as LocalPostgres from "#infra/local/LocalPostgres.ts"
import { main } from "#infra/Program.ts"
import { isEqual } from "#infra/postgres/PgReplay.ts"
import { connect } from "#infra/postgres/Postgres.ts"
import * as Machine from "../../bench/Machine.ts"
import * as Progress from "../../bench/Progress.ts"
import {
  everybodyWorks,
  intentOf,
  nameOn,
  open,
  partitions,
  request,
  somebodyOn,
  World,
  world
} from "../ledger/World.ts"
import { TestPostgres } from "../support/TestPostgres.ts"
import { carryAll, replayed } from "./Replaying.ts"

const { values } = parseArgs({
  options: {
    events: { type: "string", default: "100000" },
    from: { type: "string", default: "log,kafka" },
    profile: { type: "string" }
  }
})

/** What a transfer of this mixture comes to, over both shards. */
const eventsPerTransfer = 2.9
const transfers = Math.ceil(Number(values.events) / eventsPerTransfer)
const transfersAtOnce = 5_000

/** What nobody is asked about any more: a transfer that is only authorized waits for its client. */
const quiet = Effect.forEach([0, 1], (shard) =>
  Effect.scoped(Effect.flatMap(
    somebodyOn(shard),
    (sql) =>
      sql<{ readonly left: number }>`
        SELECT (SELECT count(*)::int4 FROM transfer WHERE status IN ('requested', 'held'))
          + (SELECT count(*)::int4 FROM instruction WHERE status = 'open') AS left`
  ))).pipe(
    Effect.map((rows) => rows.flat().reduce((sum, { left }) => sum + left, 0)),
    Effect.delay("250 millis"),
    Effect.repeat({ until: (left) => left === 0 })
  )

const pick = <A>(from: ReadonlyArray<A>): A => {
  const found = from[Math.floor(random() * from.length)]
  if (found === undefined) throw new RangeError("there is nothing to pick from")
  return found
}

/** Books that both shards came to by their workers. */
const fill = Effect.gen(function*() {
  const intake = yield* Intake
  const banks = yield* Effect.forEach([0, 1], (shard) => open(nameOn(shard, `bank${shard}`), "external"))
  const customers = yield* Effect.forEach(
    Array.from({ length: 2_000 }, (_, index) => index),
    (index) => open(nameOn(index % 2, `customer${index}`)),
    { concurrency: 64 }
  )
  const draw = (index: number): TransferIntent => {
    const source = pick(customers)
    let destination = pick(customers)
    while (destination === source) destination = pick(customers)
    return intentOf(source, destination, index % 50 === 1 ? "999999" : "7", index % 20 === 0 ? "manual" : "automatic")
  }
  const working = Effect.gen(function*() {
    yield* intake.requestAll(customers.map((customer) => intentOf(pick(banks), customer, "100000")))
    yield* quiet
    for (let asked = 0; asked < transfers; asked += transfersAtOnce) {
      Progress.say(`${asked} of ${transfers} transfers were asked for`)
      const wishes = Array.from({ length: Math.min(transfersAtOnce, transfers - asked) }, (_, index) => draw(index))
      yield* intake.requestAll(wishes)
      yield* quiet
      yield* Effect.forEach(wishes.filter(({ capture }) => capture === "manual"), ({ terms }) =>
        intake.instruct({
          request: request(),
          event: {
            type: "transfer.capture_requested",
            ...terms,
            captured: null,
            instruction: makeId(Date.now(), random)
          }
        }), { concurrency: 16 })
    }
    yield* quiet
  })
  yield* Effect.raceFirst(everybodyWorks, working)
})

const postgres = Effect.suspend(() =>
  LocalPostgres.start({
    dataDir: mkdtempSync(path.join(tmpdir(), "counterpoise-replay-")),
    ephemeral: true,
    settings: { shared_preload_libraries: "pg_stat_statements" }
  })
)

/** Where the time went in PostgreSQL: in all, and the statements that took the most, in milliseconds. */
const spentIn = (sql: Connection) =>
  Effect.all({
    all: Effect.map(
      sql<{ readonly ms: number }>`SELECT coalesce(sum(total_exec_time), 0)::int4 AS ms FROM pg_stat_statements`,
      ([sum]) => sum?.ms ?? 0
    ),
    costliest: sql<{ readonly ms: number; readonly calls: number; readonly statement: string }>`
      SELECT total_exec_time::int4 AS ms, calls::int4, left(regexp_replace(query, '\s+', ' ', 'g'), 100) AS statement
      FROM pg_stat_statements ORDER BY total_exec_time DESC LIMIT 16`
  })

type Connection = Effect.Success<ReturnType<typeof connect>>

/** Writes down what Node does meanwhile, for its profiler. */
const profiled = <A, E, R>(file: string | undefined, work: Effect.Effect<A, E, R>) =>
  file === undefined ? work : Effect.gen(function*() {
    const session = new Session()
    session.connect()
    yield* Effect.promise(async () => {
      await session.post("Profiler.enable")
      await session.post("Profiler.start")
    })
    const done = yield* work
    const { profile } = yield* Effect.promise(() => session.post("Profiler.stop"))
    yield* Effect.sync(() => writeFileSync(file, JSON.stringify(profile)))
    return done
  })

const measure = Effect.fnUntraced(function*(sql: Connection, from: string, shard: number) {
  const shards = yield* World
  Progress.say(`replaying shard ${shard} from ${from}`)
  yield* sql`SELECT pg_stat_statements_reset()`
  const cpu = process.cpuUsage()
  const begun = performance.now()
  const report = yield* replayed(shards, shard, from === "log" ? "log" : "event log")
  const { system, user } = process.cpuUsage(cpu)
  const { events, seconds } = report
  const { all, costliest } = yield* spentIn(sql)
  return {
    from,
    shard,
    events,
    seconds,
    eventsPerSecond: Math.round(events / seconds),
    // Both digests, too.
    secondsInAll: Math.round(performance.now() - begun) / 1_000,
    equal: isEqual(report),
    millisOfNode: Math.round((user + system) / 1_000),
    millisOfPostgres: all,
    memoryMiB: Math.round(process.memoryUsage.rss() / 2 ** 20),
    costliest
  }
})

const measured = Effect.fnUntraced(function*(sql: Connection) {
  const runs = []
  for (const from of values.from.split(",")) {
    const both = Effect.forEach([0, 1], (shard) => measure(sql, from, shard))
    if (from === "kafka") {
      const { brokers } = yield* findKafka
      const kafka = KafkaEventLog.layer({ brokers, topic: `replay-${process.pid}`, partitions })
      runs.push(...yield* Effect.provide(Effect.andThen(carryAll, both), kafka, { local: true }))
    } else {
      runs.push(...yield* both)
    }
  }
  return runs
})

const program = Effect.gen(function*() {
  const machine = Machine.look()
  const url = (yield* postgres).url("postgres")
  const sql = yield* connect({ url: Redacted.make(url), maxConnections: 1 })
  yield* sql`CREATE EXTENSION IF NOT EXISTS pg_stat_statements`.unprepared
  const runs = yield* Effect.provide(
    Effect.andThen(fill, profiled(values.profile, measured(sql))),
    Layer.provideMerge(world, TestPostgres.on(url))
  )
  Progress.clear()
  yield* Effect.sync(() => console.log(JSON.stringify({ machine, transfers, runs }, undefined, 2)))
})

main("volume", program.pipe(Effect.scoped, Effect.provideService(References.MinimumLogLevel, "Error")), process.stderr)
