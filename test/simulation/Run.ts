/**
 * One run of a simulated platform: clients ask while faults strike, then everything is healed and must come to its end, and
 * the books are looked at by everybody who can.
 */
import { Cause, Duration, Effect, Exit, References, Schedule } from "effect"
import { Checks, violationsOf } from "#domain/reconciliation/Checks.ts"
import { even, shardOfAccount } from "#domain/sharding/ShardMap.ts"
import { ledgerWorker } from "../../apps/ledger/LedgerWorker.ts"
import { reconciler } from "../../apps/reconciler/Reconciler.ts"
import { relay } from "../../apps/relay/Relay.ts"
import * as Invariants from "../domain/Invariants.ts"
import { asModel, machines } from "../memory/Platform.ts"
import { audit } from "./Auditor.ts"
import { Chance } from "./Chance.ts"
import { Clients } from "./Clients.ts"
import { withoutTheRealWorld } from "./Guard.ts"
import { drawn, healthy, type Options } from "./Options.ts"
import { type Ports, Process, type Surroundings } from "./Processes.ts"
import { strike } from "./Strikes.ts"
import { Stuck, Virtual } from "./Virtual.ts"

export interface Report {
  readonly seed: number
  readonly options: Options
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
const mostSteps = 20_000_000

export const run = (seed: number, options: Options = drawn(seed, new Chance(seed, "options"))): Report => {
  const chance = new Chance(seed)
  const virtual = new Virtual({
    chance: chance.for("order"),
    interruption: options.interruption,
    beginsAtMillis,
    mostSteps
  })
  const counts = { transfers: 0, strikes: 0 }
  const wrong: Array<string> = []
  try {
    const exit = withoutTheRealWorld(() =>
      virtual.run(Effect.provideService(story(options, chance, virtual, counts), References.MinimumLogLevel, "None"))
    )
    if (Exit.isSuccess(exit)) wrong.push(...exit.value)
    else wrong.push(Cause.pretty(exit.cause))
  } catch (error) {
    if (!(error instanceof Stuck)) throw error
    wrong.push(error.message)
  }
  return {
    seed,
    options,
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

const story = Effect.fnUntraced(function*(
  options: Options,
  chance: Chance,
  virtual: Virtual,
  counts: { transfers: number; strikes: number }
) {
  const map = even(options.shards, options.partitions)
  const surroundings: Surroundings = {
    virtual,
    chance,
    machines: yield* machines(map, options),
    latencyMillis: 0,
    rates: healthy,
    down: new Set()
  }
  const { shards } = surroundings.machines
  const onEach = (work: (shard: number) => Effect.Effect<unknown, never, Ports>) =>
    Effect.forEach(shards, ({ id }) => work(id), { concurrency: "unbounded", discard: true })
  const several = (name: string, work: Effect.Effect<unknown, never, Ports>) =>
    Array.from({ length: options.processes }, (_, number) => new Process(`${name}-${number}`, surroundings, work))
  const servers = several("api", Effect.never)
  const processes = [
    ...servers,
    ...several("relay", onEach(relay)),
    ...several("ledger", onEach(ledgerWorker)),
    ...several("reconciler", onEach((shard) => reconciler(shard, patience)))
  ]
  const startAll = Effect.suspend(() => Effect.forEach(processes, ({ start }) => start, { discard: true }))
  const clients = new Clients(map, chance.for("clients"), servers, options.customers)

  const isOpen = () => shards.some((shard) => [...shard.open()].length > 0)
  const cameToRest = (within: Duration.Input) =>
    Effect.sync(isOpen).pipe(
      Effect.repeat({ while: (open) => open, schedule: Schedule.spaced("50 millis") }),
      Effect.timeoutOption(within),
      Effect.map((ended) => ended._tag === "Some")
    )

  // They move in while nothing is wrong: what they have then is what there must be in the end.
  yield* startAll
  yield* clients.moveIn
  if (!(yield* cameToRest("5 minutes"))) return ["the deposits did not end, though nothing was wrong"]
  const wealth = Invariants.wealth(shards.map(asModel))

  // They ask, and faults strike.
  surroundings.latencyMillis = options.latencyMillis
  surroundings.rates = options.rates
  const striking = yield* Effect.forkChild(
    strike(surroundings, processes, options, () => counts.strikes++)
  )
  const share = Math.ceil(options.wishes / options.clients)
  const asking = Effect.forEach(Array.from({ length: options.clients }), () =>
    Effect.repeat(
      Effect.andThen(Effect.suspend(() => Effect.sleep(chance.magnitude(1, 400))), clients.wish),
      { times: share - 1 }
    ), { concurrency: "unbounded", discard: true })
  const hasAsked = yield* Effect.timeoutOption(asking, "30 minutes")
  if (hasAsked._tag === "None") return ["clients were not answered for half an hour"]

  // Everything is healed, and must come to its end by itself.
  striking.interruptUnsafe()
  surroundings.rates = healthy
  surroundings.latencyMillis = 0
  surroundings.down.clear()
  for (const process of processes) {
    process.thaw()
    process.reconnect()
  }
  yield* startAll
  yield* Effect.forEach(clients.transfers, ({ asked, recorded }) => {
    const transfer = shards[shardOfAccount(map, asked.terms.source)]?.transfers.rows.get(recorded)?.transfer
    return asked.capture === "manual" && transfer?.status !== "cancelled" && transfer?.status !== "rejected" &&
        transfer?.status !== "committed"
      ? clients.void({ ...asked.terms, transfer: recorded })
      : Effect.void
  }, { discard: true })
  counts.transfers = clients.transfers.length
  const rests = yield* cameToRest("4 minutes")
  yield* Effect.sleep("1 second")

  const models = shards.map(asModel)
  const terms = clients.transfers.map(({ asked, recorded }) => ({ ...asked.terms, transfer: recorded }))
  const broken = [
    ...Invariants.ofState(models, terms, wealth),
    ...(rests ? Invariants.ofRest(models, terms) : [])
  ].map(({ detail, invariant }) => `${invariant}: ${detail}`)
  const [server] = servers
  const found = server === undefined
    ? []
    : yield* Effect.orDie(server.ask(Checks.use((checks) => checks.run({ atRest: true, grace: Duration.zero }))))
  return [
    ...(rests ? [] : ["not every transfer ended within four minutes of health"]),
    ...clients.astonished,
    ...broken,
    ...violationsOf(found).map(({ check, detail, subject }) => `${check}: ${subject}, ${detail}`),
    ...audit(surroundings.machines, clients)
  ]
})
