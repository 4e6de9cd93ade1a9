/**
 * Migrations: plain SQL files, `sql/<kind>/NNNN_name.sql`, applied in order, each once, by our own command. A database is
 * at a schema when it has had exactly its migrations: the highest number says nothing of a lower one that was merged later.
 *
 * A file runs as one statement, inside a DO block: the driver speaks only the extended protocol, which takes one statement
 * at a time. So a file cannot hold a bare SELECT, COMMIT or CREATE INDEX CONCURRENTLY.
 */
import { NodeServices } from "@effect/platform-node"
import type { PgClient } from "@effect/sql-pg"
import { Effect, FileSystem, type Redacted, Schema } from "effect"
import { fileURLToPath } from "node:url"
import { connect, transaction } from "./Postgres.ts"

/** What a database is migrated to be: a shard, the embedded event log, or a consumer's own. */
export type SchemaKind = "shard" | "log" | "consumer"

/** The database's schema is not the one this version of the program knows. Nothing was changed. */
export class SchemaMismatch extends Schema.TaggedError<SchemaMismatch>()("SchemaMismatch", {
  kind: Schema.String,
  missing: Schema.Array(Schema.String),
  unknown: Schema.Array(Schema.String)
}) {
  override get message() {
    const [missing, unknown] = [this.missing.join(", "), this.unknown.join(", ")]
    return this.unknown.length === 0
      ? `the ${this.kind} schema lacks ${missing}: run \`npm run migrate\``
      : this.missing.length === 0
      ? `the ${this.kind} schema has ${unknown}, which this version does not know: run a newer version`
      : `the ${this.kind} schema has ${unknown}, which this version does not know, and lacks ${missing}: is it another database?`
  }
}

/** A migration could not be applied. Nothing was changed: not by it, and not by those before it. */
export class MigrationFailed extends Schema.TaggedError<MigrationFailed>()("MigrationFailed", {
  migration: Schema.String,
  cause: Schema.Defect()
}) {
  override get message() {
    return `${this.migration} could not be applied: ${
      this.cause instanceof Error ? this.cause.message : String(this.cause)
    }`
  }
}

/** A shard's database says it is another shard, or is cut into another number of partitions. */
export class WrongShard extends Schema.TaggedError<WrongShard>()("WrongShard", {
  shard: Schema.Int,
  partitions: Schema.Int,
  foundShard: Schema.Int,
  foundPartitions: Schema.Int
}) {
  override get message() {
    return `the database given as shard ${this.shard} of ${this.partitions} partitions is shard ${this.foundShard} of ` +
      `${this.foundPartitions}: check SHARD_URLS and PARTITIONS`
  }
}

/** A database says that it belongs to another consumer. */
export class WrongConsumer extends Schema.TaggedError<WrongConsumer>()("WrongConsumer", {
  consumer: Schema.String,
  found: Schema.String
}) {
  override get message() {
    return `the database given to the ${this.consumer} belongs to the ${this.found}: each consumer has one of its own`
  }
}

const table = "schema_migration"

/** Where the migrations of a kind are. */
const folderOf = (kind: SchemaKind) => fileURLToPath(new URL(`../../../sql/${kind}/`, import.meta.url))

interface Migration {
  readonly number: number
  readonly name: string
}

const fileOf = ({ name, number }: Migration) => `${String(number).padStart(4, "0")}_${name}`

/** The migrations that this version knows, in order. */
const known = Effect.fnUntraced(function*(folder: string) {
  const fs = yield* FileSystem.FileSystem
  const files = yield* fs.readDirectory(folder)
  return files.flatMap((file): ReadonlyArray<Migration> => {
    const [, number, name] = /^(\d{4})_(\w+)\.sql$/.exec(file) ?? []
    return number === undefined || name === undefined ? [] : [{ number: Number(number), name }]
  }).toSorted((a, b) => a.number - b.number)
})

/** The migrations that a database has had, in order. */
const applied = (sql: PgClient.PgClient) =>
  sql<Migration>`SELECT migration_id::int4 AS number, name FROM ${sql(table)} ORDER BY migration_id`

/** By number and by name: of two that were given one number, a database had the one or the other. */
const difference = (knows: ReadonlyArray<Migration>, has: ReadonlyArray<Migration>) => {
  const files = new Set(has.map(fileOf))
  const missing = knows.filter((migration) => !files.delete(fileOf(migration)))
  return { missing, unknown: [...files] }
}

/**
 * Brings a database to the newest schema; answers the names of what was applied. All that it lacks is applied in order, also
 * what has a lower number than some that it had already. Two at once wait for each other.
 */
