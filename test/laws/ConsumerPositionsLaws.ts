/**
 * What `ConsumerPositions` promise: a place moves from where it is, by who holds the lease, with the effects of what was
 * read or not at all; and whoever takes over sees where it came to.
 */
import { expect, layer as suite } from "@effect/vitest"
import { type Context, Deferred, Effect, Fiber, type Layer, type Scope } from "effect"
import { ConsumerPositions, type Place } from "#domain/messaging/ConsumerPositions.ts"
import { Leases } from "#domain/sharding/Leases.ts"
import {
  accountNow,
  as,
  asked,
  decided,
  failing,
  funded,
  inOneProcess,
  opened,
  partitionOn,
  type Ports,
  readFor,
  requestedBy,
  terms,
  transact,
  World,
  write
} from "./World.ts"

let logs = 0

/** An event log that nobody has read. */
const newLog = () => `log ${++logs}`

const load = (log: string, partitions: ReadonlyArray<number>) =>
  transact(0, ConsumerPositions.use((positions) => positions.load(log, partitions)))

/** What can be said of a place by its numbers: of a source never seen, the highest position seen is 0. */
const numbersOf = ({ next, partition, seen }: Place) => [partition, next, seen.get(0) ?? 0n, seen.get(1) ?? 0n]

const placeOf = Effect.fnUntraced(function*(log: string, partition: number) {
  const [place] = yield* load(log, [partition])
  return place ?? (yield* Effect.die(new Error("no place")))
})

/** The ledger's lease of shard 0, given back at the end of the law. */
const lease = Effect.gen(function*() {
  const leases = yield* Leases
  return yield* Effect.acquireRelease(
    Effect.flatMap(leases.acquire(0, "ledger"), Effect.fromOption),
    (lease) => Effect.ignore(leases.release(lease))
  )
})

const moved = (was: Place, by: bigint, seen: Place["seen"] = was.seen) => ({
  was,
  now: { ...was, next: was.next + by, seen }
})

type Move = ReturnType<typeof moved>

const advance = (log: string, epoch: bigint, ...moves: ReadonlyArray<Move>) =>
  ConsumerPositions.use((positions) => positions.advance(log, epoch, moves))

