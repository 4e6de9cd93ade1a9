/** What `Shards.transact` promises: all or nothing, seen by nobody before, and seen by everybody after. */
import { expect, layer as suite } from "@effect/vitest"
import { Deferred, Effect, Fiber, type Layer, Schema } from "effect"
import { ConsumerPositions } from "#domain/messaging/ConsumerPositions.ts"
import { Ledger } from "#domain/ledger/Ledger.ts"
import { Leases } from "#domain/sharding/Leases.ts"
import {
  accountNow,
  as,
  asked,
  decided,
  endOfLog,
  failing,
  funded,
  inOneProcess,
  know,
  loggedAfter,
  nothing,
  opened,
  partitionOn,
  readFor,
  requestedBy,
  terms,
  transact,
  turn,
  World,
  write
} from "./World.ts"

class Changed extends Schema.TaggedError<Changed>()("Changed", { mind: Schema.String }) {}

/** Everything that a transaction can write: entries, a verdict, a status, an event, a place; then something else. */
const workThat = <A, E, R>(ends: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const [alice, bob] = [yield* funded(0, 100n), yield* opened(0)]
    const messages = [requestedBy(yield* asked(terms(alice, bob, 30n)))]
    const leases = yield* Leases
    const lease = yield* Effect.acquireRelease(
      Effect.flatMap(leases.acquire(0, "ledger"), Effect.fromOption),
      (lease) => Effect.ignore(leases.release(lease))
    )
    const work = Effect.gen(function*() {
      const positions = yield* ConsumerPositions
      const [was] = yield* positions.load("log", [partitionOn(0)])
      if (was === undefined) return yield* Effect.die("no place")
      yield* positions.advance("log", lease.epoch, [{ was, now: { ...was, next: was.next + 1n } }])
      yield* write(decided(0, yield* readFor(0, messages), messages))
      return yield* ends
    })
    return { alice, bob, work: transact(0, work) }
  })

export const shardsLaws = <E>(name: string, world: Layer.Layer<World, E>) =>
  suite(world, { excludeTestServices: true, timeout: "2 minutes" })(name, (it) => {
    it.effect("writes all of a transaction that succeeds, and answers what it answered", () =>
      inOneProcess(Effect.gen(function*() {
        const { alice, bob, work } = yield* workThat(Effect.succeed("done"))
        const end = yield* endOfLog(0)
        expect(yield* work).toBe("done")
        expect((yield* accountNow(alice)).balance).toMatchObject({ posted: 70n, sequence: 2n })
        expect((yield* accountNow(bob)).balance).toMatchObject({ posted: 30n, sequence: 1n })
        expect((yield* loggedAfter(0, end)).map(({ type }) => type)).toEqual(["transfer.committed"])
      })))

    it.effect("leaves no trace of a transaction that fails, and fails as it failed", () =>
      inOneProcess(Effect.gen(function*() {
        const { work } = yield* workThat(Effect.fail(Changed.make({ mind: "no" })))
        expect(yield* failing(work)).toMatchObject({ error: { _tag: "Changed", mind: "no" }, left: "no trace" })
      })))

    it.effect("leaves no trace of a transaction that dies, and dies as it died", () =>
      inOneProcess(Effect.gen(function*() {
        const { work } = yield* workThat(Effect.die("a bug"))
        expect(yield* failing(work)).toMatchObject({ defect: "a bug", left: "no trace" })
      })))

    it.effect("leaves no trace of a transaction that was given up", () =>
      inOneProcess(Effect.gen(function*() {
        const hasWritten = yield* Deferred.make<void>()
        const { work } = yield* workThat(Effect.andThen(Deferred.succeed(hasWritten, undefined), Effect.never))
        const { left } = yield* failing(Effect.gen(function*() {
          const working = yield* Effect.forkChild(work)
          yield* Deferred.await(hasWritten)
          yield* Fiber.interrupt(working)
        }))
        expect(left).toBe("no trace")
      })))

    it.effect("shows nothing of a transaction to anybody else before it is committed, and all of it to itself", () =>
      Effect.gen(function*() {
        const { process } = yield* World
        const [ours, theirs] = [yield* process(), yield* process()]
        const [hasWritten, mayEnd] = [yield* Deferred.make<bigint>(), yield* Deferred.make<void>()]
        const { alice, work } = yield* as(
          ours,
          Effect.gen(function*() {
            const alice = yield* funded(0, 100n)
            const messages = [requestedBy(yield* asked(terms(alice, yield* opened(0), 30n)))]
            const work = transact(
              0,
              Effect.gen(function*() {
                yield* write(decided(0, yield* readFor(0, messages), messages))
                const seen = yield* Ledger.use((ledger) => ledger.read({ ...nothing, accounts: new Set([alice]) }))
                yield* Deferred.succeed(hasWritten, seen.accounts.get(alice)?.balance.posted ?? 0n)
                yield* Deferred.await(mayEnd)
              })
            )
            return { alice, work }
          })
        )
        const working = yield* Effect.forkChild(as(ours, work))
        expect(yield* Deferred.await(hasWritten)).toBe(70n)
        expect((yield* as(theirs, accountNow(alice))).balance.posted).toBe(100n)
        yield* Deferred.succeed(mayEnd, undefined)
        yield* Fiber.join(working)
        expect((yield* as(theirs, accountNow(alice))).balance.posted).toBe(70n)
      }))

    it.effect("sees what was committed before each of its statements", () =>
      Effect.gen(function*() {
        const { process } = yield* World
        const [ours, theirs] = [yield* process(), yield* process()]
        const alice = yield* as(ours, funded(0, 100n))
        const read = Effect.map(
          Ledger.use((ledger) => ledger.read({ ...nothing, accounts: new Set([alice]) })),
          ({ accounts }) => accounts.get(alice)?.balance.posted
        )
        const spend = as(
          theirs,
          Effect.gen(function*() {
            yield* turn(0, [requestedBy(yield* asked(terms(alice, yield* opened(0), 1n)))])
          })
        )
        const [before, after] = yield* as(
          ours,
          transact(
            0,
            Effect.gen(function*() {
              const before = yield* read
              yield* spend
              return [before, yield* read]
            })
          )
        )
        expect([before, after]).toEqual([100n, 99n])
      }))

    it.effect("keeps shards apart: a transaction on one writes nothing on another", () =>
      inOneProcess(Effect.gen(function*() {
        const { digest } = yield* World
        const before = yield* digest(1)
        yield* (yield* workThat(Effect.void)).work
        expect(yield* digest(1)).toBe(before)
        expect((yield* know(1, {})).accounts.size).toBe(0)
      })))
  })
