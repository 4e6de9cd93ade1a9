/**
 * A real Apache Kafka on this machine without Docker: one process that is broker and controller (KRaft), run by the
 * Java that is here, fetched by Maven the first time.
 */
import { randomBytes } from "node:crypto"
import { promises as fs } from "node:fs"
import path from "node:path"
import { Data, Effect, type Scope } from "effect"
import * as KafkaPrograms from "./KafkaPrograms.ts"
import { awaitReady } from "./KafkaReadiness.ts"
import { LocalKafkaUnavailable } from "./LocalKafkaUnavailable.ts"
import * as ServerProcess from "./ServerProcess.ts"

export interface LocalKafkaOptions {
  /** The folder of topics, settings and log, made if it is not there. It keeps them from one start to the next. */
  readonly dataDir: string
  /** The port to listen on if it is free; otherwise, or without one, any that is. */
  readonly port?: number
  /** For tests: the data folder is removed when the scope closes, and also if this process is killed before. */
  readonly ephemeral?: boolean
  /** Where the class path is remembered: `.cache/kafka` in the repository unless named. */
  readonly cacheDir?: string
  /** More ports to listen on, for clients who are to come by another way, such as a proxy: they are told that address. */
  readonly doors?: ReadonlyArray<{ readonly port: number; readonly advertised: string }>
  /** Told what takes long: the first start fetches 60 MB. */
  readonly onProgress?: (message: string) => void
}

export interface LocalKafka {
  /** Addresses for clients: `["127.0.0.1:19092"]`. */
  readonly brokers: ReadonlyArray<string>
  /** The process id of the broker. */
  readonly pid: number
  /** Completes if the broker ends, with how: "exit code 1", "SIGKILL". */
  readonly exited: Effect.Effect<string>
}

/** What is fetched once for every data folder: the class path, the archive of classes. */
export const defaultCache = path.resolve(import.meta.dirname, "../../../.cache/kafka")

/** The broker stops itself before its controller, which takes a moment; killing it is safe, and recovered from. */
const stop: ServerProcess.StopLadder = [["SIGTERM", "15 seconds"], ["SIGKILL", "5 seconds"]]
/** Data that nobody will read again needs no good-bye. */
const stopEphemeral: ServerProcess.StopLadder = [["SIGKILL", "5 seconds"]]

/**
 * Starts Kafka on 127.0.0.1 and waits until it serves metadata, consumer groups and transactions; the scope stops it.
 * A broker left running on the data by a process that was killed is stopped first; one that belongs to a living
 * process is left alone, and this fails. Topics are made by name only: `auto.create.topics.enable` is off.
 */
export const start = Effect.fn("LocalKafka.start")(
  function*(options: LocalKafkaOptions): Effect.fn.Return<LocalKafka, LocalKafkaUnavailable, Scope.Scope> {
    const dataDir = path.resolve(options.dataDir)
    const ephemeral = options.ephemeral === true
    const programs = yield* KafkaPrograms.find(
      options.cacheDir ?? defaultCache,
      options.onProgress ?? (() => undefined)
    )
    yield* attempt(dataDir, () => fs.mkdir(dataDir, { recursive: true }))
    // Kafka and Linux both know it by its real name; ours may lead over a link.
    const folder = yield* attempt(dataDir, () => fs.realpath(dataDir))
    yield* vacate(folder)
    if (ephemeral) {
      yield* Effect.addFinalizer(() => Effect.promise(() => fs.rm(folder, { recursive: true, force: true })))
    }

    const kafka = yield* launch(folder, programs, options).pipe(
      Effect.retry({ times: 3, while: (error) => error._tag === "PortLost" }),
      Effect.catchTag("PortLost", ({ failure }) => Effect.fail(failure))
    )
    if (ephemeral) yield* ServerProcess.takeAlong({ pid: kafka.pid, folder, remove: [folder, dataDir] })
    return kafka
  },
  ServerProcess.inRealTime
)

/** Another program began to listen on the port while Java was starting: the next port may do. */
class PortLost extends Data.TaggedError("PortLost")<{ readonly failure: LocalKafkaUnavailable }> {}

