/**
 * `npm run simulate`: the whole platform in one process, under faults, by seeds.
 *
 *   npm run simulate -- --seeds 2000           that many runs, on all processors
 *   npm run simulate -- --seed 17              one run, again bit by bit, and what it was like
 *   npm run simulate -- --seeds 500 --bug "…"  with a planted bug; stops when it was found three times
 *   npm run simulate -- --bugs                 every planted bug in turn
 *
 * Ends with 1 where something was found that should not have been, or was not found that should have been.
 */
import { spawn } from "node:child_process"
import { once } from "node:events"
import { availableParallelism } from "node:os"
import { createInterface } from "node:readline"
import { parseArgs } from "node:util"
import { bugs, plant } from "./Bugs.ts"
import type { Report } from "./Run.ts"

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "200" },
    from: { type: "string", default: "1" },
    seed: { type: "string" },
    bug: { type: "string" },
    bugs: { type: "boolean", default: false },
    /** For the processes that this one starts: every so many seeds, a line of JSON for each. */
    step: { type: "string" }
  }
})

/** What is said of a run between processes. */
type Line = Pick<Report, "seed" | "wrong" | "steps" | "virtualMillis" | "transfers" | "strikes">

const enough = 3

/** Runs seeds on all processors, until all are done or `isEnough`. */
const runAll = async (
  from: number,
  seeds: number,
  bug: string | undefined,
  isEnough: (lines: ReadonlyArray<Line>) => boolean
): Promise<ReadonlyArray<Line>> => {
  const processors = Math.max(1, Math.min(availableParallelism(), seeds))
  const lines: Array<Line> = []
  const children = Array.from({ length: processors }, (_, number) =>
    spawn(process.execPath, [
      import.meta.filename,
      `--from=${from + number}`,
      `--seeds=${seeds}`,
      `--step=${processors}`,
      ...(bug === undefined ? [] : [`--bug=${bug}`])
    ], { stdio: ["ignore", "pipe", "inherit"] }))
  await Promise.all(children.map(async (child) => {
    const ended = once(child, "exit")
    for await (const line of createInterface(child.stdout)) {
      lines.push(JSON.parse(line))
      if (isEnough(lines)) { for (const one of children) one.kill() }
    }
    const [code] = await ended
    if (code !== 0 && !isEnough(lines)) throw new Error(`a process of the simulation ended with ${code}`)
  }))
  return lines.toSorted((a, b) => a.seed - b.seed)
}

const sum = (lines: ReadonlyArray<Line>, of: (line: Line) => number) =>
  lines.reduce((total, line) => total + of(line), 0)

const say = ({ seed, wrong }: Line) => {
  console.log(`✘ seed ${seed}`)
  for (const each of wrong.slice(0, 10)) console.log(`    ${each}`)
}

const many = async (from: number, seeds: number) => {
  const begun = performance.now()
  const lines = await runAll(from, seeds, undefined, () => false)
  const failed = lines.filter(({ wrong }) => wrong.length > 0)
  for (const line of failed.slice(0, 20)) say(line)
  console.log(
    `${lines.length} seeds from ${from}: ${failed.length === 0 ? "nothing wrong" : `${failed.length} went wrong`}; ` +
      `${sum(lines, ({ transfers }) => transfers)} transfers, ${sum(lines, ({ strikes }) => strikes)} strikes, ` +
      `${Math.round(sum(lines, ({ virtualMillis }) => virtualMillis) / 60_000)} minutes of their time in ` +
      `${((performance.now() - begun) / 60_000).toFixed(1)} of ours`
  )
  return failed.length === 0
}

const hunt = async (bug: string, from: number, seeds: number) => {
  const found = (lines: ReadonlyArray<Line>) => lines.filter(({ wrong }) => wrong.length > 0)
  const lines = await runAll(from, seeds, bug, (so) => found(so).length >= enough)
  const hits = found(lines)
  const [first] = hits
  console.log(
    first === undefined
      ? `✘ not found in ${lines.length} seeds: ${bug}`
      : `✔ ${String(Math.round(lines.length / hits.length)).padStart(3)} seeds: ${bug}\n      ${first.wrong[0]}`
  )
  return first !== undefined
}

const one = async (seed: number) => {
  const { run } = await import("./Run.ts")
  const [report, again] = [run(seed), run(seed)]
  console.log(JSON.stringify(report, null, 2))
  if (report.trace !== again.trace) console.log("✘ the same seed ran otherwise the second time")
  return report.wrong.length === 0 && report.trace === again.trace
}

const [from, seeds] = [Number(values.from), Number(values.seeds)]
if (values.step !== undefined) {
  if (values.bug !== undefined) plant(values.bug)
  const { run } = await import("./Run.ts")
  for (let seed = from; seed < from + seeds; seed += Number(values.step)) {
    const { options: _, trace: __, ...line } = run(seed)
    console.log(JSON.stringify(line satisfies Line))
  }
} else {
  const isWell = values.seed !== undefined
    ? await one(Number(values.seed))
    : values.bug !== undefined
    ? await hunt(values.bug, from, seeds)
    : values.bugs
    ? (await Object.keys(bugs).reduce(
      async (well, bug) => [...await well, await hunt(bug, from, seeds)],
      Promise.resolve<ReadonlyArray<boolean>>([])
    )).every(Boolean)
    : await many(from, seeds)
  process.exitCode = isWell ? 0 : 1
}
