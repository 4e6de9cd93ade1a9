/** What the command says to the script that called it. docs/operators.md and `counterpoise --help` say the same. */
import { Cause, Option, Predicate, Schema } from "effect"
import { CliError } from "effect/cli"

export const exitCodes = {
  done: 0,
  internal: 1,
  usage: 2,
  notFound: 3,
  conflict: 4,
  notAllowed: 5,
  found: 6,
  timeout: 7
} as const
export type ExitCode = typeof exitCodes[keyof typeof exitCodes]

/** Each code in a phrase. */
export const meanings: ReadonlyArray<readonly [ExitCode, string]> = [
  [exitCodes.done, "done"],
  [exitCodes.internal, "it did not work: a shard is down, or a defect"],
  [exitCodes.usage, "the command or the configuration is wrong"],
  [exitCodes.notFound, "there is no such thing"],
  [exitCodes.conflict, "it is not in the state that this needs"],
  [exitCodes.notAllowed, "the key is unknown, or may not do this"],
  [exitCodes.found, "a check found something"],
  [exitCodes.timeout, "no answer came in time"]
]

/** There is no platform to work on. */
export class NoPlatform extends Schema.TaggedError<NoPlatform>()("NoPlatform", { lookedFor: Schema.String }) {
  readonly exitCode = exitCodes.usage
  override get message() {
    return `there is no platform: SHARD_URLS is not set, and there is no ${this.lookedFor}. Start one with \`npm start\`, ` +
      "or set SHARD_URLS (and what else `counterpoise doctor` asks for)"
  }
}

/** What was asked for is nowhere. */
export class NotFound extends Schema.TaggedError<NotFound>()("NotFound", { what: Schema.String }) {
  readonly exitCode = exitCodes.notFound
  override get message() {
    return `there is no ${this.what}`
  }
}

/** A check was made, and found something; it has been told already. */
export class Found extends Schema.TaggedError<Found>()("Found", { what: Schema.String }) {
  readonly exitCode = exitCodes.found
  override get message() {
    return this.what
  }
}

/** The codes of errors that know nothing of this command. */
const byTag: Readonly<Record<string, ExitCode>> = {
  InvalidSettings: exitCodes.usage,
  SchemaMismatch: exitCodes.conflict,
  WrongShard: exitCodes.conflict,
  WrongConsumer: exitCodes.conflict,
  WrittenTo: exitCodes.conflict,
  EventsMissing: exitCodes.conflict,
  Diverged: exitCodes.found,
  TimeoutError: exitCodes.timeout
}

const isExitCode = Schema.is(Schema.Literals(Object.values(exitCodes)))

/** The code of what went wrong. */
export const exitCodeOf = (cause: Cause.Cause<unknown>): ExitCode => {
  const error = Option.getOrUndefined(Cause.findErrorOption(cause)) ?? Cause.squash(cause)
  if (CliError.isCliError(error)) {
    return error._tag === "ShowHelp" && error.errors.length === 0 ? exitCodes.done : exitCodes.usage
  }
  if (Predicate.hasProperty(error, "exitCode") && isExitCode(error.exitCode)) return error.exitCode
  const tag = Predicate.hasProperty(error, "_tag") ? String(error._tag) : ""
  return byTag[tag] ?? exitCodes.internal
}
