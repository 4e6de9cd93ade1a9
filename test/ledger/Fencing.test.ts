/**
 * Two who write one shard. Whoever is late, because it slept between what it read and what it wrote, fails in one of two
 * ways, each with its one right reaction: the shard is somebody else's now (StaleOwner: stop, and claim it anew), or what
 * was read is no longer true (LostRace: read again, decide again). Neither leaves a trace.
 */
import { expect, layer } from "@effect/vitest"
import { Duration, Effect, Fiber, Layer, Metric, Option, Predicate, Queue, Schema } from "effect"
import type { AccountId } from "#domain/account/Account.ts"
import { Batch, needsOf } from "#domain/ledger/Batch.ts"
import type { Message } from "#domain/ledger/Decision.ts"
import { Ledger } from "#domain/ledger/Ledger.ts"
import { LedgerEventJson } from "#domain/ledger/LedgerEvent.ts"
import { violationsOf } from "#domain/reconciliation/Checks.ts"
import { type Lease, Leases } from "#domain/sharding/Leases.ts"
import { shardOfAccount } from "#domain/sharding/ShardMap.ts"
import { Shards } from "#domain/sharding/Shards.ts"
import type { TransferId } from "#domain/transfer/TransferId.ts"
import * as Metrics from "#infra/telemetry/Metrics.ts"
import { ledgerWorker } from "../../apps/ledger/LedgerWorker.ts"
import { relay } from "../../apps/relay/Relay.ts"
import { check } from "../checks/Checking.ts"
import { digestOf } from "../support/Databases.ts"
import { TestPostgres } from "../support/TestPostgres.ts"
import { ask, ended, logOf, nameOn, open, postedOf, publish, somebodyOn, World, world } from "./World.ts"

/** Where a worker waits between what it read and what it writes, and how its transactions ended. */
interface Gate {
  readonly arrivals: Queue.Queue<void>
  readonly passes: Queue.Queue<void>
  readonly outcomes: Array<string>
}

const makeGate = Effect.gen(function*(): Effect.fn.Return<Gate> {
  return { arrivals: yield* Queue.unbounded<void>(), passes: yield* Queue.unbounded<void>(), outcomes: [] }
})

/** The shards of a worker that stops at a gate whenever it has read the books. */
const gated = ({ arrivals, outcomes, passes }: Gate) =>
  Layer.effect(
    Shards,
    Effect.gen(function*() {
      const { map, transact } = yield* Shards
      const stopAtGate = (ledger: Ledger["Service"]) =>
        Ledger.of({
          ...ledger,
          read: (needs) =>
            ledger.read(needs).pipe(
              Effect.tap(() => Queue.offer(arrivals, undefined)),
              Effect.tap(() => Queue.take(passes))
            )
        })
      return Shards.of({
        map,
        transact: (shard, work) =>
          transact(shard, Effect.updateService(work, Ledger, stopAtGate)).pipe(
            Effect.tap(() => Effect.sync(() => outcomes.push("committed"))),
            Effect.tapError((error) =>
              Effect.sync(() => outcomes.push(Predicate.hasProperty(error, "_tag") ? String(error._tag) : "?"))
            )
          )
      })
    })
  )

/** The leases of somebody whose clock stands still: once had, a lease is renewed for ever. Asked again, it waits. */
const believer = Effect.gen(function*() {
  const leases = yield* Leases
  const asked = yield* Queue.unbounded<void>()
  let had: Lease | undefined
  const layer = Layer.succeed(
    Leases,
    Leases.of({
      timeToLive: Duration.minutes(1),
      acquire: (shard, role) =>
        Queue.offer(asked, undefined).pipe(
          Effect.andThen(Effect.suspend(() => had === undefined ? leases.acquire(shard, role) : Effect.succeedNone)),
          Effect.tap((lease) => Effect.sync(() => had ??= Option.getOrUndefined(lease)))
        ),
      renew: () => Effect.void,
      examine: () => Effect.void,
      release: () => Effect.void
    })
  )
  return { asked, layer, lease: Effect.suspend(() => Effect.fromNullishOr(had)) }
})

const digests = Effect.scoped(
  Effect.forEach([0, 1], (shard) => Effect.flatMap(somebodyOn(shard), digestOf))
)

const expectSoundBooks = Effect.gen(function*() {
  expect(violationsOf(yield* check(yield* World))).toEqual([])
})

const decode = Schema.decodeUnknownSync(LedgerEventJson)

/** Works what shard 0 logged about a transfer there, without asking whose the shard is and where it stands. */
const intrude = Effect.fnUntraced(function*(transfer: TransferId) {
  const shards = yield* Shards
  const isHome = (account: string) => shardOfAccount(shards.map, account) === 0
  const messages = (yield* logOf(0)).filter(({ subject }) => subject === transfer).map((record): Message => ({
    event: decode(record.payload),
    from: 0,
    origin: { requestId: null, traceparent: null }
  }))
  yield* shards.transact(
    0,
    Effect.gen(function*() {
      const ledger = yield* Ledger
      const batch = new Batch(0, isHome, yield* ledger.read(needsOf(messages, 0, isHome)))
      for (const message of messages) yield* Effect.fromResult(batch.take(message))
      yield* ledger.write(batch.changes)
    })
  )
})

/** Everything that works on the shards, but a ledger worker of shard 0. */
const theOthers = Effect.all([relay(0), relay(1), ledgerWorker(1)], { concurrency: "unbounded", discard: true })