const launch = Effect.fnUntraced(function*(
  folder: string,
  programs: KafkaPrograms.KafkaPrograms,
  options: LocalKafkaOptions
): Effect.fn.Return<LocalKafka, LocalKafkaUnavailable | PortLost, Scope.Scope> {
  const port = yield* ServerProcess.freePort(options.port)
  const controllerPort = yield* ServerProcess.freePort()
  const properties = path.join(folder, "server.properties")
  yield* attempt(
    properties,
    () => fs.writeFile(properties, settings({ folder, port, controllerPort, doors: options.doors ?? [] }))
  )
  yield* format(folder, properties, programs)

  const archived = yield* exists(programs.archive)
  const server = yield* ServerProcess.start({
    command: programs.java,
    args: [
      ...jvm,
      archived
        ? `-XX:SharedArchiveFile=${programs.archive}`
        : `-XX:ArchiveClassesAtExit=${unfinished(programs.archive)}`,
      "-cp",
      programs.classPath,
      "kafka.Kafka",
      properties
    ],
    cwd: folder,
    env: environment(),
    logFile: path.join(folder, "server.log"),
    stop: options.ephemeral === true && archived ? stopEphemeral : stop,
    onStopped: (how) => archived ? Effect.void : keepArchive(programs.archive, how)
  }).pipe(Effect.mapError((error) =>
    LocalKafkaUnavailable.make({
      missing: "Java could not be started",
      lookedIn: programs.java,
      remedy: "May this user run it?",
      detail: error.message
    })
  ))
  yield* attempt(folder, () => fs.writeFile(path.join(folder, pidFile), `${server.pid} ${process.pid}\n`))

  const brokers = [`127.0.0.1:${port}`]
  const failed = (missing: string) =>
    Effect.flatMap(server.output, (output): Effect.Effect<never, LocalKafkaUnavailable | PortLost> => {
      const failure = LocalKafkaUnavailable.make({
        missing,
        lookedIn: folder,
        remedy: `The whole log is ${path.join(folder, "server.log")}.`,
        detail: ServerProcess.lastLines(output)
      })
      return Effect.fail(/Address already in use/.test(output) ? new PortLost({ failure }) : failure)
    })
  yield* Effect.raceFirst(
    awaitReady(brokers, "2 minutes").pipe(
      Effect.catchTag("KafkaNotReady", (error) => failed(`Kafka was started but does not serve: ${error.message}`))
    ),
    Effect.flatMap(server.exited, (how) => failed(`Kafka ended while it was starting: ${how}`))
  )
  return { brokers, pid: server.pid, exited: server.exited }
})

/** Small, and quick to start rather than quick for ever; for measuring, take TieredStopAtLevel away. */
const jvm = [
  "-Xms256m",
  "-Xmx512m",
  "-XX:+UseSerialGC",
  "-XX:TieredStopAtLevel=1",
  "-XX:+ExitOnOutOfMemoryError",
  "-Xshare:auto",
  "-Xlog:disable",
  "-Xlog:all=error:stderr",
  "-Djava.awt.headless=true",
  "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
  "-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info",
  "-Dorg.slf4j.simpleLogger.showDateTime=true",
  "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSXXX"
]

interface Where {
  readonly folder: string
  readonly port: number
  readonly controllerPort: number
  readonly doors: NonNullable<LocalKafkaOptions["doors"]>
}

const settings = (at: Where): string => `
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:${at.controllerPort}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:${at.port},CONTROLLER://127.0.0.1:${at.controllerPort}${
  at.doors.map(({ port }, index) => `,DOOR${index}://127.0.0.1:${port}`).join("")
}
advertised.listeners=PLAINTEXT://127.0.0.1:${at.port}${
  at.doors.map(({ advertised }, index) => `,DOOR${index}://${advertised}`).join("")
}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT${
  at.doors.map((_, index) => `,DOOR${index}:PLAINTEXT`).join("")
}
inter.broker.listener.name=PLAINTEXT
log.dirs=${topics(at.folder)}

# kafkajs fails on the first answer about a topic that is just being made.
auto.create.topics.enable=false

# One broker: everything that Kafka would keep three times it keeps once.
default.replication.factor=1
min.insync.replicas=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1

# Positions and transactional ids must not be forgotten while a developer is on holiday.
offsets.retention.minutes=5256000
transactional.id.expiration.ms=2147483647
transaction.max.timeout.ms=60000

