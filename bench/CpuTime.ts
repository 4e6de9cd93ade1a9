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

/** What the kernel says of a process: its parent, and the ticks it was given. Nothing of one that has ended. */
const statOf = (pid: string | number): { readonly parent: number; readonly ticks: number } | undefined => {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8")
    // After the name, which may hold anything but is the last thing in parentheses: state, parent, …, utime, stime
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
    return { parent: Number(fields[1]), ticks: Number(fields[11]) + Number(fields[12]) }
  } catch {
    return undefined
  }
}

const ticksOfChildren = (parent: number): number => {
  let sum = 0
  for (const pid of readdirSync("/proc")) {
    if (!/^\d+$/.test(pid)) continue
    const stat = statOf(pid)
    if (stat?.parent === parent) sum += stat.ticks
  }
  return sum
}

/** Microseconds of one process, since it began. */
export const ofProcess = (pid: number): number => (statOf(pid)?.ticks ?? 0) * microsPerTick

/** Microseconds of a PostgreSQL's processes that are alive, given one of its backends. */
export const ofServer = (backend: number): number => {
  const parent = statOf(backend)?.parent
  return parent === undefined ? 0 : ticksOfChildren(parent) * microsPerTick
}

/** The most memory a process has had, in MiB. */
export const peakMemory = (pid: number): number => {
  try {
    return Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) / 1024
  } catch {
    return 0
  }
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
