/** Is a database there, what it should be, at the right schema, durable, and does its clock agree with this machine's? */
import type { PgClient } from "@effect/sql-pg"
import { Clock, Effect, Redacted } from "effect"
import { SqlError } from "effect/sql"
import {
  type SchemaKind,
  verifyConsumer,
  verifyIdentity,
  verifySchema,
  type WrongConsumer,
  type WrongShard
} from "#infra/postgres/Migrations.ts"
import { connect } from "#infra/postgres/Postgres.ts"
import { type Diagnosis, warning, well, wrong } from "./Diagnosis.ts"

/** Clocks that differ by more make timelines and "before that time" lie by as much; leases don't depend on it. */
const mostSkewMillis = 1_000

/** The version of PostgreSQL that the platform is made for. */
const oldestMajor = 18

export interface Subject {
  readonly what: string
  readonly url: string
  readonly kind: SchemaKind
  /** Whom the platform's processes work as there. */
  readonly role?: string
  readonly identity?:
    | { readonly shard: number; readonly partitions: number }
    | { readonly consumer: string }
}

/** Everything that can be said of a database. */
export const examine = (subject: Subject): Effect.Effect<ReadonlyArray<Diagnosis>> =>
  connect({
    url: Redacted.make(subject.url),
    maxConnections: 1,
    name: "counterpoise doctor",
    ...(subject.role === undefined ? {} : { role: subject.role })
  }).pipe(
    Effect.flatMap((sql) => look(subject, sql)),
    Effect.scoped,
    Effect.timeout("10 seconds"),
    Effect.catch((error) => Effect.succeed([unreachable(subject, error)]))
  )

const look = Effect.fnUntraced(function*(subject: Subject, sql: PgClient.PgClient) {
  const schema = yield* schemaOf(subject, sql)
  if (schema.is === "wrong") return [schema]
  return [
    schema,
    ...(yield* identityOf(subject, sql)),
    ...(yield* served(subject, sql)),
    yield* clockOf(subject, sql)
  ]
})

const schemaOf = ({ kind, what }: Subject, sql: PgClient.PgClient) =>
  verifySchema(sql, kind).pipe(
    Effect.as(well(`${what}: schema`, "the newest")),
    Effect.catchTag("SchemaMismatch", (mismatch) =>
      Effect.succeed(wrong(
        `${what}: schema`,
        mismatch.message,
        mismatch.unknown.length === 0 ? "counterpoise migrate up" : "run the version that it was migrated with"
      )))
  )

const identityOf = Effect.fnUntraced(
  function*({ identity, what }: Subject, sql: PgClient.PgClient): Effect.fn.Return<
    ReadonlyArray<Diagnosis>,
    SqlError.SqlError | WrongShard | WrongConsumer
  > {
    if (identity === undefined) return []
    if ("shard" in identity) yield* verifyIdentity(sql, identity.shard, identity.partitions)
    else yield* verifyConsumer(sql, identity.consumer)
    return [well(`${what}: identity`, "it is the one it is taken for")]
  },
  (verified, { what }) =>
    Effect.catchTag(
      verified,
      ["WrongShard", "WrongConsumer"],
      ({ message }) =>
        Effect.succeed([wrong(`${what}: identity`, message, "give each address its own place in the settings")])
    )
)

interface ServerRow {
  readonly major: number
  readonly fsync: string
  readonly full_page_writes: string
  readonly synchronous_commit: string
  readonly is_standby: boolean
}

const served = Effect.fnUntraced(function*({ what }: Subject, sql: PgClient.PgClient) {
  const [server] = yield* sql<ServerRow>`
    SELECT current_setting('server_version_num')::int4 / 10000 AS major,
      current_setting('fsync') AS fsync,
      current_setting('full_page_writes') AS full_page_writes,
      current_setting('synchronous_commit') AS synchronous_commit,
      pg_is_in_recovery() AS is_standby`
  if (server === undefined) return []
  const careless = (["fsync", "full_page_writes", "synchronous_commit"] as const).filter((name) =>
    server[name] === "off"
  )
  return [
    server.major >= oldestMajor
      ? well(`${what}: server`, `PostgreSQL ${server.major}`)
      : wrong(`${what}: server`, `PostgreSQL ${server.major}`, `PostgreSQL ${oldestMajor} or newer is needed`),
    ...(careless.length === 0
      ? []
      : [
        wrong(
          `${what}: durability`,
          `${careless.join(", ")} off: a loss of power may lose what was acknowledged`,
          `ALTER SYSTEM RESET ${careless[0]}, and the like; then reload`
        )
      ]),
    ...(server.is_standby ? [wrong(`${what}: server`, "is a standby", "give the primary's address")] : [])
  ]
})

const clockOf = Effect.fnUntraced(function*({ what }: Subject, sql: PgClient.PgClient) {
  const asked = yield* Clock.currentTimeMillis
  const [row] = yield* sql<{ readonly millis: number }>`
    SELECT (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS millis`
  const answered = yield* Clock.currentTimeMillis
  // It was read somewhere between question and answer.
  const skew = Math.round((row?.millis ?? 0) - (asked + answered) / 2)
  const detail = `${skew >= 0 ? "+" : ""}${skew} ms from this machine, asked in ${Math.round(answered - asked)} ms`
  return Math.abs(skew) - (answered - asked) / 2 <= mostSkewMillis
    ? well(`${what}: clock`, detail)
    : warning(`${what}: clock`, detail, "synchronise both machines with the same NTP servers")
})

const unreachable = (
  { role, url, what }: Subject,
  error: { readonly _tag: string; readonly message: string }
): Diagnosis => {
  const why = SqlError.isSqlError(error) && error.reason.cause instanceof Error
    ? error.reason.cause.message
    : error.message
  const at = hostOf(url)
  if (why.includes("permission denied to set role")) {
    return wrong(what, why, `GRANT ${role ?? "the role"} TO the login in its address`)
  }
  if (role !== undefined && why.includes(`role "${role}" does not exist`)) {
    return wrong(what, `${why}: it was never migrated`, "counterpoise migrate up")
  }
  return error._tag === "TimeoutError"
    ? wrong(
      what,
      `no answer from ${at} within 10 seconds`,
      "start it, or correct its address; is there a firewall between?"
    )
    : wrong(what, `${at}: ${why}`, "start it, or correct its address")
}

/** Where a database is, without who logs in. */
export const hostOf = (url: string): string => {
  if (!URL.canParse(url)) return "an address that cannot be read"
  const { host, pathname } = new URL(url)
  return `${host}${pathname}`
}
