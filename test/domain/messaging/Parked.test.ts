/** What becomes of a record: told, kept waiting behind its key, or known already. */
import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import type { Delivered } from "#domain/messaging/EventLog.ts"
import { decide } from "#domain/messaging/Parked.ts"

const place = { partition: 1, next: 10n, seen: new Map([[0, 100n], [1, 7n]]) }

const record = (rest: Partial<Delivered> = {}): Delivered => ({
  partition: 1,
  offset: 10n,
  source: 0,
  position: 101n,
  key: "anna",
  type: "transfer.committed",
  subject: "trf",
  payload: "{}",
  occurredAtMillis: 0,
  traceparent: null,
  requestId: null,
  ...rest
})

describe("a record at a place", () => {
  it.each<
    readonly [
      why: string,
      record: Partial<Delivered>,
      parked: ReadonlyArray<string>,
      decided: "seen" | "wait" | "deliver"
    ]
  >([
    ["it is the next", {}, [], "deliver"],
    ["it is above what was seen, with gaps", { offset: 99n, position: 5_000n }, [], "deliver"],
    ["another shard is at another position", { source: 1, position: 8n }, [], "deliver"],
    ["a shard that was never heard of", { source: 2, position: 1n }, [], "deliver"],
    ["its offset is below the place", { offset: 9n }, [], "seen"],
    ["its position is the highest seen", { position: 100n }, [], "seen"],
    ["its position is below the highest seen", { source: 1, position: 3n }, ["anna"], "seen"],
    ["its key is parked", {}, ["ben", "anna"], "wait"],
    ["another key is parked", {}, ["ben"], "deliver"]
  ])("%s", (_, rest, parked, decided) => {
    assert.deepStrictEqual(decide(record(rest), place, new Set(parked)), Result.succeed(decided))
  })

  it.each<readonly [string, Partial<Delivered>]>([
    ["a key that is no account's", { key: "" }],
    ["a key of broken text", { key: "\ufffd\ufffd" }],
    ["a key of the platform's own", { key: "clearing:0:to:1:EUR" }],
    ["a character that cannot be kept in its payload", { payload: "{\u0000}" }],
    ["a character that cannot be kept in its subject", { subject: "\u0000" }],
    ["no time", { occurredAtMillis: Number.NaN }],
    ["a time after all times", { occurredAtMillis: 1e16 }]
  ])("is not decided about when it has %s", (_, rest) => {
    const decided = decide(record(rest), place, new Set())
    assert.isTrue(Result.isFailure(decided))
  })

  it("may have what nobody can read, if it was seen before", () => {
    assert.deepStrictEqual(decide(record({ key: "", position: 1n }), place, new Set()), Result.succeed("seen"))
  })
})