const someWishes = Effect.fnUntraced(function*(bank: AccountId, alice: AccountId) {
  return [
    yield* ask(bank, alice, "100"),
    yield* ask(alice, nameOn(0, "bob"), "30"),
    yield* ask(alice, nameOn(1, "carol"), "20"),
    yield* ask(alice, nameOn(1, "carol"), "500")
  ]
})

layer(TestPostgres.layer, { excludeTestServices: true })("a worker that slept between reading and writing", (it) => {
  const ways = [
    {
      while: "another took the lease, and has done nothing yet",
      takesTheLease: true,
      works: false
    },
    {
      while: "another took the lease and did its work",
      takesTheLease: true,
      works: true
    },
    {
      while: "another did its work under the same lease",
      takesTheLease: false,
      works: true
    }
  ]
  for (const way of ways) {
    it.effect(`while ${way.while}, changes nothing, and claims the shard anew`, () =>
      Effect.gen(function*() {
        const bank = yield* open(nameOn(0, "bank"), "external")
        const alice = yield* open(nameOn(0, "alice"))
        yield* open(nameOn(0, "bob"))
        yield* open(nameOn(1, "carol"))
        const transfers = yield* someWishes(bank, alice)
        yield* publish(0, yield* logOf(0))

        const gate = yield* makeGate
        const sleeper = yield* believer
        yield* Effect.forkScoped(
          ledgerWorker(0).pipe(Effect.provide(Layer.mergeAll(gated(gate), sleeper.layer)))
        )
        yield* Queue.take(sleeper.asked)
        yield* Queue.take(gate.arrivals)

        const leases = yield* Leases
        const lease = yield* sleeper.lease
        if (way.takesTheLease) yield* leases.release(lease)
        const work = Effect.gen(function*() {
          const others = yield* Effect.forkChild(theOthers)
          const heir = yield* Effect.forkChild(
            way.takesTheLease
              ? ledgerWorker(0)
              : ledgerWorker(0).pipe(Effect.provideService(Leases, {
                ...leases,
                acquire: () => Effect.succeedSome(lease),
                renew: () => Effect.void,
                release: () => Effect.void
              }))
          )
          const ends = yield* Effect.forEach(transfers, ended)
          expect(ends.map(({ status }) => status)).toEqual(["committed", "committed", "committed", "rejected"])
          yield* Fiber.interrupt(heir)
          yield* Fiber.interrupt(others)
        })
        if (way.works) yield* work
        else yield* Effect.flatMap(leases.acquire(0, "ledger"), Effect.fromOption)

        const before = yield* digests
        expect(gate.outcomes).toEqual(["committed"])
        yield* Queue.offer(gate.passes, undefined)
        // It asks for the lease again, and not for the books.
        yield* Queue.take(sleeper.asked)
        expect(gate.outcomes).toEqual(["committed", "StaleOwner"])
        expect(yield* Queue.size(gate.arrivals)).toBe(0)
        expect(yield* digests).toEqual(before)

        if (!way.works) {
          const [row] = yield* (yield* somebodyOn(0))`UPDATE lease SET expires_at = now() RETURNING epoch`
          expect(row).toEqual({ epoch: 2n })
          yield* work
        }
        expect(yield* postedOf(alice)).toEqual({ posted: 50n, held: 0n, sequence: 3n })
        yield* expectSoundBooks
      }).pipe(Effect.scoped, Effect.provide(Layer.fresh(world))))
  }

  const intrusions = [
    { what: "the balance of an account", same: false },
    { what: "the very transfer", same: true }
  ]
  for (const { same, what } of intrusions) {
    it.effect(`while another writer changed ${what}, leaves no trace, reads again and decides again`, () =>
      Effect.gen(function*() {
        const bank = yield* open(nameOn(0, "bank"), "external")
        const alice = yield* open(nameOn(0, "alice"))
        const mine = yield* ask(bank, alice, "5")
        yield* publish(0, yield* logOf(0))
        const theirs = same ? mine : yield* ask(bank, alice, "7")

        const gate = yield* makeGate
        const lost = Metric.value(Metrics.lostRaces)
        const lostBefore = (yield* lost).count
        const sleeper = yield* believer
        yield* Effect.forkScoped(ledgerWorker(0).pipe(Effect.provide(Layer.mergeAll(gated(gate), sleeper.layer))))
        yield* Queue.take(gate.arrivals)

        yield* intrude(theirs)
        const before = yield* digests
        yield* Queue.offer(gate.passes, undefined)
        yield* Queue.take(gate.arrivals)
        // It has read a second time, and what it wrote the first time is gone.
        expect(gate.outcomes).toEqual(["committed", "LostRace"])
        expect(yield* digests).toEqual(before)
        expect((yield* lost).count).toBe(Number(lostBefore) + 1)

        yield* Queue.offer(gate.passes, undefined)
        expect((yield* ended(mine)).status).toBe("committed")
        // The other one's message comes to it as well, and finds its work done.
        yield* publish(0, yield* logOf(0))
        const last = yield* ask(bank, alice, "1")
        yield* publish(0, yield* logOf(0))
        yield* Queue.offerAll(gate.passes, Array.from({ length: 20 }, () => undefined))
        expect((yield* ended(last)).status).toBe("committed")
        expect(yield* postedOf(alice)).toEqual(
          same ? { posted: 6n, held: 0n, sequence: 2n } : { posted: 13n, held: 0n, sequence: 3n }
        )
        // All of it under the one lease.
        expect(yield* Queue.size(sleeper.asked)).toBe(1)
        expect(gate.outcomes.filter((outcome) => outcome !== "committed")).toEqual(["LostRace"])
        yield* expectSoundBooks
      }).pipe(Effect.scoped, Effect.provide(Layer.fresh(world))))
  }
})
