import { it } from "@effect/vitest"
import { Effect, Result } from "effect"
import { describe, expect } from "vitest"
import { inTurns } from "../../apps/api/http/Turns.ts"

const thousand = Array.from({ length: 1000 }, (_, index) => index)

describe("work in turns", () => {
  it.live("lets the event loop turn again and again", () =>
    Effect.gen(function*() {
      let turns = 0
      let over = false
      const turn = () => {
        turns++
        if (!over) setImmediate(turn)
      }
      setImmediate(turn)
      yield* inTurns(thousand, (item) => Result.succeed(item))
      over = true
      expect(turns).toBeGreaterThanOrEqual(10)
    }))

  it.live("gives each item's result in the order of the items", () =>
    Effect.gen(function*() {
      const done = yield* inTurns(thousand, (item, index) => Result.succeed(item + index))
      expect(done).toStrictEqual(thousand.map((item) => 2 * item))
    }))

  it.live("ends at the first failure, and looks at nothing after it", () =>
    Effect.gen(function*() {
      const seen: Array<number> = []
      const failure = yield* Effect.flip(inTurns(thousand, (item) => {
        seen.push(item)
        return item === 500 ? Result.fail("half") : Result.succeed(item)
      }))
      expect([failure, seen.length]).toStrictEqual(["half", 501])
    }))
})
