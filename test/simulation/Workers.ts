/** Runs seeds in several processes at once, as many as there are processors to use. */
import { spawn } from "node:child_process"
import { once } from "node:events"
import { availableParallelism } from "node:os"
import path from "node:path"
import { createInterface } from "node:readline"
import type { Report } from "./Run.ts"

/** What one process says to another of a run. */
export interface Line extends Report {
  /** Was it run twice, and were the traces compared? */
  readonly isCompared: boolean
}

export interface Seeds {
  readonly from: number
  readonly count: number
  readonly processes?: number
  /** A bug that is planted in what they run. */
  readonly bug?: string | undefined
}

export const most = Math.min(2, availableParallelism())

/** Runs seeds until all are done, or enough is known; tells of each run as it ends. Answers with all of them, by seed. */
export const runAll = async (
  { bug, count, from, processes = most }: Seeds,
  isEnough: (lines: ReadonlyArray<Line>) => boolean
): Promise<ReadonlyArray<Line>> => {
  const lines: Array<Line> = []
  let hasEnough = false
  const step = Math.min(processes, count)
  const workers = Array.from({ length: step }, (_, number) =>
    spawn(process.execPath, [
      ...process.execArgv,
      path.join(import.meta.dirname, "worker.ts"),
      `--from=${from + number}`,
      `--to=${from + count - 1}`,
      `--step=${step}`,
      ...(bug === undefined ? [] : [`--bug=${bug}`])
    ], { stdio: ["ignore", "pipe", "inherit"] }))
  await Promise.all(workers.map(async (worker) => {
    const ended = once(worker, "exit")
    for await (const line of createInterface(worker.stdout)) {
      if (hasEnough) continue
      lines.push(JSON.parse(line))
      hasEnough = isEnough(lines)
      if (hasEnough) { for (const one of workers) one.kill() }
    }
    const [code] = await ended
    if (code !== 0 && !hasEnough) throw new Error(`a process of the simulation ended with ${code}`)
  }))
  return lines.toSorted((a, b) => a.seed - b.seed)
}
