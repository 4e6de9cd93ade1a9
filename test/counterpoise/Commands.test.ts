/** What holds for every command: it explains itself, and the document lists it. */
import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import type { Command } from "effect/cli"
import { describe } from "vitest"
import { counterpoise } from "../../apps/counterpoise/Counterpoise.ts"
import { meanings } from "../../apps/counterpoise/ExitCode.ts"
import { read } from "../docs/Markdown.ts"
import { ask } from "./Asking.ts"

interface Leaf {
  readonly name: string
  readonly command: Command.Command.Any
}

const leavesOf = (command: Command.Command.Any, path: ReadonlyArray<string> = []): ReadonlyArray<Leaf> => {
  const below = command.subcommands.flatMap(({ commands }) => commands)
  const name = [...path, command.name]
  return below.length === 0 ? [{ name: name.join(" "), command }] : below.flatMap((each) => leavesOf(each, name))
}

const leaves = leavesOf(counterpoise)
const text = read("docs/operators.md")

describe("every command", () => {
  it("is in the table of docs/operators.md, and the table has no other", () => {
    const listed = [...text.matchAll(/^\| `(counterpoise(?: [a-z-]+)+)[^`]*` \|/gm)].map(([, name = ""]) => name)
    expect(listed.toSorted()).toEqual(leaves.map(({ name }) => name).toSorted())
  })

  it.effect.each(leaves)("$name explains itself, with an example", ({ command, name }) =>
    Effect.gen(function*() {
      expect(command.examples.length).toBeGreaterThan(0)
      for (const example of command.examples) expect(example.command).toContain(name)
      const { code, out } = yield* ask(`${name.replace("counterpoise ", "")} --help`)
      expect(code).toBe(0)
      expect(out).toContain("EXAMPLES")
      expect(out).toContain("--output, -o")
    }))

  it.effect.each(leaves)("$name refuses a flag that it does not know, with 2", ({ name }) =>
    Effect.gen(function*() {
      const { code, err } = yield* ask(`${name.replace("counterpoise ", "")} --surely-not`)
      expect(code).toBe(2)
      expect(err).toContain("--surely-not")
    }))
})

describe("the exit codes", () => {
  it("are the same in docs/operators.md", () => {
    for (const [code, meaning] of meanings) expect(text).toContain(`| ${code} | ${meaning} |`)
  })

  it.effect("are in the help", () =>
    Effect.gen(function*() {
      const { out } = yield* ask("--help")
      for (const [code, meaning] of meanings) expect(out).toContain(`${code}  ${meaning}`)
    }))

  it.effect("2: there is no such command, and a likely one is named", () =>
    Effect.gen(function*() {
      const { code, err } = yield* ask("shards lits")
      expect(code).toBe(2)
      expect(err).toContain("list")
    }))

  it.effect("2: nothing says which platform is meant", () =>
    Effect.gen(function*() {
      for (const line of ["doctor", "shards list", "migrate status"]) {
        const { code, err, out } = yield* ask(line)
        expect({ code, out }, line).toEqual({ code: 2, out: "" })
        expect(err).toContain("/nowhere/stack.json")
      }
    }))

  it.effect("2: a variable is wrong, and is named", () =>
    Effect.gen(function*() {
      const { code, err } = yield* ask("migrate status", { SHARD_URLS: "postgres://x", PARTITIONS: "many" })
      expect(code).toBe(2)
      expect(err).toContain("PARTITIONS")
    }))

  it.effect("1: no shard answers", () =>
    Effect.gen(function*() {
      const { code } = yield* ask("migrate status", { SHARD_URLS: "postgres://nobody@127.0.0.1:1/nothing" })
      expect(code).toBe(1)
    }))
})

describe("what cannot be taken back", () => {
  it.effect.each(["parked discard msg_1", "adjustments approve adj_0_1"])(
    "%s is done with --yes only, or tried",
    (line) =>
      Effect.gen(function*() {
        const { code, err } = yield* ask(`${line} --reason why`, { ADMIN_URL: "http://127.0.0.1:1", ADMIN_KEY: "key" })
        expect(code).toBe(2)
        expect(err).toContain("--yes")
        // With it, the API is asked; here nobody answers.
        const meant = yield* ask(`${line} --reason why --yes`, { ADMIN_URL: "http://127.0.0.1:1", ADMIN_KEY: "key" })
        expect(meant.code).toBe(1)
      })
  )
})
