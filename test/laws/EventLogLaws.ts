/**
 * What every event log keeps, whatever it is made of. One suite, run against each adapter; what a log does not promise is
 * left out by its own declaration, and the test's name says so.
 */
import { expect, layer as suite } from "@effect/vitest"
import {
  Context,
  Deferred,
  Effect,
  Exit,
  Fiber,
  type Layer,
  Option,
  Ref,
  Schedule,
  Schema,
  type Scope,
  Struct
} from "effect"
import type {
  Delivered,
  EventLog,
  EventLogReader,
  EventLogWriter,
  LogRecord,
  OffsetOutOfRange
} from "#domain/messaging/EventLog.ts"
import type { ShardId } from "#domain/sharding/ShardMap.ts"

type Log = EventLog["Service"]
type Capabilities = Log["capabilities"]

/** Makes new, empty logs to try the laws on. */
export class EventLogs extends Context.Service<EventLogs, {
  /** A log of its own, and the way one process after another opens it. It has {@link partitions} partitions. */
  readonly fresh: Effect.Effect<Effect.Effect<Log, never, Scope.Scope>, never, Scope.Scope>
}>()("counterpoise/test/EventLogs") {}

export const partitions = 8
const allPartitions = Array.from({ length: partitions }, (_, partition) => partition)

const record = (source: ShardId, position: number, partition: number, rest: Partial<LogRecord> = {}): LogRecord => ({
  partition,
  source,
  position: BigInt(position),
  key: `acc_${partition}`,
  type: "transfer.held",
  subject: `transfer ${position}`,
  payload: `{"position":"${position}"}`,
  occurredAtMillis: 1_790_000_000_000 + position,
  traceparent: null,
  requestId: null,
  ...rest
})

const undelivered = (delivered: Delivered): LogRecord => Struct.omit(delivered, ["offset"])

/** What a consumer acts on: it drops what is not above the highest position seen of a source in a partition. */
const withoutReplays = (records: ReadonlyArray<Delivered>): ReadonlyArray<LogRecord> => {
  const seen = new Map<string, bigint>()
  return records.filter(({ partition, position, source }) => {
    const place = `${partition}/${source}`
    if (position <= (seen.get(place) ?? -1n)) return false
    seen.set(place, position)
    return true
  }).map(undelivered)
}

const ofPartition = <A extends { readonly partition: number }>(records: ReadonlyArray<A>, partition: number) =>
  records.filter((record) => record.partition === partition)

/** Partitions are merged without any promise: sorts by partition and keeps the order within each. */
const byPartition = <A extends { readonly partition: number }>(records: ReadonlyArray<A>) =>
  records.toSorted((a, b) => a.partition - b.partition)

const fromTheBeginning = (of: ReadonlyArray<number> = allPartitions) =>
  new Map(of.map((partition) => [partition, 0n] as const))

/** Takes until `enough` has come. */
const takeUntil = (reader: EventLogReader, enough: (records: ReadonlyArray<Delivered>) => boolean, most = 1000) =>
  Effect.gen(function*() {
    const records: Array<Delivered> = []
    while (!enough(records)) records.push(...yield* reader.take(most))
    return records
  }).pipe(Effect.timeout("30 seconds"))

/** Takes until so many records have come, replays not counted. */
const takeAll = (reader: EventLogReader, count: number, most?: number) =>
  takeUntil(reader, (records) => withoutReplays(records).length >= count, most)

const takeAny = (reader: EventLogReader, most = 1000) => Effect.timeout(reader.take(most), "30 seconds")

const appendOneByOne = (writer: EventLogWriter, records: ReadonlyArray<LogRecord>) =>
  Effect.forEach(records, (record) => writer.append([record]), { discard: true })

/** Positions 1 to `count`, spread over the partitions unevenly. */
const spread = (source: ShardId, count: number, first = 1) =>
  Array.from({ length: count }, (_, index) => record(source, first + index, (index * 5 + (index % 3)) % partitions))

const Step = Schema.Struct({
  what: Schema.Literals(["append", "append and die before the cursor moves", "restart", "a zombie appends"]),
  source: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1 })),
  count: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 12 }))
})

