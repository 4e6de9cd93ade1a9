/**
 * What `Checks` promise: silence over books that are right, whatever is under way, and a violation for what is not. Here
 * it is messages that cannot be that make books wrong, which any adapter takes: a shard believes its messages. What the
 * checks of one shard find is in test/checks.
 */
import { expect, layer as suite } from "@effect/vitest"
import { Duration, Effect, type Layer, type Scope } from "effect"
import { acrossChecks, Checks, violationsOf } from "#domain/reconciliation/Checks.ts"
import type { Terms } from "#domain/transfer/TransferEvent.ts"
import {
  amount,
  asked,
  creditedBy,
  funded,
  heldBy,
  inOneProcess,
  map,
  newCurrency,
  opened,
  origin,
  type Ports,
  requestedBy,
  shards,
  terms,
  turn,
  World
} from "./World.ts"

const moving = { atRest: false, grace: Duration.hours(1) }
const atRest = { ...moving, atRest: true }

const run = (options: typeof moving) => Checks.use((checks) => checks.run(options))

const across = new Set(acrossChecks.map(({ name }) => name))

/** Which checks over all shards say something of a transfer, or of a currency. */
const saidOf = Effect.fnUntraced(function*(subject: string) {
  const said = yield* Effect.forEach(
    [moving, atRest],
    (options) =>
      Effect.map(
        run(options),
        (runs) =>
          violationsOf(runs).flatMap((violation) =>
            across.has(violation.check) && violation.subject.includes(subject) ? [violation.check] : []
          )
      )
  )
  expect(said[0]).toStrictEqual(said[1])
  return said[0]
})

/** A transfer from shard 0 to shard 1, of a currency of its own, held. */
const held = Effect.fnUntraced(function*() {
  const currency = newCurrency()
  const bank = yield* opened(0, { kind: "external", currency, normalSide: "debit", floor: null })
  const source = yield* opened(0, { currency })
  yield* turn(0, [requestedBy(yield* asked(terms(bank, source, 100n, currency)))])
  const of = yield* asked(terms(source, yield* opened(1, { currency }), 30n, currency))
  yield* turn(0, [requestedBy(of)])
  return of
})

const refusedBy = (of: Terms) => ({
  event: { type: "transfer.refused", ...of, reason: { code: "account_closed", detail: "it is closed" } },
  from: 1,
  origin
} as const)

export const checksLaws = <E>(name: string, world: Layer.Layer<World, E>) =>
  suite(world, { excludeTestServices: true, timeout: "2 minutes" })(name, (it) => {
    const law = <A, E2>(sentence: string, body: () => Effect.Effect<A, E2, Ports | World | Scope.Scope>) =>
      it.effect(sentence, () => inOneProcess(Effect.suspend(body)))

    law(
      "each check has a number and a name of its own, and is run on every shard or over all of them",
      () =>
        Effect.gen(function*() {
          const { all } = yield* Checks
          const numbers = all.map(({ number }) => number)
          expect(new Set(numbers).size).toBe(all.length)
          expect(new Set(all.map(({ name }) => name)).size).toBe(all.length)
          const runs = yield* run(moving)
          for (const check of all) {
            const where = runs.filter((each) => each.check.name === check.name).map(({ shard }) => shard)
            expect([[null], shards], check.name).toContainEqual(where)
          }
          expect(runs.every(({ check }) => numbers.includes(check.number))).toBe(true)
        })
    )

    law(
      "nothing is said of a transfer at any of its steps, and nothing is changed by looking",
      () =>
        Effect.gen(function*() {
          const { digest } = yield* World
          const of = yield* held()
          const steps = [Effect.void, turn(1, [heldBy(of)]), turn(0, [creditedBy(of)]), turn(1, [heldBy(of)])]
          for (const step of steps) {
            yield* step
            const before = yield* Effect.forEach(shards, digest)
            for (const options of [moving, atRest]) expect(violationsOf(yield* run(options))).toStrictEqual([])
            expect(yield* Effect.forEach(shards, digest)).toStrictEqual(before)
          }
          yield* funded(1, 10n)
          expect(violationsOf(yield* run(atRest))).toStrictEqual([])
        })
    )

    law(
      "a commit is found that no destination has credited, and what it leaves between the shards",
      () =>
        Effect.gen(function*() {
          const of = yield* held()
          yield* turn(0, [creditedBy(of)])
          expect(yield* saidOf(of.transfer)).toStrictEqual(["committed_transfers_were_credited"])
          expect(yield* saidOf(`0 → 1 ${of.currency}`)).toStrictEqual(["clearing_accounts_show_what_is_in_flight"])
        })
    )

    law(
      "a release is found that no destination has agreed to, and the credit that comes after it",
      () =>
        Effect.gen(function*() {
          const of = yield* held()
          yield* turn(0, [refusedBy(of)])
          expect(yield* saidOf(of.transfer)).toStrictEqual(["holds_are_released_only_after_a_refusal"])
          yield* turn(1, [heldBy(of)])
          expect(yield* saidOf(of.transfer)).toStrictEqual(["credited_transfers_are_held_or_committed"])
          expect(yield* saidOf(`0 → 1 ${of.currency}`)).toStrictEqual(["clearing_accounts_show_what_is_in_flight"])
        })
    )

    law(
      "a credit is found of a transfer that nobody asked for, and of another amount than was agreed",
      () =>
        Effect.gen(function*() {
          const of = yield* held()
          const unknown = terms(of.source, of.destination, 5n, of.currency)
          yield* turn(1, [heldBy(unknown)])
          expect(yield* saidOf(unknown.transfer)).toStrictEqual(["verdicts_are_on_known_transfers"])
          yield* turn(1, [heldBy({ ...of, amount: amount(40n) })])
          expect(yield* saidOf(of.transfer)).toStrictEqual(["verdicts_are_on_known_transfers"])
          expect(yield* saidOf(`0 → 1 ${of.currency}`)).toStrictEqual(["clearing_accounts_show_what_is_in_flight"])
        })
    )

    law("what is wrong on one shard is said of that shard", () =>
      Effect.gen(function*() {
        const of = yield* held()
        yield* turn(0, [creditedBy(of)])
        const found = violationsOf(yield* run(atRest)).filter(({ subject }) => subject === of.transfer)
        expect(found.map(({ shard }) => shard)).toStrictEqual([0])
        expect(map.homes).toContain(found[0]?.shard)
      }))
  })
