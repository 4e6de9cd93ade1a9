/**
 * The whole platform in processes of its own, from outside: what clients ask over HTTP at a fixed rate, however long the
 * answers take, until the last of it has settled. What each process spends on it is read from the kernel.
 */
import { Duration, Effect, Redacted, Schema } from "effect"
import { even } from "#domain/sharding/ShardMap.ts"
import { connect } from "#infra/postgres/Postgres.ts"
import * as Books from "../../load/Books.ts"
import { clientOf } from "../../load/Client.ts"
import { type Profile, usual } from "../../load/Profiles.ts"
import { generate } from "../../load/Twin.ts"
import { Platform } from "../../test/support/Platform.ts"
import type { Benchmark, Measured, Series } from "../Benchmark.ts"
import * as CpuTime from "../CpuTime.ts"
import { sound } from "../engine/Settling.ts"
import { inBatches } from "./Batches.ts"
import * as Progress from "../Progress.ts"

const counting = Schema.NumberFromString.check(Schema.isInt(), Schema.isGreaterThanOrEqualTo(1))
const Options = Schema.Struct({
  rates: Schema.Array(counting),
  seconds: counting,
  rounds: counting,
  accounts: counting,
  batch: counting,
  idle: counting,
  log: Schema.Literals(["postgres", "kafka"])
})
type Options = typeof Options.Type

/** What did not come about as it was asked for: the figures mean nothing. */
class NotSettled
  extends Schema.TaggedError<NotSettled>()("NotSettled", { accepted: Schema.Int, settled: Schema.Finite })
{
  override get message() {
    return `${this.accepted} transfers were accepted, and ${this.settled} are in the books`
  }
}

/** Something of the platform's or the client's failed. */
class Failed extends Schema.TaggedError<Failed>()("Failed", { cause: Schema.Unknown }) {
  override get message() {
    return String(this.cause)
  }
}

const attempt = <A>(work: () => Promise<A>) =>
  Effect.tryPromise({ try: work, catch: (cause) => Failed.make({ cause }) })

export const endToEnd: Benchmark = {
  title: "transfers settled from end to end, asked for over HTTP at a fixed rate",
  options: {
    rates: { type: "string", default: "200,500" },
    seconds: { type: "string", default: "20" },
    rounds: { type: "string", default: "3" },
    accounts: { type: "string", default: "500" },
    batch: { type: "string", default: "1" },
    idle: { type: "string", default: "10" },
    log: { type: "string", default: "postgres" }
  },
  usage: [
    "  --rates 200,500        transfers asked for a second, one after the other",
    "  --seconds 20           how long, each",
    "  --rounds 3             runs of each rate, in turn",
    "  --accounts 500         half of the transfers between them go across shards",
    "  --batch 1              transfers in a request; more than one are asked for by POST /v1/transfers/batch",
    "  --idle 10              seconds in which nothing is asked, before all others",
    "  --log postgres         the event log: postgres, or kafka at KAFKA_BROKERS"
  ].join("\n"),
  run: (given) =>
    Schema.decodeUnknownEffect(Options)({ ...given, rates: String(given["rates"]).split(",") }).pipe(
      Effect.flatMap(measure)
    )
}

