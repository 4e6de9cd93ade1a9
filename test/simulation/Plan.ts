/**
 * What is to happen in a run, as a value that is drawn from its seed: how big the platform is, what its clients ask for, what
 * strikes it and when. Each run draws first which kinds of faults there are at all, so that each kind is seen alone, in every
 * company and not at all: what happens all the time hides what happens after it. As it is a value, parts of it can be left
 * out to see whether a failure needs them.
 */
import { AccountId } from "#domain/account/Account.ts"
import { even, type ShardMap, shardOfAccount } from "#domain/sharding/ShardMap.ts"
import type { Capture } from "#domain/transfer/TransferEvent.ts"
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

/**
 * Faults that somebody causes from time to time: a process is killed, stopped for a while, cut off from a shard, or its clock
 * jumps; a shard's server is killed, slow, or its clock jumps, so that leases run out early or late; the event log is lost.
 */
export const kindsOfStrike = [
  "kill",
  "freeze",
  "cut",
  "clock",
  "crash",
  "slow",
  "shard's clock",
  "lose the log"
] as const

export interface Strike {
  readonly does: (typeof kindsOfStrike)[number]
  readonly atMillis: number
  readonly lastingMillis: number
  /** Which process, and which shard: the number of one, or of one of those that there are. */
  readonly victim: number
  readonly shard: number
  /** Not at once, but as soon as the process is between reading and writing: the worst of moments. */
  readonly isAtWorst: boolean
  /** By how much a clock jumps, or for how long a slow shard lets wait at most. */
  readonly byMillis: number
}

/** What a client wants, some time after its last wish. Those that are about another one name it by its number. */
export type Wish =
  & { readonly number: number; readonly client: number; readonly afterMillis: number }
  & (
    | {
      readonly asks: "transfer"
      readonly source: AccountId
      readonly destination: AccountId
      readonly minor: number
      readonly capture: Capture
      readonly expiresInSeconds: number | null
      readonly howOften: HowOften
    }
    | { readonly asks: "reversal"; readonly of: number; readonly minor: number; readonly howOften: HowOften }
    | { readonly asks: "capture"; readonly of: number; readonly minor: number | null }
    | { readonly asks: "void"; readonly of: number }
    | { readonly asks: "freeze" | "unfreeze" | "close"; readonly account: AccountId }
  )

/** Alone; or twice in one batch; or again once it was answered, and then with another body. */
export type HowOften = "once" | "twice in a batch" | "again"

export interface Plan {
  readonly seed: number
  /** What everything is drawn from that is drawn while it runs: who goes on, how long each thing takes, what is lost. */
  readonly order: number
  readonly shards: number
  readonly partitions: number
  readonly clients: number
  readonly customers: number
  /** Processes of each kind. */
  readonly processes: number
  /** How many messages a ledger worker decides at once, at most: where that many wait, it reads ahead. */
  readonly batchSize: number
  /** What the event log promises. */
  readonly fencesWriters: boolean
  readonly keepsReplays: boolean
  /** How likely a fiber is interrupted by others before any one of its operations. */
  readonly interruption: number
  /** The longest that a statement is on its way. */
  readonly latencyMillis: number
  /** By how much at most a process sleeps longer than it wanted to, as on a machine that has other things to do. */
  readonly oversleptMillis: number
  readonly rates: Rates
  readonly wishes: ReadonlyArray<Wish>
  readonly strikes: ReadonlyArray<Strike>
}

/** The accounts of a run: the world outside, customers, and names on each shard that no account has. */
export interface Accounts {
  readonly bank: AccountId
  readonly customers: ReadonlyArray<AccountId>
  readonly nobody: ReadonlyArray<AccountId>
}

export const mapOf = ({ partitions, shards }: Pick<Plan, "partitions" | "shards">): ShardMap => even(shards, partitions)

export const accountsOf = (plan: Pick<Plan, "customers" | "partitions" | "shards">): Accounts => {
  const map = mapOf(plan)
  const nameOn = (shard: number, name: string): AccountId => {
    for (let number = 1;; number++) {
      const id = `${name}.${number}`
      if (shardOfAccount(map, id) === shard) return AccountId.make(id)
    }
  }
  return {
    bank: nameOn(0, "bank"),
    customers: Array.from(
      { length: plan.customers },
      (_, number) => nameOn(number % plan.shards, `customer-${number}`)
    ),
    nobody: Array.from({ length: plan.shards }, (_, shard) => nameOn(shard, "nobody"))
  }
}

// drawing ────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** More than this is struck in no run. */
const mostStrikes = 60

