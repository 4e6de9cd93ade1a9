import process from "node:process"
import { describe, expect, it } from "vitest"
import * as TransferId from "#domain/transfer/TransferId.ts"
import { random } from "#infra/Entropy.ts"

describe("chance", () => {
  it("is a number from 0 up to, but never, 1", () => {
    const drawn = Array.from({ length: 100_000 }, random)
    expect(drawn.every((number) => number >= 0 && number < 1)).toBe(true)
    expect(new Set(drawn).size).toBeGreaterThan(99_900)
  })

  it("spreads evenly over the characters of an id", () => {
    const draws = 320_000
    const counts = Array.from({ length: 32 }, () => 0)
    for (let at = 0; at < draws; at++) {
      const character = Math.floor(random() * 32)
      counts[character] = (counts[character] ?? 0) + 1
    }
    const expected = draws / 32
    const chiSquared = counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0)
    // 31 degrees of freedom: beyond 90 lies less than one in ten million.
    expect(chiSquared).toBeLessThan(90)
  })

  it("makes ids far faster than requests come", () => {
    const made = 50_000
    const begun = process.cpuUsage()
    const ids = new Set(Array.from({ length: made }, (_, at) => TransferId.make(1_763_717_460_000, at % 64, random)))
    const { user, system } = process.cpuUsage(begun)
    const perSecond = made / ((user + system) / 1_000_000)
    expect(ids.size).toBe(made)
    // Of processor time: 300,000 to 570,000 a second were measured; a machine that others use is no slower by that.
    expect(perSecond).toBeGreaterThan(50_000)
  })
})
