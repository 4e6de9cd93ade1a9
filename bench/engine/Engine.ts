/**
 * How many transfers a second the ledger engine settles, within a shard, across two, and with one hot account; beside the
 * baseline that anyone would write; and, if asked, with as many accounts and entries as one likes.
 */
import { mkdtempSync } from "node:fs"
import { tmpdir } from "node:os"
import path from "node:path"
import { Effect, Layer, Redacted, Schema, type Scope } from "effect"
import type { ShardMap } from "#domain/sharding/ShardMap.ts"
import * as LocalPostgres from "#infra/local/LocalPostgres.ts"
import * as MemoryEventLog from "#infra/memory/MemoryEventLog.ts"
import * as PgEventLog from "#infra/postgres/PgEventLog.ts"
import { connect } from "#infra/postgres/Postgres.ts"
import { TestPostgres, type TestShards } from "../../test/support/TestPostgres.ts"
import type { Benchmark, Measured, Ratio, Series } from "../Benchmark.ts"
import type { CpuTime } from "../CpuTime.ts"
import { filled, type Parties } from "../Filling.ts"
import * as Progress from "../Progress.ts"
import { divided, median } from "../Report.ts"
import * as Baseline from "./Baseline.ts"
import * as Settling from "./Settling.ts"
import * as Wishes from "./Wishes.ts"

const scenarios = {
  uniform: { title: "within a shard", pairing: Wishes.uniform, relayed: false },
  zipf: { title: "within a shard, by Zipf's law", pairing: Wishes.zipf, relayed: false },
  hot: { title: "one hot account", pairing: Wishes.hot, relayed: false },
  cross: { title: "across two shards", pairing: Wishes.cross, relayed: true },
  mixed: { title: "half across two shards", pairing: Wishes.mixed, relayed: true }
} as const
const Scenario = Schema.Literals(["uniform", "zipf", "hot", "cross", "mixed"])
type Scenario = typeof Scenario.Type

/** How many connections the baseline is tried with; the best of them is what counts. */
const connectionCounts = [8, 16, 32]
const calibrationMillis = 2_000
const baselineMillis = 4_000

const smallAccounts = 20_000

const counting = (from: number) => Schema.NumberFromString.check(Schema.isInt(), Schema.isGreaterThanOrEqualTo(from))

const Options = Schema.Struct({
  transfers: counting(1),
  rounds: counting(1),
  accounts: counting(20),
  entries: counting(0),
  log: Schema.Literals(["memory", "postgres"]),
  scenarios: Schema.Array(Scenario),
  baseline: Schema.Boolean,
  set: Schema.Array(Schema.String.check(Schema.isPattern(/^[\w.]+=.+$/, { message: "must be NAME=VALUE" })))
})
type Options = typeof Options.Type

export const engine: Benchmark = {
  title: "transfers settled per second by the ledger engine",
  options: {
    transfers: { type: "string", default: "20000" },
    rounds: { type: "string", default: "5" },
    accounts: { type: "string", default: String(smallAccounts) },
    entries: { type: "string", default: "0" },
    log: { type: "string", default: "memory" },
    scenarios: { type: "string", default: "uniform,hot,cross" },
    "no-baseline": { type: "boolean", default: false },
    set: { type: "string", multiple: true, default: [] }
  },
  usage: [
    "  --transfers 20000      transfers in each run",
    "  --rounds 5             runs of each scenario, in turn",
    `  --accounts ${smallAccounts}       customers' accounts, half of them on each shard`,
    "  --entries N            fills two more shards with so many entries first, and compares: --accounts are theirs, then",
    "  --log memory           the event log between the shards: memory or postgres",
    "  --scenarios a,b        of uniform, zipf, hot, cross and mixed; uniform,hot,cross unless given",
    "  --no-baseline          leaves out the stored procedure that the engine is compared with",
    "  --set NAME=VALUE       a setting of PostgreSQL beside those of npm start; may be repeated"
  ].join("\n"),
  run: (given) =>
    Schema.decodeUnknownEffect(Options)({
      ...given,
      scenarios: String(given["scenarios"]).split(","),
      baseline: given["no-baseline"] !== true
    }).pipe(Effect.flatMap(measure))
}

