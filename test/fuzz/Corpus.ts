/** What was kept of each target, in a file of its own: a text a line, as JSON. */
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import path from "node:path"

const fileOf = (target: string) => path.join(import.meta.dirname, "corpus", `${target.replaceAll(" ", "-")}.jsonl`)

export const read = (target: string): ReadonlyArray<string> => {
  const file = fileOf(target)
  if (!existsSync(file)) return []
  return readFileSync(file, "utf8").split("\n").filter((line) => line !== "").map((line): string => JSON.parse(line))
}

/** Writes it, the smallest first. */
export const write = (target: string, texts: ReadonlyArray<string>): void => {
  const lines = [...new Set(texts)].map((text) => JSON.stringify(text)).toSorted((one, other) =>
    one.length - other.length || (one < other ? -1 : 1)
  )
  writeFileSync(fileOf(target), lines.map((line) => `${line}\n`).join(""))
}