export const migrate = Effect.fn("Migrations.migrate")(
  function*(url: Redacted.Redacted<string>, kind: SchemaKind, folder: string = folderOf(kind)) {
    const fs = yield* FileSystem.FileSystem
    const sql = yield* connect({ url, maxConnections: 1, name: "counterpoise migrate" })
    const knows = yield* known(folder)

    const apply = Effect.fnUntraced(function*(migration: Migration) {
      const file = fileOf(migration)
      const text = yield* fs.readFileString(`${folder}/${file}.sql`)
      yield* sql.unsafe(`DO $migration$ BEGIN\n${text}\nEND $migration$`).unprepared.pipe(
        Effect.catchTag("SqlError", ({ reason }) => MigrationFailed.make({ migration: file, cause: reason.cause }))
      )
      yield* sql`INSERT INTO ${sql(table)} (migration_id, name) VALUES (${migration.number}, ${migration.name})`
      return file
    })

    return yield* transaction(
      sql,
      Effect.gen(function*() {
        yield* sql`SELECT pg_advisory_xact_lock(hashtextextended(${table}, 0))`
        yield* sql`
          CREATE TABLE IF NOT EXISTS ${sql(table)} (
            migration_id int4 PRIMARY KEY,
            created_at timestamptz NOT NULL DEFAULT now(),
            name text NOT NULL
          )`.unprepared
        const { missing, unknown } = difference(knows, yield* applied(sql))
        if (unknown.length > 0) {
          return yield* SchemaMismatch.make({ kind, missing: missing.map(fileOf), unknown })
        }
        return yield* Effect.forEach(missing, apply)
      })
    )
  },
  Effect.scoped,
  Effect.provide(NodeServices.layer)
)

/** Migrates a shard and tells the database who it is; refuses one that is somebody else already. */
export const migrateShard = Effect.fn("Migrations.migrateShard")(function*(
  url: Redacted.Redacted<string>,
  shard: number,
  partitions: number
) {
  const applied = yield* migrate(url, "shard")
  const sql = yield* connect({ url, maxConnections: 1, name: "counterpoise migrate" })
  yield* sql`INSERT INTO shard_identity (shard, partitions) VALUES (${shard}, ${partitions}) ON CONFLICT DO NOTHING`
  yield* verifyIdentity(sql, shard, partitions)
  return applied
}, Effect.scoped)

/** Migrates a consumer's database and tells it whose it is; refuses one that is another's already. */
export const migrateConsumer = Effect.fn("Migrations.migrateConsumer")(function*(
  url: Redacted.Redacted<string>,
  consumer: string
) {
  const applied = yield* migrate(url, "consumer")
  const sql = yield* connect({ url, maxConnections: 1, name: "counterpoise migrate" })
  yield* sql`INSERT INTO consumer_identity (name) VALUES (${consumer}) ON CONFLICT DO NOTHING`
  yield* verifyConsumer(sql, consumer)
  return applied
}, Effect.scoped)

/** Fails unless the database has had exactly the migrations that this version knows. */
export const verifySchema = Effect.fn("Migrations.verifySchema")(
  function*(sql: PgClient.PgClient, kind: SchemaKind, folder: string = folderOf(kind)) {
    const has = yield* applied(sql).pipe(
      // A database that was never migrated has no table of migrations.
      Effect.catchReason("SqlError", "SqlSyntaxError", () => Effect.succeed([]))
    )
    const { missing, unknown } = difference(yield* known(folder), has)
    if (missing.length > 0 || unknown.length > 0) {
      return yield* SchemaMismatch.make({ kind, missing: missing.map(fileOf), unknown })
    }
  },
  Effect.provide(NodeServices.layer)
)

/** Fails unless the database is the shard it is taken for. */
export const verifyIdentity = Effect.fnUntraced(function*(sql: PgClient.PgClient, shard: number, partitions: number) {
  const rows = yield* sql<{ readonly shard: number; readonly partitions: number }>`
    SELECT shard::int4, partitions::int4 FROM shard_identity`
  const found = rows[0] ?? { shard: -1, partitions: 0 }
  if (found.shard !== shard || found.partitions !== partitions) {
    return yield* WrongShard.make({
      shard,
      partitions,
      foundShard: found.shard,
      foundPartitions: found.partitions
    })
  }
})

/** Fails unless the database is this consumer's. */
export const verifyConsumer = Effect.fnUntraced(function*(sql: PgClient.PgClient, consumer: string) {
  const rows = yield* sql<{ readonly name: string }>`SELECT name FROM consumer_identity`
  const found = rows[0]?.name ?? "nobody"
  if (found !== consumer) return yield* WrongConsumer.make({ consumer, found })
})
