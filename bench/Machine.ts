/** Where and on what something was measured: without it a figure says nothing. */
import { spawnSync } from "node:child_process"
import { availableParallelism, cpus, loadavg, totalmem } from "node:os"
import path from "node:path"

export interface Machine {
  readonly commit: string
  readonly cores: number
  readonly cpu: string
  readonly memoryGiB: number
  readonly node: string
  /** Processes that wanted a core in the minute before: others than this benchmark, when it begins. */
  readonly loadBefore: number
}

const git = (...args: ReadonlyArray<string>) =>
  spawnSync("git", args, { cwd: path.resolve(import.meta.dirname, ".."), encoding: "utf8" }).stdout?.trim() ?? ""

export const look = (): Machine => ({
  commit: `${git("rev-parse", "--short", "HEAD") || "unknown"}${
    git("status", "--porcelain") === "" ? "" : " and changes"
  }`,
  cores: availableParallelism(),
  cpu: cpus()[0]?.model ?? "unknown",
  memoryGiB: Math.round(totalmem() / 2 ** 30),
  node: process.versions.node,
  loadBefore: loadavg()[0] ?? 0
})
