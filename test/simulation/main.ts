/**
 * `npm run simulate`: the whole platform in one process, under faults, by seeds.
 *
 *   npm run simulate -- --seeds 2000           that many runs, in two processes
 *   npm run simulate -- --seeds 50 --from 951  those from 951 to 1000
 *   npm run simulate -- --seeds 50000 --minutes 30 --processes 1   as many of them as can be run in that time
 *   npm run simulate -- --seed 17              one run, again bit by bit, and what it was like
 *   npm run simulate -- --bugs                 plants each bug in turn, and says how many seeds it takes to find it
 *   npm run simulate -- --bug "…" --seeds 500  one of them
 *   npm run simulate -- --bug "…" --seed 17    one run with it
 *
 * A terminal is told in words, and of how far it has come; a pipe gets a line of JSON for each run that went wrong and one
 * for all. Ends with 1 where something was found that should not have been, or was not found that should have been.
 */
import { parseArgs } from "node:util"
import { bugs, plant } from "./Bugs.ts"
import type { Plan } from "./Plan.ts"
import { regressions } from "./Regressions.ts"
import { shrink } from "./Shrink.ts"
import { commit, progress, say } from "./Telling.ts"
import { type Line, most, runAll, type Seeds } from "./Workers.ts"

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "200" },
    from: { type: "string", default: "1" },
    seed: { type: "string" },
    bug: { type: "string" },
    bugs: { type: "boolean", default: false },
    processes: { type: "string", default: String(most) },
    minutes: { type: "string", default: "Infinity" }
  }
})

const sum = (lines: ReadonlyArray<Line>, of: (line: Line) => number) =>
  lines.reduce((total, line) => total + of(line), 0)

const wentWrong = (lines: ReadonlyArray<Line>) => lines.filter(({ wrong }) => wrong.length > 0)

/** More runs than this that went wrong are counted, and not told one by one. */
const mostTold = 5

const many = async (seeds: Seeds) => {
  const begun = performance.now()
  const { run } = await import("./Run.ts")
  const again = regressions.filter(({ plan }) => run(plan).wrong.length > 0)
  for (const { found } of again) say({ regression: found }, `✘ went wrong again: ${found}`)
  let wrong = 0
  const lines = await runAll(seeds, (so) => {
    wrong += so.at(-1)?.wrong.length === 0 ? 0 : 1
    progress(so.length, seeds.count, `${wrong} went wrong`)
    return performance.now() - begun > minutes * 60_000
  })
  const failed = wentWrong(lines)
  for (const { seed } of failed.slice(0, mostTold)) await one(seed)
  const result = {
    commit: commit(),
    from: seeds.from,
    to: lines.at(-1)?.seed,
    seeds: lines.length,
    wentWrong: failed.map(({ seed }) => seed),
    regressions: regressions.length,
    ranTwice: lines.filter(({ isCompared }) => isCompared).length,
    transfers: sum(lines, ({ transfers }) => transfers),
    strikes: sum(lines, ({ strikes }) => strikes),
    theirMinutes: Math.round(sum(lines, ({ virtualMillis }) => virtualMillis) / 60_000),
    seconds: Math.round((performance.now() - begun) / 1_000)
  }
  say(
    result,
    `${failed.length === 0 ? "✔" : "✘"} ${result.seeds} seeds from ${result.from}: ` +
      `${
        failed.length === 0 ? "nothing wrong" : `${failed.length} went wrong`
      }. ${result.ranTwice} ran twice, bit by bit ` +
      `the same. ${result.transfers} transfers, ${result.strikes} strikes, ${result.theirMinutes} minutes of their time in ` +
      `${result.seconds} seconds of ours`
  )
  return failed.length === 0 && again.length === 0
}

/** A bug that was found so many times is found. */
const enough = 3

const hunt = async (bug: string, seeds: Seeds) => {
  const lines = await runAll({ ...seeds, bug }, (so) => {
    progress(so.length, seeds.count, bug)
    return wentWrong(so).length >= enough
  })
  const found = wentWrong(lines)
  const result = {
    bug,
    seeds: lines.length,
    found: found.length,
    meanSeeds: found.length === 0 ? null : lines.length / found.length,
    by: found[0]?.wrong[0] ?? null
  }
  say(
    result,
    result.meanSeeds === null
      ? `✘ not found in ${lines.length} seeds: ${bug}`
      : `✔ ${result.meanSeeds.toFixed(1).padStart(6)} seeds: ${bug}\n           by ${result.by}`
  )
  return found.length > 0
}

/** What is wrong, without the names and numbers: a smaller plan must go wrong in one of the ways in which the first one did. */
const kindsOf = ({ wrong }: Pick<Line, "wrong">) => new Set(wrong.map((each) => each.replaceAll(/\S*\d\S*/g, "…")))

/** Runs one seed, and then again; where it goes wrong, the least of it that still does so is looked for. */
const one = async (seed: number) => {
  const { planOf, run } = await import("./Run.ts")
  const told = (plan: Plan) => {
    let story: ReadonlyArray<string> = []
    const report = run(plan, (whole) => story = whole)
    return { ...report, plan, story }
  }
  const report = told(planOf(seed))
  const isSame = report.trace === run(report.plan).trace
  const kinds = kindsOf(report)
  const fails = (smaller: Plan) => [...kindsOf(run(smaller))].some((kind) => kinds.has(kind))
  const smallest = report.wrong.length === 0 ? null : told(shrink(report.plan, fails))
  const whole = { commit: commit(), ...report, isSame, smallest }
  say(whole, JSON.stringify(whole, null, 2))
  if (!isSame) say({ seed, isSame }, `✘ seed ${seed} ran otherwise the second time`)
  return report.wrong.length === 0 && isSame
}

const inTurn = async (names: ReadonlyArray<string>, seeds: Seeds) => {
  let wereFound = true
  for (const bug of names) wereFound = await hunt(bug, seeds) && wereFound
  return wereFound
}

const minutes = Number(values.minutes)
const seeds: Seeds = { from: Number(values.from), count: Number(values.seeds), processes: Number(values.processes) }
if (values.seed !== undefined && values.bug !== undefined) plant(values.bug)
const isWell = values.seed !== undefined
  ? await one(Number(values.seed))
  : values.bug !== undefined
  ? await hunt(values.bug, seeds)
  : values.bugs
  ? await inTurn(Object.keys(bugs), seeds)
  : await many(seeds)
process.exitCode = isWell ? 0 : 1
