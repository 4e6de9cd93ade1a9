/** What takes texts from outside keeps what is promised of it; and the fuzzer that says so finds what it should. */
import { describe, expect, it } from "@effect/vitest"
import { execFile } from "node:child_process"
import path from "node:path"
import * as Corpus from "./Corpus.ts"
import { shrunk, tried } from "./Guided.ts"
import { wordsOf } from "./Mutation.ts"
import { targets } from "./Targets.ts"

interface Line {
  readonly target: string
  readonly tries: number
  readonly taken: number
  readonly broken?: { readonly text: string; readonly why: string }
}

/** The fuzzer runs in a process of its own: coverage slows down all that is in it. */
const fuzzer = (...args: ReadonlyArray<string>): Promise<ReadonlyArray<Line>> => {
  const { promise, resolve } = Promise.withResolvers<ReadonlyArray<Line>>()
  execFile(process.execPath, [path.join(import.meta.dirname, "main.ts"), ...args], (_, said) => {
    resolve(said.split("\n").filter((line) => line !== "").map((line): Line => JSON.parse(line)))
  })
  return promise
}

describe("what takes texts from outside", () => {
  for (const target of targets) {
    const texts = [...target.seeds, ...Corpus.read(target.name)]
    it(`${target.name}: keeps what is promised, for the ${texts.length} texts of its corpus`, () => {
      const results = texts.map((text) => tried(target, text))
      expect(results.filter((result) => typeof result === "object")).toEqual([])
      expect(results).toContain(true)
      expect(results).toContain(false)
    })
  }

  it("keeps it for texts that nobody would think of", async () => {
    const lines = await fuzzer("--tries", "300", "--seed", "1")
    expect(lines.map(({ target }) => target)).toEqual(targets.map(({ name }) => name))
    for (const { broken, target, tries } of lines) {
      expect([target, broken]).toEqual([target, undefined])
      expect(tries).toBeGreaterThanOrEqual(300)
    }
  })
})

describe("the fuzzer", () => {
  it("is led by coverage to a bug behind six conditions, which as many texts without it do not find", async () => {
    const [[guided], [blind]] = await Promise.all([
      fuzzer("--planted", "--tries", "100000", "--seed", "5"),
      fuzzer("--planted", "--tries", "100000", "--seed", "5", "--blind")
    ])
    expect(guided?.broken).toEqual({ text: "c?7~Q+", why: "Error: the planted bug" })
    expect(blind?.tries).toBeGreaterThanOrEqual(100_000)
    expect(blind?.broken).toBeUndefined()
  })

  it("takes what it puts into texts from the sources of what it tries", () => {
    const words = wordsOf("libs/domain/transfer/TransferEvent.ts")
    expect(words).toEqual(expect.arrayContaining(["transfer.recalled", "manual", "\"destination\":"]))
    expect(words).not.toContain("effect")
  })

  it("finds what takes long, and not what only waited for the processor", () => {
    const busy = {
      attempt: () => {
        const before = process.threadCpuUsage()
        while (process.threadCpuUsage(before).user < 5_000);
        return true
      }
    }
    expect(tried(busy, "x", 1)).toEqual({ text: "x", why: "took more than 1 ms" })
    expect(tried({ attempt: () => true }, "x")).toBe(true)
  })

  it("makes a text as small as it can be", () => {
    expect(shrunk("all that is not needed, and the needle in it", (text) => text.includes("needle"))).toBe("needle")
  })
})
