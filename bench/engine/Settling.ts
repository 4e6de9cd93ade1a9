/**
 * One run of the ledger engine: the real ledger process, and the real relay where transfers need it, over wishes that the
 * real intake has recorded before.
 */
import { ConfigProvider, Duration, Effect, Fiber, Layer, Metric, Redacted, Schema } from "effect"
import { EventLog } from "#domain/messaging/EventLog.ts"
import { violationsOf } from "#domain/reconciliation/Checks.ts"
import { Intake } from "#domain/transfer/Intake.ts"
import * as PgIntake from "#infra/postgres/PgIntake.ts"
import { connect } from "#infra/postgres/Postgres.ts"
import { ShardDatabases } from "#infra/postgres/ShardDatabases.ts"
import * as Metrics from "#infra/telemetry/Metrics.ts"
import * as Ledger from "../../apps/ledger/run.ts"
import * as Relay from "../../apps/relay/run.ts"
import * as CpuTime from "../CpuTime.ts"
import { check } from "../../test/checks/Checking.ts"
import type { TestShards } from "../../test/support/TestPostgres.ts"
import { intentOf, type Wish } from "./Wishes.ts"

/** Transfers ended otherwise than they should, or the books do not hold: what was measured means nothing. */
export class Unsound extends Schema.TaggedError<Unsound>()("Unsound", { found: Schema.Array(Schema.String) }) {
  override get message() {
    return `a run ended unsoundly:\n${this.found.map((each) => `  ${each}`).join("\n")}`
  }
}

/** The processes' environment, as `npm start` sets it. */
const settings = ({ map, urls }: TestShards) =>
  ConfigProvider.layer(ConfigProvider.fromEnv({
    env: { SHARD_URLS: urls.map(Redacted.value).join(","), PARTITIONS: String(map.partitions) }
  }))

/** One of the platform's processes, in this one. */
export const inProcess = <A, E, R, LE, LR>(
  shards: TestShards,
  { layer, work }: { readonly layer: Layer.Layer<A, LE, LR>; readonly work: Effect.Effect<void, E, R> }
) => Effect.provide(work, Layer.provide(layer, settings(shards)), { local: true })

/** Records wishes as the API would, and answers how many milliseconds that took. */
export const record = Effect.fn("record")(
  function*(_shards: TestShards, wishes: ReadonlyArray<Wish>) {
    const intake = yield* Intake
    const begun = performance.now()
    yield* Effect.forEach(wishes, (wish) => intake.request(intentOf(wish)), { concurrency: 2_000, discard: true })
    return performance.now() - begun
  },
  (effect, shards) =>
    Effect.provide(
      effect,
      Layer.provide(PgIntake.layer(), ShardDatabases.layer({ ...shards, role: "counterpoise_api" })),
      { local: true }
    )
)

/** What was written before this run is nothing that the relay should carry into its log. */
const skipWhatWasBefore = Effect.fnUntraced(function*(shards: TestShards, log: string) {
  for (const url of shards.urls) {
    yield* Effect.scoped(Effect.gen(function*() {
      const sql = yield* connect({ url, maxConnections: 1 })
      yield* sql`INSERT INTO relay_cursor (log, position) SELECT ${log}, coalesce(max(position), 0) FROM event`
    }))
  }
})

const endings = ["committed", "rejected", "cancelled"] as const

const ended = (status: typeof endings[number]) => {
  const counters = [0, 1].map((shard) =>
    Metric.withAttributes(Metrics.transfersEnded, { shard: String(shard), status })
  )
  return Effect.map(
    Effect.forEach(counters, (counter) => Metric.value(counter)),
    (states) => states.reduce((sum, { count }) => sum + Number(count), 0)
  )
}

/** An event log that tells when the first batch was taken from it. */
const watched = (log: EventLog["Service"], taken: () => void): EventLog["Service"] => ({
  ...log,
  reader: (from) =>
    Effect.map(log.reader(from), (reader) => ({
      ...reader,
      take: (most) => Effect.tap(reader.take(most), () => Effect.sync(taken))
    }))
})

/** Waits until so many records are in the event log. */
const carried = Effect.fn("carried")(function*({ map }: TestShards, count: number) {
  const log = yield* EventLog
  yield* log.bounds(map.homes.map((_, partition) => partition)).pipe(
    Effect.map((bounds) => [...bounds.values()].reduce((sum, { begin, end }) => sum + Number(end - begin), 0)),
    Effect.delay("5 millis"),
    Effect.repeat({ until: (there) => there >= count })
  )
})

export interface Settled {
  readonly recordMillis: number
  readonly settleMillis: number
  /** For each transfer, while they were settled. */
  readonly cpu: CpuTime.CpuTime
}

/**
 * Records wishes, lets the relay carry them into the log, and then, on the clock, the ledger settle them: from the first
 * batch taken to the last transfer ended.
 */
export const run = Effect.fn("run")(function*(
  shards: TestShards,
  wishes: ReadonlyArray<Wish>,
  options: {
    /** Transfers across shards travel by the relay; within a shard the ledger settles them alone. */
    readonly relayed: boolean
    readonly checked: boolean
    /** The process id of the PostgreSQL server. */
    readonly server: number
  }
) {
  const log = yield* EventLog
  yield* skipWhatWasBefore(shards, log.identity)
  const recordMillis = yield* record(shards, wishes)

  const relay = yield* Effect.forkChild(inProcess(shards, Relay))
  yield* carried(shards, wishes.length)
  if (!options.relayed) yield* Fiber.interrupt(relay)

  const before = yield* Effect.forEach(endings, ended)
  let first = 0
  const cpuBefore = CpuTime.look(options.server)
  const ledger = yield* inProcess(shards, Ledger).pipe(
    Effect.provideService(
      EventLog,
      watched(log, () => {
        first ||= performance.now()
      })
    ),
    Effect.forkChild
  )
  const last = yield* Effect.forEach(endings, ended).pipe(
    Effect.map((now) => now.map((count, status) => count - (before[status] ?? 0))),
    Effect.delay("2 millis"),
    Effect.repeat({ until: (counts) => counts.reduce((sum, count) => sum + count, 0) >= wishes.length }),
    Effect.map(([committed = 0]) => ({ committed, at: performance.now(), cpu: CpuTime.look(options.server) }))
  )
  yield* Fiber.interrupt(ledger)
  yield* Fiber.interrupt(relay)

  if (last.committed !== wishes.length) {
    return yield* Unsound.make({ found: [`${wishes.length - last.committed} transfers were not committed`] })
  }
  if (options.checked) yield* sound(shards)
  return { recordMillis, settleMillis: last.at - first, cpu: CpuTime.each(cpuBefore, last.cpu, wishes.length) }
})

/** PostgreSQL would count them itself in a minute or two; until then it takes large tables for small ones. */
const countAnew = ({ urls }: TestShards) =>
  Effect.forEach(
    urls,
    (url) => Effect.scoped(Effect.flatMap(connect({ url, maxConnections: 1 }), (sql) => sql`ANALYZE`.unprepared)),
    {
      discard: true
    }
  )

/** Every invariant, checked as the reconciler does. The relay was stopped, so events may wait. */
export const sound = Effect.fn("sound")(function*(shards: TestShards) {
  yield* countAnew(shards)
  const found = violationsOf(yield* check(shards, { atRest: true, grace: Duration.hours(24) }))
  if (found.length > 0) {
    return yield* Unsound.make({
      found: found.slice(0, 10).map((each) => `${each.check}: ${each.subject}, ${each.detail}`)
    })
  }
})
