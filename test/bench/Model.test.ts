import { describe, expect, it } from "vitest"
import { type Costs, needs } from "../../bench/model/Model.ts"

const costs: Costs = {
  intake: { node: 200, postgres: 100 },
  within: { node: 60, postgres: 90 },
  across: { node: 140, postgres: 230 },
  bytes: 4_000,
  recordBytes: 400,
  idle: 10_000
}
const platform = { shards: 10, rate: 1_000, across: 0.5, processes: 2 }
const value = (name: string, of = platform) => needs(of, costs).find((each) => each.name === name)?.value

describe("what many shards would need", () => {
  it("is for each transfer what it costs, half of them across", () => {
    expect(value("API")).toBeCloseTo(0.2)
    expect(value("relay and ledger")).toBeCloseTo(0.1)
    expect(value("PostgreSQL")).toBeCloseTo(0.26)
    expect(value("event log")).toBe(3_000)
  })

  it("grows with the shards where each shard costs something by itself, and with their pairs where they look at each other", () => {
    const twice = { ...platform, shards: 20 }
    expect(value("API", twice)).toBe(value("API"))
    expect(value("what an idle platform takes", twice)).toBeCloseTo(0.2)
    expect(value("looks at each other when all start")).toBe(2 * 4 * 90)
    expect(value("looks at each other when all start", twice)).toBe(2 * 4 * 380)
  })
})
