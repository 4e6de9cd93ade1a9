/**
 * What a run is like, drawn from its seed: how big the platform is, what clients do, and which faults there are at which
 * rates. Each run draws first which kinds of faults there are at all, so that each kind is seen alone, in every company and
 * not at all: what happens all the time hides what happens after it.
 */
import type { Chance } from "./Chance.ts"

/** Faults that happen to something said, one by one, with a probability. */
export interface Rates {
  /** A statement does not reach its shard, and the connection is gone. */
  readonly statementLost: number
  /** A COMMIT does not reach its shard. */
  readonly commitLost: number
  /** A COMMIT takes place, and nobody hears of it. */
  readonly answerLost: number
  /** A COMMIT is on its way for long, with all that it holds. */
  readonly commitStalled: number
  /** An append does not take place, or nobody hears that it did, or it takes place when nobody expects it any more. */
  readonly appendLost: number
  readonly appendUnheard: number
  readonly appendLate: number
  /** The event log does not answer. */
  readonly logSilent: number
}

/** Faults that somebody causes from time to time. */
export const strikes = ["kill", "freeze", "cut", "crash", "lose the log"] as const
export type Strike = (typeof strikes)[number]

export interface Options {
  readonly seed: number
  readonly shards: number
  readonly partitions: number
  readonly clients: number
  /** How many things are asked for, by all clients together. */
  readonly wishes: number
  /** Accounts of customers. */
  readonly customers: number
  /** Processes of each kind. */
  readonly processes: number
  readonly fencesWriters: boolean
  readonly keepsReplays: boolean
  readonly interruption: number
  /** The longest that a statement is on its way, in milliseconds. */
  readonly latencyMillis: number
  readonly rates: Rates
  readonly strikes: ReadonlyArray<Strike>
  /** How long it is from one strike to the next, at most, in milliseconds. */
  readonly strikeEveryMillis: number
}

export const healthy: Rates = {
  statementLost: 0,
  commitLost: 0,
  answerLost: 0,
  commitStalled: 0,
  appendLost: 0,
  appendUnheard: 0,
  appendLate: 0,
  logSilent: 0
}

export const drawn = (seed: number, chance: Chance): Options => {
  const inHealth = chance.happens(0.15)
  const rate = (most: number) => !inHealth && chance.happens(0.4) ? chance.next() * most : 0
  return {
    seed,
    shards: chance.one([2, 2, 2, 3, 1]),
    partitions: 8,
    clients: 1 + chance.below(5),
    wishes: Math.round(chance.magnitude(8, 120)),
    customers: 2 + chance.below(8),
    processes: chance.happens(0.3) ? 1 : 2,
    fencesWriters: chance.happens(0.5),
    keepsReplays: chance.happens(0.5),
    interruption: chance.one([0, 0, 0.002, 0.02]),
    latencyMillis: chance.one([0, 1, 5, 50]),
    rates: {
      statementLost: rate(0.02),
      commitLost: rate(0.1),
      answerLost: rate(0.15),
      commitStalled: rate(0.02),
      appendLost: rate(0.1),
      appendUnheard: rate(0.2),
      appendLate: rate(0.1),
      logSilent: rate(0.05)
    },
    strikes: inHealth ? [] : strikes.filter((strike) => chance.happens(strike === "lose the log" ? 0.1 : 0.4)),
    strikeEveryMillis: chance.magnitude(100, 5_000)
  }
}
