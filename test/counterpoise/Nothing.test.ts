/** Every command, where there is no platform, and where there is one that does not answer: its exit code, and nothing on stdout. */
import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import type { Command } from "effect/cli"
import { describe } from "vitest"
import { counterpoise } from "../../apps/counterpoise/Counterpoise.ts"
import { ask } from "./Asking.ts"

/** The least that each command must be told. */
const said: Readonly<Record<string, string>> = {
  "breaks show": "brk_0_1",
  "breaks resolve": "brk_0_1 --reason why",
  "parked show": "msg_1",
  "parked retry": "msg_1 --reason why",
  "parked discard": "msg_1 --reason why --yes",
  "accounts get": "anna",
  "accounts balance": "anna",
  "accounts statement": "anna",
  "transfers get": "trf_01KB0000000000000000000000",
  "transfers timeline": "trf_01KB0000000000000000000000",
  "transfers recall": "trf_01KB0000000000000000000000 --reason why",
  "transfers requeue": "trf_01KB0000000000000000000000 --reason why",
  "adjustments propose": "--source a --destination b --amount 1 --currency EUR --reason why",
  "adjustments approve": "adj_0_1 --reason why --yes",
  "shards recover": "--shard 0",
  "replay": "--shard 0",
  "relay republish": "--shard 0 --from 1 --reason why"
}

/** What tells of what does not answer, instead of failing with it. */
const tells: Readonly<Record<string, number>> = { doctor: 6, "shards list": 0 }

/** What asks for something else first: whose seals are trusted. */
const wants: Readonly<Record<string, number>> = { "ledger verify": 2 }

const namesOf = (command: Command.Command.Any, above = ""): ReadonlyArray<string> =>
  command.subcommands.flatMap(({ commands }) => commands).flatMap((each) => {
    const name = `${above}${each.name}`
    return each.subcommands.length === 0 ? [name] : namesOf(each, `${name} `)
  })

const names = namesOf(counterpoise)
const lineOf = (name: string) => `${name} ${said[name] ?? ""}`

const nobody = {
  SHARD_URLS: "postgres://nobody@127.0.0.1:1/nothing",
  EVENT_LOG_URL: "postgres://nobody@127.0.0.1:1/nothing",
  ADMIN_URL: "http://127.0.0.1:1",
  ADMIN_KEY: "key"
}

describe("where there is no platform", () => {
  it.effect.each(names)("%s ends with 2, and says what it looked for", (name) =>
    Effect.gen(function*() {
      const { code, err, out } = yield* ask(lineOf(name))
      expect({ code, out }).toEqual({ code: 2, out: "" })
      expect(err).toContain("/nowhere/stack.json")
    }))
})

describe("where nobody answers", () => {
  it.effect.each(names)("%s says so, and in JSON where it says it on stdout", (name) =>
    Effect.gen(function*() {
      const { code, err, out } = yield* ask(`${lineOf(name)} -o json`, nobody)
      expect(code).toBe(tells[name] ?? wants[name] ?? 1)
      if (name in tells) expect(JSON.parse(out)).not.toEqual([])
      else expect(out).toBe("")
      if (code !== 0) expect(err).toMatch(/^counterpoise: /m)
    }))
})

describe("what is said here to commands", () => {
  it("is said to those that there are", () => {
    expect([...Object.keys(said), ...Object.keys(tells), ...Object.keys(wants)].filter((name) => !names.includes(name)))
      .toEqual([])
  })
})
