/** The documents: what they link to exists, and nobody forgot to end a merge. */
import { describe, expect, it } from "vitest"
import { brokenLinks, documents, read } from "./Markdown.ts"

describe("the documents", () => {
  it.each(documents)("%s links only to what is there", (file) => {
    expect(brokenLinks(file)).toEqual([])
  })

  it.each(documents)("%s holds no marks of a merge", (file) => {
    expect(read(file)).not.toMatch(/^(<{7}|>{7}) /m)
  })
})