/** Where transfers take place: shards that were filled, and the accounts between which money moves. */
interface World {
  readonly name: string
  readonly parties: Parties
  readonly map: ShardMap
  /** Shards for one run; those of a small world are new each time, those of a large one are used again. */
  readonly shards: Effect.Effect<TestShards, never, Scope.Scope>
  readonly keeps: boolean
}

const measure = Effect.fnUntraced(function*(options: Options) {
  const server = yield* LocalPostgres.start({
    dataDir: mkdtempSync(path.join(tmpdir(), "counterpoise-bench-")),
    ephemeral: true,
    settings: Object.fromEntries(options.set.map((each) => {
      const at = each.indexOf("=")
      return [each.slice(0, at), each.slice(at + 1)]
    }))
  })
  return yield* compare(options, { url: server.url("postgres"), pid: server.pid }).pipe(
    Effect.provide(TestPostgres.on(server.url("postgres")), { local: true })
  )
})

const compare = Effect.fnUntraced(function*(options: Options, server: Baseline.Server) {
  const postgres = yield* TestPostgres
  const version = yield* Effect.scoped(Effect.gen(function*() {
    const sql = yield* connect({ url: Redacted.make(server.url), maxConnections: 1 })
    const [row] = yield* sql<{ readonly server_version: string }>`SHOW server_version`
    return row?.server_version ?? "unknown"
  }))

  const isLarge = options.entries > 0
  const small = yield* filled("the small shards", isLarge ? smallAccounts : options.accounts, 0)
  const worlds: Array<World> = [{
    name: "",
    parties: small.parties,
    map: small.shards.map,
    shards: postgres.copy(small.shards),
    keeps: false
  }]
  if (isLarge) {
    const large = yield* filled("the large shards", options.accounts, options.entries)
    worlds.push({
      name: `, ${options.entries.toLocaleString("en")} entries`,
      parties: large.parties,
      map: large.shards.map,
      shards: Effect.succeed(large.shards),
      keeps: true
    })
  }

  let seed = 0
  const wishes = (scenario: Scenario, { map, parties }: World) =>
    Wishes.draw(scenarios[scenario].pairing, { count: options.transfers, map, parties, seed: ++seed })

  const settled = Effect.fnUntraced(function*(scenario: Scenario, world: World) {
    const shards = yield* world.shards
    const log = options.log === "memory"
      ? Layer.fresh(MemoryEventLog.layer)
      : PgEventLog.layer({ url: yield* postgres.freshLog })
    const run = yield* Settling.run(shards, wishes(scenario, world), {
      relayed: scenarios[scenario].relayed,
      // The books of a large world are checked once, at the end: it takes minutes.
      checked: !world.keeps,
      server: server.pid
    }).pipe(Effect.provide(log, { local: true }))
    return {
      settled: options.transfers / run.settleMillis * 1_000,
      recorded: options.transfers / run.recordMillis * 1_000,
      cpu: run.cpu
    }
  }, Effect.scoped)

  const baseline = (scenario: Scenario, world: World, connections: number, millis: number) =>
    Baseline.run(server, wishes(scenario, world), { connections, parties: world.parties, millis })

  // Everything once before it counts: the code is compiled, and the baseline has its best number of connections.
  const best = new Map<Scenario, number>()
  for (const scenario of options.scenarios) {
    for (const world of worlds) {
      Progress.say(`warming up: ${scenarios[scenario].title}${world.name}`)
      yield* settled(scenario, world)
    }
    const [world] = worlds
    if (!options.baseline || world === undefined || scenarios[scenario].relayed) continue
    let most = 0
    for (const connections of connectionCounts) {
      Progress.say(`calibrating the baseline: ${scenarios[scenario].title}, ${connections} connections`)
      const { perSecond } = yield* baseline(scenario, world, connections, calibrationMillis)
      if (perSecond <= most) continue
      most = perSecond
      best.set(scenario, connections)
    }
  }

  const values = new Map<string, Array<number>>()
  const cpu = new Map<string, { readonly node: Array<number>; readonly postgres: Array<number> }>()
  const addCpu = (name: string, { node, postgres }: CpuTime) => {
    const times = cpu.get(name) ?? { node: [], postgres: [] }
    times.node.push(node)
    times.postgres.push(postgres)
    cpu.set(name, times)
  }
  const add = (name: string, value: number) => values.set(name, [...values.get(name) ?? [], value])
  const engineName = (scenario: Scenario, world: World | undefined) =>
    `engine, ${scenarios[scenario].title}${world?.name ?? ""}`
  const baselineName = (scenario: Scenario) => `baseline, ${scenarios[scenario].title}`
  const recordedName = "intake, wishes recorded before"

  for (let round = 1; round <= options.rounds; round++) {
    for (const scenario of options.scenarios) {
      for (const world of worlds) {
        const name = engineName(scenario, world)
        const rate = yield* settled(scenario, world)
        add(name, rate.settled)
        addCpu(name, rate.cpu)
        if (!world.keeps) add(recordedName, rate.recorded)
        Progress.say(`round ${round} of ${options.rounds}: ${name} ${Math.round(rate.settled)}/s`)
      }
      const [world] = worlds
      const connections = best.get(scenario)
      if (world === undefined || connections === undefined) continue
      const rate = yield* baseline(scenario, world, connections, baselineMillis)
      add(baselineName(scenario), rate.perSecond)
      addCpu(baselineName(scenario), rate.cpu)
      Progress.say(`round ${round} of ${options.rounds}: ${baselineName(scenario)} ${Math.round(rate.perSecond)}/s`)
    }
  }
  for (const world of worlds) {
    if (!world.keeps) continue
    Progress.say("checking the books of the large shards")
    yield* Effect.flatMap(world.shards, Settling.sound)
  }

  const ratios: Array<Ratio> = []
  const compareWith = (name: string, above: string, below: string, bar: number) => {
    const [a, b] = [values.get(above), values.get(below)]
    if (a !== undefined && b !== undefined) ratios.push({ name, values: divided(a, b), bar })
  }
  const [here, large] = worlds
  const uniform = engineName("uniform", here)
  compareWith("within a shard ÷ baseline", uniform, baselineName("uniform"), 1.5)
  compareWith("hot account ÷ within a shard", engineName("hot", here), uniform, 0.8)
  compareWith("across shards ÷ within a shard", engineName("cross", here), uniform, 0.5)
  compareWith("hot account ÷ baseline", engineName("hot", here), baselineName("hot"), 1.5)
  if (large !== undefined) {
    for (const scenario of options.scenarios) {
      compareWith(
        `${scenarios[scenario].title}, large ÷ small`,
        engineName(scenario, large),
        engineName(scenario, here),
        0.85
      )
    }
  }

  const series = [
    ...[...values].map(([name, values]): Series => ({ name, unit: "transfers/s", values })),
    ...[...cpu].flatMap(([name, { node, postgres }]): ReadonlyArray<Series> => [
      { name: `${name}: Node`, unit: "µs of CPU each", values: node },
      { name: `${name}: PostgreSQL`, unit: "µs of CPU each", values: postgres }
    ])
  ]
  return {
    configuration: {
      PostgreSQL: version,
      settings: ["fsync=on", ...options.set].join(" "),
      "transfers a run": options.transfers,
      accounts: isLarge ? `${smallAccounts} and ${options.accounts}` : options.accounts,
      "event log": options.log,
      "baseline's connections": [...best].map(([scenario, connections]) => `${scenario} ${connections}`).join(", ") ||
        "none"
    },
    series,
    ratios,
    notes: notes(values, options, uniform, recordedName)
  } satisfies Measured
})

const notes = (
  values: ReadonlyMap<string, ReadonlyArray<number>>,
  options: Options,
  uniform: string,
  recorded: string
): ReadonlyArray<string> => {
  const said = [
    "Settled: from the first batch taken to the last transfer ended. The engine's wishes were recorded before, by the real " +
    "intake;\nthe baseline does everything in its one call. Every run's books were checked."
  ]
  const [settling, recording, baseline] = [uniform, recorded, `baseline, ${scenarios.uniform.title}`].map((name) =>
    values.get(name)
  )
  if (settling !== undefined && recording !== undefined) {
    const both = 1 / (1 / median(settling) + 1 / median(recording))
    const times = baseline === undefined ? "" : `, ${(both / median(baseline)).toFixed(2)} times the baseline`
    said.push(`Recorded and settled one after the other, within a shard: ${Math.round(both)}/s${times}.`)
  }
  if (options.rounds < 3) said.push("Fewer than three rounds show no spread: rely on nothing here.")
  return said
}
