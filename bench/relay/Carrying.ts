/**
 * How many events a second the relay carries from the logs of two shards into the event log that all share. They were
 * recorded before, by the real intake; nobody takes them out meanwhile.
 */
import { mkdtempSync } from "node:fs"
import { tmpdir } from "node:os"
import path from "node:path"
import { Effect, Fiber, Layer, Schema } from "effect"
import { EventLog } from "#domain/messaging/EventLog.ts"
import * as KafkaEventLog from "#infra/kafka/KafkaEventLog.ts"
import { findKafka } from "#infra/local/FindKafka.ts"
import * as LocalPostgres from "#infra/local/LocalPostgres.ts"
import * as MemoryEventLog from "#infra/memory/MemoryEventLog.ts"
import * as PgEventLog from "#infra/postgres/PgEventLog.ts"
import { connect } from "#infra/postgres/Postgres.ts"
import * as Relay from "../../apps/relay/run.ts"
import { TestPostgres } from "../../test/support/TestPostgres.ts"
import type { Benchmark, Measured, Series } from "../Benchmark.ts"
import * as CpuTime from "../CpuTime.ts"
import { inProcess, record } from "../engine/Settling.ts"
import * as Wishes from "../engine/Wishes.ts"
import { filled } from "../Filling.ts"
import * as Progress from "../Progress.ts"

const counting = Schema.NumberFromString.check(Schema.isInt(), Schema.isGreaterThanOrEqualTo(1))
const Log = Schema.Literals(["memory", "postgres", "kafka"])
const Options = Schema.Struct({ events: counting, rounds: counting, accounts: counting, logs: Schema.Array(Log) })
type Options = typeof Options.Type

export const carrying: Benchmark = {
  title: "events carried per second by the relay",
  options: {
    events: { type: "string", default: "30000" },
    rounds: { type: "string", default: "5" },
    accounts: { type: "string", default: "20000" },
    logs: { type: "string", default: "memory,postgres" }
  },
  usage: [
    "  --events 30000         on two shards together",
    "  --rounds 5             from the same shards into each event log, in turn, new each time",
    "  --accounts 20000       so many keys, over 64 partitions",
    "  --logs memory,postgres the event logs: memory, postgres, and kafka where there is one"
  ].join("\n"),
  run: (given) =>
    Schema.decodeUnknownEffect(Options)({ ...given, logs: String(given["logs"]).split(",") }).pipe(
      Effect.flatMap(measure)
    )
}

const measure = Effect.fnUntraced(function*(options: Options) {
  const server = yield* LocalPostgres.start({
    dataDir: mkdtempSync(path.join(tmpdir(), "counterpoise-bench-")),
    ephemeral: true
  })
  return yield* Effect.provide(measureOn(options, server.pid), TestPostgres.on(server.url("postgres")), { local: true })
})

const measureOn = Effect.fnUntraced(function*({ accounts, events, logs, rounds }: Options, server: number) {
  const postgres = yield* TestPostgres
  const { parties, shards } = yield* filled("the shards", accounts, 0)
  const wishes = Wishes.draw(Wishes.mixed, { count: events, map: shards.map, parties, seed: 1 })
  yield* record(shards, wishes)
  const brokers = logs.includes("kafka") ? (yield* findKafka).brokers : []
  const databases = yield* Effect.forEach(shards.urls, (url) => connect({ url, maxConnections: 1 }))
  // Those of the accounts and their deposits are there as well.
  const counts = yield* Effect.forEach(
    databases,
    (sql) =>
      Effect.map(
        sql<{ readonly events: number }>`SELECT count(*)::int4 AS events FROM event`,
        ([row]) => row?.events ?? 0
      )
  )
  const all = counts.reduce((sum, count) => sum + count, 0)

  /** What a log holds says less: a transaction of Kafka takes up offsets, too. */
  const isCarried = (log: string) =>
    Effect.map(
      Effect.forEach(databases, (sql) =>
        sql`SELECT FROM relay_cursor WHERE log = ${log} AND position >= (SELECT max(position) FROM event)`),
      (found) =>
        found.every((rows) => rows.length > 0)
    )

  const logOf = Effect.fnUntraced(function*(kind: Options["logs"][number], name: string) {
    switch (kind) {
      case "memory":
        return Layer.fresh(MemoryEventLog.layer)
      case "postgres":
        return Layer.orDie(PgEventLog.layer({ url: yield* postgres.freshLog }))
      case "kafka":
        return Layer.orDie(KafkaEventLog.layer({
          brokers,
          topic: `bench-${process.pid}-${name}`,
          partitions: shards.map.partitions
        }))
    }
  })
  const run = Effect.fnUntraced(function*(kind: Options["logs"][number], name: string) {
    // Every new event log in PostgreSQL is a copy, and has the same name.
    yield* Effect.forEach(databases, (sql) => sql`DELETE FROM relay_cursor`, { discard: true })
    const timed = Effect.gen(function*() {
      const before = CpuTime.look(server)
      const begun = performance.now()
      const relay = yield* Effect.forkChild(inProcess(shards, Relay))
      const { identity } = yield* EventLog
      yield* Effect.repeat(Effect.delay(isCarried(identity), "5 millis"), { until: (done) => done })
      const seconds = (performance.now() - begun) / 1_000
      const cpu = CpuTime.each(before, CpuTime.look(server), all)
      yield* Fiber.interrupt(relay)
      return { perSecond: all / seconds, cpu }
    })
    return yield* Effect.provide(timed, yield* logOf(kind, name), { local: true })
  }, Effect.scoped)

  const values = new Map<string, Series & { readonly values: Array<number> }>()
  const add = (name: string, unit: string, value: number) => {
    const series = values.get(name) ?? { name, unit, values: [] }
    series.values.push(value)
    values.set(name, series)
  }
  for (let round = 0; round <= rounds; round++) {
    for (const kind of logs) {
      const { cpu, perSecond } = yield* run(kind, `${kind}-${round}`)
      Progress.say(`${round === 0 ? "warming up" : `round ${round} of ${rounds}`}: ${kind} ${Math.round(perSecond)}/s`)
      if (round === 0) continue
      add(`into ${kind}`, "events/s", perSecond)
      add(`into ${kind}: Node`, "µs of CPU each", cpu.node)
      add(`into ${kind}: PostgreSQL`, "µs of CPU each", cpu.postgres)
    }
  }
  return {
    configuration: { events: all, accounts, shards: 2, partitions: shards.map.partitions, settings: "fsync=on" },
    series: [...values.values()],
    ratios: [],
    notes: [
      "From the start of the relay, leases and all, until everything is in the event log. What a broker spends is not counted;\n" +
      "PostgreSQL is one server for the shards and its event log."
    ]
  } satisfies Measured
})
