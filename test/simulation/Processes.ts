/**
 * The processes of a simulated platform: each with connections, a scheduler and a name of its own, so that it can be killed,
 * frozen and cut off while the others go on. What is killed never does anything again: no finalizer runs, as after kill -9.
 */
import { Clock, Context, Duration, Effect, Fiber, Layer, type Scheduler } from "effect"
import { AppendAmbiguous, EventLog, EventLogUnavailable, type LogRecord } from "#domain/messaging/EventLog.ts"
import type { ShardLog } from "#domain/messaging/ShardLog.ts"
import type { Breaks } from "#domain/reconciliation/Breaks.ts"
import type { Checks } from "#domain/reconciliation/Checks.ts"
import type { SilentTransfers } from "#domain/reconciliation/SilentTransfers.ts"
import type { Leases } from "#domain/sharding/Leases.ts"
import type { ShardId } from "#domain/sharding/ShardMap.ts"
import type { Shards } from "#domain/sharding/Shards.ts"
import type { Intake } from "#domain/transfer/Intake.ts"
import type { Fate, Faults } from "#infra/memory/MemoryDatabases.ts"
import { type MemoryTransaction, unavailable } from "#infra/memory/MemoryTransaction.ts"
import { type Machines, process as platformProcess } from "../memory/Platform.ts"
import type { Chance } from "./Chance.ts"
import type { Rates } from "./Plan.ts"
import type { Virtual } from "./Virtual.ts"

export type Ports = Shards | ShardLog | Leases | Intake | SilentTransfers | Checks | Breaks | EventLog

/** What all processes of a run have in common. */
export interface Surroundings {
  readonly virtual: Virtual
  readonly chance: Chance
  machines: Machines
  readonly oversleptMillis: number
  latencyMillis: number
  rates: Rates
  /** The shards that are down, those that are slow and by how much at most, and those whose clocks are off. */
  readonly down: Set<ShardId>
  readonly slow: Map<ShardId, number>
  readonly clocks: Map<ShardId, number>
  /** Appends that arrive when nobody expects them any more. */
  readonly late: Set<ReadonlyArray<LogRecord>>
}

/** From one start of a process to its end. */
class Life {
  readonly open = new Set<MemoryTransaction>()
  /** Those of them whose COMMIT is on its way. */
  readonly committing = new Set<MemoryTransaction>()
  readonly cutOff = new Set<ShardId>()
  readonly held: Array<() => void> = []
  context: Context.Context<Ports> | undefined
  whenAtWork: (() => void) | undefined
  isFrozen = false
  isOver = false

  get isAtWork(): boolean {
    for (const { hasWritten } of this.open) if (!hasWritten) return true
    return false
  }
}

/** Runs something that nobody here waits for, in the turns of a scheduler. */
const inTurnsOf = <A, E>(scheduler: Scheduler.Scheduler, what: Effect.Effect<A, E>) =>
  Effect.contextWith((context: Context.Context<never>) =>
    Effect.sync(() => Effect.runForkWith(context)(Effect.andThen(Effect.yieldNow, what), { scheduler }))
  )

export class Process {
  readonly name: string
  readonly #surroundings: Surroundings
  readonly #chance: Chance
  readonly #work: Effect.Effect<unknown, never, Ports>
  clockIsOffMillis = 0
  #lives = 0
  #life: Life | undefined

  constructor(name: string, surroundings: Surroundings, work: Effect.Effect<unknown, never, Ports>) {
    this.name = name
    this.#surroundings = surroundings
    this.#chance = surroundings.chance.for(name)
    this.#work = work
  }

  get isUp(): boolean {
    return this.#life !== undefined
  }

