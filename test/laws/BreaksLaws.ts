/** What every adapter of {@link Breaks} promises. */
import { expect, layer as suite } from "@effect/vitest"
import { Effect, type Layer, Option, type Scope } from "effect"
import { type BreakFinding, Breaks, decideBreaks } from "#domain/reconciliation/Breaks.ts"
import type { Run } from "#domain/reconciliation/Checks.ts"
import { inOneProcess, type Ports, type World } from "./World.ts"

const check = { name: "books_are_right", number: "I00", sentence: "They are.", severity: "critical" } as const

const run = (...violations: ReadonlyArray<{ readonly subject: string; readonly detail: string }>): Run => ({
  check,
  shard: 0,
  millis: 1,
  violations: violations.map((violation) => ({ check: check.name, shard: 0, ...violation }))
})

/** Writes down what a run on the first shard came to. */
const booked = Effect.fnUntraced(function*(...runs: ReadonlyArray<Run>) {
  const breaks = yield* Breaks
  const changes = decideBreaks(0, yield* breaks.standing(0), runs)
  const evidence = new Map(
    changes.open.map(({ subject }: BreakFinding) => [subject, [{ shard: 1, says: { of: subject } }]])
  )
  yield* breaks.record(0, changes, evidence)
})

const all = { status: null, severity: null }
const ben = { name: "ben", reason: "a test", requestId: "req_1" }

const lastOf = Effect.fnUntraced(function*(subject: string) {
  const breaks = yield* Breaks
  const found = (yield* breaks.list(0, all, 0n, 1_000)).findLast((one) => one.subject === subject)
  if (found === undefined) return yield* Effect.die(new Error(`nothing is wrong with ${subject}`))
  return found
})

const historyOf = Effect.fnUntraced(function*(subject: string) {
  const shown = yield* (yield* Breaks).show(yield* lastOf(subject))
  return Option.match(shown, { onNone: () => [], onSome: ({ history }) => history })
})

export const breaksLaws = <E>(name: string, world: Layer.Layer<World, E>) =>
  suite(world, { excludeTestServices: true, timeout: "2 minutes" })(name, (it) => {
    const law = <A, E2>(sentence: string, body: () => Effect.Effect<A, E2, Ports | World | Scope.Scope>) =>
      it.effect(sentence, () => inOneProcess(Effect.suspend(body)))

    law(
      "what is found is opened once, with its evidence, seen again, and closed when it is gone",
      () =>
        Effect.gen(function*() {
          const finding = { subject: "anna", detail: "off by 5" }
          for (let times = 0; times < 3; times++) yield* booked(run(finding))
          expect(yield* lastOf("anna")).toMatchObject({ status: "open", severity: "critical", timesSeen: 3 })
          yield* booked(run())
          const closed = yield* lastOf("anna")
          expect(closed.status).toBe("closed")
          expect(closed.closedAtMillis).not.toBe(null)
          expect((yield* historyOf("anna")).map(({ evidence, what }) => [what, evidence])).toEqual([
            ["opened", [{ shard: 1, says: { of: "anna" } }]],
            ["closed", []]
          ])
        })
    )

    law("what comes back is another break, and what changes says so", () =>
      Effect.gen(function*() {
        yield* booked(run({ subject: "bob", detail: "off by 5" }))
        const first = yield* lastOf("bob")
        yield* booked(run())
        yield* booked(run({ subject: "bob", detail: "off by 5" }))
        yield* booked(run({ subject: "bob", detail: "off by 6" }))
        const second = yield* lastOf("bob")
        expect(second.number).toBeGreaterThan(first.number)
        expect(second.detail).toBe("off by 6")
        expect((yield* historyOf("bob")).map(({ detail, what }) => `${what}: ${detail}`)).toEqual([
          "opened: off by 5",
          "changed: off by 6"
        ])
        yield* booked(run())
      }))

    law(
      "who explains it is kept; it stays explained until it is something else, and is explained once",
      () =>
        Effect.gen(function*() {
          const breaks = yield* Breaks
          yield* booked(run({ subject: "cyd", detail: "off by 5" }))
          const of = yield* lastOf("cyd")
          expect(yield* breaks.resolve(of, ben)).toBe(true)
          expect(yield* breaks.resolve(of, { ...ben, name: "ann" })).toBe(false)
          yield* booked(run({ subject: "cyd", detail: "off by 5" }))
          expect((yield* lastOf("cyd")).status).toBe("resolved")
          yield* booked(run({ subject: "cyd", detail: "off by 7" }))
          expect((yield* lastOf("cyd")).status).toBe("open")
          expect((yield* historyOf("cyd")).map(({ by, what }) => [what, by])).toEqual([
            ["opened", null],
            ["resolved", ben],
            ["reopened", null]
          ])
          yield* booked(run())
          expect(yield* Effect.flip(breaks.resolve(of, ben))).toMatchObject({ _tag: "BreakClosed" })
          expect(yield* Effect.flip(breaks.resolve({ shard: 0, number: 999_999n }, ben))).toMatchObject({
            _tag: "BreakNotFound"
          })
        })
    )

    law("what two reconcilers find at once is one break", () =>
      Effect.gen(function*() {
        const breaks = yield* Breaks
        const changes = decideBreaks(0, [], [run({ subject: "dan", detail: "off by 5" })])
        yield* Effect.all([breaks.record(0, changes, new Map()), breaks.record(0, changes, new Map())], {
          concurrency: 2
        })
        expect((yield* breaks.list(0, all, 0n, 1_000)).filter(({ subject }) => subject === "dan").length).toBe(1)
        yield* booked(run())
      }))

    law("they are listed by number, by status and by severity, in pages", () =>
      Effect.gen(function*() {
        const breaks = yield* Breaks
        yield* booked(run({ subject: "eve", detail: "a" }, { subject: "fay", detail: "b" }))
        const [eve, fay] = yield* breaks.list(0, { status: "open", severity: "critical" }, 0n, 2)
        expect([eve?.subject, fay?.subject]).toEqual(["eve", "fay"])
        expect((yield* breaks.list(0, { status: "open", severity: null }, eve?.number ?? 0n, 9)).length).toBe(1)
        expect(yield* breaks.list(0, { status: "open", severity: "warning" }, 0n, 9)).toEqual([])
        yield* booked(run())
      }))
  })