export const consumerPositionsLaws = <E>(name: string, world: Layer.Layer<World, E>) =>
  suite(world, { excludeTestServices: true, timeout: "2 minutes" })(name, (it) => {
    const law = <A, E2>(sentence: string, body: () => Effect.Effect<A, E2, Ports | World | Scope.Scope>) =>
      it.effect(sentence, () => inOneProcess(Effect.suspend(body)))

    law("begin every partition at offset 0 in a log never read", () =>
      Effect.gen(function*() {
        const places = yield* load(newLog(), [3, 1, 2])
        expect(new Map(places.map((place) => [place.partition, numbersOf(place).slice(1)]))).toEqual(
          new Map([1, 2, 3].map((partition) => [partition, [0n, 0n, 0n]]))
        )
      }))

    law("are found where they were moved to, with what was seen of each source", () =>
      Effect.gen(function*() {
        const [log, [one, two]] = [newLog(), [partitionOn(0), partitionOn(0)]] as const
        const { epoch } = yield* lease
        const [first, second] = [yield* placeOf(log, one), yield* placeOf(log, two)]
        yield* transact(
          0,
          advance(log, epoch, moved(first, 7n, new Map([[0, 12n], [1, 2n ** 60n]])), moved(second, 1n))
        )
        yield* transact(0, advance(log, epoch, moved(yield* placeOf(log, two), 2n ** 60n, new Map([[1, 5n]]))))
        expect(numbersOf(yield* placeOf(log, one))).toEqual([one, 7n, 12n, 2n ** 60n])
        expect(numbersOf(yield* placeOf(log, two))).toEqual([two, 2n ** 60n + 1n, second.seen.get(0) ?? 0n, 5n])
      }))

    law(
      "begin anew in another log, and keep what was seen: a log that is published again is not applied again",
      () =>
        Effect.gen(function*() {
          const [log, partition] = [newLog(), partitionOn(0)]
          const { epoch } = yield* lease
          yield* transact(
            0,
            advance(log, epoch, moved(yield* placeOf(log, partition), 7n, new Map([[0, 9n], [1, 11n]])))
          )
          expect(numbersOf(yield* placeOf(newLog(), partition))).toEqual([partition, 0n, 9n, 11n])
        })
    )

    law("move only from where they are, all of them or none", () =>
      Effect.gen(function*() {
        const [log, [one, two]] = [newLog(), [partitionOn(0), partitionOn(0)]] as const
        const { epoch } = yield* lease
        const [first, second] = [yield* placeOf(log, one), yield* placeOf(log, two)]
        yield* transact(0, advance(log, epoch, moved(second, 3n)))
        const stale = transact(0, advance(log, epoch, moved(first, 1n), moved(second, 1n)))
        expect(yield* failing(stale)).toMatchObject({ error: { _tag: "StaleOwner", shard: 0 }, left: "no trace" })
      }))

    law("do not move in a log that they were not loaded for", () =>
      Effect.gen(function*() {
        const [log, partition] = [newLog(), partitionOn(0)]
        const { epoch } = yield* lease
        const place = yield* placeOf(log, partition)
        yield* load(newLog(), [partition])
        const stale = transact(0, advance(log, epoch, moved(place, 1n)))
        expect(yield* failing(stale)).toMatchObject({ error: { _tag: "StaleOwner" }, left: "no trace" })
      }))

    it.effect("move only under the lease of today: an epoch before it moves nothing, whatever it has read", () =>
      Effect.gen(function*() {
        const { process } = yield* World
        const [ours, theirs] = [yield* process(), yield* process()]
        const [log, partition] = [newLog(), partitionOn(0)]
        const former = yield* as(ours, Effect.scoped(lease))
        const { epoch } = yield* as(theirs, lease)
        const place = yield* as(ours, placeOf(log, partition))
        for (const wrong of [former.epoch, epoch + 1n, 0n]) {
          const stale = as(ours, transact(0, advance(log, wrong, moved(place, 1n))))
          expect(yield* failing(stale)).toMatchObject({ error: { _tag: "StaleOwner", shard: 0 }, left: "no trace" })
        }
        yield* as(theirs, transact(0, advance(log, epoch, moved(place, 1n))))
      }))

    law("do not move under the lease of another role", () =>
      Effect.gen(function*() {
        const leases = yield* Leases
        const [log, partition] = [newLog(), partitionOn(0)]
        const { epoch } = yield* lease
        const place = yield* placeOf(log, partition)
        // Takes another role's lease until its epoch is one that the ledger's is not.
        let other = 0n
        while (other <= epoch) {
          const relay = yield* Effect.flatMap(leases.acquire(0, "relay"), Effect.fromOption)
          yield* leases.release(relay)
          other = relay.epoch
        }
        const stale = transact(0, advance(log, other, moved(place, 1n)))
        expect(yield* failing(stale)).toMatchObject({ error: { _tag: "StaleOwner" }, left: "no trace" })
      }))

    law("have nothing to move where nothing was read, whoever holds the lease", () =>
      Effect.gen(function*() {
        expect(yield* failing(transact(0, advance(newLog(), -1n)))).toMatchObject({
          error: undefined,
          left: "no trace"
        })
      }))

    law("move with the effects of what was read, or not at all", () =>
      Effect.gen(function*() {
        const [log, partition] = [newLog(), partitionOn(0)]
        const { epoch } = yield* lease
        const [alice, bob] = [yield* funded(0, 100n), yield* opened(0)]
        const messages = [requestedBy(yield* asked(terms(alice, bob, 30n)))]
        const place = yield* placeOf(log, partition)
        const work = transact(
          0,
          Effect.gen(function*() {
            const changes = decided(0, yield* readFor(0, messages), messages)
            yield* advance(log, epoch, moved(place, 1n))
            yield* write(changes)
          })
        )
        yield* work
        expect((yield* accountNow(bob)).balance.posted).toBe(30n)
        expect(yield* placeOf(log, partition)).toMatchObject({ next: 1n })
        // The same batch again, as a worker would that did not hear of its commit.
        expect(yield* failing(work)).toMatchObject({ error: { _tag: "StaleOwner" }, left: "no trace" })
        expect((yield* accountNow(bob)).balance.posted).toBe(30n)
      }))

    /** One process moves a place and does not commit yet; `then` is given the way to let it. */
    const whileMoving = <A, E2, R>(
      then: (moving: {
        readonly log: string
        readonly place: Place
        readonly epoch: bigint
        readonly theirs: Context.Context<Ports>
        readonly commit: Effect.Effect<void>
      }) => Effect.Effect<A, E2, R>
    ) =>
      Effect.gen(function*() {
        const { process } = yield* World
        const [ours, theirs] = [yield* process(), yield* process()]
        const [log, partition] = [newLog(), partitionOn(0)]
        const { epoch } = yield* as(ours, lease)
        const place = yield* as(ours, placeOf(log, partition))
        const [hasMoved, mayEnd] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
        const moving = transact(
          0,
          Effect.gen(function*() {
            yield* advance(log, epoch, moved(place, 5n))
            yield* Deferred.succeed(hasMoved, undefined)
            yield* Deferred.await(mayEnd)
          })
        )
        const mover = yield* Effect.forkChild(as(ours, moving))
        yield* Deferred.await(hasMoved)
        const commit = Effect.andThen(
          Deferred.succeed(mayEnd, undefined),
          Effect.orDie(Fiber.join(mover))
        )
        return yield* then({ log, place, epoch, theirs, commit })
      })

    it.effect("are moved by one of two who move them at once; the other waits, and is stale", () =>
      whileMoving(({ commit, epoch, log, place, theirs }) =>
        Effect.gen(function*() {
          const other = yield* Effect.forkChild(
            Effect.flip(as(theirs, transact(0, advance(log, epoch, moved(place, 3n)))))
          )
          yield* Effect.yieldNow
          yield* commit
          expect(yield* Fiber.join(other)).toMatchObject({ _tag: "StaleOwner" })
          expect(yield* as(theirs, placeOf(log, place.partition))).toMatchObject({ next: 5n })
        })
      ))

    it.effect("are loaded only when nobody is moving them, so who takes over begins where the last one came to", () =>
      whileMoving(({ commit, log, place, theirs }) =>
        Effect.gen(function*() {
          const loading = yield* Effect.forkChild(as(theirs, placeOf(log, place.partition)))
          yield* Effect.yieldNow
          yield* commit
          expect(yield* Fiber.join(loading)).toMatchObject({ next: 5n })
        })
      ))
  })
