/**
 * What the command says: a table for people, with colours on a terminal; the same as JSON for scripts (`-o json`), or as one
 * JSON object a line (`-o ndjson`), which a long list gives as it comes. Results go to stdout, everything else to stderr.
 */
import { Console, Effect, Schema, Stream } from "effect"
import { Flag, GlobalFlag, TerminalCapabilities } from "effect/cli"
import { Currency, format as formatAmount } from "#domain/money/Currency.ts"

/** `-o`: how results are written. */
export const Format = GlobalFlag.Setting("output")({
  flag: Flag.Literals("output", ["table", "json", "ndjson"]).pipe(
    Flag.withAlias("o"),
    Flag.withDefault("table" as const),
    Flag.withDescription("How results are written: table, json, or ndjson (one JSON object a line)")
  )
})

const isCurrency = Schema.is(Currency)

/** A value that people read otherwise than programs do. */
export interface Shown {
  readonly json: unknown
  readonly text: string
}

export type Value = string | number | bigint | boolean | null | Shown

/** One result: its members by their names in JSON, which head the columns of a table as well. */
export type Row = Readonly<Record<string, Value>>

const isShown = (value: Value): value is Shown => typeof value === "object" && value !== null

/** Minor units for programs, and `12.50 EUR` for people. */
export const money = (minor: bigint, currency: Currency): Shown => ({
  json: String(minor),
  text: formatAmount(minor, currency)
})

/** The same, of what came as text; in a currency that this version does not know, as it came. */
export const minor = (text: string, currency: string): Shown =>
  isCurrency(currency) && /^-?\d+$/.test(text) ? money(BigInt(text), currency) : { json: text, text }

/** UTC, to the millisecond. */
export const time = (millis: number | null): string | null => millis === null ? null : new Date(millis).toISOString()

/** Milliseconds for programs, and `3.2 s` for people. */
export const duration = (millis: number): Shown => ({ json: Math.round(millis), text: inWords(millis) })

const inWords = (millis: number): string =>
  Math.abs(millis) < 1_000
    ? `${Math.round(millis)} ms`
    : Math.abs(millis) < 120_000
    ? `${(millis / 1_000).toFixed(1)} s`
    : Math.abs(millis) < 7_200_000
    ? `${Math.round(millis / 60_000)} min`
    : `${Math.round(millis / 3_600_000)} h`

/** What is longer than people want to read, and programs get as it is. */
export const several = (json: object, text: string): Shown => ({ json, text })

const textOf = (value: Value): string => isShown(value) ? value.text : value === null ? "-" : String(value)

const jsonOf = (row: Row) => Object.fromEntries(Object.entries(row).map(([name, value]) => [name, plain(value)]))

const plain = (value: Value): unknown =>
  isShown(value) ? value.json : typeof value === "bigint" ? value.toString() : value

const bigintsAsText = (_: string, value: unknown) => typeof value === "bigint" ? value.toString() : value

const stringify = (value: unknown, indent?: number) => JSON.stringify(value, bigintsAsText, indent)

// tables ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Words that say how things are have the same colour wherever they stand. */
const colours: Readonly<Record<string, number>> = {
  ...Object.fromEntries(["ok", "open", "committed", "CREDITED", "done", "yes", "held by"].map((word) => [word, 32])),
  ...Object.fromEntries(["warning", "requested", "authorized", "held", "frozen", "waiting"].map((word) => [word, 33])),
  ...Object.fromEntries(
    ["wrong", "critical", "rejected", "cancelled", "REFUSED", "refused", "closed", "stuck", "no"].map((
      word
    ) => [word, 31])
  )
}

const painted = (code: number | undefined, text: string) =>
  code === undefined ? text : `\u001b[${code}m${text}\u001b[0m`

const isNumeric = (value: Value) =>
  typeof value === "number" || typeof value === "bigint" || (isShown(value) && /^-?\d/.test(value.text))

const headOf = (name: string) => name.replaceAll("_", " ").toUpperCase()

const tableOf = (
  rows: ReadonlyArray<Row>,
  canColor: boolean,
  shape: ReadonlyArray<Column>,
  below: ReadonlyArray<string> = []
): string => {
  const line = (cells: ReadonlyArray<string>, paint: (text: string, column: number) => string) =>
    shape.map(({ numeric, width }, index) => {
      const text = cells[index] ?? ""
      // The last column needs no room after it.
      const padding = " ".repeat(numeric || index < shape.length - 1 ? Math.max(0, width - text.length) : 0)
      return numeric ? padding + paint(text, index) : paint(text, index) + padding
    }).join("  ").trimEnd()
  const paint = (text: string) => canColor ? painted(colours[text], text) : text
  const head = line(shape.map(({ name }) => headOf(name)), (text) => canColor ? painted(1, text) : text)
  return [
    head,
    ...rows.flatMap((row) => [
      line(shape.map(({ name }) => textOf(row[name] ?? null)), paint),
      ...below.flatMap((name) => linesBelow(row[name] ?? null)).map((text) => canColor ? painted(2, text) : text)
    ])
  ].join("\n")
}

