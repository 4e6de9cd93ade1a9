/**
 * A server of somebody else's making, run as our child: started with its output in a log file, stopped by signals of
 * rising insistence when the scope closes.
 */
import { spawn } from "node:child_process"
import { constants, promises as fs } from "node:fs"
import net from "node:net"
import { platform } from "node:os"
import { Clock, Deferred, type Duration, Effect, Schedule, Schema, type Scope } from "effect"

/** The operating system would not start a program. */
export class NotStarted extends Schema.TaggedError<NotStarted>()("NotStarted", {
  command: Schema.String,
  /** The system's code, such as ENOENT (no such program) or EPERM (not allowed to become that user). */
  code: Schema.String
}) {
  override get message() {
    return `${this.command} could not be started: ${this.code}`
  }
}

/** A user and group of this machine, by number. */
export interface Account {
  readonly uid: number
  readonly gid: number
}

export interface ServerProcess {
  readonly pid: number
  /** Completes when the process has ended, with how: "exit code 1", "SIGKILL". */
  readonly exited: Effect.Effect<string>
  /** What it wrote to its log since it was started: the last 32 kB at most. */
  readonly output: Effect.Effect<string>
}

/** Signals to stop a server with, each with how long it is given before the next. */
export type StopLadder = ReadonlyArray<readonly [signal: NodeJS.Signals, patience: Duration.Input]>

/**
 * Starts a server; the scope stops it. Its output is appended to `logFile` by the server itself, so that it can go on
 * writing should this process be killed.
 */
export const start = Effect.fnUntraced(function*(options: {
  readonly command: string
  readonly args: ReadonlyArray<string>
  readonly cwd: string
  readonly env: Readonly<Record<string, string>>
  readonly logFile: string
  readonly account?: Account | undefined
  readonly stop: StopLadder
  /** Run when the scope has stopped it, with how it ended. */
  readonly onStopped?: (how: string) => Effect.Effect<void>
}): Effect.fn.Return<ServerProcess, NotStarted, Scope.Scope> {
  const exit = yield* Deferred.make<string>()
  // O_NOFOLLOW: the folder may belong to an account that we, being root, should not be led astray by.
  const log = yield* Effect.promise(() =>
    fs.open(options.logFile, constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW, 0o600)
  )
  const { account } = options
  if (account !== undefined) yield* Effect.promise(() => log.chown(account.uid, account.gid))
  const from = yield* Effect.promise(() => log.stat().then((stat) => stat.size))

  const child = yield* Effect.acquireRelease(
    Effect.callback<{ readonly pid: number; readonly kill: (signal: NodeJS.Signals) => void }, NotStarted>((resume) => {
      const process = spawn(options.command, options.args, {
        cwd: options.cwd,
        env: options.env,
        stdio: ["ignore", log.fd, log.fd],
        // A session of its own: Ctrl-C in a terminal reaches us only, and we stop the server after its users.
        detached: true,
        ...account
      })
      process.once("exit", (code, signal) => {
        Deferred.doneUnsafe(exit, Effect.succeed(signal ?? `exit code ${code}`))
      })
      process.on("error", (error: NodeJS.ErrnoException) => {
        resume(Effect.fail(NotStarted.make({ command: options.command, code: error.code ?? error.message })))
      })
      process.once("spawn", () => {
        if (process.pid !== undefined) {
          resume(Effect.succeed({ pid: process.pid, kill: (signal) => process.kill(signal) }))
        }
      })
    }).pipe(Effect.ensuring(Effect.promise(() => log.close()))),
    (child) =>
      Effect.gen(function*() {
        for (const [signal, patience] of options.stop) {
          if (yield* Deferred.isDone(exit)) break
          child.kill(signal)
          yield* Effect.timeoutOption(Deferred.await(exit), patience)
        }
        if (yield* Deferred.isDone(exit)) yield* options.onStopped?.(yield* Deferred.await(exit)) ?? Effect.void
      }).pipe(inRealTime)
  )

  return {
    pid: child.pid,
    exited: Deferred.await(exit),
    output: tail(options.logFile, from)
  }
})

/**
 * Stops a server that an earlier process of ours left running on a folder because it was killed. A server whose owner
 * is alive, and still its parent, is somebody's and left alone; so is one without an owner.
 */
export const stopLeftBehind = Effect.fnUntraced(function*(server: {
  readonly pid: number
  /** The process that started it; NaN if that is not known. */
  readonly owner: number
  readonly folder: string
  readonly stop: StopLadder
}): Effect.fn.Return<"not running" | "owned" | "stopped" | "does not stop"> {
  const running = serves(server.pid, server.folder)
  if (!(yield* running)) return "not running"
  if (!(server.owner > 0)) return "owned"
  // A number that was given out again does not deceive: an orphan has another parent.
  if (isAlive(server.owner) && (yield* parentOf(server.pid)) === server.owner) return "owned"
  for (const [signal, patience] of server.stop) {
    if (!sent(server.pid, signal)) break
    const stillRuns = yield* running.pipe(
      Effect.repeat({
        schedule: Schedule.upTo(Schedule.spaced("50 millis"), { duration: patience }),
        while: (runs) => runs
      }),
      inRealTime
    )
    if (!stillRuns) return "stopped"
  }
  return (yield* running) ? "does not stop" : "stopped"
})

/**
 * Sees to it that a server and its folders are gone when this process is, even if it is killed. A shell waits for
 * that: its input is a pipe of which we hold the other end. Only for what is of no use to anybody later, as in tests.
 */
