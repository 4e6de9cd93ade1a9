/**
 * How a process runs: its logs, its configuration's mistakes said plainly, and its end. SIGTERM and SIGINT interrupt it:
 * it finishes its batch, gives up its leases and closes its pools, then exits with 0.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Cause, Effect, Exit, Option } from "effect"
import * as Logging from "./telemetry/Logging.ts"

/** Runs a process until it is told to stop, or fails. Its logs go to stdout, unless that is for what it was called for. */
export const main = <A, E>(name: string, program: Effect.Effect<A, E>, logs: NodeJS.WriteStream = process.stdout) => {
  if (process.env["EXIT_WITH_PARENT"] === "1") {
    process.stdin.on("close", () => process.kill(process.pid, "SIGTERM")).resume()
  }
  program.pipe(
    Effect.tapCause((cause) =>
      Cause.hasInterruptsOnly(cause)
        ? Effect.logInfo("stopped")
        // What was foreseen needs its sentence only; what was not, all there is to know.
        : Option.match(Cause.findErrorOption(cause), {
          onSome: (error) => Effect.logFatal(error instanceof Error ? error.message : String(error)),
          onNone: () => Effect.logFatal("process failed", cause)
        })
    ),
    Effect.provide(Logging.layer(name, logs)),
    NodeRuntime.runMain({
      disableErrorReporting: true,
      teardown: (exit, onExit) => onExit(Exit.isSuccess(exit) || Cause.hasInterruptsOnly(exit.cause) ? 0 : 1)
    })
  )
}
