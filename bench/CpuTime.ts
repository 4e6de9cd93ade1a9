/**
 * The processor time that something took: on a machine with other work to do it says more than the time on the clock.
 */
import { readdirSync, readFileSync } from "node:fs"

/** Microseconds, since a moment of no meaning: two looks have a difference. */
export interface CpuTime {
  readonly node: number
  /** Of a server's processes that are alive; 0 where there is no /proc to look into. */
  readonly postgres: number
}

const microsPerTick = 10_000

const ticksOfChildren = (parent: number): number => {
  let sum = 0
  for (const pid of readdirSync("/proc")) {
    if (!/^\d+$/.test(pid)) continue
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, "utf8")
      // After the name, which may hold anything but is the last thing in parentheses: state, parent, …, utime, stime
      const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
      if (Number(fields[1]) === parent) sum += Number(fields[11]) + Number(fields[12])
    } catch {
      // It has ended since the folder was read.
    }
  }
  return sum
}

export const look = (server: number): CpuTime => {
  const { system, user } = process.cpuUsage()
  return {
    node: user + system,
    postgres: process.platform === "linux" ? ticksOfChildren(server) * microsPerTick : 0
  }
}

/** What was spent between two looks on each of so many. */
export const each = (before: CpuTime, after: CpuTime, count: number): CpuTime => ({
  node: (after.node - before.node) / count,
  postgres: (after.postgres - before.postgres) / count
})
