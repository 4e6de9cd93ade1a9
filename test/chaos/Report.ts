/** What a run has come to: a line a round while it goes on, a table for people or JSON for programs in the end. */
import { execFileSync } from "node:child_process"
import { writeFileSync } from "node:fs"
import path from "node:path"
import * as Machine from "../../bench/Machine.ts"
import { roles } from "./Rig.ts"
import type { RoundReport } from "./Round.ts"
import type { ReplayedShard } from "./Shadows.ts"

export interface ChaosReport {
  readonly commit: string
  readonly seed: number
  readonly began: string
  readonly seconds: number
  readonly machine: Machine.Machine
  readonly faults: number
  readonly faultsByKind: Readonly<Record<string, number>>
  readonly asked: number
  readonly ok: number
  readonly refused: number
  readonly unknown: number
  readonly transfers: number
  readonly committed: number
  readonly reads: number
  readonly slowestDrainMillis: number
  /** Violations of invariants, findings in histories, troubles and replays that differ together. */
  readonly found: number
  /** Crash points that were armed, and at which nobody died. */
  readonly neverReached: ReadonlyArray<string>
  /** Each shard made again from its events, when all rounds were over. */
  readonly replays: ReadonlyArray<ReplayedShard>
  readonly rounds: ReadonlyArray<RoundReport>
}

const root = path.resolve(import.meta.dirname, "../..")

const commit = (): string => {
  try {
    return execFileSync("git", ["rev-parse", "--short", "HEAD"], { cwd: root, encoding: "utf8" }).trim()
  } catch {
    return "unknown"
  }
}

const total = (numbers: ReadonlyArray<number>) => numbers.reduce((sum, number) => sum + number, 0)

const foundIn = ({ findings, recoveries, troubles, violations }: RoundReport) =>
  findings.length + troubles.length + violations.length + recoveries.filter(({ millis }) => millis === null).length

export const of = (
  run: Pick<ChaosReport, "seed" | "rounds" | "replays" | "neverReached"> & { readonly began: Date }
): ChaosReport => {
  const { began, neverReached, replays, rounds, seed } = run
  const faultsByKind: Record<string, number> = {}
  for (const { faults } of rounds) {
    for (const [kind, times] of Object.entries(faults)) faultsByKind[kind] = (faultsByKind[kind] ?? 0) + times
  }
  const sum = (of: (round: RoundReport) => number) => total(rounds.map(of))
  return {
    commit: commit(),
    seed,
    began: began.toISOString(),
    seconds: Math.round((Date.now() - began.getTime()) / 1_000),
    machine: Machine.look(),
    faults: total(Object.values(faultsByKind)),
    faultsByKind,
    asked: sum(({ asked }) => asked),
    ok: sum(({ ok }) => ok),
    refused: sum(({ refused }) => refused),
    unknown: sum(({ unknown }) => unknown),
    transfers: sum(({ transfers }) => transfers),
    committed: sum(({ committed }) => committed),
    reads: sum(({ reads }) => reads),
    slowestDrainMillis: Math.max(0, ...rounds.map(({ drainedAfterMillis }) => drainedAfterMillis)),
    found: sum(foundIn) + neverReached.length + replays.filter(({ differences }) => differences.length > 0).length,
    neverReached,
    replays,
    rounds
  }
}

/** A round in a line, and what it found in a line each. */
export const line = (round: RoundReport): string => {
  const { committed, drainedAfterMillis, faults, findings, transfers, troubles, unknown, violations } = round
  return [
    `  ${total(Object.values(faults))} faults, ${transfers} transfers (${committed} committed), ${unknown} unknown, ` +
    `all ended after ${drainedAfterMillis} ms: ${foundIn(round) === 0 ? "nothing found" : "FOUND"}`,
    ...violations.map((each) => `  VIOLATION ${JSON.stringify(each)}`),
    ...findings.map((each) => `  FINDING ${JSON.stringify(each)}`),
    ...troubles.map((each) => `  TROUBLE ${each}`)
  ].join("\n")
}

const text = (report: ChaosReport): string =>
  [
    "",
    `commit ${report.commit}, seed ${report.seed}, ${report.seconds} s, ${report.rounds.length} rounds`,
    `${report.faults} faults:`,
    ...Object.entries(report.faultsByKind).toSorted().map(([kind, times]) => `  ${String(times).padStart(5)}  ${kind}`),
    `${report.asked} asked: ${report.ok} acknowledged, ${report.refused} refused, ${report.unknown} unknown; ${report.reads} reads`,
    `${report.transfers} transfers, ${report.committed} committed; all ended at most ${report.slowestDrainMillis} ms after the last fault`,
    ...roles.flatMap((role) => {
      const took = report.rounds.flatMap(({ recoveries }) => recoveries).filter((each) => each.role === role)
      return took.length === 0 ? [] : [
        `recovery of ${role}: ${took.map(({ millis }) => millis === null ? "not at all" : `${millis} ms`).join(", ")}`
      ]
    }),
    ...report.replays.map(({ differences, events, eventsPerSecond, from, shard }) =>
      `shard ${shard} replayed from ${from}: ` +
      (differences.length === 0
        ? `${events} events, ${eventsPerSecond}/s, the same`
        : `DIFFERS: ${differences.join(", ")}`)
    ),
    ...report.neverReached.map((point) => `never reached: ${point}`),
    `${report.found === 0 ? "nothing" : report.found} found that must not be`,
    ""
  ].join("\n")

export const tell = (report: ChaosReport, file: string | undefined): void => {
  const json = `${JSON.stringify(report, undefined, 2)}\n`
  process.stdout.write(process.stdout.isTTY ? text(report) : json)
  if (!process.stdout.isTTY) process.stderr.write(text(report))
  if (file !== undefined) writeFileSync(file, json)
}
