/** The operators' command asked in this process: what it says, and its exit code. */
import { Effect } from "effect"
import { TerminalCapabilities } from "effect/cli"
import { TestConsole } from "effect/testing"
import { Redacted } from "effect"
import { run } from "../../apps/counterpoise/Counterpoise.ts"
import type { TestShards } from "../support/TestPostgres.ts"

export interface Said {
  readonly code: number
  readonly out: string
  readonly err: string
}

/** Where nothing runs: no stack.json is found there. */
export const nowhere = { COUNTERPOISE_DATA: "/nowhere" }

/** Runs `counterpoise <line>`; an argument with spaces stands in double quotes. */
export const ask = (line: string, environment: Readonly<Record<string, string>> = {}): Effect.Effect<Said> => {
  const args = [...line.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, word]) => quoted ?? word ?? "")
  return Effect.gen(function*() {
    const code = yield* run(args, { ...nowhere, ...environment })
    const lines = yield* TestConsole.logLines
    const errors = yield* TestConsole.errorLines
    return { code, out: lines.join("\n"), err: errors.join("\n") }
  }).pipe(
    Effect.provide(TestConsole.layer, { local: true }),
    Effect.provideService(TerminalCapabilities.TerminalCapabilities, {
      canAnimate: false,
      canColor: false,
      canPrompt: false
    })
  )
}

/** What it said as JSON. */
export const json = ({ out }: Said): unknown => JSON.parse(out)

/** The variables that name databases of a test. */
export const variablesOf = (shards: TestShards, log?: Redacted.Redacted<string>): Record<string, string> => ({
  SHARD_URLS: shards.urls.map(Redacted.value).join(","),
  PARTITIONS: String(shards.map.partitions),
  ...(log === undefined ? {} : { EVENT_LOG_URL: Redacted.value(log) })
})
