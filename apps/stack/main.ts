/**
 * `npm start`: the whole platform on this machine. Real PostgreSQL from npm with two shards and the embedded event log (or
 * Kafka, with EVENT_LOG=kafka), every role in this one process, or in processes of their own with --separate. The notifier is
 * one of them if WEBHOOK_URL says whom to tell.
 *
 * State stays in .data/ (COUNTERPOISE_DATA names another folder); what to call and with which key is written to
 * .data/stack.json once the API is ready.
 */
import { randomBytes } from "node:crypto"
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs"
import path from "node:path"
import { Clock, ConfigProvider, Effect, Option, Redacted, Schedule, Schema } from "effect"
import * as LocalPostgres from "#infra/local/LocalPostgres.ts"
import { freePort } from "#infra/local/ServerProcess.ts"
import { dataDirOf, stackFileOf, withoutGaps } from "#infra/local/Stack.ts"
import { migratePlatform } from "#infra/postgres/MigratePlatform.ts"
import * as Processes from "#infra/Processes.ts"
import { main } from "#infra/Program.ts"
import * as Settings from "#infra/Settings.ts"
import { newPrivateKey, signerOf } from "#infra/Signatures.ts"
import { run as admin } from "../admin/run.ts"
import { run as api } from "../api/run.ts"
import { run as ledger } from "../ledger/run.ts"
import { run as notifier } from "../notifier/run.ts"
import { run as reconciler } from "../reconciler/run.ts"
import { run as relay } from "../relay/run.ts"
import { supervise } from "./Supervisor.ts"

const dataDir = dataDirOf(process.env)
const stackFile = stackFileOf(process.env)
const separate = process.argv.includes("--separate")
const wantedPort = Number(process.env["API_PORT"] ?? 8080)
const wantedAdminPort = Number(process.env["ADMIN_PORT"] ?? 8090)
const eventLog = process.env["EVENT_LOG"] ?? "postgres"

/** The variables that say to others on this machine how the platform is reached and what of it can be verified. */
const reached = [
  "SHARD_URLS",
  "PARTITIONS",
  "EVENT_LOG",
  "EVENT_LOG_URL",
  "KAFKA_BROKERS",
  "KAFKA_TOPIC",
  "NOTIFIER_URL",
  "API_HOST",
  "API_PORT",
  "ADMIN_URL",
  "ADMIN_KEY",
  "SEAL_PUBLIC_KEYS"
]

/** The API did not become ready. */
class NotReady extends Schema.TaggedError<NotReady>()("NotReady", { why: Schema.String }) {
  override get message() {
    return `the platform did not become ready: ${this.why}`
  }
}

/** A development key: made once, and kept. */
const developmentKey = (name: string, make: () => string) => {
  const file = path.join(dataDir, name)
  if (!existsSync(file)) writeFileSync(file, `${make()}\n`, { mode: 0o600 })
  return readFileSync(file, "utf8").trim()
}

/** Written beside and moved into place, so that nobody reads half of it. */
const writeStack = (stack: object) => {
  writeFileSync(`${stackFile}.new`, `${JSON.stringify(stack, undefined, 2)}\n`, { mode: 0o600 })
  renameSync(`${stackFile}.new`, stackFile)
}

