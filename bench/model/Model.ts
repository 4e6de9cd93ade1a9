/**
 * What many shards would need: arithmetic over what was measured on two. It measures nothing; docs/scale.md says where its
 * figures come from, and what it leaves out.
 */
import { Effect, Schema } from "effect"
import type { Benchmark, Measured, Series } from "../Benchmark.ts"

/** What things cost. Processor time in microseconds, sizes in bytes. */
export interface Costs {
  /** Of the API and of PostgreSQL, for a single request that is recorded. */
  readonly intake: { readonly node: number; readonly postgres: number }
  /** Of the ledger and of PostgreSQL, for a transfer that is settled within a shard, and across two. */
  readonly within: { readonly node: number; readonly postgres: number }
  readonly across: { readonly node: number; readonly postgres: number }
  /** In the databases, for a transfer. */
  readonly bytes: number
  /** Of a record in the event log. */
  readonly recordBytes: number
  /** Of all processes and PostgreSQL together, for a shard that nobody asks for anything, a second. */
  readonly idle: number
}

export interface Platform {
  readonly shards: number
  /** Transfers a second, over all shards. */
  readonly rate: number
  /** The share that goes across shards; between any two accounts it is all but one in `shards`. */
  readonly across: number
  /** Processes of each kind. */
  readonly processes: number
}

/** How often a relay looks for something to carry where there is nothing: its longest pause is 100 ms. */
const relayLooks = 10
/** A lease is renewed four times in its life of 5 s, for the relay, the ledger and the reconciler. */
const leaseRenewals = 3 * 4 / 5
/** Connections of a process to each shard: the API's, and each of the three others'. */
const connections = { api: 8, others: 3 * 4 }
/** requested and committed; and held and credited in between, where it goes across. */
const eventsWithin = 2
const eventsAcross = 4

const cores = (perSecond: number, micros: number) => perSecond * micros / 1e6

export const needs = (
  { across, processes, rate, shards }: Platform,
  costs: Costs
): ReadonlyArray<Omit<Series, "values"> & { readonly value: number }> => {
  const mean = (of: "node" | "postgres") => across * costs.across[of] + (1 - across) * costs.within[of]
  const events = rate * (across * eventsAcross + (1 - across) * eventsWithin)
  const api = cores(rate, costs.intake.node)
  const ledger = cores(rate, mean("node"))
  const postgres = cores(rate, costs.intake.postgres + mean("postgres"))
  const idle = cores(shards, costs.idle)
  return [
    { name: "API", unit: "cores", value: api },
    { name: "relay and ledger", unit: "cores", value: ledger },
    { name: "PostgreSQL", unit: "cores", value: postgres },
    { name: "what an idle platform takes", unit: "cores", value: idle },
    { name: "all", unit: "cores", value: api + ledger + postgres + idle },
    { name: "a shard", unit: "transfers/s", value: rate / shards },
    { name: "PostgreSQL of a shard", unit: "% of a core", value: 100 * postgres / shards },
    { name: "event log", unit: "records/s", value: events },
    { name: "event log", unit: "MB/s", value: events * costs.recordBytes / 1e6 },
    { name: "databases", unit: "GB a day", value: rate * 86_400 * costs.bytes / 1e9 },
    { name: "connections to a shard", unit: "connections", value: processes * (connections.api + connections.others) },
    { name: "connections of an API process", unit: "connections", value: shards * connections.api },
    { name: "leases renewed", unit: "transactions/s", value: shards * leaseRenewals },
    { name: "looks of idle relays", unit: "queries/s", value: shards * relayLooks },
    {
      name: "looks at each other when all start",
      unit: "looks",
      value: processes * 4 * shards * (shards - 1)
    },
    { name: "clearing accounts of a shard, each currency", unit: "accounts", value: 2 * (shards - 1) }
  ]
}

const number = Schema.NumberFromString.check(Schema.isGreaterThanOrEqualTo(0))
const pair = Schema.String.check(
  Schema.isPattern(/^\d+,\d+$/, { message: "must be two numbers: of Node, of PostgreSQL" })
)
const Options = Schema.Struct({
  shards: number,
  rate: number,
  across: number,
  processes: number,
  intake: pair,
  within: pair,
  settled: pair,
  bytes: number,
  record: number,
  idle: number
})

const both = (text: string) => {
  const [node = 0, postgres = 0] = text.split(",").map(Number)
  return { node, postgres }
}

export const model: Benchmark = {
  title: "what so many shards would need, reckoned",
  options: {
    shards: { type: "string", default: "1000" },
    rate: { type: "string", default: "100000" },
    across: { type: "string", default: "0.999" },
    processes: { type: "string", default: "3" },
    intake: { type: "string", default: "230,150" },
    within: { type: "string", default: "65,90" },
    settled: { type: "string", default: "140,230" },
    bytes: { type: "string", default: "4600" },
    record: { type: "string", default: "400" },
    idle: { type: "string", default: "15000" }
  },
  usage: [
    "  --shards 1000          each a PostgreSQL of its own",
    "  --rate 100000          transfers a second over all of them, asked for one by one",
    "  --across 0.999         the share of them that goes across: between any two accounts, all but one in --shards",
    "  --processes 3          of each kind",
    "  --intake 230,150       µs of CPU of Node and PostgreSQL to record one (npm run bench -- intake)",
    "  --within 65,90         the same to settle one within a shard (npm run bench -- engine)",
    "  --settled 140,230      and one across two",
    "  --bytes 4600           in the databases for each, and --record 400 for each event in the event log",
    "  --idle 15000           µs of CPU a second for a shard that nobody asks for anything (npm run bench -- e2e)"
  ].join("\n"),
  run: (given) =>
    Effect.map(Schema.decodeUnknownEffect(Options)(given), (options) => {
      const costs: Costs = {
        intake: both(options.intake),
        within: both(options.within),
        across: both(options.settled),
        bytes: options.bytes,
        recordBytes: options.record,
        idle: options.idle
      }
      return {
        configuration: { shards: options.shards, "transfers/s": options.rate, across: options.across },
        series: needs(options, costs).map(({ name, unit, value }) => ({ name, unit, values: [value] })),
        ratios: [],
        notes: [
          "Reckoned from what was measured on two shards: docs/scale.md says what it leaves out. Nothing was run."
        ]
      } satisfies Measured
    })
}
