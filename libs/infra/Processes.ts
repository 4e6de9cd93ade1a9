/**
 * What the processes have in common: the databases of the shards as a role, and the event log they share; of consumers, a
 * database of their own.
 */
import { Effect, Layer, Option, Redacted } from "effect"
import { hostname } from "node:os"
import * as PgConsumer from "./postgres/PgConsumer.ts"
import * as PgEventLog from "./postgres/PgEventLog.ts"
import * as PgLeases from "./postgres/PgLeases.ts"
import { ShardDatabases } from "./postgres/ShardDatabases.ts"
import * as Settings from "./Settings.ts"

/** The databases of all shards, worked as this process's role. */
export const shardDatabases = (role: "api" | "relay" | "ledger" | "reconciler" | "auditor", maxConnections?: number) =>
  Layer.unwrap(Effect.gen(function*() {
    const { map, urls } = Settings.shardMapOf(yield* Settings.read(Settings.shards))
    return ShardDatabases.layer({
      urls,
      map,
      role: `counterpoise_${role}`,
      ...(maxConnections === undefined ? {} : { maxConnections })
    })
  }))

/** Names this process in leases: unique for its life. */
const holder = `${hostname()}:${process.pid}:${crypto.randomUUID()}`

/** Leases in the name of this process. */
export const leases = Layer.unwrap(Effect.gen(function*() {
  const { leaseTime } = yield* Settings.read(Settings.work)
  return PgLeases.layer({ holder, timeToLive: leaseTime })
}))

/** The database of a consumer's own, worked in the name of this process. */
export const consumer = (name: string, url: string) =>
  Layer.unwrap(Effect.gen(function*() {
    const { leaseTime } = yield* Settings.read(Settings.work)
    return PgConsumer.layer({ url: Redacted.make(url), consumer: name, holder, timeToLive: leaseTime })
  }))

/** The event log that the environment names. */
export const eventLog = Layer.unwrap(Effect.gen(function*() {
  const settings = yield* Settings.read({ ...Settings.eventLog, partitions: Settings.shards.partitions })
  if (settings.kind === "kafka") {
    if (Option.isNone(settings.brokers)) {
      return yield* Settings.InvalidSettings.make({
        mistakes: ["KAFKA_BROKERS: EVENT_LOG=kafka needs the brokers' addresses, such as 127.0.0.1:9092"]
      })
    }
    // kafkajs is loaded only where Kafka is used
    const { layer } = yield* Effect.promise(() => import("./kafka/KafkaEventLog.ts"))
    return layer({
      brokers: settings.brokers.value.split(",").map((each) => each.trim()),
      topic: settings.topic,
      partitions: settings.partitions,
      transactions: settings.transactions
    })
  }
  if (Option.isNone(settings.url)) {
    return yield* Settings.InvalidSettings.make({
      mistakes: ["EVENT_LOG_URL: EVENT_LOG=postgres needs the address of the event log's database"]
    })
  }
  return PgEventLog.layer({ url: Redacted.make(settings.url.value) })
}))
