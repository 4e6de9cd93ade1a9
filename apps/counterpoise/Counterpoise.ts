/** `counterpoise`, the operators' command: all that can be asked, and all that can be done by hand. */
import { NodeServices } from "@effect/platform-node"
import { Cause, Console, Effect, Layer, Logger, Option, Predicate, References } from "effect"
import { CliError, Command } from "effect/cli"
import { accounts } from "./commands/Accounts.ts"
import { adjustments } from "./commands/Adjustments.ts"
import { audit } from "./commands/Audit.ts"
import { breaks } from "./commands/Breaks.ts"
import { consumers } from "./commands/Consumers.ts"
import { doctor } from "./commands/Doctor.ts"
import { ledger } from "./commands/Ledger.ts"
import { migrate } from "./commands/Migrate.ts"
import { parked } from "./commands/Parked.ts"
import { relay } from "./commands/Relay.ts"
import { replay } from "./commands/Replay.ts"
import { shards } from "./commands/Shards.ts"
import { status } from "./commands/Status.ts"
import { transfers } from "./commands/Transfers.ts"
import { type ExitCode, exitCodeOf, exitCodes, meanings } from "./ExitCode.ts"
import { Format } from "./Output.ts"
import { Surroundings } from "./Platform.ts"

export const counterpoise = Command.make("counterpoise").pipe(
  Command.withDescription(
    [
      "The operators' command of the platform. It works on the one that `npm start` runs on this machine, or on the one that",
      "SHARD_URLS and the other variables of README.md name.",
      "",
      "Exit codes:",
      ...meanings.map(([code, meaning]) => `  ${code}  ${meaning}`)
    ].join("\n")
  ),
  Command.withSubcommands([
    status,
    doctor,
    breaks,
    transfers,
    accounts,
    ledger,
    shards,
    relay,
    consumers,
    parked,
    replay,
    adjustments,
    audit,
    migrate
  ]),
  Command.withGlobalFlags([Format])
)

const command = Command.runWith(counterpoise, { version: "0.1.0" })

/** Runs the command in an environment, and answers its exit code. Everything that it says goes through `Console`. */
export const run = (
  args: ReadonlyArray<string>,
  environment: Readonly<Record<string, string | undefined>>
): Effect.Effect<ExitCode> =>
  Effect.suspend(() => command(args)).pipe(
    Effect.as(exitCodes.done),
    Effect.catchCause((cause) => Effect.as(explain(cause), exitCodeOf(cause))),
    Effect.provide(Layer.mergeAll(Surroundings.layer(environment), NodeServices.layer, logs))
  )

/** What went wrong, in a line; a defect, with all there is to know. */
const explain = (cause: Cause.Cause<unknown>) => {
  const error = Option.getOrUndefined(Cause.findErrorOption(cause))
  // The command line itself was explained with its help.
  if (CliError.isCliError(error)) return Effect.void
  return Console.error(
    error !== undefined && Predicate.hasProperty(error, "message")
      ? `counterpoise: ${String(error.message)}`
      : `counterpoise: a defect\n${Cause.pretty(cause)}`
  )
}

/** Only what it was asked for should be seen; and nothing on stdout but that. */
const logs = Layer.merge(
  Logger.layer([Logger.withConsoleError(Logger.formatLogFmt)]),
  Layer.succeed(References.MinimumLogLevel, "Error")
)
