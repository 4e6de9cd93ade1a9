/** The order in which a timeline tells what several shards hold. */
import { describe, expect, it } from "@effect/vitest"
import { timelineOf } from "#domain/audit/Timeline.ts"
import type { Trace, TracedEntry, TracedEvent } from "#domain/audit/Trace.ts"
import { Currency } from "#domain/money/Currency.ts"

const event = (position: number, type: string, occurredAtMillis: number): TracedEvent => ({
  position: BigInt(position),
  type: `transfer.${type}`,
  event: null,
  payload: "{}",
  requestId: null,
  traceparent: null,
  occurredAtMillis
})

const entry = (step: TracedEntry["step"]): TracedEntry => ({
  account: "ann",
  sequence: 1n,
  transfer: "trf_1",
  step,
  direction: "DEBIT",
  amount: 5n,
  currency: Currency.make("EUR"),
  posted: -5n,
  createdAtMillis: 0
})

const trace = (shard: number, events: ReadonlyArray<TracedEvent>, entries: ReadonlyArray<TracedEntry> = []): Trace => ({
  shard,
  events,
  entries,
  keys: []
})

const types = (traces: ReadonlyArray<Trace>) =>
  timelineOf(traces).steps.map(({ type }) => type.replace("transfer.", ""))

const journey = ["requested", "held", "credited", "committed"]

describe("the timeline of a transfer", () => {
  it("merges the logs of two shards by time", () => {
    const source = trace(0, [event(1, "requested", 10), event(2, "held", 20), event(9, "committed", 40)])
    const destination = trace(1, [event(5, "credited", 30)])
    expect(types([source, destination])).toEqual(journey)
    expect(types([destination, source])).toEqual(journey)
    expect(timelineOf([source, destination]).steps.map(({ sincePreviousMillis }) => sincePreviousMillis))
      .toEqual([null, 10, 10, 10])
  })

  it.each([-10_000, -15, 15, 10_000])(
    "tells no answer before its question, though the other shard's clock is %i ms off",
    (skew) => {
      const source = trace(0, [event(1, "requested", 10), event(2, "held", 20), event(9, "committed", 40)])
      const destination = trace(1, [event(5, "credited", 30 + skew)])
      expect(types([destination, source])).toEqual(journey)
      const recalled = trace(0, [
        event(1, "requested", 10),
        event(2, "held", 20),
        event(3, "recalled", 25),
        event(4, "cancelled", 40)
      ])
      const refused = trace(1, [event(5, "refused", 30 + skew), event(6, "refused", 31 + skew)])
      const told = types([refused, recalled])
      expect(told.indexOf("refused")).toBeGreaterThan(told.indexOf("held"))
      expect(told.indexOf("cancelled")).toBeGreaterThan(told.indexOf("refused"))
    }
  )

  it("tells what contradicts the protocol all the same", () => {
    const source = trace(0, [event(1, "committed", 10), event(2, "requested", 20)])
    const destination = trace(1, [event(1, "credited", 30)])
    expect(types([source, destination]).toSorted()).toEqual(["committed", "credited", "requested"])
  })

  it("gives each step the entries that were written with it, and names those that no event tells of", () => {
    const source = trace(0, [event(1, "requested", 10), event(2, "held", 20), event(3, "committed", 40)], [
      entry("commit")
    ])
    const destination = trace(1, [event(5, "credited", 30)], [entry("credit")])
    const { steps, untold } = timelineOf([source, destination])
    expect(steps.map(({ entries }) => entries.map(({ step }) => step))).toEqual([[], [], ["credit"], ["commit"]])
    expect(untold).toEqual([])
    expect(timelineOf([trace(0, [event(1, "requested", 10)], [entry("commit")])]).untold).toHaveLength(1)
  })
})
