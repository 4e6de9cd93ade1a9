/**
 * One run of a simulated platform: clients ask while faults strike, then everything is healed and must come to its end, and
 * the books are looked at by everybody who can.
 */
import { Cause, Duration, Effect, Exit, References, Schedule } from "effect"
import type { LogRecord } from "#domain/messaging/EventLog.ts"
import { Checks, violationsOf } from "#domain/reconciliation/Checks.ts"
import { shardOfAccount } from "#domain/sharding/ShardMap.ts"
import { ended } from "#domain/transfer/Transfer.ts"
import { BatchSize, ledgerWorker } from "../../apps/ledger/LedgerWorker.ts"
import { reconciler } from "../../apps/reconciler/Reconciler.ts"
import { relay } from "../../apps/relay/Relay.ts"
import * as Invariants from "../domain/Invariants.ts"
import { asModel, machines } from "../memory/Platform.ts"
import { audit } from "./Auditor.ts"
import { Chance } from "./Chance.ts"
import { Clients, type Heard } from "./Clients.ts"
import { withoutTheRealWorld } from "./Guard.ts"
import { accountsOf, drawn, healthy, mapOf, type Plan } from "./Plan.ts"
import { type Ports, Process, type Surroundings } from "./Processes.ts"
import { replayed } from "./Replayed.ts"
import { strike } from "./Strikes.ts"
import { Stuck, Virtual } from "./Virtual.ts"
import { watch } from "./Watcher.ts"

export interface Report {
  readonly seed: number
  /** What is wrong; nothing where all is well. */
  readonly wrong: ReadonlyArray<string>
  /** A number that is the same for the same run, and for no other. */
  readonly trace: number
  readonly steps: number
  readonly virtualMillis: number
  readonly transfers: number
  readonly strikes: number
}

const beginsAtMillis = 1_800_000_000_000
const mostSteps = 500_000

/** What is planned for a seed. */
export const planOf = (seed: number): Plan => drawn(seed, new Chance(seed, "plan"))

/** Runs what is planned. What happens in it is told to `listener` in the end, if there is one. */
export const run = (plan: Plan, listener?: (story: ReadonlyArray<string>) => void): Report => {
  const chance = new Chance(plan.order)
  const virtual = new Virtual({
    chance: chance.for("order"),
    interruption: plan.interruption,
    beginsAtMillis,
    mostSteps
  })
  const story = listener === undefined ? [] : virtual.listen()
  const counts = { transfers: 0, strikes: 0 }
  const wrong: Array<string> = []
  try {
    const exit = withoutTheRealWorld(() =>
      virtual.run(Effect.provideService(itAll(plan, chance, virtual, counts), References.MinimumLogLevel, "None"))
    )
    if (Exit.isSuccess(exit)) wrong.push(...exit.value)
    else wrong.push(Cause.pretty(exit.cause))
  } catch (error) {
    if (!(error instanceof Stuck)) throw error
    wrong.push(error.message)
  }
  listener?.(story)
  return {
    seed: plan.seed,
    wrong,
    trace: virtual.trace,
    steps: virtual.steps,
    virtualMillis: virtual.nowMillis - beginsAtMillis,
    ...counts
  }
}

const patience = {
  patience: { requested: Duration.seconds(1), held: Duration.seconds(1) },
  every: Duration.millis(500),
  checkEvery: Duration.minutes(5)
}

