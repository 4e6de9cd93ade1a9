/** The events as they are published: the committed schemas and docs/kafka.md are those of the code. */
import { readdirSync } from "node:fs"
import path from "node:path"
import { describe, expect, it } from "vitest"
import { keyOf, type LedgerEvent } from "#domain/ledger/LedgerEvent.ts"
import { eventSchemas, types } from "./EventSchemas.ts"
import { read, root, tableAfter } from "./Markdown.ts"

const document = read("docs/kafka.md")

describe("docs/events", () => {
  it("has a schema for each event, and nothing else", () => {
    expect(readdirSync(path.join(root, "docs/events")).toSorted()).toEqual([...eventSchemas.keys()].toSorted())
  })

  it.each([...eventSchemas.keys()])("%s is as the code has it", (file) => {
    // A difference is mended by: node run.mjs test/docs/writeEventSchemas.ts
    expect(read(`docs/events/${file}`)).toBe(eventSchemas.get(file))
  })
})

describe("docs/kafka.md", () => {
  const rows = new Map(tableAfter(document, "<!-- events -->").map((row) => [row[0]?.replaceAll("`", ""), row]))

  it("lists each event", () => {
    expect([...rows.keys()].toSorted()).toEqual([...types].toSorted())
  })

  it.each(types)("knows the key of %s", (type) => {
    // Only the names of the accounts matter here.
    const named = type.startsWith("account.")
      ? { account: "account" }
      : { source: "source", destination: "destination" }
    const event = { type, ...named } as unknown as LedgerEvent
    expect(rows.get(type)?.[2]).toBe(keyOf(event))
    expect(rows.get(type)?.[3]).toBe(`[v1](events/${type}.v1.json)`)
  })

  it("lists the headers that are written", () => {
    const [, written = ""] = /const messageOf = [^]*?headers: \{([^]*?)\n\}\)/.exec(
      read("libs/infra/kafka/KafkaEventLog.ts")
    ) ?? []
    const names = [...written.matchAll(/(?:"([\w-]+)"|\b(ce_\w+|traceparent)): /g)].map(([, quoted, name]) =>
      quoted ?? name
    )
    expect(names.length).toBeGreaterThan(8)
    expect(tableAfter(document, "<!-- headers -->").map(([name]) => name?.replaceAll("`", ""))).toEqual(names)
  })
})
