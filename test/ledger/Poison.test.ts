/** A message that cannot be processed stops its partition, there and for ever, and says so. Nobody else waits for it. */
import { expect, layer } from "@effect/vitest"
import { Effect, Fiber, Layer, Logger, Metric, Option, Queue } from "effect"
import { violationsOf } from "#domain/reconciliation/Checks.ts"
import { ConsumerPositions } from "#domain/messaging/ConsumerPositions.ts"
import { EventLog, type LogRecord } from "#domain/messaging/EventLog.ts"
import { Queries } from "#domain/ledger/Queries.ts"
import { partitionOf } from "#domain/sharding/Partition.ts"
import { Shards } from "#domain/sharding/Shards.ts"
import * as Metrics from "#infra/telemetry/Metrics.ts"
import { ledgerWorker } from "../../apps/ledger/LedgerWorker.ts"
import { check } from "../checks/Checking.ts"
import { TestPostgres } from "../support/TestPostgres.ts"
import { ask, ended, logOf, nameOn, open, partitions, postedOf, publish, World, world } from "./World.ts"

/** The places where a worker said that it stopped. */
const stops = Effect.gen(function*() {
  const said = yield* Queue.unbounded<unknown>()
  const listener = Logger.make<unknown, void>(({ message }) => {
    const [text, details] = Array.isArray(message) ? message : [message]
    if (text === "partition stopped: a message cannot be processed") Queue.offerUnsafe(said, details)
  })
  return { said, layer: Logger.layer([listener]) }
})

const stoppedPartitions = (shard: number) =>
  Effect.map(
    Metric.value(Metric.withAttributes(Metrics.partitionsStopped, { shard: String(shard) })),
    ({ value }) => value
  )

const placeOf = Effect.fnUntraced(function*(partition: number) {
  const { identity } = yield* EventLog
  const shards = yield* Shards
  const [place] = yield* shards.transact(0, ConsumerPositions.use((positions) => positions.load(identity, [partition])))
  return place?.next
})

/** An account of the first shard whose partition is another than this one's. */
const elsewhere = (id: string) => {
  for (let number = 1;; number++) {
    const other = nameOn(0, `other-${number}`)
    if (partitionOf(other, partitions) !== partitionOf(id, partitions)) return other
  }
}

const poisons = [
  {
    what: "cannot be read",
    spoil: (record: LogRecord): LogRecord => ({ ...record, payload: `{"type":"transfer.requested"}` }),
    why: "SchemaError"
  },
  {
    what: "cannot be",
    spoil: (record: LogRecord): LogRecord => ({
      ...record,
      type: "transfer.credited",
      payload: record.payload.replace("transfer.requested", "transfer.credited")
    }),
    why: "cannot be: it is requested"
  }
]

layer(TestPostgres.layer, { excludeTestServices: true })("a partition of the ledger", (it) => {
  for (const { spoil, what, why } of poisons) {
    it.effect(`stops at a message that ${what}, says so, and stops there again`, () =>
      Effect.gen(function*() {
        const bank = yield* open(nameOn(0, "bank"), "external")
        const otherBank = yield* open(elsewhere(bank), "external")
        const alice = yield* open(nameOn(0, "alice"))
        const partition = partitionOf(bank, partitions)
        const before = yield* ask(bank, alice, "3")
        const poisoned = yield* ask(bank, alice, "5")
        const after = yield* ask(bank, alice, "7")
        const beside = yield* ask(otherBank, alice, "11")
        const spoilt = (records: ReadonlyArray<LogRecord>) =>
          records.map((record) => record.subject === poisoned ? spoil(record) : record)
        yield* publish(0, spoilt(yield* logOf(0)))
        const { bounds } = yield* EventLog
        const end = Option.fromUndefinedOr((yield* bounds([partition])).get(partition)?.end)
        // The last two of the partition are the message and the one behind it.
        const offset = Option.getOrThrow(end) - 2n

        const { layer, said } = yield* stops
        const work = Effect.forkScoped(ledgerWorker(0).pipe(Effect.provide(layer)))
        const stopsThere = Effect.gen(function*() {
          expect(yield* Queue.take(said)).toMatchObject({
            partition,
            offset,
            transferId: poisoned,
            source: 0,
            why: expect.stringContaining(why)
          })
        })

        const first = yield* work
        yield* stopsThere
        expect((yield* ended(beside)).status).toBe("committed")
        expect((yield* ended(before)).status).toBe("committed")
        expect(yield* stoppedPartitions(0)).toBe(1)
        yield* Fiber.interrupt(first)
        expect(yield* stoppedPartitions(0)).toBe(0)
        expect(yield* placeOf(partition)).toBe(offset)

        yield* work
        yield* stopsThere
        const later = yield* ask(otherBank, alice, "13")
        yield* publish(0, (yield* logOf(0)).filter(({ subject }) => subject === later))
        expect((yield* ended(later)).status).toBe("committed")
        expect(yield* stoppedPartitions(0)).toBe(1)
        expect(yield* placeOf(partition)).toBe(offset)
        expect(yield* Queue.size(said)).toBe(0)

        const queries = yield* Queries
        for (const id of [poisoned, after]) {
          expect(Option.getOrThrow(yield* queries.transfer(id)).status).toBe("requested")
        }
        expect(yield* postedOf(alice)).toEqual({ posted: 27n, held: 0n, sequence: 3n })
        expect(violationsOf(yield* check(yield* World))).toEqual([])
      }).pipe(Effect.scoped, Effect.provide(Layer.fresh(world))))
  }

  it.effect("is counted apart from those of another shard that the same process works", () =>
    Effect.gen(function*() {
      const { layer, said } = yield* stops
      for (const shard of [0, 1]) {
        const bank = yield* open(nameOn(shard, "bank"), "external")
        const poisoned = yield* ask(bank, nameOn(shard, "alice"), "1")
        const records = yield* logOf(shard)
        yield* publish(
          shard,
          records.map((record) => record.subject === poisoned ? { ...record, payload: "" } : record)
        )
        yield* Effect.forkScoped(ledgerWorker(shard).pipe(Effect.provide(layer)))
        yield* Queue.take(said)
      }
      expect([yield* stoppedPartitions(0), yield* stoppedPartitions(1)]).toEqual([1, 1])
    }).pipe(Effect.scoped, Effect.provide(Layer.fresh(world))))
})