const program = Effect.gen(function*() {
  const begun = yield* Clock.currentTimeMillis
  mkdirSync(dataDir, { recursive: true })
  rmSync(stackFile, { force: true })

  const postgres = yield* LocalPostgres.start({ dataDir: path.join(dataDir, "postgres"), port: 54329 })
  const databases = ["counterpoise_shard_0", "counterpoise_shard_1"]
  // A webhook that is set half is said to be so by the notifier.
  const { secrets, url } = yield* Settings.read(Settings.webhook)
  const notifies = Option.isSome(url) || Option.isSome(secrets)
  for (const name of [...databases, "counterpoise_log", ...(notifies ? ["counterpoise_notifier"] : [])]) {
    yield* LocalPostgres.createDatabase(postgres.url("postgres"), name)
  }

  const apiKey = developmentKey("api-key", () => `cp_dev_${randomBytes(18).toString("base64url")}`)
  const sealKey = process.env["SEAL_KEY"] ?? developmentKey("seal-key", newPrivateKey)
  const sealPublicKeys = process.env["SEAL_PUBLIC_KEYS"] ?? signerOf(Redacted.make(sealKey)).publicKey.publicKey
  const apiPort = yield* freePort(wantedPort)
  const apiUrl = `http://127.0.0.1:${apiPort}`
  const adminKey = developmentKey("admin-key", () => `cp_admin_${randomBytes(18).toString("base64url")}`)
  const adminPort = yield* freePort(wantedAdminPort)
  const adminUrl = `http://127.0.0.1:${adminPort}`
  const shardUrls = databases.map((name) => postgres.url(name))
  const environment: Record<string, string | undefined> = {
    ...process.env,
    SHARD_URLS: shardUrls.join(","),
    EVENT_LOG_URL: postgres.url("counterpoise_log"),
    ...(notifies ? { NOTIFIER_URL: postgres.url("counterpoise_notifier") } : {}),
    API_HOST: "127.0.0.1",
    API_PORT: String(apiPort),
    API_KEYS: process.env["API_KEYS"] ?? `dev:${apiKey}`,
    ADMIN_HOST: "127.0.0.1",
    ADMIN_PORT: String(adminPort),
    ADMIN_KEYS: process.env["ADMIN_KEYS"] ?? `operator:${adminKey}`,
    ADMIN_URL: adminUrl,
    ADMIN_KEY: adminKey,
    SEAL_KEY: sealKey,
    SEAL_PUBLIC_KEYS: sealPublicKeys
  }
  const settings = ConfigProvider.layer(ConfigProvider.fromEnv({ env: withoutGaps(environment) }))
  yield* Effect.provide(migratePlatform, settings)

  const pids = new Map<string, number>()
  const stack = () => ({
    apiUrl,
    apiKey,
    docsUrl: `${apiUrl}/docs`,
    adminUrl,
    adminKey,
    shardUrls,
    sealPublicKeys,
    eventLog,
    pid: process.pid,
    processes: separate ? Object.fromEntries(pids) : { all: process.pid },
    dataDir,
    environment: withoutGaps(Object.fromEntries(reached.map((name) => [name, environment[name]])))
  })

  const names = ["api", "admin", "relay", "ledger", "reconciler", ...(notifies ? ["notifier"] : [])]
  const roles = separate
    ? Effect.forEach(names, (name) =>
      supervise({
        name,
        env: environment,
        onStart: (pid) =>
          Effect.sync(() => {
            pids.set(name, pid)
            if (existsSync(stackFile)) writeStack(stack())
          })
      }), { concurrency: "unbounded", discard: true })
    // Neither API needs an event log, nor waits for one.
    : Effect.all([
      api,
      admin,
      Effect.all([relay, ledger, reconciler, ...(notifies ? [notifier] : [])], inCompany).pipe(
        Effect.provide(Processes.eventLog)
      )
    ], inCompany).pipe(Effect.provide(settings))

  const announce = Effect.gen(function*() {
    yield* Effect.forEach([apiUrl, adminUrl], ready, inCompany)
    writeStack(stack())
    const seconds = ((yield* Clock.currentTimeMillis) - begun) / 1000
    process.stdout.write([
      "",
      `Counterpoise is ready after ${seconds.toFixed(1)} s: 2 shards, event log on ${eventLog}, ${
        separate ? `${names.length} processes` : "all roles in one process"
      }.`,
      `  API       ${apiUrl}${apiPort === wantedPort ? "" : `   (port ${wantedPort} is taken)`}`,
      `  Docs      ${apiUrl}/docs`,
      `  Key       ${apiKey}`,
      `  Operators ${adminUrl}   (their key is in ${path.relative(process.cwd(), stackFile)})`,
      `  State     ${dataDir}   (npm run reset wipes it; ^C stops)`,
      "  Next      npm run demo",
      ""
    ].join("\n"))
    return yield* Effect.never
  })

  return yield* Effect.raceFirst(roles, announce)
}).pipe(
  Effect.ensuring(Effect.sync(() => rmSync(stackFile, { force: true }))),
  Effect.scoped
)

const ready = (url: string) =>
  Effect.tryPromise({
    try: async (signal) => {
      const response = await fetch(`${url}/readyz`, { signal })
      if (!response.ok) throw new Error(`${url}/readyz answers ${response.status}`)
    },
    catch: (cause) => NotReady.make({ why: cause instanceof Error ? cause.message : String(cause) })
  }).pipe(Effect.retry({ schedule: Schedule.spaced("50 millis"), times: 1_200 }))

const inCompany = { concurrency: "unbounded", discard: true } as const

// What the platform says when it is ready should stand out: below warnings it is silent, unless told otherwise.
process.env["LOG_LEVEL"] ??= "Warn"
main("stack", program)