group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
num.network.threads=2
num.io.threads=4
log.cleaner.dedupe.buffer.size=2097152
log.segment.bytes=16777216
`

const topics = (folder: string) => path.join(folder, "topics")

const environment = (): Record<string, string> => ({
  LC_ALL: "C.UTF-8",
  PATH: process.env["PATH"] ?? "",
  HOME: process.env["HOME"] ?? ""
})

/** 16 random bytes as Kafka writes them; its tools would take a leading "-" for an option. */
const uuid = (): string => {
  const text = randomBytes(16).toString("base64url")
  return text.startsWith("-") ? uuid() : text
}

/**
 * Makes a new data folder one of Kafka's. Its own tool does that, in a Java of its own, which takes as long as half a
 * start; so what it wrote is kept, and later folders are given a copy and an identity of their own.
 */
const format = Effect.fnUntraced(function*(folder: string, properties: string, programs: KafkaPrograms.KafkaPrograms) {
  const data = topics(folder)
  const identity = path.join(data, "meta.properties")
  if (yield* exists(identity)) return
  const clusterId = uuid()
  const bootstrap = path.join(data, "bootstrap.checkpoint")
  if (yield* exists(programs.bootstrap)) {
    return yield* attempt(data, async () => {
      await fs.mkdir(data, { recursive: true })
      await fs.copyFile(programs.bootstrap, bootstrap)
      // Last, for this is what tells a formatted folder.
      await fs.writeFile(identity, `version=1\nnode.id=1\ndirectory.id=${uuid()}\ncluster.id=${clusterId}\n`)
    })
  }
  const tool = ["-cp", programs.classPath, "kafka.tools.StorageTool", "format", "--ignore-formatted"]
  const about = ["--cluster-id", clusterId, "--config", properties]
  const { code, output } = yield* ServerProcess.run(programs.java, [...jvm, ...tool, ...about], {
    cwd: folder,
    env: environment()
  }).pipe(
    Effect.catchTag("NotStarted", (error) => Effect.succeed({ code: -1, output: error.message }))
  )
  if (code !== 0) {
    return yield* LocalKafkaUnavailable.make({
      missing: "Kafka could not make its data folder",
      lookedIn: data,
      remedy: "Is the disk full or not writable? The words of Kafka's storage tool are below.",
      detail: ServerProcess.lastLines(output)
    })
  }
  yield* attempt(programs.bootstrap, async () => {
    await fs.copyFile(bootstrap, unfinished(programs.bootstrap))
    await fs.rename(unfinished(programs.bootstrap), programs.bootstrap)
  })
})

/**
 * A broker that is stopped properly can leave its loaded classes behind for the next to map into memory: measured on
 * two cores, 1.9 s of processor time until it serves instead of 3.4, and 45 MB less memory. The first stop takes a few
 * seconds longer for it.
 */
const keepArchive = (archive: string, how: string) =>
  Effect.promise(() =>
    // 143 is what Java makes of SIGTERM. Cut short in any other way, it may have written half an archive.
    (how === "exit code 143" ? fs.rename(unfinished(archive), archive) : fs.rm(unfinished(archive), { force: true }))
      .catch(() => undefined)
  )

const unfinished = (file: string) => `${file}.${process.pid}`

const pidFile = "broker.pid"

const vacate = Effect.fnUntraced(function*(folder: string) {
  const text = yield* Effect.promise(() => fs.readFile(path.join(folder, pidFile), "utf8").catch(() => ""))
  const [pid = Number.NaN, owner = Number.NaN] = text.split(" ").map(Number)
  if (!(pid > 0)) return
  const outcome = yield* ServerProcess.stopLeftBehind({ pid, owner, folder, stop })
  if (outcome === "stopped") {
    yield* Effect.logInfo("stopped a Kafka that was left behind when its owner was killed", { pid })
  }
  if (outcome === "stopped" || outcome === "not running") return
  return yield* LocalKafkaUnavailable.make({
    missing: outcome === "owned"
      ? `A Kafka, process ${pid}, already works on this data. It belongs to process ${owner}`
      : `A Kafka, process ${pid}, was left behind by a process that was killed, and does not stop`,
    lookedIn: folder,
    remedy: "Stop it, or name another data folder.",
    detail: ""
  })
})

const exists = (file: string) => Effect.promise(() => fs.stat(file).then(() => true, () => false))

const attempt = <A>(where: string, work: () => Promise<A>) =>
  Effect.tryPromise({
    try: work,
    catch: (cause) =>
      LocalKafkaUnavailable.make({
        missing: "Kafka's folder cannot be used",
        lookedIn: where,
        remedy: "Is the disk full, or the folder another user's?",
        detail: String(cause)
      })
  })
