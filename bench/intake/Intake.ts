/**
 * How many transfers a second one API process accepts by single requests, each on disk when it is answered: first as fast as
 * so many connections can ask, then at half of that, where what counts is how long an answer takes. Nobody settles them
 * meanwhile.
 */
import { fork, spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import path from "node:path"
import { Effect, Redacted, Schedule, Schema } from "effect"
import * as LocalPostgres from "#infra/local/LocalPostgres.ts"
import { TestPostgres } from "../../test/support/TestPostgres.ts"
import type { Benchmark, Measured, Ratio, Series } from "../Benchmark.ts"
import * as CpuTime from "../CpuTime.ts"
import { filled } from "../Filling.ts"
import * as Progress from "../Progress.ts"
import { median } from "../Report.ts"
import type { Found, Job } from "./client.ts"

const counting = Schema.NumberFromString.check(Schema.isInt(), Schema.isGreaterThanOrEqualTo(1))
const Options = Schema.Struct({ connections: counting, seconds: counting, rounds: counting, accounts: counting })
type Options = typeof Options.Type

/** What is asked for, a second. */
const bar = 10_000
const barMillis = 15

export const intake: Benchmark = {
  title: "transfers accepted per second by single requests",
  options: {
    connections: { type: "string", default: "64" },
    seconds: { type: "string", default: "5" },
    rounds: { type: "string", default: "5" },
    accounts: { type: "string", default: "20000" }
  },
  usage: [
    "  --connections 64       clients that each ask again when they are answered",
    "  --seconds 5            how long, each",
    "  --rounds 5             as fast as they can, and at half of that, in turn",
    "  --accounts 20000       half of the transfers between them go across shards"
  ].join("\n"),
  run: (given) => Effect.flatMap(Schema.decodeUnknownEffect(Options)(given), measure)
}

/** The API did not come up, or said no. */
class Failed extends Schema.TaggedError<Failed>()("Failed", { what: Schema.String }) {
  override get message() {
    return this.what
  }
}

const freePort = Effect.promise(async () => {
  const server = createServer().listen(0, "127.0.0.1")
  await once(server, "listening")
  const address = server.address()
  server.close()
  await once(server, "close")
  return typeof address === "object" && address !== null ? address.port : 0
})

const apiKey = "cp_bench_0123456789abcdef"

/** The API as a process of its own. */
const startApi = Effect.fnUntraced(function*(env: Readonly<Record<string, string>>) {
  const port = yield* freePort
  const api = yield* Effect.acquireRelease(
    Effect.sync(() =>
      spawn(process.execPath, [path.resolve(import.meta.dirname, "../../apps/api/main.ts")], {
        env: {
          ...process.env,
          ...env,
          API_PORT: String(port),
          API_KEYS: `bench:${apiKey}`,
          LOG_LEVEL: "Warn",
          EXIT_WITH_PARENT: "1"
        },
        stdio: ["pipe", "inherit", "inherit"]
      })
    ),
    (api) => Effect.promise(() => (api.kill(), once(api, "exit")))
  )
  yield* Effect.tryPromise({
    try: () => fetch(`http://127.0.0.1:${port}/readyz`).then(({ ok }) => ok ? undefined : Promise.reject(new Error())),
    catch: () => Failed.make({ what: "the API did not come up" })
  }).pipe(Effect.retry({ times: 300, schedule: Schedule.spaced("100 millis") }))
  return { port, pid: api.pid ?? 0 }
})

const startClients = (port: number, accounts: ReadonlyArray<string>) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const folder = mkdtempSync(path.join(tmpdir(), "counterpoise-intake-"))
      const file = path.join(folder, "accounts")
      writeFileSync(file, accounts.join("\n"))
      const child = fork(path.join(import.meta.dirname, "client.ts"), [String(port), apiKey, file])
      return { child, folder }
    }),
    ({ child, folder }) =>
      Effect.sync(() => {
        child.kill()
        rmSync(folder, { recursive: true })
      })
  ).pipe(Effect.map(({ child }) => (job: Job) =>
    Effect.callback<Found>((resume) => {
      child.once("message", (found: Found) => resume(Effect.succeed(found)))
      child.send(job)
    })
  ))

