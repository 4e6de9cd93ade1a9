/** The documents: what they link to exists. */
import { describe, expect, it } from "vitest"
import { brokenLinks, documents } from "./Markdown.ts"

describe("the documents", () => {
  it.each(documents)("%s links only to what is there", (file) => {
    expect(brokenLinks(file)).toEqual([])
  })
})