export const takeAlong = (server: {
  readonly pid: number
  /** Stands on the server's command line, by which it is known. */
  readonly folder: string
  readonly remove: ReadonlyArray<string>
}): Effect.Effect<void, never, Scope.Scope> =>
  Effect.asVoid(Effect.acquireRelease(
    Effect.sync(() => {
      const script = `read -r _
        pid=$1 folder=$2; shift 2
        command=$(tr '\\000' ' ' < "/proc/$pid/cmdline" 2>/dev/null || ps -o command= -p "$pid" 2>/dev/null)
        case $command in *"$folder"*)
          kill -QUIT "$pid"; kill -TERM "$pid"
          tries=50
          while kill -0 "$pid" 2>/dev/null && [ $((tries -= 1)) -gt 0 ]; do sleep 0.1; done
          kill -KILL "$pid" 2>/dev/null
        esac
        rm -rf "$@"`
      const shell = spawn("/bin/sh", ["-c", script, "sh", String(server.pid), server.folder, ...server.remove], {
        cwd: "/",
        stdio: ["pipe", "ignore", "ignore"],
        detached: true
      })
      // Without a shell something stays behind: no reason to fail.
      shell.on("error", () => undefined)
      shell.unref()
      return shell
    }),
    (shell) => Effect.sync(() => shell.kill("SIGKILL"))
  ))

/** The end of a file from a position on, 32 kB at most; nothing if it cannot be read. */
export const tail = (file: string, from = 0): Effect.Effect<string> =>
  Effect.promise(async () => {
    const handle = await fs.open(file, "r").catch(() => undefined)
    if (handle === undefined) return ""
    try {
      const { size } = await handle.stat()
      const start = Math.max(from, size - 32_768)
      const buffer = Buffer.alloc(Math.max(0, size - start))
      await handle.read(buffer, 0, buffer.length, start)
      return buffer.toString("utf8")
    } finally {
      await handle.close()
    }
  })

/** The last lines of a text, the blank ones left out. */
export const lastLines = (text: string, count = 15): string =>
  text.split("\n").filter((line) => line.trim() !== "").slice(-count).join("\n")

/** Runs a program to its end: its exit code, -1 if a signal ended it, and what it wrote. */
export const run = (
  command: string,
  args: ReadonlyArray<string>,
  options: {
    readonly cwd?: string
    readonly account?: Account | undefined
    readonly env?: Readonly<Record<string, string | undefined>>
    /** Called with each piece of output as it comes. */
    readonly onOutput?: (text: string) => void
  } = {}
): Effect.Effect<{ readonly code: number; readonly output: string }, NotStarted> =>
  Effect.callback((resume) => {
    const process = spawn(command, args, {
      cwd: options.cwd ?? "/",
      stdio: ["ignore", "pipe", "pipe"],
      ...(options.env === undefined ? {} : { env: options.env }),
      ...options.account
    })
    let output = ""
    const collect = (chunk: Buffer) => {
      const text = chunk.toString("utf8")
      output = (output + text).slice(-65_536)
      options.onOutput?.(text)
    }
    process.stdout.on("data", collect)
    process.stderr.on("data", collect)
    process.on("error", (error: NodeJS.ErrnoException) => {
      resume(Effect.fail(NotStarted.make({ command, code: error.code ?? error.message })))
    })
    process.once("close", (code) => resume(Effect.succeed({ code: code ?? -1, output })))
    return Effect.sync(() => {
      process.kill("SIGKILL")
    })
  })

/** A port on 127.0.0.1 that nobody listens on now: the wanted one if it is free. */
export const freePort = (wanted = 0): Effect.Effect<number> =>
  Effect.callback((resume) => {
    const server = net.createServer()
    server.once("error", () => resume(wanted === 0 ? Effect.die("there is no free port") : freePort()))
    server.listen({ host: "127.0.0.1", port: wanted, exclusive: true }, () => {
      const address = server.address()
      server.close(() => resume(Effect.succeed(address === null || typeof address === "string" ? 0 : address.port)))
    })
  })

/**
 * Runs an effect by the real clock, whatever clock is provided. Other processes do not follow a test's clock: waiting
 * for them under TestClock would be waiting for ever.
 */
export const inRealTime = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.provideService(effect, Clock.Clock, Clock.Clock.defaultValue())

/** Is this process a server working on this folder? Its own working folder tells; where that is not to be had, its command. */
export const serves = (pid: number, folder: string): Effect.Effect<boolean> =>
  platform() === "linux"
    ? Effect.promise(() => fs.readlink(`/proc/${pid}/cwd`).then((cwd) => cwd === folder, () => false))
    : run("ps", ["-o", "command=", "-p", String(pid)]).pipe(
      Effect.map(({ output }) => output.includes(folder)),
      Effect.catchTag("NotStarted", () => Effect.succeed(isAlive(pid)))
    )

const parentOf = (pid: number): Effect.Effect<number> =>
  platform() === "linux"
    // "pid (name) state parent …", where the name may hold anything, brackets too.
    ? Effect.promise(() =>
      fs.readFile(`/proc/${pid}/stat`, "utf8").then(
        (stat) => Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]),
        () => Number.NaN
      )
    )
    : run("ps", ["-o", "ppid=", "-p", String(pid)]).pipe(
      Effect.map(({ output }) => Number(output)),
      Effect.catchTag("NotStarted", () => Effect.succeed(Number.NaN))
    )

/** Is there such a process? Signal 0 only asks. Being refused (EPERM) is an answer too: there is such a process, and it is another user's. */
export const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM"
  }
}

const sent = (pid: number, signal: NodeJS.Signals): boolean => {
  try {
    return process.kill(pid, signal)
  } catch {
    return false
  }
}