  /** Does something to it when it is next between reading and writing in a transaction: the worst of moments. */
  whenAtWork(then: (() => void) | undefined): void {
    if (this.#life !== undefined) this.#life.whenAtWork = then
  }

  /** Starts it, with nothing of what it knew before. */
  get start(): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.#life !== undefined) return Effect.void
      const life = new Life()
      this.#life = life
      const { clocks, machines, virtual } = this.#surroundings
      const layer = platformProcess(machines, {
        holder: `${this.name}#${++this.#lives}`,
        leaseTime: Duration.seconds(2),
        faults: this.#faultsOf(life),
        nowMillis: (shard) => virtual.nowMillis + (clocks.get(shard) ?? 0)
      })
      virtual.tell(() => `${this.name} starts`)
      const work = this.#work
      const throughTheNetwork = (log: EventLog["Service"]) => this.#throughTheNetwork(log)
      const born = Effect.gen(function*() {
        const context = yield* Layer.build(layer)
        life.context = Context.add(context, EventLog, throughTheNetwork(Context.get(context, EventLog)))
        return yield* Effect.provideContext(work, life.context)
      })
      return Effect.asVoid(this.#run(life, Effect.scoped(born)))
    })
  }

  /** Asks it for something, as a client does over the network: it may never answer. */
  ask<A, E>(what: Effect.Effect<A, E, Intake | Checks>): Effect.Effect<A, E> {
    return Effect.suspend(() => {
      const life = this.#life
      if (life?.context === undefined) return Effect.never
      return Effect.flatMap(this.#run(life, Effect.provideContext(what, life.context)), Fiber.join)
    })
  }

  /** Kills it, whatever it is doing. A COMMIT that was on its way took place, or did not. */
  kill(): void {
    const life = this.#life
    if (life === undefined) return
    this.#life = undefined
    life.isOver = true
    life.held.length = 0
    this.#breakConnections(life, life.open)
  }

  /** Stops it where it is; it does not know for how long. */
  freeze(): void {
    if (this.#life !== undefined) this.#life.isFrozen = true
  }

  thaw(): void {
    const life = this.#life
    if (life === undefined) return
    life.isFrozen = false
    this.#surroundings.virtual.release(life.held)
  }

  cutOff(shard: ShardId): void {
    const life = this.#life
    if (life === undefined) return
    life.cutOff.add(shard)
    this.#breakConnections(life, [...life.open].filter((transaction) => transaction.shard === shard))
  }

  reconnect(): void {
    this.#life?.cutOff.clear()
  }

  heal(): void {
    this.clockIsOffMillis = 0
    this.whenAtWork(undefined)
    this.thaw()
    this.reconnect()
  }

  /** Runs something in the process: in turns of its own, that are held while it is frozen, and never come once it is dead. */
  #run<A, E>(life: Life, what: Effect.Effect<A, E>): Effect.Effect<Fiber.Fiber<A, E>> {
    const { oversleptMillis, virtual } = this.#surroundings
    const clock = virtual.clock(
      () => this.clockIsOffMillis,
      oversleptMillis === 0 ? undefined : () => this.#chance.next() * oversleptMillis
    )
    return inTurnsOf(
      virtual.scheduler(() => life.isFrozen || life.isOver, life.held),
      Effect.provideService(what, Clock.Clock, clock)
    )
  }

  #breakConnections(life: Life, of: Iterable<MemoryTransaction>): void {
    for (const transaction of of) transaction.end(life.committing.has(transaction) && this.#chance.happens(0.5))
  }

  // on the way ───────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Somebody else's turn, at least. */
  #latency(shard?: ShardId): Effect.Effect<void> {
    return Effect.suspend(() => {
      const { latencyMillis, slow } = this.#surroundings
      const most = shard === undefined ? latencyMillis : latencyMillis + (slow.get(shard) ?? 0)
      return most === 0 ? Effect.yieldNow : Effect.sleep(this.#chance.next() * most)
    })
  }

  #faultsOf(life: Life): Faults {
    const chance = this.#chance
    const surroundings = this.#surroundings

    const reach = (shard: ShardId) =>
      Effect.andThen(
        this.#latency(shard),
        Effect.suspend(() => {
          if (life.whenAtWork !== undefined && life.isAtWork) {
            const then = life.whenAtWork
            life.whenAtWork = undefined
            then()
            return Effect.yieldNow
          }
          if (surroundings.down.has(shard)) return Effect.fail(unavailable(shard, "connection refused"))
          if (life.cutOff.has(shard)) {
            return Effect.delay(Effect.fail(unavailable(shard, "timeout")), 1 + chance.below(1_000))
          }
          return chance.happens(surroundings.rates.statementLost)
            ? Effect.fail(unavailable(shard, "connection reset"))
            : Effect.void
        })
      )

    const commit = (transaction: MemoryTransaction) =>
      Effect.gen({ self: this }, function*() {
        life.committing.add(transaction)
        transaction.atEnd(() => life.committing.delete(transaction))
        yield* this.#latency(transaction.shard)
        const { answerLost, commitLost, commitStalled } = surroundings.rates
        if (chance.happens(commitStalled)) yield* Effect.sleep(chance.magnitude(100, 20_000))
        if (life.cutOff.has(transaction.shard)) return chance.happens(0.5) ? "lost" : "answer lost"
        return chance.happens(commitLost) ? "lost" : chance.happens(answerLost) ? "answer lost" : "answered"
      }) satisfies Effect.Effect<Fate>

    return { reach, commit, open: life.open }
  }

  #throughTheNetwork(log: EventLog["Service"]): EventLog["Service"] {
    const chance = this.#chance
    const surroundings = this.#surroundings
    const reach = (operation: string) =>
      Effect.andThen(
        this.#latency(),
        Effect.suspend(() =>
          chance.happens(surroundings.rates.logSilent)
            ? Effect.fail(EventLogUnavailable.make({ operation, cause: new Error("no answer") }))
            : Effect.void
        )
      )
    const ambiguous = Effect.suspend(() => Effect.fail(AppendAmbiguous.make({ cause: new Error("no answer") })))

    return {
      ...log,
      bounds: (partitions) => Effect.andThen(reach("say its bounds"), log.bounds(partitions)),
      writer: (source) =>
        Effect.andThen(
          reach("open a writer"),
          Effect.map(log.writer(source), ({ append }) => ({
            append: (records: ReadonlyArray<LogRecord>) =>
              Effect.andThen(
                reach("append"),
                Effect.suspend(() => {
                  const { appendLate, appendLost, appendUnheard } = surroundings.rates
                  if (chance.happens(appendLost)) return ambiguous
                  if (chance.happens(appendUnheard)) return Effect.andThen(append(records), ambiguous)
                  if (!chance.happens(appendLate)) return append(records)
                  // It is on its way for long, and nobody can take it back: not even by dying.
                  surroundings.late.add(records)
                  const late = Effect.ignore(append(records)).pipe(
                    Effect.delay(chance.magnitude(1, 10_000)),
                    Effect.andThen(Effect.sync(() => surroundings.late.delete(records)))
                  )
                  return Effect.andThen(inTurnsOf(surroundings.virtual.scheduler(), late), ambiguous)
                })
              )
          }))
        ),
      reader: (from) =>
        Effect.andThen(
          reach("open a reader"),
          Effect.map(log.reader(from), ({ next, take }) => ({
            next,
            take: (most: number) => Effect.andThen(reach("read"), Effect.tap(take(most), () => Effect.yieldNow))
          }))
        )
    }
  }
}
