/** Who starts before the event log can be reached waits for it, and says so; what is wrong with a log is not waited for. */
import { expect, layer as suite } from "@effect/vitest"
import { ConfigProvider, Context, Effect, Fiber, Layer, Logger, Queue, Redacted } from "effect"
import { EventLog } from "#domain/messaging/EventLog.ts"
import * as Processes from "#infra/Processes.ts"
import { Door } from "../support/Door.ts"
import { TestPostgres } from "../support/TestPostgres.ts"

const brokers = process.env["KAFKA_BROKERS"]
const topic = `late-${process.pid}-${Date.now()}`

/** The event log of a process with this environment. */
const open = (env: Readonly<Record<string, string>>) =>
  Layer.build(Layer.fresh(Processes.eventLog)).pipe(
    Effect.map(Context.get(EventLog)),
    Effect.provide(ConfigProvider.layer(ConfigProvider.fromEnv({ env })))
  )

const doorTo = (target: string) =>
  Effect.acquireRelease(Effect.sync(() => new Door(target)), (door) => Effect.sync(() => door.close()))

/** What is said of the event log. */
const listener = Effect.gen(function*() {
  const said = yield* Queue.unbounded<string>()
  const logger = Logger.make<unknown, void>(({ logLevel, message }) => {
    const [text] = Array.isArray(message) ? message : [message]
    if (String(text).includes("event log")) Queue.offerUnsafe(said, `${logLevel}: ${text}`)
  })
  return { said, layer: Logger.layer([logger]) }
})

suite(TestPostgres.layer, { excludeTestServices: true })("an event log that comes late", (it) => {
  const logs = [
    {
      name: "in PostgreSQL",
      skip: false,
      where: Effect.gen(function*() {
        const url = new URL(Redacted.value(yield* (yield* TestPostgres).freshLog))
        return {
          target: url.host,
          env: (address: string) => ({ EVENT_LOG_URL: Object.assign(new URL(url), { host: address }).href })
        }
      })
    },
    {
      name: "in Kafka",
      skip: brokers === undefined,
      where: Effect.succeed({
        target: brokers?.split(",")[0] ?? "",
        env: (address: string) => ({ EVENT_LOG: "kafka", KAFKA_BROKERS: address, KAFKA_TOPIC: topic, PARTITIONS: "8" })
      })
    }
  ]
  for (const { name, skip, where } of logs) {
    it.effect.skipIf(skip)(`${name} is waited for, and worked when it is there`, () =>
      Effect.gen(function*() {
        const { env, target } = yield* where
        const door = yield* doorTo(target)
        const { layer, said } = yield* listener
        const opening = yield* Effect.forkScoped(open(env(door.address)).pipe(Effect.provide(layer)))
        expect(yield* Queue.take(said)).toBe("Warn: the event log cannot be reached, waiting for it")
        expect(opening.pollUnsafe()).toBeUndefined()
        yield* Effect.promise(() => door.open())
        const log = yield* Fiber.join(opening)
        expect((yield* log.bounds([1])).get(1)).toEqual({ begin: 0n, end: 0n })
      }), 30_000)
  }

  it.effect("is not waited for where there is another thing in its place", () =>
    Effect.gen(function*() {
      const { urls: [shard] } = yield* (yield* TestPostgres).freshShards(1)
      const elsewhere = shard === undefined ? "" : Redacted.value(shard)
      expect(yield* Effect.flip(open({ EVENT_LOG_URL: elsewhere }))).toMatchObject({ _tag: "SchemaMismatch" })
    }))

  it.effect.skipIf(brokers === undefined)(
    "is not waited for where the topic has another number of partitions",
    () =>
      Effect.gen(function*() {
        const env = { EVENT_LOG: "kafka", KAFKA_BROKERS: brokers ?? "", KAFKA_TOPIC: `${topic}-other` }
        yield* open({ ...env, PARTITIONS: "8" })
        expect(yield* Effect.flip(open({ ...env, PARTITIONS: "9" }))).toMatchObject({
          _tag: "UnusableTopic",
          why: "it has 8 partitions, not 9"
        })
      })
  )
})
