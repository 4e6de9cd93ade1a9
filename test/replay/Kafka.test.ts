/** The same from a real Kafka: what the shards carried there is enough to make their books again. */
import { assert, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { EventLog } from "#domain/messaging/EventLog.ts"
import { ShardLog } from "#domain/messaging/ShardLog.ts"
import * as KafkaEventLog from "#infra/kafka/KafkaEventLog.ts"
import { ShardDatabases } from "#infra/postgres/ShardDatabases.ts"
import { fill, settle } from "../checks/Books.ts"
import { ask, json, variablesOf } from "../counterpoise/Asking.ts"
import { TestPostgres, type TestShards } from "../support/TestPostgres.ts"
import { carryAll, shardLogsOf } from "./Replaying.ts"

const brokers = process.env["KAFKA_BROKERS"]
let topics = 0

/** The shards' logs, and a topic of its own to carry them into. */
const withKafka = (shards: TestShards) => {
  const topic = `replayed-${process.pid}-${++topics}`
  const { partitions } = shards.map
  const log = KafkaEventLog.layer({ brokers: brokers?.split(",") ?? [], topic, partitions })
  return {
    logs: Layer.merge(shardLogsOf(shards), Layer.fresh(log)),
    variables: { ...variablesOf(shards), EVENT_LOG: "kafka", KAFKA_BROKERS: brokers ?? "", KAFKA_TOPIC: topic }
  }
}

/** Carries a shard's log as {@link carryAll} does, but forgets one event. */
const carryWithout = Effect.fnUntraced(function*(shard: number, type: string, subject: string) {
  const log = yield* EventLog
  const { records, upTo } = yield* (yield* ShardLog).after(shard, 0n, 100_000)
  const writer = yield* log.writer(shard)
  yield* writer.append(records.filter((record) => record.type !== type || record.subject !== subject))
  yield* (yield* ShardDatabases).on(
    shard,
    (sql) => sql`INSERT INTO relay_cursor (log, position) VALUES (${log.identity}, ${upTo})`
  )
}, Effect.scoped)

layer(TestPostgres.layer, { excludeTestServices: true, timeout: "60 seconds" })("Replay from Kafka", (it) => {
  it.effect.skipIf(brokers === undefined)(
    "a shard's books are the same, among the events of others and some that came twice",
    () =>
      Effect.gen(function*() {
        const shards = yield* (yield* TestPostgres).freshShards(2)
        yield* settle(shards, yield* fill(shards))
        const { logs, variables } = withKafka(shards)
        // A relay that did not hear of its success appends again.
        yield* Effect.provide(Effect.andThen(carryAll, carryAll), logs, { local: true })
        for (const shard of [0, 1]) {
          const said = yield* ask(
            `replay --shard ${shard} --from kafka --into test_kafka_${process.pid}_${shard} -o json`,
            variables
          )
          assert.strictEqual(said.code, 0, said.err)
          const tables = json(said) as ReadonlyArray<
            { readonly is: string; readonly live: string; readonly replayed: string }
          >
          assert.strictEqual(tables.length, 9)
          for (const { is, live, replayed } of tables) {
            assert.deepStrictEqual({ is, replayed }, { is: "ok", replayed: live })
          }
        }
      })
  )

  it.effect.skipIf(brokers === undefined)("an event that did not get there is missed", () =>
    Effect.gen(function*() {
      const shards = yield* (yield* TestPostgres).freshShards(2)
      const books = yield* fill(shards)
      const { logs, variables } = withKafka(shards)
      const lost = carryWithout(0, "transfer.held", books.transfer("cross").transfer)
      yield* Effect.provide(lost, logs, { local: true })
      const said = yield* ask(`replay --shard 0 --from kafka --into test_kafka_${process.pid}_lost`, variables)
      assert.strictEqual(said.code, 6)
      assert.include(said.err, `transfer.committed of ${books.transfer("cross").transfer}`)
    }))
})
