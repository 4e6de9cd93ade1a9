/** What a run under load came to, for people and for programs. */
import type { Machine } from "../bench/Machine.ts"
import type { Books } from "./Books.ts"
import type { Bars, Percentiles, Summary } from "./Profiles.ts"

export interface Prices {
  readonly currency: string
  readonly per_hour: Readonly<Record<string, number>>
}

export interface Load extends Summary, Books {
  readonly profile: string
  readonly engine: "k6" | "node"
  readonly began: string
  readonly machine: Machine
  readonly bars: Bars
  /** From the first transfer asked for to the last one settled. */
  readonly seconds: number
  /** Transfers that are in the books. */
  readonly settled: number
  readonly prices: Prices
}

export interface Verdict {
  readonly settledPerSecond: number
  readonly costPerMillion: number
  /** What did not hold, in words; nothing if all is well. */
  readonly missed: ReadonlyArray<string>
}

export const verdictOf = (load: Load): Verdict => {
  const { bars } = load
  const settledPerSecond = load.settled / load.seconds
  const perHour = Object.values(load.prices.per_hour).reduce((sum, price) => sum + price, 0)
  const due = load.asked + load.dropped
  const rules: ReadonlyArray<readonly [string, boolean]> = [
    ["something was asked for, and accepted", load.accepted > 0],
    [`95 % are accepted within ${bars.acceptedP95Millis} ms`, load.acceptedMillis.p95 <= bars.acceptedP95Millis],
    [`95 % are settled within ${bars.settledP95Millis} ms`, load.settledMillis.p95 <= bars.settledP95Millis],
    [`at most ${bars.failedShare * 100} % are answered as they should not be`, load.failed <= bars.failedShare * due],
    [`at most ${bars.droppedShare * 100} % are not asked in time`, load.dropped <= bars.droppedShare * due],
    ["what is asked again under its key is one transfer", load.doubled === 0],
    ["each transfer that was accepted is in the books, once", load.settled === load.accepted],
    ["the books balance", load.balances],
    ["nothing is in flight in the end", load.inFlight.length === 0]
  ]
  return {
    settledPerSecond,
    costPerMillion: perHour / 3600 / settledPerSecond * 1e6,
    missed: rules.flatMap(([rule, holds]) => holds ? [] : [rule])
  }
}

const spread = ({ max, p50, p95, p99 }: Percentiles) =>
  [p50, p95, p99, max].map((millis) => millis.toFixed(0).padStart(7)).join("")

export const text = (load: Load & Verdict): string => {
  const { machine } = load
  return [
    `${load.profile}, by ${load.engine === "k6" ? "k6" : "Node"}, ${load.seconds.toFixed(1)} s from ${load.began}`,
    `commit ${machine.commit} · ${machine.cores} × ${machine.cpu}, load ${machine.loadBefore.toFixed(1)} before`,
    "",
    `accepted ${load.accepted} of ${load.asked} requests, refused ${load.refused}, failed ${load.failed}, not asked in time ` +
    `${load.dropped}`,
    `settled ${load.settled}: ${load.settledPerSecond.toFixed(1)}/s · ${load.costPerMillion.toFixed(2)} ` +
    `${load.prices.currency} for a million, by the price file`,
    "",
    "ms           p50    p95    p99    max",
    `accepted ${spread(load.acceptedMillis)}`,
    `settled  ${spread(load.settledMillis)}   of ${load.samples} that were waited for`,
    "",
    load.missed.length === 0 ? "Every bar was kept, and the books balance." : "MISSED:",
    ...load.missed.map((rule) => `  ${rule}`),
    ""
  ].join("\n")
}
