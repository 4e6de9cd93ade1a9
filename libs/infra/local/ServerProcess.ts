/**
 * A server of somebody else's making, run as our child: started with its output in a log file, stopped by signals of
 * rising insistence when the scope closes.
 */
import { spawn } from "node:child_process"
import { constants, promises as fs } from "node:fs"
import net from "node:net"
import { Clock, Deferred, type Duration, Effect, Schema, type Scope } from "effect"

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
          if (yield* Deferred.isDone(exit)) return
          child.kill(signal)
          yield* Effect.timeoutOption(Deferred.await(exit), patience)
        }
      }).pipe(inRealTime)
  )

  return {
    pid: child.pid,
    exited: Deferred.await(exit),
    output: tail(options.logFile, from)
  }
})

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
