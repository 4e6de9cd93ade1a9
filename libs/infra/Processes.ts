/**
 * What the processes have in common: the databases of the shards as a role, and the event log they share; of consumers, a
 * database of their own.
 */
import { Effect, Exit, Layer, Option, Redacted, Schedule, Scope } from "effect"
import { hostname } from "node:os"
import type { EventLog, EventLogUnavailable } from "#domain/messaging/EventLog.ts"
import type { UnusableTopic } from "./kafka/KafkaEventLog.ts"
import type { SchemaMismatch } from "./postgres/Migrations.ts"
import * as PgConsumer from "./postgres/PgConsumer.ts"
import * as PgEventLog from "./postgres/PgEventLog.ts"
import * as PgLeases from "./postgres/PgLeases.ts"
import { ShardDatabases } from "./postgres/ShardDatabases.ts"
import * as Settings from "./Settings.ts"

/** The databases of all shards, worked as this process's role. */
export const shardDatabases = (
  role: "api" | "relay" | "ledger" | "reconciler" | "auditor" | "operator",
  maxConnections?: number
) =>
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

type UnusableLog = UnusableTopic | SchemaMismatch

/** The event log that the environment names, if it can be reached now. */
export const reachableEventLog = Layer.unwrap(Effect.gen(
  function*(): Effect.fn.Return<Layer.Layer<EventLog, EventLogUnavailable | UnusableLog>, Settings.InvalidSettings> {
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
  }
))

/**
 * The event log that the environment names. It is waited for where it cannot be reached: it is a copy, so nothing is lost
 * meanwhile, and who starts before it begins when it comes. What is wrong with a log that can be reached does not pass.
 */
export const eventLog = Layer.effectContext(Effect.gen(function*() {
  const scope = yield* Effect.scope
  const open = Effect.gen(function*() {
    const own = yield* Scope.fork(scope)
    return yield* Effect.onError(
      Layer.buildWithScope(reachableEventLog, own),
      (cause) => Scope.close(own, Exit.failCause(cause))
    )
  })
  return yield* open.pipe(
    Effect.tapErrorTag(
      "EventLogUnavailable",
      ({ message }) => Effect.logWarning("the event log cannot be reached, waiting for it", { why: message })
    ),
    Effect.retry({ while: (error) => error._tag === "EventLogUnavailable", schedule: Schedule.spaced("1 second") })
  )
}))
