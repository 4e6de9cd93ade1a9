/**
 * The platform as it would run on several machines: a PostgreSQL server for each shard, an event log, two of each process,
 * and between each of them and what it connects to a link with weather. All of it is this process's own, and ends with it.
 */
import { chmodSync, closeSync, mkdtempSync, openSync, realpathSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import path from "node:path"
import { randomInt } from "node:crypto"
import { Effect, Exit, Layer, Redacted, Scope } from "effect"
import type { EventLog } from "#domain/messaging/EventLog.ts"
import * as KafkaEventLog from "#infra/kafka/KafkaEventLog.ts"
import * as LocalKafka from "#infra/local/LocalKafka.ts"
import * as LocalPostgres from "#infra/local/LocalPostgres.ts"
import { freePort, takeAlong } from "#infra/local/ServerProcess.ts"
import { migrate, migrateShard } from "#infra/postgres/Migrations.ts"
import * as PgEventLog from "#infra/postgres/PgEventLog.ts"
import { supervise } from "../../apps/stack/Supervisor.ts"
import { type Chance } from "../support/Chance.ts"
import { Link } from "../support/Link.ts"
import type { Recovery } from "./Recovery.ts"

export const roles = ["api", "relay", "ledger", "reconciler"] as const
export type Role = typeof roles[number]

const ofEachRole = 2
const shards = 2
export const partitions = 64
const topic = "chaos"

/** A process of the platform, which is started again whenever it ends. */
export interface Worker {
  /** `ledger-1` */
  readonly name: string
  readonly role: Role
  /** What the next start of it is given beside the rest. */
  readonly env: Record<string, string | undefined>
  readonly pid: () => number
  /** How often it ended without being told to, and how it ended last. */
  readonly ends: () => ReadonlyArray<{ readonly pid: number; readonly how: string; readonly atMillis: number }>
  /** What it has said, all starts together. */
  readonly outputFile: string
  /** To the servers that it works with. */
  readonly links: ReadonlyArray<Link>
}

/** A server that can be killed, and is there again afterwards. */
export interface StandingServer {
  readonly name: string
  readonly pid: () => number
  /** Kills it as the kernel would, and starts it again; when this ends it takes connections. */
  readonly killAndStart: Effect.Effect<void>
}

export interface Rig {
  readonly eventLog: EventLogKind
  /** The event log, directly: for those who look, not for those who work. */
  readonly log: Layer.Layer<EventLog>
  /** The shards, directly: for those who look, not for those who work. */
  readonly shardUrls: ReadonlyArray<string>
  readonly servers: ReadonlyArray<StandingServer>
  readonly workers: ReadonlyArray<Worker>
  /** From clients to the APIs. */
  readonly doors: ReadonlyArray<Link>
  readonly apiKey: string
  /** The crash points at which a process has died. */
  readonly reached: Set<string>
  /** How long it took until what a killed process did was done again. */
  readonly recoveries: Array<Recovery>
  /** The folder of what processes said. */
  readonly logs: string
}

export type EventLogKind = "postgres" | "kafka"

export interface RigOptions {
  readonly eventLog: EventLogKind
  readonly chance: Chance
  readonly env?: Readonly<Record<string, string>>
  readonly say: (line: string) => void
}

/** Everything up and ready; it ends with the scope. */
export const make = Effect.fnUntraced(function*({ chance, env = {}, eventLog, say }: RigOptions) {
  const folder = yield* Effect.acquireRelease(
    Effect.sync(() => {
      const made = realpathSync(mkdtempSync(path.join(tmpdir(), "counterpoise-chaos-")))
      // As root, PostgreSQL runs as somebody else, who must be able to enter.
      chmodSync(made, 0o755)
      return made
    }),
    (made) => Effect.sync(() => rmSync(made, { recursive: true, force: true }))
  )
  // What processes said is kept: a run that found something is of no use without it.
  const logs = yield* Effect.sync(() => mkdtempSync(path.join(tmpdir(), "counterpoise-chaos-logs-")))

  say(`starting ${shards} shards`)
  const shardServers = yield* Effect.forEach(
    Array.from({ length: shards }),
    (_, shard) => postgres(`shard-${shard}`, folder),
    { concurrency: "unbounded" }
  )
  const shardUrls = shardServers.map(({ url }) => url("counterpoise"))
  for (const [shard, url] of shardUrls.entries()) {
    yield* LocalPostgres.createDatabase(shardServers[shard]?.url("postgres") ?? "", "counterpoise")
    yield* migrateShard(Redacted.make(url), shard, partitions)
  }

  say(`starting the event log on ${eventLog}`)
  // Who works with the event log comes to Kafka by a door of their own each: Kafka tells clients where to connect to.
  const kafkaDoors = new Map<string, Link>()
  const names = roles.flatMap((role) =>
    Array.from({ length: ofEachRole }, (_, index) => ({ role, name: `${role}-${index + 1}` }))
  )
  const log = eventLog === "kafka"
    ? yield* Effect.gen(function*() {
      const doors: Array<{ readonly port: number; readonly advertised: string }> = []
      for (const { name, role } of names) {
        if (role === "api") continue
        const port = yield* somePort
        const link = yield* linkTo(`${name} to the event log`, () => ({ host: "127.0.0.1", port }), chance)
        kafkaDoors.set(name, link)
        doors.push({ port, advertised: link.address })
      }
      const server = yield* kafka(folder, doors)
      return {
        server,
        url: undefined,
        layer: Layer.orDie(KafkaEventLog.layer({ brokers: server.brokers, topic, partitions }))
      }
    })
    : yield* Effect.gen(function*() {
      const server = yield* postgres("event-log", folder)
      yield* LocalPostgres.createDatabase(server.url("postgres"), "counterpoise_log")
      yield* migrate(Redacted.make(server.url("counterpoise_log")), "log")
      const url = server.url("counterpoise_log")
      return { server, url, layer: Layer.orDie(PgEventLog.layer({ url: Redacted.make(url) })) }
    })

  const apiKey = `chaos-${randomInt(2 ** 40)}-key`
  const through = (name: string, url: string) =>
    linkTo(name, () => ({ host: new URL(url).hostname, port: Number(new URL(url).port) }), chance).pipe(
      Effect.map((link) => ({ link, url: Object.assign(new URL(url), { host: link.address }).href }))
    )

  const workers: Array<Worker> = []
  const doors: Array<Link> = []
  for (const { name, role } of names) {
    const toShards = yield* Effect.forEach(shardUrls, (url, shard) => through(`${name} to shard ${shard}`, url))
    const toLog = role === "api" || log.url === undefined
      ? undefined
      : yield* through(`${name} to the event log`, log.url)
    const kafkaDoor = kafkaDoors.get(name)
    const logLink = toLog?.link ?? kafkaDoor
    const apiPort = yield* somePort
    if (role === "api") {
      doors.push(yield* linkTo(`clients to ${name}`, () => ({ host: "127.0.0.1", port: apiPort }), chance))
    }
    workers.push(
      yield* worker(name, role, logs, {
        ...process.env,
        // Starting takes a third less of the processor when the sources need not be compiled again.
        NODE_COMPILE_CACHE: path.join(folder, "compiled"),
        SHARD_URLS: toShards.map(({ url }) => url).join(","),
        PARTITIONS: String(partitions),
        EVENT_LOG: eventLog,
        EVENT_LOG_URL: toLog?.url,
        KAFKA_BROKERS: kafkaDoor?.address,
        KAFKA_TOPIC: topic,
        API_PORT: String(apiPort),
        API_KEYS: `chaos:${apiKey}`,
        LEASE_SECONDS: "2",
        // A worker that has more to do than fits into a batch reads ahead: here it has that often.
        LEDGER_BATCH_SIZE: "3",
        REQUEST_PATIENCE_SECONDS: "3",
        HOLD_PATIENCE_SECONDS: "3",
        RECONCILE_SECONDS: "1",
        CHECK_SECONDS: "15",
        LOG_LEVEL: "Info",
        LOG_FORMAT: "json",
        ...env
      }, [...toShards.map(({ link }) => link), ...(logLink === undefined ? [] : [logLink])])
    )
  }
  const rig: Rig = {
    eventLog,
    log: log.layer,
    shardUrls,
    servers: [...shardServers, log.server],
    workers,
    doors,
    apiKey,
    reached: new Set(),
    recoveries: [],
    logs
  }
  return rig
})

/** Below the ports that the system gives to outgoing connections, lest one of them has it when a server comes back. */
const somePort = Effect.suspend(() => freePort(randomInt(12_000, 32_000)))

const linkTo = (name: string, target: () => { readonly host: string; readonly port: number }, chance: Chance) =>
  Effect.acquireRelease(
    Effect.promise(() => new Link(name, target, chance).open()),
    (link) => Effect.sync(() => link.close())
  )

/** A server that is started in a scope of its own, as often as need be. */
const standing = Effect.fnUntraced(
  function*<S extends { readonly pid: number; readonly exited: Effect.Effect<string> }>(
    name: string,
    start: Effect.Effect<S, { readonly message: string }, Scope.Scope>
  ) {
    const outer = yield* Effect.scope
    const startIn = Effect.gen(function*() {
      const scope = yield* Scope.fork(outer)
      return { scope, server: yield* Scope.provide(start, scope) }
    })
    let current = yield* startIn
    const killAndStart = Effect.gen(function*() {
      const { scope, server } = current
      process.kill(server.pid, "SIGKILL")
      yield* server.exited
      yield* Scope.close(scope, Exit.void)
      current = yield* startIn
    }).pipe(Effect.orDie, Effect.uninterruptible)
    return { name, now: () => current.server, pid: () => current.server.pid, killAndStart }
  }
)

const postgres = Effect.fnUntraced(function*(name: string, folder: string) {
  const dataDir = path.join(folder, name)
  const port = yield* somePort
  const server = yield* standing(
    name,
    LocalPostgres.start({ dataDir, port, settings: { shared_buffers: "64MB", min_wal_size: "128MB" } }).pipe(
      Effect.tap(({ pid }) => takeAlong({ pid, folder: dataDir, remove: [folder] }))
    )
  )
  return { ...server, url: (database: string) => server.now().url(database) }
})

const kafka = (folder: string, doors: NonNullable<LocalKafka.LocalKafkaOptions["doors"]>) =>
  Effect.flatMap(somePort, (port) => {
    const dataDir = path.join(folder, "kafka")
    return standing(
      "event-log",
      LocalKafka.start({ dataDir, port, doors }).pipe(
        Effect.tap(({ pid }) => takeAlong({ pid, folder: dataDir, remove: [folder] }))
      )
    )
  }).pipe(Effect.map((server) => ({ ...server, brokers: server.now().brokers })))

const worker = Effect.fnUntraced(function*(
  name: string,
  role: Role,
  logs: string,
  env: Record<string, string | undefined>,
  links: ReadonlyArray<Link>
) {
  const outputFile = path.join(logs, `${name}.log`)
  const output = yield* Effect.acquireRelease(
    Effect.sync(() => openSync(outputFile, "a")),
    (file) => Effect.sync(() => closeSync(file))
  )
  let pid = 0
  const ends: Array<{ readonly pid: number; readonly how: string; readonly atMillis: number }> = []
  yield* Effect.forkScoped(supervise({
    name: role,
    env,
    output,
    onStart: (started) =>
      Effect.sync(() => {
        pid = started
      }),
    onEnd: (how) => Effect.sync(() => ends.push({ pid, how, atMillis: performance.now() }))
  }))
  const made: Worker = { name, role, env, pid: () => pid, ends: () => ends, outputFile, links }
  return made
})
