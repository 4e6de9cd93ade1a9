import { randomUUID } from "node:crypto"
import { expect, it, layer as suite } from "@effect/vitest"
import { Context, Deferred, Effect, Layer } from "effect"
import { Kafka, logLevel } from "kafkajs"
import { type Delivered, EventLog, type LogRecord } from "#domain/messaging/EventLog.ts"
import * as KafkaEventLog from "#infra/kafka/KafkaEventLog.ts"
import { eventLogLaws, EventLogs, partitions } from "../laws/EventLogLaws.ts"

const addresses = process.env["KAFKA_BROKERS"]

let made = 0
const newTopic = () => `event-log-${process.pid}-${++made}`

const record = (source: number, position: number, rest: Partial<LogRecord> = {}): LogRecord => ({
  partition: 1,
  source,
  position: BigInt(position),
  key: "acc_1",
  type: "transfer.held",
  subject: "01JZ0000000000000000000000",
  payload: "{}",
  occurredAtMillis: 1_790_000_000_123,
  traceparent: null,
  requestId: null,
  ...rest
})

if (addresses === undefined) {
  it.skip("the event log in Kafka: KAFKA_BROKERS names none (npm test finds one)", () => undefined)
} else {
  const brokers = addresses.split(",")

  const open = (topic: string, rest: Partial<KafkaEventLog.Options> = {}) =>
    Layer.build(Layer.fresh(KafkaEventLog.layer({ brokers, topic, partitions, ...rest }))).pipe(
      Effect.map(Context.get(EventLog))
    )

  for (const transactions of [true, false]) {
    eventLogLaws(
      `the event log in Kafka, ${transactions ? "with" : "without"} transactions`,
      { denseOffsets: false, atomicAppends: false, fencesWriters: transactions, durable: true },
      Layer.succeed(EventLogs, {
        fresh: Effect.sync(() => {
          const topic = newTopic()
          return Effect.orDie(open(topic, { transactions }))
        })
      })
    )
  }

  suite(Layer.empty, { excludeTestServices: true })("the event log in Kafka", (it) => {
    /** Kafka as somebody else uses it. */
    const kafka = new Kafka({ brokers, logLevel: logLevel.NOTHING, retry: { initialRetryTime: 10, retries: 30 } })

    const transactionOf = (transactionalId: string) =>
      Effect.acquireRelease(
        Effect.promise(async () => {
          const producer = kafka.producer({
            transactionalId,
            idempotent: true,
            maxInFlightRequests: 1,
            createPartitioner: () => ({ message }) => message.partition ?? 0
          })
          await producer.connect()
          return { producer, transaction: await producer.transaction() }
        }),
        ({ producer }) => Effect.promise(() => producer.disconnect())
      )

    const messageOf = ({ partition, payload, position, source }: LogRecord) => ({
      partition,
      key: "acc_1",
      value: payload,
      headers: {
        ce_type: "io.counterpoise.transfer.held.v1",
        ce_source: `/ledger/shard/${source}`,
        ce_sequence: position.toString(),
        ce_subject: "01JZ0000000000000000000000",
        ce_time: "2026-09-21T14:13:20.123Z"
      }
    })

    /** The positions that are new to a consumer, in the order in which it sees them. */
    const firsts = (records: ReadonlyArray<Delivered>, source: number) => {
      let high = 0n
      return records.filter((each) => each.source === source).flatMap(({ position }) => {
        if (position <= high) return []
        high = position
        return [Number(position)]
      })
    }

    const readUntil = Effect.fnUntraced(function*(
      log: EventLog["Service"],
      enough: (records: ReadonlyArray<Delivered>) => boolean
    ) {
      const { take } = yield* log.reader(new Map([[1, 0n]]))
      const records: Array<Delivered> = []
      while (!enough(records)) records.push(...yield* Effect.timeout(take(5), "30 seconds"))
      return records
    })

    it.effect("is made of CloudEvents that anybody can read", () =>
      Effect.gen(function*() {
        const topic = newTopic()
        const { append } = yield* (yield* open(topic)).writer(3)
        const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
        yield* append([record(3, 77, { payload: `{"amount":"1250"}`, traceparent, requestId: "req-1" })])
        const consumer = yield* Effect.acquireRelease(
          Effect.sync(() => kafka.consumer({ groupId: randomUUID(), maxWaitTimeInMs: 50 })),
          (consumer) => Effect.promise(() => consumer.disconnect())
        )
        const seen = yield* Deferred.make<unknown>()
        yield* Effect.promise(async () => {
          await consumer.connect()
          await consumer.subscribe({ topic, fromBeginning: true })
          await consumer.run({
            eachMessage: async ({ message: { headers, key, value }, partition }) => {
              if (partition !== 1) return
              const texts = Object.entries(headers ?? {}).map(([name, text]) => [name, String(text)])
              Deferred.doneUnsafe(
                seen,
                Effect.succeed({ key: String(key), value: String(value), headers: Object.fromEntries(texts) })
              )
            }
          })
        })
        expect(yield* Effect.timeout(Deferred.await(seen), "30 seconds")).toEqual({
          key: "acc_1",
          value: `{"amount":"1250"}`,
          headers: {
            ce_specversion: "1.0",
            ce_id: "3-77",
            ce_source: "/ledger/shard/3",
            ce_type: "io.counterpoise.transfer.held.v1",
            ce_subject: "01JZ0000000000000000000000",
            ce_time: "2026-09-21T14:13:20.123Z",
            ce_partitionkey: "acc_1",
            ce_sequence: "77",
            ce_requestid: "req-1",
            traceparent
          }
        })
      }))

    it.effect("loses nothing to two relays that were killed at once, in the middle of appends to one partition", () =>
      Effect.gen(function*() {
        const topic = newTopic()
        const log = yield* open(topic)
        // kafkajs, when it reads committed records only, lets some records of such transactions through. Whoever acts
        // on the eighth takes the seventh, when it is appended again, for a replay.
        const payload = JSON.stringify("x".repeat(80_000))
        const positions = Array.from({ length: 16 }, (_, index) => index + 1)
        const transactions = yield* Effect.forEach([0, 1], (source) => transactionOf(`relay-${topic}-${source}`))
        for (const position of positions) {
          for (const [source, { transaction }] of transactions.entries()) {
            const messages = [messageOf(record(source, position, { payload }))]
            yield* Effect.promise(() => transaction.send({ topic, acks: -1, messages }))
          }
        }
        // Opening the writers anew aborts what the killed ones left open.
        for (const source of [0, 1]) {
          const { append } = yield* log.writer(source)
          yield* append(positions.map((position) => record(source, position, { payload })))
          yield* append([record(source, 17)])
        }
        const records = yield* readUntil(
          log,
          (records) => [0, 1].every((source) => records.some((each) => each.source === source && each.position === 17n))
        )
        for (const source of [0, 1]) expect(firsts(records, source)).toEqual([...positions, 17])
      }))

    it.effect("is not held up by a writer that died in the middle of an append", () =>
      Effect.gen(function*() {
        const topic = newTopic()
        const log = yield* open(topic)
        const { transaction } = yield* transactionOf("somebody who died")
        yield* Effect.promise(() => transaction.send({ topic, acks: -1, messages: [messageOf(record(0, 1))] }))
        yield* (yield* log.writer(1)).append([record(1, 1)])
        const records = yield* readUntil(log, (records) => records.length === 2)
        expect(records.map(({ source }) => source)).toEqual([0, 1])
        yield* Effect.promise(() => transaction.abort())
      }))

    it.effect("takes an append of many long events, and more for one partition than Kafka takes at once", () =>
      Effect.gen(function*() {
        const log = yield* open(newTopic())
        const { append } = yield* log.writer(0)
        const payload = JSON.stringify("é".repeat(10_000))
        yield* append(Array.from({ length: 150 }, (_, index) => record(0, index + 1, { payload })))
        const records = yield* readUntil(log, (records) => records.length >= 150)
        expect(firsts(records, 0)).toEqual(Array.from({ length: 150 }, (_, index) => index + 1))
        expect(records.every((each) => each.payload === payload)).toBe(true)
      }))

    it.effect("refuses a topic with another number of partitions, and one that it did not found", () =>
      Effect.gen(function*() {
        const topic = newTopic()
        yield* open(topic)
        expect(yield* Effect.flip(open(topic, { partitions: partitions + 1 }))).toMatchObject({
          _tag: "UnusableTopic",
          message: `the Kafka topic ${topic} cannot be the event log: it has 8 partitions, not 9`
        })
        const foreign = newTopic()
        const { producer } = yield* transactionOf(foreign)
        yield* Effect.promise(async () => {
          const admin = kafka.admin()
          await admin.connect()
          await admin.createTopics({ topics: [{ topic: foreign, numPartitions: partitions }], waitForLeaders: true })
          await admin.disconnect()
          await producer.send({ topic: foreign, messages: [{ partition: 0, value: "not ours" }] })
        })
        expect(yield* Effect.flip(open(foreign))).toMatchObject({
          _tag: "UnusableTopic",
          message: expect.stringContaining("does not begin with")
        })
      }))

    it.effect("is not taken for the topic of that name that was there before", () =>
      Effect.gen(function*() {
        const topic = newTopic()
        const log = yield* open(topic)
        yield* (yield* log.writer(0)).append([record(0, 1), record(0, 2)])
        const { take } = yield* log.reader(new Map([[1, 0n]]))
        expect(yield* take(10)).toHaveLength(2)
        yield* Effect.promise(async () => {
          const admin = kafka.admin()
          await admin.connect()
          await admin.deleteTopics({ topics: [topic] })
          await admin.disconnect()
        })
        const anew = yield* open(topic).pipe(Effect.retry({ times: 50 }))
        expect(anew.identity).not.toBe(log.identity)
        yield* (yield* anew.writer(0)).append([record(0, 1), record(0, 2), record(0, 3), record(0, 4)])
        expect(yield* Effect.flip(Effect.timeout(take(10), "30 seconds"))).toMatchObject({
          _tag: "EventLogUnavailable"
        })
        expect(yield* Effect.flip(log.writer(0))).toMatchObject({ message: expect.stringContaining("made anew") })
        expect(yield* Effect.flip(log.reader(new Map([[1, 2n]])))).toMatchObject({
          message: expect.stringContaining("made anew")
        })
      }))
  })
}
