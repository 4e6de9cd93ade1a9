/** How the simulator speaks: in words to a terminal, in lines of JSON to a pipe. */
import { spawnSync } from "node:child_process"

/** Says a result. */
export const say = (result: object, words: string): void => {
  progress(0, 0, "")
  console.log(process.stdout.isTTY ? words : JSON.stringify(result))
}

/** Says on a terminal how far it has come, on one line that the next word takes the place of. */
export const progress = (done: number, of: number, more: string): void => {
  if (!process.stderr.isTTY) return
  process.stderr.write(done === of ? "\r\u001B[K" : `\r\u001B[K${done} of ${of} seeds, ${more}`.slice(0, 120))
}

/** The commit that is run, and whether more than it is. */
export const commit = (): string => {
  const git = (...args: ReadonlyArray<string>) =>
    spawnSync("git", [...args], { cwd: import.meta.dirname, encoding: "utf8" })
  const { status, stdout } = git("rev-parse", "HEAD")
  if (status !== 0) return "unknown"
  return stdout.trim() + (git("status", "--porcelain").stdout.trim() === "" ? "" : " with changes")
}
