/**
 * A world of its own for effects: time that passes only when nobody has anything to do, and an order that a seed draws. The
 * same seed gives the same run, instruction by instruction: which of those who could go on does, where each is interrupted
 * by others, and what time it is when.
 */
import { Clock, Duration, Effect, type Exit, Random, type Scheduler } from "effect"
import type { Chance } from "./Chance.ts"

/** Nothing is left that could ever happen, or too much has happened. */
export class Stuck extends Error {}

export interface VirtualOptions {
  readonly chance: Chance
  /** How likely it is that a fiber is interrupted by others before any one of its operations. */
  readonly interruption: number
  readonly beginsAtMillis: number
  /** More steps than this are taken for a run that does not end. */
  readonly mostSteps: number
}

interface Sleeper {
  readonly atMillis: number
  /** Who went to sleep first wakes first. */
  readonly number: number
  readonly wake: () => void
  isGone: boolean
}

export class Virtual {
  readonly #chance: Chance
  readonly #interruption: number
  readonly #mostSteps: number
  readonly #ready: Array<() => void> = []
  readonly #sleepers: Array<Sleeper> = []
  readonly #beganAtMillis: number
  #nowMillis: number
  #steps = 0
  #slept = 0
  #trace = 0
  #story: Array<string> | undefined

  constructor({ beginsAtMillis, chance, interruption, mostSteps }: VirtualOptions) {
    this.#chance = chance
    this.#interruption = interruption
    this.#mostSteps = mostSteps
    this.#beganAtMillis = beginsAtMillis
    this.#nowMillis = beginsAtMillis
  }

  get nowMillis(): number {
    return this.#nowMillis
  }

  get steps(): number {
    return this.#steps
  }

  /** A number that is the same for the same run, and for no other. */
  get trace(): number {
    return this.#trace
  }

  /** Keeps what is told from now on, each with its time. */
  listen(): ReadonlyArray<string> {
    this.#story ??= []
    return this.#story
  }

  /** Something has happened that somebody who looks for a mistake would want to know. */
  tell(line: () => string): void {
    this.#story?.push(`${(this.#nowMillis - this.#beganAtMillis).toFixed(1).padStart(10)} ${line()}`)
  }

  /** Runs an effect to its end. Everything in it waits by this time, draws from this chance, and goes on in this order. */
  run<A, E>(effect: Effect.Effect<A, E>): Exit.Exit<A, E> {
    const fiber = Effect.runFork(
      effect.pipe(
        Effect.provideService(Clock.Clock, this.clock()),
        Effect.provideService(Random.Random, {
          nextDoubleUnsafe: this.#chance.next,
          nextIntUnsafe: () => this.#chance.below(Number.MAX_SAFE_INTEGER)
        })
      ),
      { scheduler: this.scheduler() }
    )
    for (;;) {
      const exit = fiber.pollUnsafe()
      if (exit !== undefined) return exit
      this.#step()
    }
  }

  /** How fibers take turns: all that use this are held together while `isHeld` says so. */
  scheduler(isHeld: () => boolean = () => false, held: Array<() => void> = []): Scheduler.Scheduler {
    const dispatcher = {
      scheduleTask: (task: () => void) => {
        if (isHeld()) held.push(task)
        else this.#ready.push(task)
      },
      flush: () => {}
    }
    return {
      executionMode: "sync",
      shouldYield: (fiber) => fiber.currentOpCount >= 2048 || this.#chance.happens(this.#interruption),
      makeDispatcher: () => dispatcher
    }
  }

  /** Lets go on what was held. */
  release(held: Array<() => void>): void {
    this.#ready.push(...held.splice(0))
  }

  /** This time, as somebody sees it whose clock is that much off, and who sleeps for longer than was asked. */
  clock(offMillis: () => number = () => 0, oversleptMillis: () => number = () => 0): Clock.Clock {
    const millis = () => this.#nowMillis + offMillis()
    const nanos = () => BigInt(Math.round(millis() * 1_000_000))
    const monotonic = () => BigInt(Math.round(this.#nowMillis * 1_000_000))
    return {
      currentTimeMillisUnsafe: millis,
      currentTimeMillis: Effect.sync(millis),
      currentTimeNanosUnsafe: nanos,
      currentTimeNanos: Effect.sync(nanos),
      monotonicTimeNanosUnsafe: monotonic,
      monotonicTimeNanos: Effect.sync(monotonic),
      sleep: (duration) => this.#sleep(Duration.toMillis(duration) + oversleptMillis())
    }
  }

  #sleep(millis: number): Effect.Effect<void> {
    if (millis <= 0) return Effect.yieldNow
    return Effect.callback<void>((resume) => {
      const sleeper = {
        atMillis: this.#nowMillis + millis,
        number: ++this.#slept,
        // By the scheduler of whoever sleeps: a process that is held does not wake.
        wake: () => resume(Effect.yieldNow),
        isGone: false
      }
      this.#push(sleeper)
      return Effect.sync(() => {
        sleeper.isGone = true
      })
    })
  }

  #step(): void {
    if (++this.#steps > this.#mostSteps) throw new Stuck(`no end after ${this.#mostSteps} steps`)
    const ready = this.#ready
    if (ready.length > 0) {
      const index = this.#chance.below(ready.length)
      const task = ready[index]
      const last = ready.pop()
      if (task !== last && last !== undefined) ready[index] = last
      this.#trace = (Math.imul(this.#trace ^ index, 0x01000193) + this.#nowMillis) | 0
      task?.()
      return
    }
    const sleeper = this.#pop()
    if (sleeper === undefined) throw new Stuck("nobody has anything left to do, or to wait for")
    if (sleeper.isGone) return
    this.#nowMillis = Math.max(this.#nowMillis, sleeper.atMillis)
    sleeper.wake()
  }

  // A binary heap, the earliest on top.

  #push(sleeper: Sleeper): void {
    const heap = this.#sleepers
    let at = heap.length
    heap.push(sleeper)
    while (at > 0) {
      const above = (at - 1) >>> 1
      const parent = heap[above]
      if (parent === undefined || isBefore(parent, sleeper)) break
      heap[at] = parent
      at = above
    }
    heap[at] = sleeper
  }

  #pop(): Sleeper | undefined {
    const heap = this.#sleepers
    const [top] = heap
    const last = heap.pop()
    if (top === undefined || last === undefined || heap.length === 0) return top
    let at = 0
    for (;;) {
      const [left, right] = [heap[2 * at + 1], heap[2 * at + 2]]
      if (left === undefined) break
      const child = right !== undefined && isBefore(right, left) ? right : left
      if (isBefore(last, child)) break
      heap[at] = child
      at = child === left ? 2 * at + 1 : 2 * at + 2
    }
    heap[at] = last
    return top
  }
}

const isBefore = (a: Sleeper, b: Sleeper) =>
  a.atMillis < b.atMillis || (a.atMillis === b.atMillis && a.number < b.number)
