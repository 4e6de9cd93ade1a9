/**
 * What the tests of local servers share: folders of their own, processes to kill, and waiting for what happens.
 */
import { spawn } from "node:child_process"
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import path from "node:path"
import { Effect, Schedule } from "effect"

/** A temporary folder that everybody may enter, or by its mode only its owner; it goes with the scope. */
export const folder = (mode = 0o755) =>
  Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(path.join(tmpdir(), "counterpoise-local-"))).pipe(
      Effect.tap((made) => Effect.sync(() => chmodSync(made, mode)))
    ),
    (made) => Effect.sync(() => rmSync(made, { recursive: true, force: true }))
  )

/** Does such a process run? One that has ended may wait long for somebody to ask how (a zombie): it does not run. */
export const lives = (pid: number): boolean => {
  try {
    if (existsSync("/proc/self/stat")) return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, "utf8"))
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

/** Waits until the condition holds; fails after half a minute. */
export const eventually = (what: string, condition: () => boolean) =>
  Effect.suspend(() => condition() ? Effect.void : Effect.fail(`waited in vain: ${what}`)).pipe(
    Effect.retry(Schedule.upTo(Schedule.spaced("20 millis"), { duration: "30 seconds" }))
  )

export const isGone = (file: string) => !existsSync(file)

/** A process that started a server and was killed (SIGKILL) when the server was ready; the server's process id. */
export const killedHolderOf = (kind: "postgres" | "kafka", dataDir: string, mode?: "ephemeral") =>
  Effect.callback<number, string>((resume) => {
    const holder = spawn(
      process.execPath,
      [path.join(import.meta.dirname, "hold.ts"), kind, dataDir, ...(mode === undefined ? [] : [mode])],
      { stdio: ["ignore", "pipe", "inherit"] }
    )
    let server = Number.NaN
    let said = ""
    holder.stdout.on("data", (chunk: Buffer) => {
      said += chunk.toString("utf8")
      const pid = /^(\d+)\n/m.exec(said)?.[1]
      if (pid === undefined) return
      server = Number(pid)
      holder.kill("SIGKILL")
    })
    holder.once(
      "exit",
      () => resume(server > 0 ? Effect.succeed(server) : Effect.fail(`no server was started: ${said}`))
    )
    return Effect.sync(() => holder.kill("SIGKILL"))
  })
