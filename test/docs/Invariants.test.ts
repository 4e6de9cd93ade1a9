/** docs/invariants.md lists every check that there is, by its number, its sentence and its file. */
import { readdirSync, readFileSync } from "node:fs"
import path from "node:path"
import { describe, expect, it } from "vitest"

const root = path.resolve(import.meta.dirname, "../..")
const page = readFileSync(path.join(root, "docs/invariants.md"), "utf8")
const checks = readdirSync(path.join(root, "sql/checks/shard"))

describe("docs/invariants.md", () => {
  it.each(checks)("lists %s with the sentence that the check begins with", (file) => {
    const comment = readFileSync(path.join(root, "sql/checks/shard", file), "utf8").split("\n")
      .filter((line) => line.startsWith("-- ")).map((line) => line.slice(3).trim()).join(" ")
    const [, number, sentence] = /^(I\d+) (.*?) A row is/.exec(comment) ?? []
    expect(page).toContain(`| ${number} | ${sentence} |`)
    expect(page).toContain(`sql/checks/shard/${file}`)
  })

  it("names the evidence that feeds the checks over all shards, as the files say themselves", () => {
    const files = readdirSync(path.join(root, "sql/checks/across"))
    const rows = page.split("\n").filter((line) => line.startsWith("| I"))
    const feeds = (file: string) =>
      rows.filter((row) => row.includes(`(../sql/checks/across/${file})`)).map((row) => row.slice(2, 5)).join(" ")
    for (const file of files) {
      const [, numbers] = /^-- Feeds ([I\d ]+)$/m.exec(
        readFileSync(path.join(root, "sql/checks/across", file), "utf8")
      ) ?? []
      expect([file, feeds(file)]).toEqual([file, numbers])
    }
    const named = [...page.matchAll(/\(\.\.\/sql\/checks\/across\/([\w.]+)\)/g)].map((match) => match[1] ?? "")
    expect(named.filter((file) => !files.includes(file))).toEqual([])
  })

  it("names no check that is not there, and no number twice", () => {
    const named = [...page.matchAll(/\(\.\.\/sql\/checks\/shard\/([\w.]+)\)/g)].map((match) => match[1])
    expect(named.toSorted()).toEqual(checks.toSorted())
    const numbers = [...page.matchAll(/^\| (I\d+) \|/gm)].map((match) => match[1])
    expect(new Set(numbers).size).toBe(numbers.length)
    const across = readFileSync(path.join(root, "libs/domain/reconciliation/Checks.ts"), "utf8")
    for (const [, number] of across.matchAll(/number: "(I\d+)"/g)) expect(numbers).toContain(number)
  })

  it("names only constraints and triggers that the schema has", () => {
    const schema = readdirSync(path.join(root, "sql/shard")).map((file) =>
      readFileSync(path.join(root, "sql/shard", file), "utf8")
    ).join("\n")
    const named = [...page.matchAll(/`((?:an?|entries|holds|events|only|held)_[a-z_0-9]+)`/g)].map((match) =>
      match[1] ?? ""
    )
    expect(named.length).toBeGreaterThan(15)
    expect(named.filter((name) => !schema.includes(name) && !across.includes(name))).toEqual([])
  })
})

const across = readFileSync(path.join(root, "libs/domain/reconciliation/Checks.ts"), "utf8")
