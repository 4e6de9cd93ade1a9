/**
 * How fast many transfers in one request are recorded, and how long that keeps others waiting: the event loop, and a client
 * that asks for something small meanwhile.
 */
import { fork } from "node:child_process"
import { mkdtempSync } from "node:fs"
import { tmpdir } from "node:os"
import path from "node:path"
import { Context, Effect, Layer, Schema } from "effect"
import { Readiness } from "#infra/http/Readiness.ts"
import { Listening } from "#infra/http/Server.ts"
import * as LocalPostgres from "#infra/local/LocalPostgres.ts"
import * as PgIntake from "#infra/postgres/PgIntake.ts"
import * as PgQueries from "#infra/postgres/PgQueries.ts"
import * as PgSeals from "#infra/postgres/PgSeals.ts"
import { ShardDatabases } from "#infra/postgres/ShardDatabases.ts"
import { serve } from "../../apps/api/Api.ts"
import { TestPostgres } from "../../test/support/TestPostgres.ts"
import type { Benchmark, Measured } from "../Benchmark.ts"
import * as Progress from "../Progress.ts"

const counting = Schema.NumberFromString.check(Schema.isInt(), Schema.isBetween({ minimum: 1, maximum: 10_000 }))
const Options = Schema.Struct({ items: counting, rounds: counting })

/**
 * How long the event loop does not turn, by what the thread computes meanwhile: what others take of the processor does not
 * count.
 */
const watchTurns = () => {
  const spent = () => {
    const { system, user } = process.threadCpuUsage()
    return (system + user) / 1000
  }
  let longest = 0
  let last = spent()
  const look = setInterval(() => {
    const now = spent()
    longest = Math.max(longest, now - last)
    last = now
  }, 1)
  return { reset: () => void (longest = 0), longest: () => longest, end: () => clearInterval(look) }
}

/** What the client tells: what it is about to send, then what came of it. */
const Told = Schema.Union([
  Schema.Struct({ bytes: Schema.Int }),
  Schema.Struct({ millis: Schema.Finite, accepted: Schema.Int, longest: Schema.Finite })
])
const toldOf = Schema.decodeUnknownSync(Told)

export const batch: Benchmark = {
  title: "transfers recorded per second from requests for many, and how long others wait",
  options: { items: { type: "string", default: "10000" }, rounds: { type: "string", default: "10" } },
  usage: [
    "  --items 10000          transfers in each request",
    "  --rounds 10            requests, one after the other; the first two warm up and do not count"
  ].join("\n"),
  run: (given) => Effect.flatMap(Schema.decodeUnknownEffect(Options)(given), measure)
}

const measure = Effect.fnUntraced(function*(options: typeof Options.Type) {
  const server = yield* LocalPostgres.start({
    dataDir: mkdtempSync(path.join(tmpdir(), "counterpoise-bench-")),
    ephemeral: true
  })
  return yield* Effect.provide(measureOn(options), TestPostgres.on(server.url("postgres")), { local: true })
})

const measureOn = Effect.fnUntraced(function*({ items, rounds }: typeof Options.Type) {
  const shards = yield* TestPostgres.use(({ freshShards }) => freshShards(2))
  const key = "cp_bench"
  const api = serve({ host: "127.0.0.1", port: 0, apiKeys: new Map([[key, "bench"]]), shardMap: shards.map }).pipe(
    Layer.provide([PgIntake.layer(), PgQueries.layer, PgSeals.layer, Readiness.layer([])]),
    Layer.provide(ShardDatabases.layer({ ...shards, role: "counterpoise_api", maxConnections: 8 })),
    Layer.orDie
  )
  const { url } = Context.get(yield* Layer.build(api), Listening)

  const turns = watchTurns()
  const measured: Array<{ readonly perSecond: number; readonly turn: number; readonly longest: number }> = []
  let bytes = 0
  yield* Effect.callback<void>((resume) => {
    const client = fork(path.join(import.meta.dirname, "client.ts"), [url, key, `${items}`, `${rounds + 2}`])
    client.on("message", (message) => {
      const told = toldOf(message)
      if ("bytes" in told) {
        bytes = told.bytes
        turns.reset()
        return
      }
      if (told.accepted !== items) throw new Error(`${told.accepted} of ${items} were accepted`)
      measured.push({ perSecond: (items / told.millis) * 1000, turn: turns.longest(), longest: told.longest })
      Progress.flash(`${measured.length} of ${rounds + 2}`)
    })
    client.on("exit", () => resume(Effect.void))
    return Effect.sync(() => client.kill())
  })
  turns.end()

  const counted = measured.slice(2)
  const of = (what: keyof (typeof measured)[number]) => counted.map((one) => one[what])
  return {
    configuration: { items, bytes, rounds },
    series: [
      { name: "recorded", unit: "transfers/s", values: of("perSecond") },
      { name: "longest turn of the event loop", unit: "ms of CPU", values: of("turn") },
      { name: "longest wait of another client", unit: "ms", values: of("longest") }
    ],
    ratios: [],
    notes: [
      "API and PostgreSQL share the machine with the client; every request is on disk (fsync) when it is answered."
    ]
  } satisfies Measured
})
