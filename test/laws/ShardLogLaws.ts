/**
 * What a `ShardLog` promises: every event once and in order, none skipped, whatever is committed when; a cursor that only
 * its lease's holder moves, and only forward.
 */
import { expect, layer as suite } from "@effect/vitest"
import { Clock, Deferred, Effect, Fiber, type Layer, Schema, type Scope } from "effect"
import type { Announcement } from "#domain/ledger/Batch.ts"
import { keyOf, type LedgerEvent, subjectOf } from "#domain/ledger/LedgerEvent.ts"
import { ShardLog } from "#domain/messaging/ShardLog.ts"
import { type Lease, Leases, type Role } from "#domain/sharding/Leases.ts"
import { partitionOf } from "#domain/sharding/Partition.ts"
import { Intake } from "#domain/transfer/Intake.ts"
import {
  account,
  as,
  asked,
  endOfLog,
  eventOf,
  failing,
  inOneProcess,
  loggedAfter,
  map,
  nameOn,
  noChanges,
  origin,
  type Ports,
  request,
  terms,
  transact,
  transfer,
  World,
  write
} from "./World.ts"

/** A fact of a name that nobody had before. */
const fact = (): LedgerEvent => ({ type: "account.frozen", account: nameOn(0) })

const announced = (...events: ReadonlyArray<LedgerEvent>) =>
  write({ ...noChanges, events: events.map((event): Announcement => ({ event, origin })) })

const lease = (role: Role = "relay") =>
  Effect.gen(function*() {
    const leases = yield* Leases
    return yield* Effect.acquireRelease(
      Effect.flatMap(leases.acquire(0, role), Effect.fromOption),
      (lease) => Effect.ignore(leases.release(lease))
    )
  })

const cursor = (log: string) => ShardLog.use((shardLog) => shardLog.cursor(0, log))
const advance = (lease: Lease, log: string, to: bigint) => ShardLog.use((shardLog) => shardLog.advance(lease, log, to))

let logs = 0
const newLog = () => `log ${++logs}`

/** A transaction that has drawn positions for events, and goes on when it is told to. */
const pausedAfter = Effect.fnUntraced(function*(...events: ReadonlyArray<LedgerEvent>) {
  const [hasDrawn, goesOn] = [yield* Deferred.make<void>(), yield* Deferred.make<boolean>()]
  const work = Effect.gen(function*() {
    yield* announced(...events)
    yield* Deferred.succeed(hasDrawn, undefined)
    if (!(yield* Deferred.await(goesOn))) return yield* Effect.fail("rolled back" as const)
  })
  const working = yield* Effect.forkChild(Effect.exit(transact(0, work)))
  yield* Deferred.await(hasDrawn)
  const end = (commits: boolean) => Effect.andThen(Deferred.succeed(goesOn, commits), Fiber.join(working))
  return { commit: end(true), rollBack: end(false) }
})

const Step = Schema.Struct({
  what: Schema.Literals(["append", "begin", "commit the first", "commit the last", "roll back", "read"]),
  count: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 4 }))
})