/** Holds a log to the laws. `declares` is what it is known to declare, `logs` makes logs of this kind. */
export const eventLogLaws = <E>(name: string, declares: Capabilities, logs: Layer.Layer<EventLogs, E>) =>
  suite(logs, { excludeTestServices: true, timeout: "2 minutes" })(name, (it) => {
    const log = Effect.gen(function*() {
      const { fresh } = yield* EventLogs
      return yield* Effect.flatten(fresh)
    })

    /** A law for the logs that promise it. Of the others it only holds that they say so. */
    const law = <A, E2>(
      capability: keyof Capabilities,
      sentence: string,
      body: () => Effect.Effect<A, E2, EventLogs | Scope.Scope>
    ) =>
      declares[capability]
        ? it.effect(sentence, body)
        : it.effect(`LEFT OUT, as it declares no ${capability}: ${sentence}`, () =>
          Effect.map(log, ({ capabilities }) => expect(capabilities[capability]).toBe(false)))

    it.effect("declares what it can do", () =>
      Effect.map(log, ({ capabilities }) => expect(capabilities).toEqual(declares)))

    it.effect("has one name for every process and for as long as it lives, and another log has another", () =>
      Effect.gen(function*() {
        const { fresh } = yield* EventLogs
        const open = yield* fresh
        const first = yield* Effect.scoped(Effect.map(open, ({ identity }) => identity))
        expect(first.length).toBeGreaterThan(0)
        expect((yield* open).identity).toBe(first)
        expect((yield* Effect.flatten(fresh)).identity).not.toBe(first)
      }))

    it.effect("delivers what was appended byte for byte, and keeps nothing apart from something empty", () =>
      Effect.gen(function*() {
        const { reader, writer } = yield* log
        const records = [
          record(0, 1, 3, {
            key: `O'Brien "x" \\ \t`,
            subject: "käse 🧀 𝄞 \u2028",
            payload: `{"a" :  "é\\u0000\\ud800"}`
          }),
          record(0, 2, 3, { key: "", subject: "", requestId: "", traceparent: "" }),
          record(0, 3, 3, { requestId: null, traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01" }),
          record(0, 4, 3, { requestId: "req '1' ☃", traceparent: null, key: "\u0001\u0001\u0001\u0001" }),
          record(0, 5, 3, { payload: JSON.stringify({ long: "ß𝄞\"'\n".repeat(40_000) }) }),
          record(0, 6, 3, { occurredAtMillis: 0, type: "account.opened", payload: "null" }),
          record(0, 7, 3, { occurredAtMillis: 4_102_444_799_999, payload: "[]" })
        ]
        yield* (yield* writer(0)).append(records)
        const delivered = yield* takeAll(yield* reader(new Map([[3, 0n]])), records.length)
        expect(withoutReplays(delivered)).toEqual(records)
      }))

    it.effect("delivers what was acknowledged to another process, whoever began first", () =>
      Effect.gen(function*() {
        const { fresh } = yield* EventLogs
        const open = yield* fresh
        const [ours, theirs] = [yield* open, yield* open]
        const early = yield* theirs.reader(fromTheBeginning())
        const writer = yield* ours.writer(0)
        for (let position = 1; position <= 20; position++) {
          yield* writer.append([record(0, position, position % partitions)])
          const [first] = yield* takeAny(early)
          expect(first?.position).toBe(BigInt(position))
        }
        expect(yield* takeAll(yield* theirs.reader(fromTheBeginning()), 20)).toHaveLength(20)
      }))

    law(
      "durable",
      "keeps what was acknowledged when every process that had it open is gone",
      () =>
        Effect.gen(function*() {
          const { fresh } = yield* EventLogs
          const open = yield* fresh
          const records = spread(0, 30)
          yield* open.pipe(
            Effect.flatMap(({ writer }) => writer(0)),
            Effect.flatMap(({ append }) => append(records)),
            Effect.scoped
          )
          const { reader } = yield* open
          const delivered = yield* takeAll(yield* reader(fromTheBeginning()), records.length)
          expect(byPartition(withoutReplays(delivered))).toEqual(byPartition(records))
        })
    )

    it.effect("appends a batch over many partitions, in the order of positions within each", () =>
      Effect.gen(function*() {
        const { reader, writer } = yield* log
        const records = spread(0, 700)
        yield* (yield* writer(0)).append(records)
        const delivered = yield* takeAll(yield* reader(fromTheBeginning()), records.length)
        for (const partition of allPartitions) {
          expect(withoutReplays(ofPartition(delivered, partition))).toEqual(ofPartition(records, partition))
        }
      }))

    it.effect("appends nothing when there is nothing to append", () =>
      Effect.gen(function*() {
        const { reader, writer } = yield* log
        const opened = yield* writer(0)
        yield* opened.append([])
        yield* opened.append([record(0, 1, 0)])
        expect((yield* takeAny(yield* reader(fromTheBeginning()))).map(undelivered)).toEqual([record(0, 1, 0)])
      }))

    it.effect("goes by position and never by the clock: gaps and times that run backwards change nothing", () =>
      Effect.gen(function*() {
        const { reader, writer } = yield* log
        const records = [7, 8, 1_000, 1_001, 9_007_199_254_740_991].map((position, index) =>
          record(0, position, 2, { occurredAtMillis: 1_790_000_000_000 - index * 60_000 })
        )
        yield* appendOneByOne(yield* writer(0), records)
        expect(withoutReplays(yield* takeAll(yield* reader(new Map([[2, 0n]])), records.length))).toEqual(records)
      }))

    it.effect("gives offsets that ascend strictly within a partition, the same to every reader", () =>
      Effect.gen(function*() {
        const { reader, writer } = yield* log
        const records = spread(0, 60)
        yield* appendOneByOne(yield* writer(0), records)
        const once = yield* takeAll(yield* reader(fromTheBeginning()), records.length)
        const again = yield* takeAll(yield* reader(fromTheBeginning()), records.length, 7)
        for (const partition of allPartitions) {
          const offsets = ofPartition(once, partition).map(({ offset }) => offset)
          offsets.forEach((offset, index) => expect(offset).toBeGreaterThan(offsets[index - 1] ?? -1n))
          expect(ofPartition(again, partition)).toEqual(ofPartition(once, partition))
        }
      }))

    law("denseOffsets", "gives offsets without a gap, from 0", () =>
      Effect.gen(function*() {
        const { reader, writer } = yield* log
        const records = spread(0, 60)
        const opened = yield* writer(0)
        yield* appendOneByOne(opened, records.slice(0, 30))
        yield* Effect.ignore((yield* writer(0)).append(records.slice(20)))
        const delivered = yield* takeAll(yield* reader(fromTheBeginning()), records.length)
        for (const partition of allPartitions) {
          const offsets = ofPartition(delivered, partition).map(({ offset }) => offset)
          expect(offsets).toEqual(offsets.map((_, index) => BigInt(index)))
        }
      }))

    it.effect("can be read from any offset: nothing below it is delivered, and nothing from it on is left out", () =>
      Effect.gen(function*() {
        const { reader, writer } = yield* log
        const records = Array.from({ length: 24 }, (_, index) => record(0, index + 1, index % 2))
        const opened = yield* writer(0)
        for (let from = 0; from < records.length; from += 3) yield* opened.append(records.slice(from, from + 3))
        const all = yield* takeAll(yield* reader(fromTheBeginning([0, 1])), records.length)
        const last = ofPartition(all, 0).at(-1)?.offset ?? 0n
        for (let asked = 0n; asked <= last; asked++) {
          const expected = ofPartition(all, 0).filter(({ offset }) => offset >= asked)
          const found = yield* Effect.scoped(
            Effect.flatMap(
              reader(new Map([[0, asked]])),
              (opened) => takeUntil(opened, (records) => records.length >= expected.length)
            )
          )
          expect(found).toEqual(expected)
        }
      }))

    it.effect("says what it holds, and can be read from its end: then only what comes later is delivered", () =>
      Effect.gen(function*() {
        const { bounds, reader, writer } = yield* log
        const before = yield* bounds([0, 5])
        const opened = yield* writer(0)
        yield* opened.append([record(0, 1, 0), record(0, 2, 5), record(0, 3, 0)])
        const held = yield* bounds([0, 5])
        const delivered = yield* takeAll(yield* reader(fromTheBeginning([0, 5])), 3)
        for (const partition of [0, 5]) {
          expect(before.get(partition)?.begin).toBe(0n)
          expect(held.get(partition)?.begin).toBe(0n)
          for (const { offset } of ofPartition(delivered, partition)) {
            expect(offset).toBeGreaterThanOrEqual(before.get(partition)?.end ?? -1n)
            expect(offset).toBeLessThan(held.get(partition)?.end ?? -1n)
          }
        }
        const atTheEnd = yield* reader(new Map([...held].map(([partition, { end }]) => [partition, end] as const)))
        yield* opened.append([record(0, 4, 5)])
        expect((yield* takeAny(atTheEnd)).map(undelivered)).toEqual([record(0, 4, 5)])
      }))

    it.effect("refuses to be read from an offset that it does not have, and does not begin elsewhere instead", () =>
      Effect.gen(function*() {
        const { bounds, reader, writer } = yield* log
        yield* (yield* writer(0)).append([record(0, 1, 0), record(0, 2, 1)])
        const end = (yield* bounds([0])).get(0)?.end ?? 0n
        const refusal = (from: ReadonlyMap<number, bigint>): Effect.Effect<OffsetOutOfRange> =>
          reader(from).pipe(
            Effect.scoped,
            Effect.catchTag("EventLogUnavailable", Effect.die),
            Effect.flip,
            Effect.orDie
          )
        expect(yield* refusal(new Map([[1, 0n], [0, end + 1n]]))).toMatchObject({ partition: 0, asked: end + 1n, end })
        expect(yield* refusal(new Map([[4, 1n]]))).toMatchObject({ partition: 4, asked: 1n, begin: 0n, end: 0n })
        expect(yield* refusal(new Map([[0, -1n]]))).toMatchObject({ partition: 0, asked: -1n, begin: 0n })
        expect(yield* refusal(new Map([[0, 2n ** 62n]]))).toMatchObject({ partition: 0, asked: 2n ** 62n, end })
      }))

    it.effect("knows how far each shard has come, and a reader how far it is", () =>
      Effect.gen(function*() {
        const { bounds, frontier, reader, writer } = yield* log
        expect(yield* frontier(0)).toBe(0n)
        const records = [record(0, 3, 0), record(0, 7, 1), record(0, 9, 0), record(0, 12, 5)]
        yield* (yield* writer(0)).append(records)
        // Others' records lie behind theirs, in every partition.
        for (let position = 20; position < 24; position++) {
          yield* (yield* writer(1)).append(
            allPartitions.flatMap((partition) =>
              Array.from({ length: 40 }, (_, index) => record(1, position * 1_000 + partition * 40 + index, partition))
            ).toSorted((a, b) => Number(a.position - b.position))
          )
        }
        expect(yield* frontier(0)).toBe(12n)
        expect(yield* frontier(1)).toBe(23_319n)
        expect(yield* frontier(2)).toBe(0n)

        const end = (yield* bounds([3])).get(3)?.end ?? 0n
        const reading = yield* reader(fromTheBeginning([3]))
        expect(reading.next(3)).toBe(0n)
        yield* takeAll(reading, 160)
        // What takes up the last offsets may be no record.
        yield* Effect.repeat(Effect.timeoutOption(reading.take(1), "20 millis"), {
          until: () => (reading.next(3) ?? 0n) >= end
        })
        expect(reading.next(3)).toBe(end)
        expect(reading.next(4)).toBe(undefined)
      }))

    it.effect("lets take wait while there is nothing, delivers what comes then, and never more than was asked for", () =>
      Effect.gen(function*() {
        const { reader, writer } = yield* log
        const opened = yield* writer(0)
        const reading = yield* reader(fromTheBeginning())
        const delivered: Array<Delivered> = []
        for (const batch of [1, 40, 3, 300]) {
          const first = delivered.length
          const waiting = yield* Effect.forkChild(takeAny(reading, 10))
          yield* Effect.yieldNow
          expect(waiting.pollUnsafe()).toBeUndefined()
          yield* opened.append(spread(0, batch, first + 1))
          delivered.push(...yield* Fiber.join(waiting))
          expect(delivered.length).toBeGreaterThan(first)
          while (withoutReplays(delivered).length < first + batch) {
            const taken = yield* takeAny(reading, 10)
            expect(taken.length).toBeGreaterThan(0)
            expect(taken.length).toBeLessThanOrEqual(10)
            delivered.push(...taken)
          }
        }
        expect(withoutReplays(delivered)).toHaveLength(344)
      }))

    it.effect("loses nothing to a take that was given up", () =>
      Effect.gen(function*() {
        const { reader, writer } = yield* log
        const opened = yield* writer(0)
        const reading = yield* reader(fromTheBeginning([0]))
        const delivered: Array<Delivered> = []
        for (let position = 1; position <= 40; position++) {
          const waiting = yield* Effect.forkChild(reading.take(1000))
          const appending = yield* Effect.forkChild(opened.append([record(0, position, 0)]))
          if (position % 2 === 0) yield* Fiber.join(appending)
          yield* Fiber.interrupt(waiting)
          const taken = waiting.pollUnsafe()
          if (taken !== undefined && Exit.isSuccess(taken)) delivered.push(...taken.value)
          yield* Fiber.join(appending)
        }
        delivered.push(...yield* takeUntil(reading, (more) => withoutReplays([...delivered, ...more]).length >= 40))
        expect(withoutReplays(delivered).map(({ position }) => Number(position))).toEqual(
          spread(0, 40).map(({ position }) => Number(position))
        )
      }))

    it.effect("keeps readers apart: each reads its own partitions at its own pace", () =>
      Effect.gen(function*() {
        const { reader, writer } = yield* log
        const records = spread(0, 200)
        const [even, odd] = [fromTheBeginning([0, 2, 4, 6]), fromTheBeginning([1, 3, 5, 7])]
        const [first, second, third] = [yield* reader(even), yield* reader(odd), yield* reader(even)]
        yield* (yield* writer(0)).append(records)
        const [a, b] = yield* Effect.all([
          takeAll(first, records.filter(({ partition }) => partition % 2 === 0).length, 3),
          takeAll(second, records.filter(({ partition }) => partition % 2 === 1).length, 50)
        ], { concurrency: 2 })
        const c = yield* takeAll(third, withoutReplays(a).length)
        expect(byPartition(withoutReplays([...a, ...b]))).toEqual(byPartition(records))
        expect(byPartition(c)).toEqual(byPartition(a))
      }))

    it.effect("does not let a partition with a long backlog stop the others", () =>
      Effect.gen(function*() {
        const { reader, writer } = yield* log
        const opened = yield* writer(0)
        const backlog = 12_000
        for (let position = 1; position <= backlog; position += 1_000) {
          yield* opened.append(Array.from({ length: 1_000 }, (_, index) => record(0, position + index, 0)))
        }
        const reading = yield* reader(fromTheBeginning())
        expect(yield* takeAny(reading, 10)).not.toHaveLength(0)
        const others = allPartitions.slice(1)
        yield* opened.append(others.map((partition) => record(0, backlog + partition, partition)))
        // A fair reader has delivered the others long before it is through with the backlog.
        const delivered = yield* takeUntil(
          reading,
          (records) => others.every((partition) => ofPartition(records, partition).length > 0),
          50
        )
        expect(ofPartition(delivered, 0).length).toBeLessThan(backlog * 0.75)
      }))

    it.effect("delivers nothing more to a reader that was closed, and ends its wait", () =>
      Effect.gen(function*() {
        const { reader, writer } = yield* log
        const opened = yield* writer(0)
        const closing = yield* Deferred.make<void>()
        const handedOut = yield* Deferred.make<EventLogReader>()
        const owner = yield* reader(fromTheBeginning()).pipe(
          Effect.flatMap((reading) => Deferred.succeed(handedOut, reading)),
          Effect.andThen(Deferred.await(closing)),
          Effect.scoped,
          Effect.forkChild
        )
        const reading = yield* Deferred.await(handedOut)
        const waiting = yield* Effect.forkChild(Effect.result(reading.take(10)))
        yield* Deferred.succeed(closing, undefined)
        yield* Fiber.join(owner)
        yield* opened.append([record(0, 1, 0)])
        expect(yield* Effect.timeout(Fiber.join(waiting), "30 seconds")).toMatchObject({
          _tag: "Failure",
          failure: { _tag: "EventLogUnavailable" }
        })
        expect(yield* Effect.flip(reading.take(10))).toMatchObject({ _tag: "EventLogUnavailable" })
      }))

    it.effect("leaves no connection behind when it is closed", () =>
      Effect.gen(function*() {
        const { fresh } = yield* EventLogs
        const open = yield* fresh
        const connections = () => process.getActiveResourcesInfo().filter((each) => each.startsWith("TCP")).length
        const before = connections()
        yield* Effect.gen(function*() {
          const { reader, writer } = yield* open
          yield* (yield* writer(0)).append([record(0, 1, 0)])
          yield* takeAny(yield* reader(fromTheBeginning()))
          yield* reader(fromTheBeginning([1, 2]))
        }).pipe(Effect.scoped)
        // A socket takes a turn of the event loop to close.
        yield* Effect.sync(connections).pipe(
          Effect.repeat({ until: (now) => now <= before, schedule: Schedule.spaced("10 millis") }),
          Effect.timeout("10 seconds")
        )
      }))

    it.effect("takes the events of several shards at once, each in its own order", () =>
      Effect.gen(function*() {
        const { reader, writer } = yield* log
        const sources = [0, 1, 2]
        yield* Effect.forEach(sources, (source) =>
          Effect.gen(function*() {
            const opened = yield* writer(source)
            for (let first = 1; first <= 200; first += 20) yield* opened.append(spread(source, 20, first))
          }), { concurrency: "unbounded" })
        const delivered = withoutReplays(yield* takeAll(yield* reader(fromTheBeginning()), 600))
        for (const source of sources) {
          const expected = Array.from({ length: 10 }, (_, batch) => spread(source, 20, batch * 20 + 1)).flat()
          expect(byPartition(delivered.filter((record) => record.source === source))).toEqual(byPartition(expected))
        }
      }))

    law(
      "fencesWriters",
      "refuses every append of a writer after a newer one of the same shard was opened",
      () =>
        Effect.gen(function*() {
          const { fresh } = yield* EventLogs
          const open = yield* fresh
          const [ours, theirs] = [yield* open, yield* open]
          const old = yield* ours.writer(0)
          const other = yield* ours.writer(1)
          yield* old.append([record(0, 1, 0), record(0, 2, 1)])
          const current = yield* theirs.writer(0)
          const refused = yield* Effect.flip(old.append([record(0, 3, 0), record(0, 4, 1)]))
          expect(refused).toMatchObject({ _tag: "WriterFenced", source: 0 })
          yield* current.append([record(0, 3, 1)])
          expect(yield* Effect.flip(old.append([record(0, 4, 0)]))).toMatchObject({ _tag: "WriterFenced" })
          yield* other.append([record(1, 1, 0)])
          yield* current.append([record(0, 4, 0)])
          const reading = yield* theirs.reader(fromTheBeginning([0, 1]))
          const delivered = (yield* takeAll(reading, 5)).map(undelivered)
          expect(byPartition(delivered)).toEqual(byPartition([
            record(0, 1, 0),
            record(1, 1, 0),
            record(0, 4, 0),
            record(0, 2, 1),
            record(0, 3, 1)
          ]))
        })
    )

    law(
      "atomicAppends",
      "has an append as a whole or not at all, even one that was given up half way",
      () =>
        Effect.gen(function*() {
          const { reader, writer } = yield* log
          let position = 0
          const appends: Array<ReadonlyArray<LogRecord>> = []
          for (let attempt = 0; attempt < 12; attempt++) {
            const records = allPartitions.map((partition) => record(0, ++position, partition))
            appends.push(records)
            const appending = yield* Effect.forkChild((yield* writer(0)).append(records))
            yield* Effect.sleep(attempt)
            yield* Fiber.interrupt(appending)
          }
          // A last append, by a newer writer, comes after whatever became of those.
          const last = allPartitions.map((partition) => record(0, ++position, partition))
          yield* (yield* writer(0)).append(last)
          const delivered = yield* takeUntil(
            yield* reader(fromTheBeginning()),
            (records) =>
              allPartitions.every((partition) =>
                ofPartition(records, partition).some(({ position }) => position >= (last[0]?.position ?? 0n))
              )
          )
          const there = new Set(delivered.map(({ position }) => position))
          for (const append of appends) {
            expect([0, append.length]).toContain(append.filter(({ position }) => there.has(position)).length)
          }
        })
    )

    it.effect("has an append of unknown outcome once for those who drop replays, when it is appended again", () =>
      Effect.gen(function*() {
        const { reader, writer } = yield* log
        let acknowledged = 0
        const records = spread(0, 240)
        for (let attempt = 0; acknowledged < records.length; attempt++) {
          const opened = yield* writer(0)
          const batch = records.slice(acknowledged, acknowledged + 20)
          const appending = yield* Effect.forkChild(opened.append(batch))
          // Every other append is given up, at any moment: before it went out, under way, or just as it returned.
          if (attempt % 2 === 0) yield* Effect.andThen(Effect.sleep(attempt / 4), Fiber.interrupt(appending))
          const outcome = yield* Fiber.await(appending)
          if (Exit.isSuccess(outcome)) acknowledged += batch.length
          else if (attempt % 2 === 1) yield* outcome
        }
        const delivered = yield* takeAll(yield* reader(fromTheBeginning()), records.length)
        expect(byPartition(withoutReplays(delivered))).toEqual(byPartition(records))
      }))

    it.effect.prop(
      "has the positions of a shard in order with replays only, however its writers are restarted and come back as zombies",
      [Schema.Array(Step).check(Schema.isMaxLength(14))],
      ([steps]) =>
        Effect.gen(function*() {
          const { capabilities, reader, writer } = yield* log
          const shards = yield* Effect.forEach([0, 1], (source) =>
            Effect.gen(function*() {
              return {
                source,
                writers: [{ writer: yield* writer(source), cursor: yield* Ref.make(0) }],
                highest: 0
              }
            }))
          const at = (source: ShardId, position: number) =>
            record(source, position * 3, (position * position) % partitions)
          for (const { count, source, what } of steps) {
            const shard = shards[source]
            const current = shard?.writers.at(-1)
            if (shard === undefined || current === undefined) continue
            if (what === "restart") {
              shard.writers.push({
                writer: yield* writer(source),
                cursor: yield* Ref.make(yield* Ref.get(current.cursor))
              })
              continue
            }
            const zombie = what === "a zombie appends" && shard.writers.length > 1 ? shard.writers[0] : undefined
            const { cursor, writer: appender } = zombie ?? current
            const from = yield* Ref.get(cursor)
            const batch = Array.from({ length: count }, (_, index) => at(source, from + index + 1))
            const outcome = yield* Effect.result(appender.append(batch))
            if (zombie !== undefined && capabilities.fencesWriters) {
              expect(outcome).toMatchObject({ _tag: "Failure", failure: { _tag: "WriterFenced" } })
              continue
            }
            expect(outcome._tag).toBe("Success")
            shard.highest = Math.max(shard.highest, from + count)
            if (what !== "append and die before the cursor moves") yield* Ref.set(cursor, from + count)
            else shard.writers.push({ writer: yield* writer(source), cursor: yield* Ref.make(from) })
          }
          const expected = shards.flatMap(({ highest, source }) =>
            Array.from({ length: highest }, (_, index) => at(source, index + 1))
          )
          const reading = yield* reader(fromTheBeginning())
          const delivered = yield* takeAll(reading, expected.length)
          const more = yield* Effect.timeoutOption(reading.take(1000), "50 millis")
          const records = withoutReplays([...delivered, ...Option.getOrElse(more, () => [])])
          for (const { source } of shards) {
            const ofSource = (all: ReadonlyArray<LogRecord>) =>
              byPartition(all.filter((each) => each.source === source))
            expect(ofSource(records)).toEqual(ofSource(expected))
          }
        }),
      { arbitrary: { runs: 20, seed: "writers come and go" } }
    )
  })