const linesBelow = (value: Value): ReadonlyArray<string> =>
  value === null || textOf(value) === "" ? [] : [`      ${textOf(value)}`]

interface Column {
  readonly name: string
  readonly width: number
  readonly numeric: boolean
}

const columnsOf = (rows: ReadonlyArray<Row>, below: ReadonlyArray<string> = []): ReadonlyArray<Column> =>
  Object.keys(rows[0] ?? {}).filter((name) => !below.includes(name)).map((name) => {
    const values = rows.map((row) => row[name] ?? null)
    const filled = values.filter((value) => value !== null)
    return {
      name,
      width: Math.max(headOf(name).length, ...values.map((value) => textOf(value).length)),
      numeric: filled.length > 0 && filled.every(isNumeric)
    }
  })

// what commands call ─────────────────────────────────────────────────────────────────────────────────────────────────

/** A list; `none` is what a person reads when it is empty, and what is `below` stands under its line in a table. */
export const list = Effect.fnUntraced(function*(
  rows: ReadonlyArray<Row>,
  { below = [], none = "none" }: { readonly none?: string; readonly below?: ReadonlyArray<string> } = {}
) {
  const format = yield* Format
  const { canColor } = yield* TerminalCapabilities.TerminalCapabilities
  if (format === "json") return yield* Console.log(stringify(rows.map(jsonOf), 2))
  if (format === "ndjson") return yield* Effect.forEach(rows, (row) => Console.log(stringify(jsonOf(row))))
  return yield* Console.log(rows.length === 0 ? none : tableOf(rows, canColor, columnsOf(rows, below), below))
}, Effect.asVoid)

/** One thing: a line for each of its members. */
export const one = Effect.fnUntraced(function*(row: Row) {
  const format = yield* Format
  const { canColor } = yield* TerminalCapabilities.TerminalCapabilities
  if (format !== "table") return yield* Console.log(stringify(jsonOf(row), format === "json" ? 2 : undefined))
  const width = Math.max(...Object.keys(row).map((name) => name.length))
  return yield* Console.log(
    Object.entries(row).map(([name, value]) => {
      const label = name.replaceAll("_", " ").padEnd(width)
      const text = textOf(value)
      return canColor ? `${painted(2, label)}  ${painted(colours[text], text)}` : `${label}  ${text}`
    }).join("\n")
  )
})

/** A long list, written as it comes. A table's columns are as wide as its first rows need. */
export const stream = Effect.fnUntraced(function*<E, R>(rows: Stream.Stream<Row, E, R>, none = "none") {
  const format = yield* Format
  const { canColor } = yield* TerminalCapabilities.TerminalCapabilities
  let written = 0
  let columns: ReadonlyArray<Column> = []
  yield* Stream.runForEachArray(rows, (chunk) => {
    const first = written === 0
    written += chunk.length
    if (format === "ndjson") return Console.log(chunk.map((row) => stringify(jsonOf(row))).join("\n"))
    if (format === "json") {
      return Console.log(
        chunk.map((row, index) => `${first && index === 0 ? "[" : ","}${stringify(jsonOf(row))}`).join("\n")
      )
    }
    if (first) columns = columnsOf(chunk)
    const table = tableOf(chunk, canColor, columns)
    return Console.log(first ? table : table.slice(table.indexOf("\n") + 1))
  })
  if (format === "json") yield* Console.log(written === 0 ? "[]" : "]")
  if (format === "table" && written === 0) yield* Console.log(none)
})

/** A sentence to a person: it is no result, and goes to stderr where a program reads the results. */
export const say = Effect.fnUntraced(function*(text: string) {
  return yield* (yield* Format) === "table" ? Console.log(text) : Console.error(text)
})

/** A value as it is, where the format is not a table. */
export const value = Effect.fnUntraced(function*(it: unknown) {
  yield* Console.log(stringify(it, (yield* Format) === "ndjson" ? undefined : 2))
})

const onlyWhereColoured = (code: number | undefined, text: string) =>
  Effect.map(TerminalCapabilities.TerminalCapabilities, ({ canColor }) => canColor ? painted(code, text) : text)

export const bold = (text: string) => onlyWhereColoured(1, text)

/** A text in the colour of a word. */
export const coloured = (word: "ok" | "warning" | "wrong", text: string) => onlyWhereColoured(colours[word], text)

/** How far long work is: over itself, on a terminal only. */
export const progress = (text: string) =>
  Effect.sync(() => {
    if (process.stderr.isTTY) process.stderr.write(`\r\u001b[K${text}`)
  })
