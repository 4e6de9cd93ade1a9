/** The little of Markdown that the tests of the documents need: fenced blocks, links and tables. */
import { existsSync, readdirSync, readFileSync } from "node:fs"
import path from "node:path"

export const root = path.resolve(import.meta.dirname, "../..")

export const read = (file: string): string => readFileSync(path.join(root, file), "utf8")

/** Every Markdown file of the repository, by its path from the root. */
export const documents: ReadonlyArray<string> = [
  ...readdirSync(root),
  ...readdirSync(path.join(root, "docs"), { recursive: true, encoding: "utf8" }).map((name) => path.join("docs", name))
].filter((name) => name.endsWith(".md")).toSorted()

export interface Block {
  readonly language: string
  readonly text: string
  /** The line of the file on which the block's text begins, from 1. */
  readonly line: number
  /** The line above the fence. */
  readonly above: string
}

/** The fenced blocks of a text, in order. */
export const blocksOf = (text: string): ReadonlyArray<Block> => {
  const lines = text.split("\n")
  const blocks: Array<Block> = []
  for (let at = 0; at < lines.length; at++) {
    const language = /^```(\w*)$/.exec(lines[at] ?? "")?.[1]
    if (language === undefined) continue
    const end = lines.indexOf("```", at + 1)
    blocks.push({ language, text: lines.slice(at + 1, end).join("\n"), line: at + 2, above: lines[at - 1] ?? "" })
    at = end
  }
  return blocks
}

/** The text without its fenced blocks: where a link or a name is meant as one. */
export const proseOf = (text: string): string => text.replaceAll(/^```\w*\n[^]*?^```$/gm, "")

/** Links to files of the repository that lead nowhere, as `target in file`. */
export const brokenLinks = (file: string): ReadonlyArray<string> =>
  [...proseOf(read(file)).matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, target = ""]) => target)
    .filter((target) => !/^(https?|mailto):/.test(target))
    .filter((target) => {
      const [where = "", anchor] = target.split("#")
      const to = where === "" ? file : path.join(path.dirname(file), where)
      if (!existsSync(path.join(root, to))) return true
      return anchor !== undefined && to.endsWith(".md") && !anchorsOf(read(to)).has(anchor)
    })
    .map((target) => `${target} in ${file}`)

/** The headings of a text, as links to them are written. */
const anchorsOf = (text: string): ReadonlySet<string> =>
  new Set(
    [...proseOf(text).matchAll(/^#+ +(.+)$/gm)].map(([, heading = ""]) =>
      heading.toLowerCase().replaceAll(/[^\p{L}\p{N}\s_-]/gu, "").replaceAll(" ", "-")
    )
  )

/** The rows of the table that follows a line, cell by cell, without its head. */
export const tableAfter = (text: string, line: string): ReadonlyArray<ReadonlyArray<string>> => {
  const lines = text.split("\n")
  const begin = lines.indexOf(line) + 1
  if (begin === 0) throw new Error(`there is no line ${line}`)
  const end = lines.findIndex((each, index) => index > begin && !each.startsWith("|"))
  return lines.slice(begin, end).slice(2).map((row) => row.slice(1, -1).split("|").map((cell) => cell.trim()))
}
