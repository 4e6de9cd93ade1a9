/**
 * Connections to PostgreSQL, and what its errors mean to us.
 */
import { PgClient, PgConnection } from "@effect/sql-pg"
import { type Cause, Context, Duration, Effect, Exit, Layer, Predicate, type Redacted, Scope } from "effect"
import { SqlClient, SqlError } from "effect/sql"

export interface ConnectionOptions {
  readonly url: Redacted.Redacted<string>
  /** The database role to work as; the login must be a member of it. Without one: the login's own. */
  readonly role?: string
  /** Shown in pg_stat_activity. */
  readonly name?: string
  readonly maxConnections?: number
  /** How long the server may take to begin and to end a transaction: 20 seconds unless given. */
  readonly patience?: Duration.Input
}

const configOf = (options: ConnectionOptions) => ({
  url: options.url,
  applicationName: options.name ?? "counterpoise",
  connectTimeout: "5 seconds",
  startupParameters: {
    ...(options.role === undefined ? {} : { role: options.role }),
    statement_timeout: "15s",
    lock_timeout: "5s",
    idle_in_transaction_session_timeout: "10s",
    TimeZone: "UTC"
  }
} as const)

/**
 * A pool of connections, closed with the scope. Every statement has a time limit, and a transaction whose client fell
 * silent is ended by the server, so that a frozen process cannot hold locks or the position barrier for long.
 */
export const connect = Effect.fnUntraced(function*(options: ConnectionOptions) {
  const scope = yield* Scope.Scope
  const context = yield* Layer.buildWithScope(
    PgClient.layer({ ...configOf(options), maxConnections: options.maxConnections ?? 4 }),
    scope
  )
  const client = Context.get(context, PgClient.PgClient)
  return Object.assign(client, { withTransaction: inTimeTransactions(client, options.patience) })
})

/**
 * What is announced on a channel, heard on a connection of its own, which is closed first when the scope ends. Of one that
 * is open the server is asked to stop, which cannot be interrupted, and is waited for without end if it is gone.
 */
export const listen = Effect.fnUntraced(function*(options: ConnectionOptions, channel: string) {
  const hearing = yield* Effect.acquireRelease(Scope.make(), Scope.close)
  const connection = yield* PgConnection.make(configOf(options))
  return yield* inTime(options.patience)(Scope.provide(connection.listen(channel), hearing))
})

/**
 * The client library's transactions, but for what happens when the other side is gone and the network does not say so: its
 * BEGIN, COMMIT and ROLLBACK cannot be interrupted, and would wait for ever.
 */
const inTimeTransactions = (client: PgClient.PgClient, most: Duration.Input | undefined) =>
  SqlClient.makeWithTransaction({
    transactionService: client.transactionService,
    spanAttributes: [],
    acquireConnection: (restore) => restore(client.reserve),
    begin: (connection, statement) =>
      statement === undefined
        ? inTime(most)(connection.execute("BEGIN", [], undefined))
        : inTime(most)(connection.executeUnprepared(statement, [], undefined)),
    savepoint: (connection, id) => inTime(most)(connection.execute(`SAVEPOINT at_${id}`, [], undefined)),
    releaseSavepoint: (connection, id) => inTime(most)(connection.execute(`RELEASE SAVEPOINT at_${id}`, [], undefined)),
    rollbackSavepoint: (connection, id) =>
      inTime(most)(connection.execute(`ROLLBACK TO SAVEPOINT at_${id}`, [], undefined)),
    rollback: (connection) => inTime(most)(connection.execute("ROLLBACK", [], undefined)),
    commit: (connection) =>
      inTime(most)(connection.executeRaw("COMMIT", [])).pipe(
        Effect.filterOrFail(
          // The server answers so where a statement had failed, and nobody noticed.
          (result) => !(Predicate.hasProperty(result, "command") && result.command === "ROLLBACK"),
          () =>
            SqlError.SqlError.make({
              reason: SqlError.UnknownError.make({ cause: new Error("committed, and was rolled back") })
            })
        )
      )
  })

/**
 * Does `work` in one transaction: all of it happens, or none of it. Where it fails it fails with what `work` failed with,
 * even if the connection was lost and cannot be told to roll back, which the server then does by itself. The client
 * library would make defects of both, and end the process.
 */
export const transaction = <A, E, R>(sql: PgClient.PgClient, work: Effect.Effect<A, E, R>) =>
  Effect.suspend(() => {
    let why: Cause.Cause<E> | undefined
    const noted = Effect.onExit(work, (exit) =>
      Effect.sync(() => {
        why = Exit.isFailure(exit) ? exit.cause : undefined
      }))
    return Effect.catchCause(sql.withTransaction(noted), (cause) => Effect.failCause(why ?? cause))
  })

/**
 * How long an answer is waited for. The server ends a statement after 15 seconds: who hears nothing for longer speaks to
 * nobody. The other side is gone, and the network does not say so.
 */
export const patience: Duration.Input = "20 seconds"

/** Fails work that takes longer than it may as a whole, as if its connection were lost. What became of it is unknown. */
export const inTime = (most: Duration.Input = patience) => <A, E, R>(work: Effect.Effect<A, E, R>) =>
  Effect.timeoutOrElse(work, {
    duration: most,
    orElse: () =>
      Effect.fail(
        SqlError.SqlError.make({
          reason: SqlError.ConnectionError.make({
            cause: new Error(`no answer for ${Duration.format(Duration.fromInputUnsafe(most))}`)
          })
        })
      )
  })

/** PostgreSQL's SQLSTATE of an error, where it came from the server. */
export const sqlState = (error: SqlError.SqlError): string | undefined => {
  const cause = error.reason.cause
  return Predicate.hasProperty(cause, "code") && typeof cause.code === "string" ? cause.code : undefined
}

/** Our own: the shard lost data, and takes nothing (sql/shard/0013_recovery.sql). */
export const lostData = "CP001"

/** SQLSTATEs that the client library does not call retryable, but which pass: fail-over, restart, too many clients. */
const passing = new Set(["57P01", "57P02", "57P03", "53300", "25006", "25P03", lostData])

/** Will the same work possibly succeed later? Everything else is a defect of ours. */
export const isTransient = (error: SqlError.SqlError): boolean =>
  error.isRetryable || error.reason._tag === "StatementTimeoutError" || passing.has(sqlState(error) ?? "")

/** What may pass becomes what `unavailable` makes of it; what can only be our mistake, a defect. */
export const explained =
  <Unavailable>(unavailable: (error: SqlError.SqlError) => Unavailable) =>
  <A, E, R>(work: Effect.Effect<A, E | SqlError.SqlError, R>) =>
    Effect.catchIf(
      work,
      (error): error is Extract<E | SqlError.SqlError, SqlError.SqlError> => SqlError.isSqlError(error),
      (error) => isTransient(error) ? Effect.fail(unavailable(error)) : Effect.die(error)
    )
