/**
 * The exhaustive check of the transfer protocol: every interleaving of a transfer's messages with duplicates, delays,
 * recalls and crashes, with the invariants held in every state reached.
 *
 * What is real: the decisions, the batch and what it asks to be read (libs/domain), and the reconciler's questions. What is
 * modelled: a shard's tables as values, and the network. A worker that dies before it commits leaves the state as it was
 * (and the check sees to it that deciding alone changes nothing); one that dies after it committed, before its place
 * moved, is a message that comes again. The real worker also drops what it has seen, by position; here it does not, so
 * the protocol is held to more than it will meet.
 */
import { afterAll, assert, describe, it } from "@effect/vitest"
import { Asks } from "#domain/ledger/Instruction.ts"
import { ended } from "#domain/transfer/Transfer.ts"
import { drawn, drawnEnds, lineOf, tableOf } from "./Drawing.ts"
import { type Configuration, configurations, destinationRestored, sourceRestored } from "./Scenarios.ts"
import type { Found, Report } from "./Search.ts"

const reports = new Map<Configuration, Report>()

const reportOf = (configuration: Configuration): Report => {
  const report = reports.get(configuration) ?? configuration.explore()
  reports.set(configuration, report)
  return report
}

const story = (found: ReadonlyArray<Found>): string =>
  found.map(({ detail, invariant, path }) => [`${invariant}: ${detail}`, ...path].join("\n    ")).join("\n")

const sorted = (lines: Iterable<string>): ReadonlyArray<string> => [...lines].toSorted()

const minute = 60_000

afterAll(() => {
  const rows = Array.from(
    reports,
    ([{ name }, { depth, resting, states, steps }]) => ({ name, states, steps, resting, depth })
  )
  const all = rows.reduce((sum, { states }) => sum + states, 0)
  console.log([
    `The exhaustive check visited ${all} states:`,
    ...rows.map(({ depth, name, resting, states, steps }) =>
      `${String(states).padStart(7)} states, ${String(steps).padStart(7)} steps, ${
        String(resting).padStart(5)
      } at rest, ` +
      `${String(depth).padStart(2)} deep: ${name}`
    )
  ].join("\n"))
})

describe("a transfer", () => {
  it.each(configurations)("keeps every promise in every state it can reach: $name", (configuration) => {
    const report = reportOf(configuration)
    assert.isEmpty(report.found, story(report.found))
    assert.deepStrictEqual(sorted(report.endings), sorted(configuration.endings))
    assert.isAbove(report.resting, 0)
    assert.strictEqual(report.stops, 0)
  }, minute)
})

describe("a shard that lost data", () => {
  it.each([
    ["what it ruled", destinationRestored],
    ["what it requested", sourceRestored]
  ])("stops the others when they hear that it forgot %s, and moves no money by guessing", (_, configuration) => {
    const report = reportOf(configuration)
    assert.isEmpty(report.found, story(report.found))
    assert.isAbove(report.stops, 0)
  }, minute)
})

describe("docs/transfer-states.md", () => {
  const seen = <A>(of: (report: Report) => Iterable<A>): ReadonlyArray<A> =>
    configurations.flatMap((configuration) => [...of(reportOf(configuration))])

  it("draws every change that was seen, and no other", () => {
    const arrows = new Set(seen(({ arrows }) => arrows.values()).map(lineOf))
    assert.deepStrictEqual(sorted(drawn.map(lineOf)), sorted(arrows))
  }, 2 * minute)

  it("lets a drawing end where a transfer or an account ends", () => {
    assert.deepStrictEqual(sorted(drawnEnds("On the source's shard")), sorted(ended))
    assert.deepStrictEqual(drawnEnds("The states of an account"), ["closed"])
    for (const { from } of drawn) assert.notInclude([...ended, "closed"], from)
  })

  it("names every answer that was given to an instruction, and no other", () => {
    const [, ...rows] = tableOf("How instructions are answered")
    const done = Asks.literals.map((asks) => `${asks}: done`)
    assert.deepStrictEqual(
      sorted([...done, ...rows.map(([asks, code]) => `${asks}: ${code}`)]),
      sorted(new Set(seen(({ answers }) => answers)))
    )
  }, 2 * minute)

  it("names what a reversal alone is rejected for", () => {
    const [, ...rows] = tableOf("Reversal")
    const ofAny = new Set(seen(({ rejections }) => rejections.ofTransfers))
    const ofReversals = new Set(seen(({ rejections }) => rejections.ofReversals))
    assert.deepStrictEqual(
      sorted(rows.map(([code = ""]) => code)),
      sorted([...ofReversals].filter((code) => !ofAny.has(code)))
    )
  }, 2 * minute)
})
