/**
 * What every benchmark has in common: what it is called with, and what it hands back. A scenario is a file of its own and
 * a line in main.ts.
 */
import type { Effect, Scope } from "effect"
import type { ParseArgsConfig } from "node:util"

/** Values measured one after the other, in rounds. */
export interface Series {
  readonly name: string
  readonly unit: string
  readonly values: ReadonlyArray<number>
}

/** One series divided by another, round by round, and what it must at least be. */
export interface Ratio {
  readonly name: string
  readonly values: ReadonlyArray<number>
  readonly bar: number
}

export interface Measured {
  readonly configuration: Readonly<Record<string, string | number>>
  readonly series: ReadonlyArray<Series>
  readonly ratios: ReadonlyArray<Ratio>
  /** What must be said so that nobody misreads the numbers. */
  readonly notes: ReadonlyArray<string>
}

export interface Benchmark {
  readonly title: string
  /** Its options, as `node:util`'s parseArgs takes them; the last column of the usage says what each does. */
  readonly options: NonNullable<ParseArgsConfig["options"]>
  readonly usage: string
  readonly run: (
    options: Readonly<Record<string, unknown>>
  ) => Effect.Effect<Measured, { readonly message: string }, Scope.Scope>
}
