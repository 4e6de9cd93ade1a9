/**
 * A Kafka for tests and measurements, by whatever this machine has: one that runs, Docker, or Maven and Java.
 */
import { existsSync, promises as fs } from "node:fs"
import http from "node:http"
import { homedir, tmpdir } from "node:os"
import path from "node:path"
import { Config, Effect, Option, Result, Schema, type Scope } from "effect"
import { awaitReady } from "./KafkaReadiness.ts"
import * as LocalKafka from "./LocalKafka.ts"

export interface FoundKafka {
  /** Addresses for clients. */
  readonly brokers: ReadonlyArray<string>
  /** For people: where it comes from. */
  readonly how: string
}

/** There is no Kafka, by any of the ways; each says what it lacked. */
export class NoKafka extends Schema.TaggedError<NoKafka>()("NoKafka", {
  lacking: Schema.Array(Schema.Struct({ way: Schema.String, why: Schema.String }))
}) {
  override get message() {
    return `there is no Kafka\n${this.lacking.map(({ way, why }) => `  ${way}: ${why}`).join("\n")}`
  }
}

/**
 * Finds or starts a Kafka that serves metadata, groups and transactions; what it started ends with the scope. In this
 * order: `KAFKA_BROKERS` (comma-separated; if it is given no other way is tried, for that one was meant), Docker, Maven
 * and Java.
 */
export const findKafka: Effect.Effect<FoundKafka, NoKafka, Scope.Scope> = Effect.gen(function*() {
  const given = yield* configured("KAFKA_BROKERS")
  if (Option.isSome(given)) {
    const brokers = given.value.split(",").map((broker) => broker.trim()).filter((broker) => broker !== "")
    return yield* awaitReady(brokers, "15 seconds").pipe(
      Effect.as({ brokers, how: "KAFKA_BROKERS" }),
      Effect.mapError((error) => NoKafka.make({ lacking: [{ way: "KAFKA_BROKERS", why: error.message }] }))
    )
  }
  const byDocker = yield* Effect.result(fromDocker)
  if (Result.isSuccess(byDocker)) return byDocker.success
  const byJava = yield* Effect.result(fromMaven)
  if (Result.isSuccess(byJava)) return byJava.success
  return yield* NoKafka.make({
    lacking: [
      { way: "KAFKA_BROKERS", why: "is not set" },
      { way: "Docker", why: byDocker.failure },
      { way: "Maven and Java", why: byJava.failure }
    ]
  })
}).pipe(Effect.withSpan("findKafka"))

/** Setting nothing and setting to nothing are the same to a person. */
const configured = (name: string) =>
  Config.option(Config.String(name)).pipe(Effect.orDie, Effect.map(Option.filter((value) => value.trim() !== "")))

const fromMaven: Effect.Effect<FoundKafka, string, Scope.Scope> = Effect.gen(function*() {
  const dataDir = yield* Effect.promise(() => fs.mkdtemp(path.join(tmpdir(), "counterpoise-kafka-")))
  const { brokers } = yield* LocalKafka.start({
    dataDir,
    ephemeral: true,
    // Not a log: it is there so that a person does not take a download for a hang.
    onProgress: (message) => process.stderr.write(`${message}\n`)
  }).pipe(
    Effect.tapError(() => Effect.promise(() => fs.rm(dataDir, { recursive: true, force: true }))),
    Effect.mapError((error) => error.message)
  )
  return { brokers, how: "Maven and Java" }
})

/** Confluent's 8.1 is Apache Kafka 4.1, as LocalKafka's. */
const image = "confluentinc/cp-kafka:8.1.0"

const fromDocker: Effect.Effect<FoundKafka, string, Scope.Scope> = Effect.gen(function*() {
  yield* pingDocker
  const container = yield* Effect.acquireRelease(
    Effect.tryPromise({
      // Loaded only here: it takes a second, and most runs need none of it.
      try: async () => {
        const { KafkaContainer } = await import("@testcontainers/kafka")
        return await new KafkaContainer(image).withKraft().withEnvironment({
          KAFKA_AUTO_CREATE_TOPICS_ENABLE: "false",
          KAFKA_GROUP_MIN_SESSION_TIMEOUT_MS: "1000",
          KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR: "1",
          KAFKA_TRANSACTION_STATE_LOG_NUM_PARTITIONS: "4"
        }).start()
      },
      catch: (cause) => `the engine answers, but ${image} did not start: ${String(cause)}`
    }),
    (container) => Effect.ignore(Effect.tryPromise(() => container.stop()), { log: "Warn" })
  )
  const brokers = [`${container.getHost()}:${container.getMappedPort(9093)}`]
  yield* awaitReady(brokers, "1 minute").pipe(Effect.mapError((error) => error.message))
  return { brokers, how: `Docker, ${image}` }
})

/** Testcontainers would look for an engine for many seconds before it gave up. */
const pingDocker = Effect.gen(function*() {
  const host = yield* configured("DOCKER_HOST")
  const runtime = yield* configured("XDG_RUNTIME_DIR")
  const sockets = [
    "/var/run/docker.sock",
    path.join(homedir(), ".docker", "run", "docker.sock"),
    ...Option.toArray(Option.map(runtime, (folder) => path.join(folder, "docker.sock")))
  ]
  const address = Option.match(host, {
    onNone: () => sockets.filter((socket) => existsSync(socket)).map((socketPath) => ({ socketPath })),
    onSome: (url) =>
      url.startsWith("unix://")
        ? [{ socketPath: url.slice("unix://".length) }]
        : [{ host: new URL(url).hostname, port: Number(new URL(url).port || 2375) }]
  })
  const [first] = address
  if (first === undefined) {
    return yield* Effect.fail(`no engine: DOCKER_HOST is not set, and there is no ${sockets.join(", ")}`)
  }
  yield* Effect.callback<void, string>((resume) => {
    const where = "socketPath" in first ? first.socketPath : `${first.host}:${first.port}`
    const request = http.get({ ...first, path: "/_ping", timeout: 2_000 }, (response) => {
      response.resume()
      resume(response.statusCode === 200 ? Effect.void : Effect.fail(`${where} answers ${response.statusCode}`))
    })
    request.on("timeout", () => request.destroy(new Error("no answer within two seconds")))
    request.on("error", (error) => resume(Effect.fail(`no engine at ${where}: ${error.message}`)))
    return Effect.sync(() => request.destroy())
  })
})
