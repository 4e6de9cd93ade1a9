/**
 * `counterpoise doctor`: looks at everything that a platform needs, one thing after the other, and says of each how it is
 * and what mends it. It changes nothing.
 */
import { Effect, Layer, Option, Redacted } from "effect"
import type { Config } from "effect"
import { EventLog } from "#domain/messaging/EventLog.ts"
import * as Processes from "#infra/Processes.ts"
import * as Settings from "#infra/Settings.ts"
import { publicKeyOf, signerOf } from "#infra/Signatures.ts"
import { Surroundings } from "../Platform.ts"
import { examine, hostOf } from "./Databases.ts"
import { type Diagnosis, warning, well, wrong } from "./Diagnosis.ts"

/** All settings by their groups; each process reads some of them. */
const groups: Readonly<Record<string, Readonly<Record<string, Config.Config<unknown>>>>> = {
  shards: Settings.shards,
  "event log": Settings.eventLog,
  work: Settings.work,
  patience: Settings.patience,
  sealing: Settings.sealing,
  seals: Settings.seals,
  webhook: Settings.webhook,
  notifier: Settings.notifier,
  operator: Settings.operator,
  health: Settings.health
}

export const examination = Effect.gen(function*() {
  const settings = yield* settingsAre
  if (settings.some(({ is }) => is === "wrong")) return settings
  return [
    ...settings,
    ...(yield* databasesAre),
    ...(yield* eventLogIs),
    ...(yield* sealsAre),
    ...(yield* apiIs)
  ]
})

const settingsAre = Effect.gen(function*() {
  const found = yield* Effect.forEach(Object.entries(groups), ([group, settings]) =>
    Settings.read(settings).pipe(
      Effect.as<ReadonlyArray<Diagnosis>>([]),
      Effect.catchTag("InvalidSettings", ({ mistakes }) =>
        Effect.succeed(mistakes.map((mistake) =>
          wrong(`settings: ${group}`, mistake, "see the table in README.md, or .env.example")
        )))
    ))
  const mistakes = found.flat()
  return mistakes.length > 0 ? mistakes : [well("settings", "all can be read")]
})

const databasesAre = Effect.gen(function*() {
  const { map, urls } = Settings.shardMapOf(yield* Settings.read(Settings.shards))
  const { kind, url: logUrl } = yield* Settings.read(Settings.eventLog)
  const { database: notifierUrl } = yield* Settings.read(Settings.notifier)
  const subjects = [
    ...urls.map((url, shard) => ({
      what: `shard ${shard}`,
      url: Redacted.value(url),
      kind: "shard" as const,
      role: "counterpoise_auditor",
      identity: { shard, partitions: map.partitions }
    })),
    ...(kind === "postgres" && Option.isSome(logUrl)
      ? [{ what: "event log", url: logUrl.value, kind: "log" as const }]
      : []),
    ...(Option.isSome(notifierUrl)
      ? [{ what: "notifier", url: notifierUrl.value, kind: "consumer" as const, identity: { consumer: "notifier" } }]
      : [])
  ]
  const addresses = subjects.map(({ url }) => hostOf(url))
  const shared = addresses.filter((address, index) => addresses.indexOf(address) !== index)
  return [
    ...shared.map((address) =>
      wrong("settings", `${address} is given twice`, "each shard, the event log and the notifier have a database each")
    ),
    ...(yield* Effect.forEach(subjects, examine, { concurrency: "unbounded" })).flat()
  ]
})

/** The log that all shards share: reachable, and with as many partitions as the accounts. */
const eventLogIs = Effect.gen(function*() {
  const { brokers, kind, topic, url } = yield* Settings.read(Settings.eventLog)
  const { partitions } = yield* Settings.read(Settings.shards)
  if (kind === "kafka" ? Option.isNone(brokers) : Option.isNone(url)) {
    const missing = kind === "kafka" ? "KAFKA_BROKERS" : "EVENT_LOG_URL"
    return [wrong("event log", `EVENT_LOG=${kind} needs ${missing}`, `set ${missing}`)]
  }
  const name = kind === "kafka" ? `Kafka topic ${topic}` : "event log"
  return yield* EventLog.use((log) =>
    Effect.map(log.bounds(Array.from({ length: partitions }, (_, partition) => partition)), (bounds) => {
      const records = [...bounds.values()].reduce((sum, { begin, end }) => sum + (end - begin), 0n)
      return [well(name, `${log.identity}: ${bounds.size} partitions, ${records} records`)]
    })
  ).pipe(
    Effect.provide(Layer.fresh(Processes.reachableEventLog)),
    Effect.timeout("20 seconds"),
    Effect.catch((error) =>
      Effect.succeed([
        error._tag === "UnusableTopic"
          ? wrong(name, error.message, `set PARTITIONS to what the topic has, or KAFKA_TOPIC to one that is new`)
          : wrong(
            name,
            error.message,
            "start it; nothing is lost meanwhile, as the shards' own logs are what counts"
          )
      ])
    )
  )
})

const sealsAre = Effect.gen(function*() {
  const { key } = yield* Settings.read(Settings.sealing)
  const { publicKeys } = yield* Settings.read(Settings.seals)
  const trusted = Option.getOrElse(publicKeys, () => []).map((each) => publicKeyOf(each).id)
  if (Option.isNone(key)) {
    return [
      trusted.length === 0
        ? warning(
          "seals",
          "neither SEAL_KEY nor SEAL_PUBLIC_KEYS is set: nothing is sealed",
          "see docs/evidence.md, The key"
        )
        : well("seals", `trusted: ${trusted.join(", ")}; SEAL_KEY is the reconciler's, and not set here`)
    ]
  }
  const { keyId } = signerOf(key.value)
  return [
    trusted.includes(keyId)
      ? well("seals", `SEAL_KEY is ${keyId}, and trusted`)
      : wrong("seals", `SEAL_KEY is ${keyId}, which SEAL_PUBLIC_KEYS does not have`, "add its public key there")
  ]
})

/** The API, where it is said to listen; or that nobody else took its port. */
const apiIs = Effect.gen(function*() {
  const { variables } = yield* Surroundings
  const host = yield* Settings.api.host
  const port = yield* Settings.api.port
  const url = `http://${host}:${port}`
  const status = yield* Effect.tryPromise(async (signal) => (await fetch(`${url}/readyz`, { signal })).status).pipe(
    Effect.timeout("5 seconds"),
    Effect.option
  )
  if (Option.isSome(status)) {
    return [
      status.value === 200
        ? well("api", `${url} is ready`)
        : status.value === 503
        ? wrong("api", `${url} is not ready`, "its log says why; it needs its shards, and no event log")
        : wrong("api", `${url} is taken by something else`, "stop that, or give the API another API_PORT")
    ]
  }
  return [
    variables["API_PORT"] === undefined
      ? well("api", `${url} is free`)
      : warning("api", `nothing listens at ${url}`, "start the API: npm run api, or npm start")
  ]
}).pipe(
  Effect.catchTag("ConfigError", ({ message }) => Effect.succeed([wrong("settings: api", message, "see README.md")]))
)