export const drawn = (seed: number, chance: Chance): Plan => {
  const inHealth = chance.happens(0.15)
  const rate = (most: number) => !inHealth && chance.happens(0.4) ? chance.next() * most : 0
  const platform = {
    seed,
    order: seed,
    shards: chance.one([2, 2, 2, 3, 1]),
    partitions: 8,
    clients: 1 + chance.below(5),
    customers: 2 + chance.below(8),
    processes: chance.happens(0.3) ? 1 : 2,
    batchSize: chance.one([1, 2, 3, 1_000]),
    fencesWriters: chance.happens(0.5),
    keepsReplays: chance.happens(0.5),
    interruption: chance.one([0, 0, 0.002, 0.02]),
    latencyMillis: chance.one([0, 1, 5, 50]),
    oversleptMillis: chance.one([0, 50, 100, 200]),
    rates: {
      statementLost: rate(0.02),
      commitLost: rate(0.1),
      answerLost: rate(0.15),
      commitStalled: rate(0.02),
      appendLost: rate(0.1),
      appendUnheard: rate(0.2),
      appendLate: rate(0.1),
      logSilent: rate(0.05)
    }
  }
  const kinds = inHealth ? [] : kindsOfStrike.filter((kind) => chance.happens(kind === "lose the log" ? 0.1 : 0.35))
  const wishes = wishesOf(platform, Math.round(chance.magnitude(8, 120)), chance)
  return { ...platform, wishes, strikes: strikesOf(kinds, chance) }
}

const strikesOf = (kinds: ReadonlyArray<Strike["does"]>, chance: Chance): ReadonlyArray<Strike> => {
  const everyMillis = chance.magnitude(300, 5_000)
  let atMillis = 0
  return Array.from({ length: mostStrikes }).flatMap((): ReadonlyArray<Strike> => {
    const does = chance.any(kinds)
    if (does === undefined) return []
    atMillis += Math.round(chance.magnitude(1, everyMillis))
    return [{
      does,
      atMillis,
      lastingMillis: Math.round(lastingMillis(does, chance)),
      victim: chance.below(1_000),
      shard: chance.below(1_000),
      isAtWorst: chance.happens(0.5),
      byMillis: byMillis(does, chance)
    }]
  })
}

const lastingMillis = (does: Strike["does"], chance: Chance): number => {
  switch (does) {
    case "freeze":
      // Most dangerous is who sleeps for longer than its lease, and for less than its transactions.
      return chance.happens(0.5) ? 2_000 + chance.below(8_000) : chance.magnitude(1, 10_000)
    case "clock":
      // Long enough for something to be decided by it.
      return chance.magnitude(500, 20_000)
    default:
      return chance.magnitude(1, 10_000)
  }
}

const byMillis = (does: Strike["does"], chance: Chance): number => {
  const sign = chance.happens(0.5) ? 1 : -1
  switch (does) {
    case "clock":
      return sign * Math.round(chance.magnitude(1_000, 3_600_000))
    case "shard's clock":
      return sign * Math.round(chance.magnitude(100, 60_000))
    case "slow":
      return Math.round(chance.magnitude(10, 5_000))
    default:
      return 0
  }
}

const wishesOf = (
  platform: Pick<Plan, "clients" | "customers" | "partitions" | "shards">,
  count: number,
  chance: Chance
): ReadonlyArray<Wish> => {
  const { bank, customers, nobody } = accountsOf(platform)
  const party = () => chance.any(chance.happens(0.05) ? nobody : customers) ?? bank
  const wishes: Array<Wish> = []
  for (let number = 0; number < count; number++) {
    const who = {
      number,
      client: chance.below(platform.clients),
      afterMillis: Math.round(chance.magnitude(1, 400))
    }
    const minor = 1 + chance.below(chance.happens(0.2) ? 200 : 40)
    const howOften = chance.one([
      "once",
      "once",
      "once",
      "once",
      "once",
      "once",
      "twice in a batch",
      "twice in a batch",
      "again"
    ])
    const before = chance.any(wishes)
    const isOf = before !== undefined && (before.asks === "transfer" || before.asks === "reversal")
    const drawnOne = chance.below(9)
    if (drawnOne === 2 && isOf) {
      wishes.push({ ...who, asks: "reversal", of: before.number, minor, howOften })
    } else if (drawnOne === 3 && before?.asks === "transfer" && before.capture === "manual") {
      const of = before.number
      if (chance.happens(0.3)) wishes.push({ ...who, asks: "void", of })
      else wishes.push({ ...who, asks: "capture", of, minor: chance.happens(0.5) ? null : minor })
    } else if (drawnOne === 4 && chance.happens(0.3)) {
      const asks = chance.one(["freeze", "unfreeze", "unfreeze", "close"])
      wishes.push({ ...who, asks, account: chance.any(customers) ?? bank })
    } else {
      const source = party()
      const destination = party()
      if (source === destination) continue
      const capture = drawnOne < 2 ? "manual" : "automatic"
      const expiresInSeconds = capture === "manual" ? chance.one([0, 1, 5, 60, 600]) : null
      wishes.push({ ...who, asks: "transfer", source, destination, minor, capture, expiresInSeconds, howOften })
    }
  }
  return wishes
}
