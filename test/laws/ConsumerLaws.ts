/**
 * What every database of a consumer keeps, whatever it is made of: places move once, with what is parked or not at all; a
 * parked key keeps its order; people and the worker never decide about the same message; nothing is forgotten. One suite,
 * run against each adapter.
 */
import { expect, layer as suite } from "@effect/vitest"
import { Context, Duration, Effect, Exit, type Layer, Option, type Scope } from "effect"
import { expectTypeOf } from "vitest"
import { Consumer, type ConsumerLease, ConsumerState } from "#domain/messaging/Consumer.ts"
import type { Place } from "#domain/messaging/ConsumerPositions.ts"
import type { LogRecord } from "#domain/messaging/EventLog.ts"
import { Parked, type Trouble } from "#domain/messaging/Parked.ts"

/** How one process after another opens a database. */
type Open = (timeToLive: Duration.Duration) => Effect.Effect<Context.Context<Consumer | Parked>, never, Scope.Scope>

/** Makes new, empty databases to try the laws on. */
export class ConsumerDatabases extends Context.Service<ConsumerDatabases, {
  /** A database of the consumer `test`. */
  readonly fresh: Effect.Effect<Open, never, Scope.Scope>
}>()("counterpoise/test/ConsumerDatabases") {}

const log = "log:one"

const record = (position: number, key = "anna", rest: Partial<LogRecord> = {}): LogRecord => ({
  partition: key.length,
  source: 0,
  position: BigInt(position),
  key,
  type: "transfer.committed",
  subject: `transfer ${position}`,
  payload: `{"position":"${position}"}`,
  occurredAtMillis: 1_790_000_000_000 + position,
  traceparent: null,
  requestId: null,
  ...rest
})

const refused: Trouble = { class: "refused", detail: "410 Gone", tries: 1 }
const operator = { name: "olga", reason: "the receiver was mended" }

/** Somebody who has the lease. */
const work = Effect.fnUntraced(function*() {
  const consumer = yield* Consumer
  const lease = Option.getOrThrow(yield* consumer.acquire)
  return { consumer, lease }
})

const inside = <A, E, R>(lease: ConsumerLease, body: (state: ConsumerState["Service"]) => Effect.Effect<A, E, R>) =>
  Effect.flatMap(Consumer, ({ transact }) => transact(lease, Effect.flatMap(ConsumerState, body)))

const park = (lease: ConsumerLease, ...parking: ReadonlyArray<readonly [LogRecord, Trouble | null]>) =>
  inside(lease, (state) => state.park(parking.map(([record, trouble]) => ({ record, trouble }))))

const waitingOf = (lease: ConsumerLease, key: string, most = 10) =>
  inside(lease, (state) => state.waiting([key], most)).pipe(
    Effect.map((waiting) => waiting.get(key) ?? [])
  )

const listed = (status: "waiting" | "delivered" | "discarded", key: string | null = null) =>
  Parked.use((parked) => parked.list({ status, key, after: 0n, most: 100 }))

const positionsOf = (messages: ReadonlyArray<LogRecord>) => messages.map(({ position }) => Number(position))

