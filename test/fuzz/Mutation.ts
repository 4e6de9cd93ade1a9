/** Texts that are made of other texts: changed by a character, cut, doubled, spliced, with a word put into them. */
import { readFileSync } from "node:fs"
import path from "node:path"
import { between, type Chance, oneOf } from "../support/Chance.ts"

/** Longer ones are not made. */
export const mostCharacters = 5_000

/** What trips over somewhere, whoever reads it. */
const everywhere: ReadonlyArray<string> = [
  "0",
  "-",
  "-0",
  "1e9",
  "9".repeat(38),
  "\"",
  "\\",
  "\\u0000",
  "\\ud800",
  "{\"a\":",
  "[",
  "]",
  "}",
  ",",
  ":",
  "null",
  "true",
  "\"__proto__\":",
  "\u0000",
  "\u2028",
  "\ufeff",
  "\ud83d",
  "٣",
  "%00",
  " "
]

const root = path.resolve(import.meta.dirname, "../..")
const quoted = /"(?:[^"\\\n]|\\.)*"/g
const member = /^\s*([A-Za-z_]+)\??: /gm

/** The words of a source: what it compares with, and what it names members. Prose and imports are none. */
export const wordsOf = (file: string): ReadonlyArray<string> => {
  const text = readFileSync(path.join(root, file), "utf8").replaceAll(
    /^import .*$|^\} from .*$|^\s*(?:\*|\/\/).*$/gm,
    ""
  )
  const literals = [...text.matchAll(quoted)].flatMap(([literal]): ReadonlyArray<string> => {
    try {
      return [JSON.parse(literal)]
    } catch {
      return []
    }
  })
  const members = [...text.matchAll(member)].map(([, name]) => `"${name}":`)
  return [...literals, ...members].filter((word) => word !== "" && word.length <= 40 && word.split(" ").length < 3)
}

/** Changes texts, by chance; `others` are what a text is spliced with. */
export const mutator = (chance: Chance, sources: ReadonlyArray<string>) => {
  const words = [...new Set([...everywhere, ...sources.flatMap(wordsOf)])]
  return (text: string, others: ReadonlyArray<string>): string => {
    let made = text
    // One thing at a time as often as not: a text that is nearly right is seldom better for more.
    const most = chance() < 0.5 ? 1 : 4
    for (let changes = between(chance, 1, most); changes > 0; changes--) made = changed(made, others, words, chance)
    return made.slice(0, mostCharacters)
  }
}

const changed = (text: string, others: ReadonlyArray<string>, words: ReadonlyArray<string>, chance: Chance): string => {
  const at = between(chance, 0, text.length)
  const to = between(chance, 0, text.length)
  const put = (what: string, insteadOf = 0) => text.slice(0, at) + what + text.slice(at + insteadOf)
  switch (between(chance, 0, 9)) {
    case 0:
      return put(String.fromCharCode(between(chance, 0x20, 0x7e)))
    case 1:
      return put(String.fromCharCode(between(chance, 0x20, 0x7e)), 1)
    case 2:
      return put(String.fromCharCode(between(chance, 0, 0xffff)), between(chance, 0, 1))
    case 3:
      return put(String.fromCharCode(text.charCodeAt(at) ^ (1 << between(chance, 0, 7))), 1)
    case 4:
      return put("", between(chance, 1, 4))
    case 5:
      return text.slice(0, at) + text.slice(to)
    case 6:
      return put(oneOf(chance, others).slice(to))
    case 7:
      return put(text.slice(Math.min(at, to), Math.max(at, to)))
    case 8:
      return put(oneOf(chance, words))
    default:
      return put(oneOf(chance, words), between(chance, 1, 12))
  }
}
