/** Two reports of a benchmark, side by side. */
import { describe, expect, it } from "vitest"
import { compared } from "../../bench/Compare.ts"
import { json, type Report } from "../../bench/Report.ts"

const report = (rate: number, more: Partial<Report> = {}): Report => ({
  benchmark: "how fast",
  began: "2026-11-21T12:00:00.000Z",
  seconds: 1,
  machine: { commit: "abc1234", cores: 2, cpu: "a", memoryGiB: 24, node: "24", loadBefore: 0.5 },
  configuration: { accounts: 500 },
  series: [{ name: "settled", unit: "transfers/s", values: [rate - 1, rate, rate + 50] }],
  ratios: [],
  notes: [],
  ...more
})

describe("two reports", () => {
  it("are compared by their medians", () => {
    const lines = compared(json(report(100)), json(report(150))).split("\n")
    expect(lines.find((line) => line.startsWith("settled"))).toMatch(/ 100\.0 +150\.0 +transfers\/s +1\.50$/)
  })

  it("say in what their configurations differ, and what only one of them measured is left out", () => {
    const other = report(1, { configuration: { accounts: 9, log: "kafka" }, series: [], benchmark: "how slow" })
    const text = compared(json(report(100)), json(other))
    expect(text).not.toContain("settled")
    expect(text).toContain("Configured differently: accounts 500 and 9.")
    expect(text).toContain("Configured differently: log none and kafka.")
    expect(text).toContain("These are reports of different benchmarks.")
  })
})