const itAll = Effect.fnUntraced(function*(
  plan: Plan,
  chance: Chance,
  virtual: Virtual,
  counts: { transfers: number; strikes: number }
) {
  const map = mapOf(plan)
  const surroundings: Surroundings = {
    virtual,
    chance,
    machines: yield* machines(map, plan),
    oversleptMillis: plan.oversleptMillis,
    latencyMillis: 0,
    rates: healthy,
    down: new Set(),
    slow: new Map(),
    clocks: new Map(),
    late: new Set()
  }
  const { shards } = surroundings.machines
  const seen = watch(shards, () => virtual.nowMillis - beginsAtMillis)
  const onEach = (work: (shard: number) => Effect.Effect<unknown, never, Ports>) =>
    Effect.forEach(shards, ({ id }) => work(id), { concurrency: "unbounded", discard: true })
  const several = (name: string, work: Effect.Effect<unknown, never, Ports>) =>
    Array.from({ length: plan.processes }, (_, number) => new Process(`${name}-${number}`, surroundings, work))
  const servers = several("api", Effect.never)
  const processes = [
    ...servers,
    ...several("relay", onEach(relay)),
    ...several("ledger", Effect.provideService(onEach(ledgerWorker), BatchSize, plan.batchSize)),
    ...several("reconciler", onEach((shard) => reconciler(shard, patience)))
  ]
  const startAll = Effect.suspend(() => Effect.forEach(processes, ({ start }) => start, { discard: true }))
  const clients = new Clients({
    map,
    accounts: accountsOf(plan),
    chance: chance.for("clients"),
    servers,
    tell: (line) => virtual.tell(line)
  })
  const cameToRest = (within: Duration.Input) =>
    Effect.sync(() => isUnderWay(surroundings)).pipe(
      Effect.repeat({ while: (underWay) => underWay, schedule: Schedule.spaced("50 millis") }),
      Effect.timeoutOption(within),
      Effect.map((rest) => rest._tag === "Some")
    )
  const statusOf = ({ asked, recorded }: Heard) =>
    shards[shardOfAccount(map, asked.terms.source)]?.transfers.rows.get(recorded)?.transfer.status

  // They move in while nothing is wrong: what they have then is what there must be in the end.
  yield* startAll
  yield* clients.moveIn
  if (!(yield* cameToRest("5 minutes"))) return ["the deposits did not end, though nothing was wrong"]
  const wealth = Invariants.wealth(shards.map(asModel))

  // They ask, and faults strike.
  virtual.tell(() => "the faults begin")
  surroundings.latencyMillis = plan.latencyMillis
  surroundings.rates = plan.rates
  const striking = yield* Effect.forkChild(strike(surroundings, processes, plan, () => counts.strikes++))
  const asking = Effect.forEach(
    Map.groupBy(plan.wishes, ({ client }) => client).values(),
    (wishes) => Effect.forEach(wishes, (wish) => Effect.delay(clients.ask(wish), wish.afterMillis), { discard: true }),
    { concurrency: "unbounded", discard: true }
  )
  const hasAsked = yield* Effect.timeoutOption(asking, "30 minutes")
  if (hasAsked._tag === "None") return ["clients were not answered for half an hour"]

  // Everything is healed, and must come to its end by itself.
  virtual.tell(() => "all have asked, and everything is healed")
  striking.interruptUnsafe()
  surroundings.rates = healthy
  surroundings.latencyMillis = 0
  surroundings.down.clear()
  surroundings.slow.clear()
  surroundings.clocks.clear()
  for (const process of processes) process.heal()
  yield* startAll
  for (const [key, heard] of clients.transfers) {
    const status = statusOf(heard)
    if (heard.asked.capture === "manual" && status !== undefined && !ended.has(status)) {
      yield* clients.void(`void of ${key}`, heard)
    }
  }
  counts.transfers = clients.transfers.size
  const rests = yield* cameToRest("4 minutes")
  // Now nothing may change any more.
  yield* Effect.sleep("500 millis")
  const written = shards.flatMap(({ events, id }) => events.map((event) => ({ id, ...event })))
  for (const { id, occurredAtMillis, position, subject, type } of written.toSorted(byTime)) {
    virtual.tell(() => `shard ${id} at ${occurredAtMillis - beginsAtMillis} wrote ${position}: ${type} of ${subject}`)
  }

  const models = shards.map(asModel)
  const terms = [...clients.transfers.values()].map(({ asked, recorded }) => ({ ...asked.terms, transfer: recorded }))
  const broken = [
    ...Invariants.ofState(models, terms, wealth),
    ...(rests ? Invariants.ofRest(models, terms) : [])
  ].map(({ detail, invariant }) => `${invariant}: ${detail}`)
  const [server] = servers
  const found = server === undefined
    ? []
    : yield* Effect.orDie(server.ask(Checks.use((checks) => checks.run({ atRest: true, grace: Duration.zero }))))
  return [
    ...seen,
    ...(rests ? [] : ["not every transfer ended within four minutes of health"]),
    ...clients.astonished,
    ...broken,
    ...violationsOf(found).map(({ check, detail, subject }) => `${check}: ${subject}, ${detail}`),
    ...audit(surroundings.machines, clients, plan),
    ...shards.flatMap(replayed)
  ]
})

const byTime = (a: LogRecord, b: LogRecord) => a.occurredAtMillis - b.occurredAtMillis

/** Is there a transfer that has not ended, an instruction without an answer, or an event that was not carried and read? */
const isUnderWay = ({ late, machines: { log, shards } }: Surroundings): boolean =>
  late.size > 0 || shards.some((shard) => {
    const [open] = shard.open()
    if (open !== undefined) return true
    const carriedTo = log.writers.get(shard.id)?.position ?? 0n
    if ((shard.events.at(-1)?.position ?? carriedTo) > carriedTo) return true
    for (const { instruction } of shard.instructions.rows.values()) if (instruction.status === "open") return true
    for (const [partition, { next }] of shard.places.rows) {
      if (next < BigInt(log.partitions.get(partition)?.length ?? 0)) return true
    }
    return false
  })