const measure = Effect.fnUntraced(function*(options: Options) {
  Progress.say(`starting the platform, event log in ${options.log}`)
  const brokers = process.env["KAFKA_BROKERS"] ?? ""
  const platform = yield* Effect.acquireRelease(
    attempt(() =>
      Platform.start({
        separate: true,
        env: options.log === "postgres" ? {} : {
          EVENT_LOG: "kafka",
          KAFKA_BROKERS: brokers,
          KAFKA_TOPIC: `bench-${process.pid}-${Date.now()}`
        }
      })
    ),
    (platform) => Effect.promise(() => platform.destroy())
  )
  const { apiKey, apiUrl, processes, shardUrls } = platform.stack
  const client = clientOf(apiUrl, apiKey)
  const urls = shardUrls.map((url) => Redacted.make(url))
  const databases = options.log === "postgres" ? [...urls, Redacted.make(platform.eventLogUrl)] : urls
  const connections = yield* Effect.forEach(databases, (url) => connect({ url, maxConnections: 1 }))

  const look = Effect.gen(function*() {
    const sizes = yield* Effect.forEach(connections, (sql) =>
      sql<{ readonly bytes: bigint; readonly pid: number }>`
        SELECT pg_database_size(current_database()) AS bytes, pg_backend_pid() AS pid`)
    const rows = sizes.flat()
    return {
      bytes: rows.reduce((sum, { bytes }) => sum + Number(bytes), 0),
      micros: new Map([
        ...Object.entries(processes).map(([name, pid]) => [name, CpuTime.ofProcess(pid)] as const),
        ["PostgreSQL", CpuTime.ofServer(rows[0]?.pid ?? 0)] as const
      ])
    }
  })

  const values = new Map<string, Series & { readonly values: Array<number> }>()
  const add = (name: string, unit: string, value: number) => {
    const series = values.get(name) ?? { name, unit, values: [] }
    series.values.push(value)
    values.set(name, series)
  }

  const run = Effect.fnUntraced(function*(rate: number, name: string) {
    const profile: Profile = {
      ...usual,
      accounts: options.accounts,
      stages: [{ seconds: 0, perSecond: rate }, { seconds: options.seconds, perSecond: rate }],
      mayRefuse: true
    }
    yield* attempt(() => Books.open(client, name, options.accounts))
    const before = yield* look
    const begun = performance.now()
    const found = yield* attempt(() =>
      options.batch === 1 ? generate(client, profile, name) : inBatches(client, profile, name, options.batch)
    )
    const asking = (performance.now() - begun) / 1000
    const wanted = options.accounts + 2 * found.accepted
    const entries = yield* attempt(() => Books.settled(client, name, options.accounts, wanted, 120_000))
    const seconds = (performance.now() - begun) / 1000
    const after = yield* look
    if (entries !== wanted) {
      return yield* NotSettled.make({ accepted: found.accepted, settled: (entries - options.accounts) / 2 })
    }
    return { ...found, asking, seconds, before, after }
  })

  // Once before it counts: the code is compiled.
  Progress.say("warming up")
  yield* run(Math.min(...options.rates), `warm${process.pid}`)
  Progress.say(`doing nothing for ${options.idle} s`)
  const before = (yield* look).micros
  yield* Effect.sleep(Duration.seconds(options.idle))
  for (const [name, micros] of (yield* look).micros) {
    add(`idle: ${name}`, "% of a core", (micros - (before.get(name) ?? 0)) / options.idle / 10_000)
  }
  for (let round = 1; round <= options.rounds; round++) {
    for (const rate of options.rates) {
      const found = yield* run(rate, `r${process.pid}x${round}x${rate}`)
      const at = `${rate}/s`
      add(`${at}: accepted`, "transfers/s", found.accepted / found.asking)
      add(`${at}: settled`, "transfers/s", found.accepted / found.seconds)
      add(`${at}: refused, failed or not asked in time`, "transfers", found.refused + found.failed + found.dropped)
      for (const share of ["p50", "p95", "p99"] as const) {
        add(`${at}: accepted, ${share}`, "ms", found.acceptedMillis[share])
        add(`${at}: settled, ${share}`, "ms", found.settledMillis[share])
      }
      for (const [name, micros] of found.after.micros) {
        add(`${at}: ${name}`, "ms of CPU for 1,000", (micros - (found.before.micros.get(name) ?? 0)) / found.accepted)
      }
      add(`${at}: in the databases`, "bytes each", (found.after.bytes - found.before.bytes) / found.accepted)
      Progress.say(
        `round ${round} of ${options.rounds}: ${at}: settled ${Math.round(found.accepted / found.seconds)}/s, ` +
          `95 % within ${Math.round(found.settledMillis.p95)} ms`
      )
    }
  }
  for (const [name, pid] of Object.entries(processes)) add(`${name}, at most`, "MiB", CpuTime.peakMemory(pid))

  Progress.say("checking the books")
  yield* sound({ urls, map: even(urls.length, 64) })
  return {
    configuration: {
      "event log": options.log,
      "seconds a run": options.seconds,
      accounts: options.accounts,
      "transfers a request": options.batch
    },
    series: [...values.values()],
    ratios: [],
    notes: [
      "Settled: from the first transfer asked for to the last entry in the books. The client is in the benchmark's own process, " +
      "on\nthe same machine. Every twentieth transfer was waited for; in the end the books were checked."
    ]
  } satisfies Measured
})
