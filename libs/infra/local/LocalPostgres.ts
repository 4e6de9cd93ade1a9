/**
 * A real PostgreSQL on this machine, without Docker and without an installation: the programs come with npm.
 *
 * Linux and macOS; as root too (then the server runs as an unprivileged user, see PostgresPrograms).
 */
import { promises as fs } from "node:fs"
import path from "node:path"
import { PgClient } from "@effect/sql-pg"
import { Data, Effect, Redacted, Schedule, type Scope } from "effect"
import { SqlClient } from "effect/sql"
import { LocalPostgresFailed } from "./LocalPostgresFailed.ts"
import * as PostgresCluster from "./PostgresCluster.ts"
import * as PostgresPrograms from "./PostgresPrograms.ts"
import * as ServerProcess from "./ServerProcess.ts"

export interface LocalPostgresOptions {
  /** The data folder, made if it is not there. It keeps the data from one start to the next. */
  readonly dataDir: string
  /** The port to listen on if it is free; otherwise, or without one, any that is. */
  readonly port?: number
  /** PostgreSQL settings beside and above our own, as in postgresql.conf: `{ fsync: "off" }`. */
  readonly settings?: Readonly<Record<string, string>>
  /** For tests: the data folder is removed when the scope closes, and also if this process is killed before. */
  readonly ephemeral?: boolean
}

export interface LocalPostgres {
  readonly host: string
  readonly port: number
  /** The address of a database. Another user than the superuser must have been given the superuser's password. */
  readonly url: (database: string, user?: string) => string
  readonly superuser: string
  /** The process id of the server (the postmaster). */
  readonly pid: number
  /** Completes if the server ends, with how: "exit code 1", "SIGKILL". */
  readonly exited: Effect.Effect<string>
}

/** What a machine for development needs: nothing given up of what makes a commit safe, room for loading in bulk. */
const defaultSettings = {
  fsync: "on",
  synchronous_commit: "on",
  full_page_writes: "on",
  max_connections: "200",
  // Two-phase commit is not used: a prepared transaction that was forgotten would hold locks for ever.
  max_prepared_transactions: "0",
  shared_buffers: "256MB",
  wal_buffers: "16MB",
  min_wal_size: "512MB",
  max_wal_size: "4GB",
  checkpoint_timeout: "15min",
  checkpoint_completion_target: "0.9",
  random_page_cost: "1.1",
  jit: "off",
  timezone: "UTC",
  log_timezone: "UTC",
  log_line_prefix: "%m [%p] %q%a %u@%d "
}

/** PostgreSQL's own signals: "fast" rolls back what is open and writes a checkpoint, "immediate" leaves it to recovery. */
const stop: ServerProcess.StopLadder = [["SIGINT", "10 seconds"], ["SIGQUIT", "5 seconds"], ["SIGKILL", "5 seconds"]]
/** Data that nobody will read again needs no checkpoint. */
const stopEphemeral: ServerProcess.StopLadder = [["SIGQUIT", "10 seconds"], ["SIGKILL", "5 seconds"]]

/** This start came to nothing for a reason that passes: another may do. */
class Hindered extends Data.TaggedError("Hindered")<{ readonly failure: LocalPostgresFailed }> {}

/**
 * Starts PostgreSQL on 127.0.0.1 and waits until it takes connections; the scope stops it. The data of a server that
 * was killed is recovered. A server left running on the data by a process that was killed is stopped first; one that
 * belongs to a living process is left alone, and this fails.
 */
export const start = Effect.fn("LocalPostgres.start")(
  function*(options: LocalPostgresOptions): Effect.fn.Return<LocalPostgres, LocalPostgresFailed, Scope.Scope> {
    const dataDir = path.resolve(options.dataDir)
    const programs = yield* PostgresPrograms.find(dataDir)
    const cluster = yield* PostgresCluster.open(dataDir, programs, { durable: options.ephemeral !== true })
    yield* PostgresCluster.vacate(cluster)
    if (options.ephemeral === true) yield* Effect.addFinalizer(() => remove(dataDir))
    const server = yield* launch(options, programs, cluster).pipe(
      Effect.retry({
        schedule: Schedule.upTo(Schedule.spaced("200 millis"), { duration: "30 seconds" }),
        while: (error) => error._tag === "Hindered"
      }),
      Effect.catchTag("Hindered", ({ failure }) => Effect.fail(failure))
    )
    if (options.ephemeral === true) {
      yield* ServerProcess.takeAlong({
        pid: server.pid,
        folder: cluster.folder,
        remove: yield* PostgresCluster.belongings(dataDir)
      })
    }
    if (options.port !== undefined && options.port !== server.port) {
      yield* Effect.logWarning(`port ${options.port} is taken: PostgreSQL listens on ${server.port}`)
    }
    return server
  },
  ServerProcess.inRealTime
)