/** Holds a database to the laws. */
export const consumerLaws = <E>(name: string, databases: Layer.Layer<ConsumerDatabases, E>) =>
  suite(databases, { excludeTestServices: true, timeout: "1 minute" })(name, (it) => {
    /** A law, tried by a process on a database of its own; `open` is another process. */
    const law = <A, E2>(
      sentence: string,
      body: (
        open: Effect.Effect<Context.Context<Consumer | Parked>, never, Scope.Scope>
      ) => Effect.Effect<A, E2, Consumer | Parked | Scope.Scope>,
      timeToLive = Duration.minutes(1)
    ) =>
      it.effect(sentence, () =>
        Effect.gen(function*() {
          const open = yield* Effect.flatten(Effect.map(ConsumerDatabases, ({ fresh }) => fresh))
          return yield* Effect.provideContext(body(open(timeToLive)), yield* open(timeToLive))
        }))

    law("begins at offset 0 of every partition, with nothing parked", () =>
      Effect.gen(function*() {
        const { lease } = yield* work()
        const { parked, places } = yield* inside(lease, (state) => state.load(log, [0, 3]))
        expect(places.toSorted((a, b) => a.partition - b.partition)).toEqual([
          { partition: 0, next: 0n, seen: new Map() },
          { partition: 3, next: 0n, seen: new Map() }
        ])
        expect(parked).toEqual(new Set())
      }))

    law("has its state only inside a transaction: the compiler knows no other way", () =>
      Effect.gen(function*() {
        const { consumer, lease } = yield* work()
        const load = ConsumerState.use((state) => state.load(log, [0]))
        const loading = consumer.transact(lease, load)
        expectTypeOf<Effect.Services<typeof load>>().toEqualTypeOf<ConsumerState>()
        expectTypeOf<Effect.Services<typeof loading>>().toEqualTypeOf<never>()
        expect((yield* loading).places).toHaveLength(1)
      }))

    const moved = (place: Place, next: bigint, ...seen: ReadonlyArray<readonly [number, bigint]>): Place => ({
      ...place,
      next,
      seen: new Map([...place.seen, ...seen])
    })

    law("moves places and parks in one transaction: all of it happens, or none of it", () =>
      Effect.gen(function*() {
        const { lease } = yield* work()
        const { places: [was] } = yield* inside(lease, (state) => state.load(log, [4]))
        if (was === undefined) return expect.fail("there is no place")
        const now = moved(was, 7n, [0, 12n], [2, 5n])
        const both = (then: Effect.Effect<void, string>) =>
          inside(lease, (state) =>
            state.advance(log, [{ was, now }]).pipe(
              Effect.andThen(state.park([{ record: record(1), trouble: refused }])),
              Effect.andThen(then)
            ))
        expect(yield* Effect.flip(both(Effect.fail("changed my mind")))).toBe("changed my mind")
        const before = yield* inside(lease, (state) => state.load(log, [4]))
        expect([before.places[0]?.next, before.parked]).toEqual([0n, new Set()])
        yield* both(Effect.void)
        const after = yield* inside(lease, (state) => state.load(log, [4]))
        expect(after.places[0]?.next).toBe(7n)
        expect([after.places[0]?.seen.get(0), after.places[0]?.seen.get(2)]).toEqual([12n, 5n])
        expect(after.parked).toEqual(new Set(["anna"]))
      }))

    law("moves no place that was moved by another since it was read", () =>
      Effect.gen(function*() {
        const { lease } = yield* work()
        const { places: [was] } = yield* inside(lease, (state) => state.load(log, [4]))
        if (was === undefined) return expect.fail("there is no place")
        const move = (next: bigint) => inside(lease, (state) => state.advance(log, [{ was, now: moved(was, next) }]))
        yield* move(3n)
        expect((yield* Effect.flip(move(5n)))._tag).toBe("StaleConsumer")
        expect((yield* inside(lease, (state) => state.load(log, [4]))).places[0]?.next).toBe(3n)
      }))

    law(
      "begins anew in a log of another name, and keeps what it has seen of each source",
      () =>
        Effect.gen(function*() {
          const { lease } = yield* work()
          const { places: [was] } = yield* inside(lease, (state) => state.load(log, [4]))
          if (was === undefined) return expect.fail("there is no place")
          yield* inside(lease, (state) => state.advance(log, [{ was, now: moved(was, 9n, [1, 40n]) }]))
          const { places: [anew] } = yield* inside(lease, (state) => state.load("log:two", [4]))
          expect([anew?.next, anew?.seen.get(1)]).toEqual([0n, 40n])
        })
    )

    law(
      "has one holder of the lease, and the next one's epoch fences the one before",
      (open) =>
        Effect.gen(function*() {
          const { consumer, lease } = yield* work()
          const other = Context.get(yield* open, Consumer)
          expect(yield* other.acquire).toEqual(Option.none())
          yield* consumer.renew(lease)
          yield* consumer.release(lease)
          const taken = Option.getOrThrow(yield* other.acquire)
          expect(taken.epoch).toBeGreaterThan(lease.epoch)
          expect((yield* Effect.flip(consumer.renew(lease)))._tag).toBe("StaleConsumer")
          const nothing = Effect.asVoid(ConsumerState)
          expect((yield* Effect.flip(consumer.transact(lease, nothing)))._tag).toBe("StaleConsumer")
          yield* consumer.release(lease)
          yield* other.transact(taken, nothing)
        })
    )

    law(
      "gives the lease to another when it has run out, without having been given back",
      (open) =>
        Effect.gen(function*() {
          const { consumer, lease } = yield* work()
          const other = Context.get(yield* open, Consumer)
          const taken = yield* other.acquire.pipe(
            Effect.repeat({ until: Option.isSome }),
            Effect.map(Option.getOrThrow)
          )
          expect((yield* Effect.flip(consumer.transact(lease, Effect.void)))._tag).toBe("StaleConsumer")
          yield* other.release(taken)
        }),
      Duration.millis(50)
    )

    law(
      "parks a message byte for byte, with its trouble, and what comes later behind it in order",
      () =>
        Effect.gen(function*() {
          const { lease } = yield* work()
          const poison = record(5, "anna", {
            payload: `{"not json": "é\\ud83e\u2028`,
            subject: "käse 🧀",
            requestId: "req '1'",
            traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
          })
          yield* park(lease, [poison, { class: "undecodable", detail: "no JSON", tries: 0 }], [record(6), null])
          yield* park(lease, [record(9, "ben"), refused], [record(7), null], [record(8), null])
          const [first, ...others] = yield* waitingOf(lease, "anna")
          expect(first).toMatchObject({ ...poison, status: "waiting", discarded: null })
          expect(first?.trouble).toEqual({ class: "undecodable", detail: "no JSON", tries: 0 })
          expect(positionsOf(others)).toEqual([6, 7, 8])
          expect(others.every(({ trouble }) => trouble === null)).toBe(true)
          expect(positionsOf(yield* waitingOf(lease, "anna", 2))).toEqual([5, 6])
          const { parked } = yield* inside(lease, (state) => state.load(log, []))
          expect(parked).toEqual(new Set(["anna", "ben"]))
        })
    )

    law("parks a message once, however often it comes", () =>
      Effect.gen(function*() {
        const { lease } = yield* work()
        yield* park(lease, [record(1), refused])
        yield* park(lease, [record(1), null], [record(2), null])
        const waiting = yield* waitingOf(lease, "anna")
        expect(positionsOf(waiting)).toEqual([1, 2])
        expect(waiting[0]?.trouble).toEqual(refused)
      }))

    law(
      "lets the first of a key be retried, and says who asked for it, why, and what the trouble was",
      () =>
        Effect.gen(function*() {
          const { lease } = yield* work()
          const parked = yield* Parked
          yield* park(lease, [record(1), refused], [record(2), null])
          const [first, second] = yield* waitingOf(lease, "anna")
          if (first === undefined || second === undefined) return expect.fail("nothing is parked")
          yield* parked.retry([first.number], operator)
          expect((yield* waitingOf(lease, "anna", 1))[0]).toMatchObject({ status: "waiting", trouble: null })
          yield* inside(
            lease,
            (state) =>
              state.troubled([{ number: first.number, trouble: { class: "failing", detail: "503", tries: 8 } }])
          )
          yield* parked.retry([first.number], { name: "oscar", reason: "it is up again" })
          const shown = Option.getOrThrow(yield* parked.show(first.number))
          expect(shown.message.trouble).toBe(null)
          expect(shown.retries).toMatchObject([
            { ...operator, trouble: refused },
            { name: "oscar", reason: "it is up again", trouble: { class: "failing", detail: "503", tries: 8 } }
          ])
          yield* inside(lease, (state) => state.delivered([first.number, second.number]))
          expect(yield* waitingOf(lease, "anna")).toEqual([])
          expect(positionsOf(yield* listed("delivered"))).toEqual([1, 2])
          expect((yield* inside(lease, (state) => state.load(log, []))).parked).toEqual(new Set())
        })
    )

    law("keeps a discarded message for ever, marked with who discarded it and why", () =>
      Effect.gen(function*() {
        const { lease } = yield* work()
        const parked = yield* Parked
        yield* park(lease, [record(1), refused], [record(2), null])
        const [first] = yield* waitingOf(lease, "anna")
        if (first === undefined) return expect.fail("nothing is parked")
        const because = { name: "olga", reason: "told by telephone" }
        yield* parked.discard([first.number], because)
        expect(positionsOf(yield* waitingOf(lease, "anna"))).toEqual([2])
        const { message } = Option.getOrThrow(yield* parked.show(first.number))
        expect(message).toMatchObject({ ...record(1), status: "discarded", discarded: because, trouble: refused })
        expect(positionsOf(yield* listed("discarded"))).toEqual([1])
        yield* inside(lease, (state) => state.delivered([first.number]))
        yield* inside(lease, (state) => state.troubled([{ number: first.number, trouble: refused }]))
        expect(positionsOf(yield* listed("discarded"))).toEqual([1])
      }))

    law("lets all messages of a key be discarded that waits for a person", () =>
      Effect.gen(function*() {
        const { lease } = yield* work()
        const parked = yield* Parked
        yield* park(lease, [record(1), refused], [record(2), null], [record(3), null])
        const waiting = yield* waitingOf(lease, "anna")
        yield* parked.discard(waiting.map(({ number }) => number), operator)
        expect(positionsOf(yield* listed("discarded"))).toEqual([1, 2, 3])
      }))

    law(
      "refuses decisions about what does not wait for a person, and then changes nothing at all",
      () =>
        Effect.gen(function*() {
          const { lease } = yield* work()
          const parked = yield* Parked
          yield* park(lease, [record(1), refused], [record(2), null], [record(3, "ben"), refused])
          const [first, behind] = yield* waitingOf(lease, "anna")
          const [ben] = yield* waitingOf(lease, "ben")
          if (first === undefined || behind === undefined || ben === undefined) return expect.fail("nothing is parked")
          // It is not there; it only waits behind another, which is to be retried first.
          expect(yield* Effect.flip(parked.retry([ben.number, 999n], operator))).toMatchObject({ numbers: [999n] })
          expect(yield* Effect.flip(parked.retry([ben.number, behind.number], operator))).toMatchObject({
            numbers: [behind.number]
          })
          expect((yield* waitingOf(lease, "ben"))[0]?.trouble).toEqual(refused)
          // The key is being retried: its messages are the worker's.
          yield* parked.retry([first.number], operator)
          for (const number of [first.number, behind.number]) {
            expect(yield* Effect.flip(parked.discard([ben.number, number], operator))).toMatchObject({
              numbers: [number]
            })
            expect(yield* Effect.flip(parked.retry([number], operator))).toMatchObject({ _tag: "NotParked" })
          }
          expect(positionsOf(yield* listed("waiting"))).toEqual([1, 2, 3])
          // It has ended.
          yield* parked.discard([ben.number], operator)
          expect(yield* Effect.flip(parked.discard([ben.number], operator))).toMatchObject({ _tag: "NotParked" })
          expect(yield* parked.show(999n)).toEqual(Option.none())
        })
    )

    law("takes no decision from nobody, or for no reason", () =>
      Effect.gen(function*() {
        const { lease } = yield* work()
        const parked = yield* Parked
        yield* park(lease, [record(1), refused])
        const [first] = yield* waitingOf(lease, "anna")
        if (first === undefined) return expect.fail("nothing is parked")
        for (const by of [{ name: "", reason: "because" }, { name: "olga", reason: " \t" }]) {
          expect((yield* Effect.flip(parked.discard([first.number], by)))._tag).toBe("ActorMissing")
          expect((yield* Effect.flip(parked.retry([first.number], by)))._tag).toBe("ActorMissing")
        }
        expect(positionsOf(yield* listed("waiting"))).toEqual([1])
      }))

    law("lists what is parked page by page, of one key or of all", () =>
      Effect.gen(function*() {
        const { lease } = yield* work()
        const parked = yield* Parked
        yield* park(lease, [record(1), refused], [record(2, "ben"), refused], [record(3), null], [record(4), null])
        const page = (after: bigint, key: string | null = null) =>
          parked.list({ status: "waiting", key, after, most: 2 })
        const first = yield* page(0n)
        expect(positionsOf(first)).toEqual([1, 2])
        expect(positionsOf(yield* page(first.at(-1)?.number ?? 0n))).toEqual([3, 4])
        expect(positionsOf(yield* page(0n, "anna"))).toEqual([1, 3])
        expect(positionsOf(yield* page(0n, "nobody"))).toEqual([])
      }))

    law("keeps everything when the process that wrote it is gone", (open) =>
      Effect.gen(function*() {
        const { consumer, lease } = yield* work()
        yield* park(lease, [record(1), refused], [record(2), null])
        yield* consumer.release(lease)
        const positions = yield* Effect.gen(function*() {
          const { lease } = yield* work()
          return positionsOf(yield* waitingOf(lease, "anna"))
        }).pipe(Effect.provideContext(yield* open))
        expect(positions).toEqual([1, 2])
      }))

    law(
      "never has both: of a retry and a discard of the same message at once, one is refused",
      () =>
        Effect.gen(function*() {
          const { lease } = yield* work()
          const parked = yield* Parked
          const positions = Array.from({ length: 12 }, (_, index) => index + 1)
          yield* park(lease, ...positions.map((position) => [record(position, `key-${position}`), refused] as const))
          for (const { number } of yield* listed("waiting")) {
            const [retried, discarded] = yield* Effect.all([
              Effect.exit(parked.retry([number], operator)),
              Effect.exit(parked.discard([number], operator))
            ], { concurrency: 2 })
            expect([Exit.isSuccess(retried), Exit.isSuccess(discarded)].filter((done) => done)).toHaveLength(1)
            const { message } = Option.getOrThrow(yield* parked.show(number))
            expect(message.status).toBe(Exit.isSuccess(discarded) ? "discarded" : "waiting")
          }
        })
    )
  })
