/**
 * One round: clients at work while faults strike, then fair weather, the wait for every transfer's end, and the checks.
 */
import { readFileSync } from "node:fs"
import { Effect, Schedule } from "effect"
import type { Violation } from "#domain/reconciliation/Checks.ts"
import { idAt } from "../checks/Books.ts"
import { even } from "#domain/sharding/ShardMap.ts"
import { between, type Chance, oneOf } from "../support/Chance.ts"
import { violationsOf } from "../support/Violations.ts"
import { booksOf, openTransfers } from "./BooksOf.ts"
import { check, type Finding } from "./Checker.ts"
import { type Cast, Clients } from "./Clients.ts"
import type { Kind, Scenario } from "./Faults.ts"
import type { Recovery } from "./Recovery.ts"
import { partitions, type Rig } from "./Rig.ts"

export interface RoundOptions {
  readonly number: number
  readonly name: string
  readonly scenario: Scenario
  readonly seconds: number
  /** The mean time between two faults. */
  readonly gapMillis: number
  readonly chance: Chance
}

export interface RoundReport {
  readonly round: number
  readonly scenario: string
  readonly eventLog: string
  readonly faults: Readonly<Record<string, number>>
  readonly asked: number
  readonly ok: number
  readonly refused: number
  readonly unknown: number
  readonly transfers: number
  readonly committed: number
  readonly reads: number
  /** From fair weather until every transfer had ended. */
  readonly drainedAfterMillis: number
  /** How long it took until what a killed process did was done again, where that was measured. */
  readonly recoveries: ReadonlyArray<Recovery>
  readonly violations: ReadonlyArray<Violation>
  readonly findings: ReadonlyArray<Finding>
  /** What else must not be: transfers that did not end in time, alarms of the reconcilers. */
  readonly troubles: ReadonlyArray<string>
}

/** Processes that were killed take seconds of processor time to be back, which a busy machine does not have at once. */
const mostMillisToHeal = 120_000

const castOf = (number: number): Cast => {
  const round = `r${number}`
  const map = even(2, partitions)
  const at = (shard: number, name: string): string => idAt(map, shard, `${round}-${name}`)
  return {
    round,
    banks: [at(0, "bank"), at(1, "bank")],
    customers: Array.from({ length: 10 }, (_, index) => at(index % 2, `customer-${index}`)),
    hot: at(number % 2, "hot"),
    powers: at((number + 1) % 2, "powers")
  }
}

export const round = Effect.fnUntraced(function*(rig: Rig, options: RoundOptions) {
  const { chance, gapMillis, name, number, scenario: { drawn = [], inTurn = [], rarer = 1 }, seconds } = options
  const cast = castOf(number)
  const clients = new Clients({
    apis: rig.doors.map((door) => () => `http://${door.address}`),
    apiKey: rig.apiKey,
    cast,
    seed: between(chance, 0, 2 ** 31)
  })
  const alarmsBefore = alarms(rig)
  yield* Effect.promise(() => clients.prepare())

  const faults: Record<string, number> = {}
  const strike = (kind: Kind) =>
    Effect.suspend(() => {
      const fault = kind(rig, chance)
      faults[fault.kind] = (faults[fault.kind] ?? 0) + 1
      return fault.strike
    })
  const drawing = Effect.gen(function*() {
    const until = performance.now() + seconds * 1_000
    while (performance.now() < until) {
      yield* Effect.sleep(gapMillis * rarer * 2 * chance())
      yield* Effect.forkChild(strike(oneOf(chance, drawn)))
    }
  })
  // What is under way heals by itself before the clients stop.
  const strikes = Effect.all([
    Effect.awaitAllChildren(drawn.length === 0 ? Effect.void : drawing),
    Effect.forEach(inTurn, strike, { discard: true })
  ], { concurrency: "unbounded", discard: true })
  const stop = new AbortController()
  yield* Effect.all([
    Effect.promise(() => clients.work(stop.signal)),
    Effect.ensuring(strikes, Effect.sync(() => stop.abort()))
  ], { concurrency: "unbounded", discard: true })

  const healedAt = performance.now()
  const troubles: Array<string> = []
  yield* Effect.promise(() => clients.resolve(mostMillisToHeal))
  const drained = yield* Effect.tryPromise(() => openTransfers(rig.shardUrls)).pipe(
    Effect.filterOrFail((open) => open === 0, (open) => `${open} transfers have not ended`),
    Effect.retry(Schedule.upTo(Schedule.spaced("100 millis"), { duration: mostMillisToHeal })),
    Effect.result
  )
  const drainedAfterMillis = Math.round(performance.now() - healedAt)
  if (drained._tag === "Failure") troubles.push(`${String(drained.failure)} after ${drainedAfterMillis} ms`)
  yield* Effect.promise(() => clients.readAll())

  const { history } = clients
  const books = yield* Effect.promise(() =>
    booksOf(rig.shardUrls, cast.round, [...cast.customers, cast.hot, cast.powers])
  )
  const raised = alarms(rig).slice(alarmsBefore.length)
  troubles.push(...raised)
  const report: RoundReport = {
    round: number,
    scenario: name,
    eventLog: rig.eventLog,
    faults,
    asked: history.asked.length,
    ok: history.asked.filter(({ outcome }) => outcome === "ok").length,
    refused: history.asked.filter(({ outcome }) => outcome === "fail").length,
    unknown: history.asked.filter(({ outcome }) => outcome === "unknown").length,
    transfers: books.transfers.length,
    committed: books.transfers.filter(({ status }) => status === "committed").length,
    reads: history.reads.length,
    drainedAfterMillis,
    recoveries: rig.recoveries.splice(0),
    violations: yield* Effect.promise(() => violationsOf(rig.shardUrls)),
    findings: check(history, books, [cast.powers]),
    troubles
  }
  return report
})

/** What the processes cried out about, which no fault excuses; that something waits for long, faults do excuse. */
const alarms = ({ workers }: Rig): ReadonlyArray<string> =>
  workers.flatMap(({ name, outputFile }) =>
    readFileSync(outputFile, "utf8").split("\n")
      .filter((line) => /"level":"(error|fatal)"/.test(line) && !/"check":"no_\w+_lingers"/.test(line))
      .map((line) => `${name}: ${line.slice(0, 600)}`)
  )