export const shardLogLaws = <E>(name: string, world: Layer.Layer<World, E>) =>
  suite(world, { excludeTestServices: true, timeout: "2 minutes" })(name, (it) => {
    const law = <A, E2>(sentence: string, body: () => Effect.Effect<A, E2, Ports | World | Scope.Scope>) =>
      it.effect(sentence, () => inOneProcess(Effect.suspend(body)))

    law("has nothing after where it ends, and does not move who waits there", () =>
      Effect.gen(function*() {
        const log = yield* ShardLog
        expect(yield* log.after(1, 0n, 10)).toEqual({ records: [], upTo: 0n })
        const end = yield* endOfLog(0)
        expect(yield* log.after(0, end, 10)).toEqual({ records: [], upTo: end })
      }))

    law(
      "has every event as it was told: what, of whom, for whom, when, and on whose request",
      () =>
        Effect.gen(function*() {
          const intake = yield* Intake
          const end = yield* endOfLog(0)
          const begun = yield* Clock.currentTimeMillis
          const traced = request({
            requestId: "req-1",
            traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
          })
          const of = terms(nameOn(0, "O"), nameOn(1), 10n ** 38n - 1n)
          yield* intake.request(transfer(of, { request: traced }))
          const [record, ...more] = yield* loggedAfter(0, end)
          expect(more).toEqual([])
          if (record === undefined) return yield* Effect.die("nothing was logged")
          const event = eventOf(record)
          expect(event).toMatchObject({ type: "transfer.requested", ...of, capture: "automatic", client: "client" })
          expect(record).toMatchObject({
            source: 0,
            type: event.type,
            subject: subjectOf(event),
            key: keyOf(event),
            partition: partitionOf(keyOf(event), map.partitions),
            requestId: "req-1",
            traceparent: traced.traceparent
          })
          expect(record.position).toBeGreaterThan(end)
          expect(Math.abs(record.occurredAtMillis - begun)).toBeLessThan(60_000)
        })
    )

    law(
      "keeps events of one transaction in their order, and those of a later one after them",
      () =>
        Effect.gen(function*() {
          const end = yield* endOfLog(0)
          const events = Array.from({ length: 40 }, fact)
          yield* transact(0, announced(...events.slice(0, 25)))
          const log = yield* ShardLog
          yield* log.append(0, events.slice(25))
          const records = yield* loggedAfter(0, end)
          expect(records.map(eventOf)).toEqual(events)
          records.forEach(({ position }, index) =>
            expect(position).toBeGreaterThan(records[index - 1]?.position ?? end)
          )
        })
    )

    law("is the same log in stretches of whatever length, from whatever position", () =>
      Effect.gen(function*() {
        const log = yield* ShardLog
        const end = yield* endOfLog(0)
        yield* log.append(0, Array.from({ length: 12 }, fact))
        yield* (yield* pausedAfter(fact(), fact())).rollBack
        yield* log.append(0, Array.from({ length: 7 }, fact))
        const all = yield* loggedAfter(0, end)
        for (const most of [1, 2, 3, 7, 18, 19, 20]) {
          const stretch = yield* log.after(0, end, most)
          expect(stretch.records.length).toBeLessThanOrEqual(most)
          expect(yield* loggedAfter(0, end, most)).toEqual(all)
        }
        for (const [index, { position }] of all.entries()) {
          expect(yield* loggedAfter(0, position)).toEqual(all.slice(index + 1))
        }
      }))

    law("goes on over positions that were drawn and rolled back", () =>
      Effect.gen(function*() {
        const log = yield* ShardLog
        const end = yield* endOfLog(0)
        yield* (yield* pausedAfter(fact(), fact())).rollBack
        expect(yield* loggedAfter(0, end)).toEqual([])
        const event = fact()
        yield* log.append(0, [event])
        expect((yield* loggedAfter(0, end)).map(eventOf)).toEqual([event])
      }))

    it.effect("never passes an event that may still appear: it waits, or stops short of it", () =>
      Effect.gen(function*() {
        const { process } = yield* World
        const [ours, theirs] = [yield* process(), yield* process()]
        const end = yield* as(theirs, endOfLog(0))
        const [early, late] = [fact(), fact()]
        const paused = yield* as(ours, pausedAfter(early))
        yield* as(theirs, ShardLog.use((log) => log.append(0, [late])))
        const reading = yield* Effect.forkChild(as(theirs, ShardLog.use((log) => log.after(0, end, 10))))
        yield* Effect.yieldNow
        yield* paused.commit
        const { records, upTo } = yield* Fiber.join(reading)
        const rest = yield* as(theirs, loggedAfter(0, upTo))
        expect([...records, ...rest].map(eventOf)).toEqual([early, late])
      }))

    it.effect("is not held up by a writer that began after what is there was written", () =>
      Effect.gen(function*() {
        const { process } = yield* World
        const [ours, theirs] = [yield* process(), yield* process()]
        const end = yield* as(theirs, endOfLog(0))
        const event = fact()
        yield* as(theirs, ShardLog.use((log) => log.append(0, [event])))
        const begun = yield* as(theirs, ShardLog.use((log) => log.after(0, end, 10)))
        expect(begun.records.map(eventOf)).toEqual([event])
        // Where nothing was written since, there is nothing to wait for.
        const paused = yield* as(ours, pausedAfter())
        expect(yield* as(theirs, ShardLog.use((log) => log.after(0, begun.upTo, 10)))).toMatchObject({ records: [] })
        yield* paused.commit
      }))

    it.effect.prop(
      "skips nothing and repeats nothing, in whatever order transactions begin, commit and roll back around its reader",
      [Schema.Array(Step).check(Schema.isMaxLength(16))],
      ([steps]) =>
        Effect.gen(function*() {
          const { process } = yield* World
          const [ours, theirs] = [yield* process(), yield* process()]
          let upTo = yield* as(theirs, endOfLog(0))
          const committed: Array<LedgerEvent> = []
          const read: Array<{ readonly event: LedgerEvent; readonly position: bigint }> = []
          const open: Array<
            Effect.Success<ReturnType<typeof pausedAfter>> & { readonly events: ReadonlyArray<LedgerEvent> }
          > = []
          const take = Effect.gen(function*() {
            const stretch = yield* as(theirs, ShardLog.use((log) => log.after(0, upTo, 3)))
            expect(stretch.upTo).toBeGreaterThanOrEqual(upTo)
            read.push(...stretch.records.map((record) => ({ event: eventOf(record), position: record.position })))
            upTo = stretch.upTo
            return stretch.records.length
          })
          for (const { count, what } of steps) {
            const events = Array.from({ length: count }, fact)
            switch (what) {
              case "append":
                yield* as(theirs, ShardLog.use((log) => log.append(0, events)))
                committed.push(...events)
                break
              case "begin":
                if (open.length < 4) open.push({ ...yield* as(ours, pausedAfter(...events)), events })
                break
              case "read": {
                // A reader may have to wait for all that is open: it reads while they end.
                const reading = yield* Effect.forkChild(take)
                yield* Effect.yieldNow
                for (const { commit, events } of open.splice(0)) {
                  yield* commit
                  committed.push(...events)
                }
                yield* Fiber.join(reading)
                break
              }
              case "roll back":
                yield* open.pop()?.rollBack ?? Effect.void
                break
              default: {
                const ending = what === "commit the first" ? open.shift() : open.pop()
                if (ending === undefined) break
                yield* ending.commit
                committed.push(...ending.events)
              }
            }
          }
          for (const { rollBack } of open) yield* rollBack
          while ((yield* take) > 0);
          expect(new Set(read.map(({ event }) => subjectOf(event)))).toEqual(new Set(committed.map(subjectOf)))
          expect(read).toHaveLength(committed.length)
          read.forEach(({ position }, index) => expect(position).toBeGreaterThan(read[index - 1]?.position ?? 0n))
        }),
      { arbitrary: { runs: 25, seed: "transactions come and go" } }
    )

    law("appends all events that ask again, or none of them", () =>
      Effect.gen(function*() {
        const log = yield* ShardLog
        const end = yield* endOfLog(0)
        yield* log.append(0, [])
        expect(yield* loggedAfter(0, end)).toEqual([])
        const of = yield* asked(terms(nameOn(0), nameOn(1), 5n))
        const reason = { code: "timeout", detail: "the destination did not answer in time" }
        const questions: ReadonlyArray<LedgerEvent> = [
          { type: "transfer.recalled", ...of, reason },
          { type: "transfer.expiry_due", ...of }
        ]
        const before = yield* endOfLog(0)
        yield* log.append(0, questions)
        const records = yield* loggedAfter(0, before)
        expect(records.map(eventOf)).toEqual(questions)
        expect(records.map(({ key }) => key)).toEqual([of.destination, of.source])
        expect(records.map(({ requestId, traceparent }) => [requestId, traceparent])).toEqual([[null, null], [
          null,
          null
        ]])
      }))

    law("keeps each shard's log apart", () =>
      Effect.gen(function*() {
        const intake = yield* Intake
        const end = yield* endOfLog(0)
        yield* intake.open(account(nameOn(1)))
        expect(yield* loggedAfter(0, end)).toEqual([])
      }))

    // the cursor ─────────────────────────────────────────────────────────────────────────────────────────────────────

    law(
      "keeps a cursor for each event log, which begins at 0 and is found where it was moved to",
      () =>
        Effect.gen(function*() {
          const [one, two] = [newLog(), newLog()]
          const current = yield* lease()
          expect(yield* cursor(one)).toBe(0n)
          yield* advance(current, one, 5n)
          yield* advance(current, one, 2n ** 60n)
          yield* advance(current, two, 7n)
          expect([yield* cursor(one), yield* cursor(two)]).toEqual([2n ** 60n, 7n])
        })
    )

    law("never moves its cursor back", () =>
      Effect.gen(function*() {
        const log = newLog()
        const current = yield* lease()
        yield* advance(current, log, 5n)
        yield* advance(current, log, 5n)
        expect(yield* failing(advance(current, log, 4n))).toMatchObject({
          error: { _tag: "LeaseLost" },
          left: "no trace"
        })
        expect(yield* cursor(log)).toBe(5n)
      }))

    it.effect("lets nobody move its cursor whose lease another has taken since, or who never had one", () =>
      Effect.gen(function*() {
        const { process } = yield* World
        const [ours, theirs] = [yield* process(), yield* process()]
        const log = newLog()
        const former = yield* as(ours, Effect.scoped(lease()))
        const current = yield* as(theirs, lease())
        yield* as(theirs, advance(current, log, 3n))
        for (const wrong of [former, { ...current, epoch: current.epoch + 1n }, { ...current, epoch: 0n }]) {
          expect(yield* failing(as(ours, advance(wrong, log, 9n)))).toMatchObject({
            error: { _tag: "LeaseLost", shard: 0, role: "relay" },
            left: "no trace"
          })
        }
        expect(yield* as(ours, cursor(log))).toBe(3n)
      }))
  })
