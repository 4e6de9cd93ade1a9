/**
 * The Kafka that is there without Docker: the real broker, started, stopped and killed.
 */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import path from "node:path"
import { afterAll, assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Result } from "effect"
import { Kafka, logLevel } from "kafkajs"
import { findKafka } from "#infra/local/FindKafka.ts"
import * as KafkaPrograms from "#infra/local/KafkaPrograms.ts"
import * as LocalKafka from "#infra/local/LocalKafka.ts"
import { eventually, folder, isGone, killedHolderOf, lives } from "./Folders.ts"

const programs = await Effect.runPromise(Effect.result(
  KafkaPrograms.find(LocalKafka.defaultCache, (message) => process.stderr.write(`${message}\n`))
))
if (Result.isFailure(programs)) {
  // With a Kafka of another kind (KAFKA_BROKERS, as `npm test` sets it) nothing is missing but this way to have one.
  if (process.env["REQUIRE_KAFKA"] === "1" && process.env["KAFKA_BROKERS"] === undefined) throw programs.failure
  console.warn(`SKIPPED: the local Kafka cannot be tested. ${programs.failure.message}`)
}

/** Topics stay, as they would for a developer. */
const shared = mkdtempSync(path.join(tmpdir(), "counterpoise-local-"))
afterAll(() => rmSync(shared, { recursive: true, force: true }))

const client = (brokers: ReadonlyArray<string>) =>
  new Kafka({ clientId: "test", brokers: [...brokers], logLevel: logLevel.NOTHING })

const send = (brokers: ReadonlyArray<string>, topic: string, value: string) =>
  Effect.promise(async () => {
    const producer = client(brokers).producer({ transactionalId: topic, idempotent: true, maxInFlightRequests: 1 })
    const admin = client(brokers).admin()
    await admin.connect()
    await admin.createTopics({ waitForLeaders: true, topics: [{ topic, numPartitions: 1 }] })
    await producer.connect()
    const transaction = await producer.transaction()
    await transaction.send({ topic, messages: [{ key: "account", value }] })
    await transaction.commit()
    await Promise.all([producer.disconnect(), admin.disconnect()])
  })

const firstOf = (brokers: ReadonlyArray<string>, topic: string) =>
  Effect.promise(async () => {
    const consumer = client(brokers).consumer({ groupId: `reader of ${topic}` })
    await consumer.connect()
    await consumer.subscribe({ topic, fromBeginning: true })
    const { promise, resolve } = Promise.withResolvers<string | undefined>()
    await consumer.run({ eachMessage: async ({ message }) => resolve(message.value?.toString()) })
    const value = await promise
    await consumer.disconnect()
    return value
  })

describe.skipIf(Result.isFailure(programs))("a Kafka on this machine", { timeout: 120_000 }, () => {
  it.live("keeps its messages from one start to the next", () =>
    Effect.gen(function*() {
      const first = yield* Effect.scoped(Effect.gen(function*() {
        const kafka = yield* LocalKafka.start({ dataDir: shared })
        yield* send(kafka.brokers, "kept", "1000")
        return kafka
      }))
      assert.isFalse(lives(first.pid))
      const { brokers } = yield* LocalKafka.start({ dataDir: shared })
      assert.strictEqual(yield* firstOf(brokers, "kept"), "1000")
    }))

  it.live("comes back with what was committed after its broker was killed", () =>
    Effect.gen(function*() {
      const killed = yield* LocalKafka.start({ dataDir: shared })
      yield* send(killed.brokers, "survivor", "1000")
      process.kill(killed.pid, "SIGKILL")
      assert.strictEqual(yield* killed.exited, "SIGKILL")
      const { brokers } = yield* LocalKafka.start({ dataDir: shared })
      assert.strictEqual(yield* firstOf(brokers, "survivor"), "1000")
    }))

  it.live("stops a broker that was left behind when its owner was killed, and takes its topics over", () =>
    Effect.gen(function*() {
      const left = yield* killedHolderOf("kafka", shared)
      assert.isTrue(lives(left))
      yield* LocalKafka.start({ dataDir: shared })
      assert.isFalse(lives(left))
    }))

  it.live("leaves a broker alone whose owner lives, steps around its port, and is found by KAFKA_BROKERS", () =>
    Effect.gen(function*() {
      const kafka = yield* LocalKafka.start({ dataDir: shared })
      const refused = yield* Effect.flip(Effect.scoped(LocalKafka.start({ dataDir: shared })))
      assert.include(refused.missing, `process ${kafka.pid}, already works on this data`)

      const taken = Number(kafka.brokers[0]?.split(":")[1])
      const other = yield* LocalKafka.start({
        dataDir: path.join(yield* folder(), "kafka"),
        port: taken,
        ephemeral: true
      })
      assert.notDeepEqual(other.brokers, kafka.brokers)

      const KAFKA_BROKERS = [...kafka.brokers, ...other.brokers].join(" , ")
      const found = yield* findKafka.pipe(
        Effect.provide(ConfigProvider.layer(ConfigProvider.fromEnv({ env: { KAFKA_BROKERS } })))
      )
      assert.deepEqual(found, { brokers: [...kafka.brokers, ...other.brokers], how: "KAFKA_BROKERS" })
    }))

  it.live("takes an ephemeral broker and its data away even if their owner is killed", () =>
    Effect.gen(function*() {
      const dataDir = path.join(yield* folder(), "kafka")
      const broker = yield* killedHolderOf("kafka", dataDir, "ephemeral")
      yield* eventually("the broker ends", () => !lives(broker))
      yield* eventually("its folder is removed", () => isGone(dataDir))
    }))
})
