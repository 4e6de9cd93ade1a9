/** The glossary binds the code: what it names is there, and type names of the domain are made of its words. */
import { readdirSync } from "node:fs"
import path from "node:path"
import { describe, expect, it } from "vitest"
import { read, root } from "./Markdown.ts"

const file = "docs/glossary.md"
const [terms = "", plain = ""] = read(file).split("\n## Plain words\n")

const rows = terms.split("\n").filter((line) => line.startsWith("| **")).map((line) => {
  const [word = "", meaning = "", where = ""] = line.slice(2, -2).split(" | ")
  return { word, meaning, where }
})

/** Singular, in small letters: `Leases` and `lease` are one word. */
const wordsOf = (text: string): ReadonlyArray<string> =>
  (text.replaceAll(/\*\*|'s\b/g, " ").match(/[A-Z]?[a-z]+/g) ?? [])
    .map((word) => word.toLowerCase().replace(/ies$/, "y").replace(/(?<![su])s$/, ""))

describe("the glossary", () => {
  it("gives one meaning to a word", () => {
    const words = rows.flatMap(({ word }) => [...word.matchAll(/\*\*([^*]+)\*\*/g)].map(([, each = ""]) => each))
    expect(words.length).toBeGreaterThan(50)
    expect(words.filter((word, index) => words.indexOf(word) !== index)).toEqual([])
    expect(rows.filter(({ meaning }) => !meaning.endsWith("."))).toEqual([])
  })

  it.each(rows.filter(({ where }) => !where.startsWith("nothing yet")))("$word is where it says", ({ where }) => {
    const places = [...where.matchAll(/((?:[^[\]]+))\[[^\]]+\]\(([^)]+)\)/g)]
    expect(places.length).toBeGreaterThan(0)
    for (const [, names = "", target = ""] of places) {
      const text = read(path.join("docs", target))
      for (const [, name = ""] of names.matchAll(/`([^`]+)`/g)) expect(text).toMatch(new RegExp(`\\b${name}\\b`))
    }
  })

  it("has every word of which the domain's types are named", () => {
    const known = new Set([...rows.flatMap(({ word }) => wordsOf(word)), ...wordsOf(plain)])
    const names = readdirSync(path.join(root, "libs/domain"), { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".ts"))
      .flatMap((name) =>
        [...read(path.join("libs/domain", name)).matchAll(/^export (?:class|interface|type) ([A-Z]\w+)/gm)]
          .map(([, each = ""]) => each)
      )
    expect(names.length).toBeGreaterThan(50)
    const unknown = [...new Set(names)].flatMap((name) =>
      wordsOf(name).filter((word) => !known.has(word)).map((word) => `${word} in ${name}`)
    )
    expect(unknown).toEqual([])
  })
})
