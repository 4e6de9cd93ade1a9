/**
 * Logs: one JSON line an event on a pipe, readable colours on a terminal. Annotations (request, transfer, partition,
 * shard) and the trace are members of the line itself, so that one search finds a transfer everywhere.
 */
import { Cause, Config, Effect, Layer, Logger, References } from "effect"

/** The members of a line besides its message: objects among the message's parts, and the annotations in force. */
const members = (parts: ReadonlyArray<unknown>, annotations: Readonly<Record<string, unknown>>) =>
  Object.assign({}, annotations, ...parts.filter((part) => typeof part === "object" && part !== null))

const partsOf = (message: unknown): ReadonlyArray<unknown> => Array.isArray(message) ? message : [message]
const textOf = (parts: ReadonlyArray<unknown>) => parts.filter((part) => typeof part !== "object").join(" ")
const plain = (_: string, value: unknown) => typeof value === "bigint" ? value.toString() : value

const json = (process: string, out: NodeJS.WriteStream) =>
  Logger.make<unknown, void>(({ cause, date, fiber, logLevel, message }) => {
    const parts = partsOf(message)
    const span = fiber.cache.span
    const line = {
      time: date.toISOString(),
      level: logLevel.toLowerCase(),
      process,
      message: textOf(parts),
      ...members(parts, fiber.getRef(References.CurrentLogAnnotations)),
      ...(span === undefined ? {} : { traceId: span.traceId }),
      ...(cause.reasons.length === 0 ? {} : { error: Cause.pretty(cause) })
    }
    out.write(`${JSON.stringify(line, plain)}\n`)
  })

const colours: Record<string, number> = { Fatal: 31, Error: 31, Warn: 33, Info: 32, Debug: 36, Trace: 90 }

const readable = (process: string, out: NodeJS.WriteStream) =>
  Logger.make<unknown, void>(({ cause, date, fiber, logLevel, message }) => {
    const parts = partsOf(message)
    const rest = Object.entries(members(parts, fiber.getRef(References.CurrentLogAnnotations))).map(([key, value]) =>
      ` \u001b[90m${key}=\u001b[0m${typeof value === "string" ? value : JSON.stringify(value, plain)}`
    )
    const level = `\u001b[${colours[logLevel] ?? 0}m${logLevel.toLowerCase().padEnd(5)}\u001b[0m`
    const error = cause.reasons.length === 0 ? "" : `\n${Cause.pretty(cause)}`
    out.write(
      `\u001b[90m${date.toISOString().slice(11, 23)}\u001b[0m ${level} ${process}: ${textOf(parts)}${
        rest.join("")
      }${error}\n`
    )
  })

/**
 * Logging of one process, as LOG_FORMAT (json, pretty; by default what it is written to) and LOG_LEVEL say; to stdout, unless
 * the process has something else to say there.
 */
export const layer = (process: string, out: NodeJS.WriteStream = globalThis.process.stdout) =>
  Layer.unwrap(Effect.gen(function*() {
    const format = yield* Config.String("LOG_FORMAT").pipe(
      Config.withDefault(out.isTTY ? "pretty" : "json")
    )
    const level = yield* Config.LogLevel("LOG_LEVEL").pipe(Config.withDefault("Info"))
    return Layer.merge(
      Logger.layer([format === "pretty" ? readable(process, out) : json(process, out)]),
      Layer.succeed(References.MinimumLogLevel, level)
    )
  })).pipe(Layer.orDie)