const measure = Effect.fnUntraced(function*(options: Options) {
  const server = yield* LocalPostgres.start({
    dataDir: mkdtempSync(path.join(tmpdir(), "counterpoise-bench-")),
    ephemeral: true
  })
  return yield* Effect.provide(measureOn(options, server.pid), TestPostgres.on(server.url("postgres")), { local: true })
})

const measureOn = Effect.fnUntraced(function*(options: Options, server: number) {
  const { connections, rounds, seconds } = options
  const { parties, shards } = yield* filled("the shards", options.accounts, 0)
  const api = yield* startApi({
    SHARD_URLS: shards.urls.map(Redacted.value).join(","),
    PARTITIONS: String(shards.map.partitions)
  })
  const ask = yield* startClients(api.port, parties.flat())

  const values = new Map<string, Series & { readonly values: Array<number> }>()
  const add = (name: string, unit: string, value: number) => {
    const series = values.get(name) ?? { name, unit, values: [] }
    series.values.push(value)
    values.set(name, series)
    return series.values
  }
  const run = Effect.fnUntraced(function*(job: Job) {
    const before = { api: CpuTime.ofProcess(api.pid), postgres: CpuTime.look(server).postgres }
    const found = yield* ask(job)
    if (found.otherwise > 0) {
      return yield* Failed.make({ what: `${found.otherwise} of ${found.accepted + found.otherwise} were not accepted` })
    }
    return {
      ...found,
      api: (CpuTime.ofProcess(api.pid) - before.api) / found.accepted,
      postgres: (CpuTime.look(server).postgres - before.postgres) / found.accepted
    }
  })
  const percentile = ({ millis }: Found, share: number) => millis[Math.floor(share * millis.length)] ?? Number.NaN

  Progress.say("warming up")
  yield* run({ name: `warm-${process.pid}`, connections, seconds })
  const accepted: Array<number> = []
  const p99: Array<number> = []
  for (let round = 1; round <= rounds; round++) {
    const fastest = yield* run({ name: `fast-${round}`, connections, seconds })
    accepted.push(fastest.accepted / fastest.seconds)
    add("accepted", "transfers/s", fastest.accepted / fastest.seconds)
    add("answered, p50", "ms", percentile(fastest, 0.5))
    add("answered, p99", "ms", percentile(fastest, 0.99))
    add("API", "µs of CPU each", fastest.api)
    add("PostgreSQL", "µs of CPU each", fastest.postgres)
    add("the clients", "µs of CPU each", fastest.cpuMicros / fastest.accepted)
    const perSecond = Math.round(median(accepted) / 2)
    const half = yield* run({ name: `half-${round}`, connections: 4 * connections, seconds, perSecond })
    p99.push(percentile(half, 0.99))
    add("at half of that: accepted", "transfers/s", half.accepted / half.seconds)
    for (const [name, share] of [["p50", 0.5], ["p95", 0.95], ["p99", 0.99]] as const) {
      add(`at half of that: answered, ${name}`, "ms", percentile(half, share))
    }
    Progress.say(
      `round ${round} of ${rounds}: ${Math.round(fastest.accepted / fastest.seconds)}/s; at ${perSecond}/s ` +
        `99 % within ${percentile(half, 0.99).toFixed(1)} ms`
    )
  }
  add("API, at most", "MiB", CpuTime.peakMemory(api.pid))

  const ratios: ReadonlyArray<Ratio> = [
    { name: `accepted ÷ ${bar}/s`, values: accepted.map((rate) => rate / bar), bar: 1 },
    { name: `${barMillis} ms ÷ p99 at half`, values: p99.map((millis) => barMillis / millis), bar: 1 }
  ]
  return {
    configuration: {
      connections,
      "seconds a run": seconds,
      accounts: options.accounts,
      shards: 2,
      settings: "fsync=on"
    },
    series: [...values.values()],
    ratios,
    notes: [
      "One API process, PostgreSQL and the clients share the machine; each transfer is on disk when it is answered. Times at\n" +
      "half of the rate count from when a request was due."
    ]
  } satisfies Measured
})