const launch = Effect.fnUntraced(function*(
  options: LocalPostgresOptions,
  programs: PostgresPrograms.PostgresPrograms,
  cluster: PostgresCluster.PostgresCluster
): Effect.fn.Return<LocalPostgres, LocalPostgresFailed | Hindered, Scope.Scope> {
  yield* PostgresCluster.vacate(cluster)
  const host = "127.0.0.1"
  const port = yield* ServerProcess.freePort(options.port)
  const settings = {
    ...defaultSettings,
    ...options.settings,
    listen_addresses: host,
    port: String(port),
    // A path for a socket may have 107 characters, which a data folder soon has; everybody here can use TCP.
    unix_socket_directories: "",
    [PostgresCluster.ownerSetting]: String(process.pid)
  }
  const server = yield* ServerProcess.start({
    command: programs.postgres,
    args: ["-D", cluster.folder, ...Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`])],
    cwd: "/",
    env: PostgresCluster.environment,
    logFile: cluster.logFile,
    account: programs.account,
    stop: options.ephemeral === true ? stopEphemeral : stop
  }).pipe(Effect.mapError((error) =>
    LocalPostgresFailed.make({
      what: "PostgreSQL could not be started",
      where: programs.postgres,
      remedy: "May this user run it?",
      detail: error.message
    })
  ))
  const url = (database: string, user = cluster.superuser) =>
    `postgres://${encodeURIComponent(user)}:${cluster.password}@${host}:${port}/${encodeURIComponent(database)}`

  const failed = (what: string) =>
    Effect.map(server.output, (output) =>
      LocalPostgresFailed.make({
        what,
        where: cluster.folder,
        remedy: `The whole log is ${cluster.logFile}.`,
        detail: ServerProcess.lastLines(output)
      }))
  yield* Effect.raceFirst(
    takesConnections(url("postgres")).pipe(
      Effect.catchTag("SqlError", () => Effect.flatMap(failed("PostgreSQL takes no connections"), Effect.fail))
    ),
    server.exited.pipe(
      Effect.flatMap((how) => failed(`PostgreSQL ended while it was starting: ${how}`)),
      Effect.flatMap((failure): Effect.Effect<never, LocalPostgresFailed | Hindered> =>
        passes.test(failure.detail) ? Effect.fail(new Hindered({ failure })) : Effect.fail(failure)
      )
    )
  )
  return { host, port, url, superuser: cluster.superuser, pid: server.pid, exited: server.exited }
})

/**
 * The port was taken between looking and listening; or a killed server's children have not all noticed that it is
 * gone; or another process started a server at the same moment (then the next look finds it).
 */
const passes =
  /could not create any TCP\/IP sockets|pre-existing shared memory block|lock file "postmaster.pid" already/

/** A connection and a query are the only proof. Recovery after a crash may take a while: up to 4 GB of log are read. */
const takesConnections = (url: string) =>
  Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    yield* sql`SELECT 1`
  }).pipe(
    Effect.provide(PgClient.layer({ url: Redacted.make(url), maxConnections: 1, connectTimeout: "2 seconds" }), {
      local: true
    }),
    Effect.retry(Schedule.upTo(Schedule.spaced("25 millis"), { duration: "3 minutes" }))
  )

/**
 * Removes a data folder that no server works on, wherever the data is: for root in a folder of its own it is elsewhere,
 * with a link to it (see PostgresCluster).
 */
export const remove = Effect.fn("LocalPostgres.remove")(function*(dataDir: string) {
  for (const folder of yield* PostgresCluster.belongings(path.resolve(dataDir))) {
    yield* Effect.promise(() => fs.rm(folder, { recursive: true, force: true }))
  }
})

/** Makes a database on the server of `url` unless there is one of that name; `url` names any existing database. */
export const createDatabase = Effect.fn("LocalPostgres.createDatabase")(
  function*(url: string, name: string) {
    yield* Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const found = yield* sql`SELECT 1 FROM pg_database WHERE datname = ${name}`
      if (found.length === 0) yield* sql`CREATE DATABASE ${sql(name)}`.unprepared
    }).pipe(
      Effect.provide(PgClient.layer({ url: Redacted.make(url), maxConnections: 1 }), { local: true }),
      // If another made it between the two statements, the second look finds it.
      Effect.retry({ times: 1 }),
      Effect.mapError((error) =>
        LocalPostgresFailed.make({
          what: `The database ${name} could not be made`,
          where: new URL(url).host,
          remedy: "Does the server run, and may this user make databases?",
          detail: error.message
        })
      )
    )
  }
)
