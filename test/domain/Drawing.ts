/** Reads docs/transfer-states.md: its drawings and its tables, so that tests can hold the protocol to what is written. */
import { readFileSync } from "node:fs"
import type { Arrow } from "./Search.ts"

const text = readFileSync(new URL("../../docs/transfer-states.md", import.meta.url), "utf8")

const section = (heading: string): string => {
  const found = text.split(/^## /m).find((part) => part.startsWith(heading))
  if (found === undefined) throw new Error(`docs/transfer-states.md has no section "${heading}"`)
  return found
}

const arrow = /^ *(\S+) --> (\S+): (.+) \/ (.+)$/gm

/** The arrows of the drawing in a section. */
const arrowsOf = (of: Arrow["of"], heading: string): ReadonlyArray<Arrow> =>
  Array.from(section(heading).matchAll(arrow), ([, from = "", to = "", message = "", told = ""]) => ({
    of,
    from,
    to,
    message,
    told
  }))

/** All that is drawn, but for how a transfer or an account begins: that is not a message. */
export const drawn: ReadonlyArray<Arrow> = [
  ...arrowsOf("transfer", "On the source's shard"),
  ...arrowsOf("verdict", "On the destination's shard"),
  ...arrowsOf("account", "The states of an account")
].filter(({ message }) => message !== "the client asks")

/** States at the end of which the drawing in a section ends. */
export const drawnEnds = (heading: string): ReadonlyArray<string> =>
  Array.from(section(heading).matchAll(/^ *(\S+) --> \[\*\]$/gm), ([, state = ""]) => state)

/** The rows of the table in a section, cell by cell, the heading first. */
export const tableOf = (heading: string): ReadonlyArray<ReadonlyArray<string>> =>
  section(heading)
    .split("\n")
    .filter((line) => line.startsWith("|") && !line.startsWith("|---"))
    .map((line) => line.slice(1, -1).split("|").map((cell) => cell.replaceAll("`", "").trim()))

export const lineOf = ({ from, message, of, to, told }: Arrow): string =>
  `${of} ${from} --> ${to}: ${message} / ${told}`
