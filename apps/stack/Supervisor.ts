/**
 * Keeps processes running: starts them, and starts again the one that ended, for as long as the scope is open. Then they
 * are told to stop, and are killed if they don't within ten seconds.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import { Effect } from "effect"

export interface Supervised {
  /** The process's name: a folder of apps/. */
  readonly name: string
  /** Read at every start. */
  readonly env: Readonly<Record<string, string | undefined>>
  /** Told of every start. */
  readonly onStart: (pid: number) => Effect.Effect<void>
  /** Told of every end that nobody asked for, and how it was: "exit code 1", "SIGKILL". */
  readonly onEnd?: (how: string) => Effect.Effect<void>
  /** The file, by its descriptor, that takes what the process says: to where this process's own goes unless given. */
  readonly output?: number
}

/** Never ends by itself. */
export const supervise = Effect.fnUntraced(function*({ env, name, onEnd, onStart, output }: Supervised) {
  const program = fileURLToPath(new URL(`../${name}/main.ts`, import.meta.url))
  const once = Effect.acquireUseRelease(
    // The pipe to its stdin closes when this process dies, however it dies; a child takes that as its own end.
    Effect.sync(() =>
      spawn(process.execPath, ["--disable-warning=ExperimentalWarning", program], {
        env: { ...env, EXIT_WITH_PARENT: "1" },
        stdio: ["pipe", output ?? "inherit", output ?? "inherit"]
      })
    ),
    (child) => Effect.andThen(onStart(child.pid ?? 0), ended(child)),
    stop
  )
  return yield* once.pipe(
    Effect.tap((how) =>
      Effect.andThen(
        Effect.logWarning("process ended, starting it again", { name, how }),
        onEnd?.(how) ?? Effect.void
      )
    ),
    Effect.andThen(Effect.sleep("100 millis")),
    Effect.forever
  )
})

const ended = (child: ChildProcess): Effect.Effect<string> =>
  Effect.callback((resume) => {
    if (hasEnded(child)) return resume(Effect.succeed(how(child)))
    const done = () => resume(Effect.succeed(how(child)))
    child.once("exit", done)
    return Effect.sync(() => child.off("exit", done))
  })

const stop = (child: ChildProcess) =>
  Effect.suspend(() => {
    if (hasEnded(child)) return Effect.void
    child.kill("SIGTERM")
    return ended(child).pipe(
      Effect.timeoutOrElse({
        duration: "10 seconds",
        orElse: () => Effect.andThen(Effect.sync(() => child.kill("SIGKILL")), ended(child))
      }),
      Effect.asVoid
    )
  })

const hasEnded = (child: ChildProcess) => child.exitCode !== null || child.signalCode !== null
const how = (child: ChildProcess) => child.signalCode ?? `exit code ${child.exitCode}`
