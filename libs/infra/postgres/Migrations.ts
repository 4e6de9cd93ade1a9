/**
 * Migrations: plain SQL files, `sql/<kind>/NNNN_name.sql`, applied in order, each once, by our own command.
 *
 * A file runs as one statement, inside a DO block: the driver speaks only the extended protocol, which takes one statement
 * at a time. So a file cannot hold a bare SELECT, COMMIT or CREATE INDEX CONCURRENTLY.
 */
import { NodeServices } from "@effect/platform-node"
import { PgClient, PgMigrator } from "@effect/sql-pg"
import { Effect, FileSystem, type Redacted, Schema } from "effect"
import { Migrator, SqlClient } from "effect/sql"
import { fileURLToPath } from "node:url"
import { connect } from "./Postgres.ts"

/** What a database is migrated to be: a shard, the embedded event log, or a consumer's own. */
export type SchemaKind = "shard" | "log" | "consumer"

/** The database's schema is not the one this version of the program knows. Nothing was changed. */
export class SchemaMismatch extends Schema.TaggedError<SchemaMismatch>()("SchemaMismatch", {
  kind: Schema.String,
  found: Schema.Int,
  known: Schema.Int
}) {
  override get message() {
    return this.found > this.known
      ? `the ${this.kind} schema is at ${this.found}, this version knows only ${this.known}: run a newer version`
      : `the ${this.kind} schema is at ${this.found}, this version needs ${this.known}: run \`npm run migrate\``
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

const files = Effect.fnUntraced(function*(kind: SchemaKind) {
  const fs = yield* FileSystem.FileSystem
  const folder = fileURLToPath(new URL(`../../../sql/${kind}/`, import.meta.url))
  const names = yield* fs.readDirectory(folder)
  return names.flatMap((name) => {
    const match = /^(\d{4})_(\w+)\.sql$/.exec(name)
    return match === null ? [] : [{ id: Number(match[1]), name: match[2] ?? "", path: `${folder}${name}` }]
  }).toSorted((a, b) => a.id - b.id)
})

const loader = (kind: SchemaKind): Migrator.Loader<FileSystem.FileSystem> =>
  files(kind).pipe(
    Effect.mapError((cause) =>
      new Migrator.MigrationError({ kind: "Failed", cause, message: `cannot read sql/${kind}` })
    ),
    Effect.map((found) =>
      found.map(({ id, name, path }): Migrator.ResolvedMigration => [
        id,
        name,
        Effect.succeed(
          Effect.gen(function*() {
            const fs = yield* FileSystem.FileSystem
            const sql = yield* SqlClient.SqlClient
            const text = yield* fs.readFileString(path)
            yield* sql.unsafe(`DO $migration$ BEGIN\n${text}\nEND $migration$`).unprepared
          }).pipe(Effect.provide(NodeServices.layer))
        )
      ])
    )
  )

/** Brings a database to the newest schema; answers the names of what was applied. Two at once wait for each other. */
export const migrate = Effect.fn("Migrations.migrate")(
  function*(url: Redacted.Redacted<string>, kind: SchemaKind) {
    const sql = yield* connect({ url, maxConnections: 1, name: "counterpoise migrate" })
    const applied = yield* PgMigrator.run({ loader: loader(kind), table }).pipe(
      Effect.provideService(PgClient.PgClient, sql),
      Effect.provideService(SqlClient.SqlClient, sql)
    )
    return applied.map(([id, name]) => `${String(id).padStart(4, "0")}_${name}`)
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

/** Fails unless the database is at exactly the newest schema that this version knows. */
export const verifySchema = Effect.fn("Migrations.verifySchema")(function*(sql: PgClient.PgClient, kind: SchemaKind) {
  const known = (yield* files(kind)).at(-1)?.id ?? 0
  const found = yield* sql<{ readonly id: number }>`
    SELECT coalesce(max(migration_id), 0)::int4 AS id FROM ${sql(table)}`.pipe(
    Effect.map((rows) => rows[0]?.id ?? 0),
    Effect.catchReason("SqlError", "SqlSyntaxError", () => Effect.succeed(0))
  )
  if (found !== known) return yield* SchemaMismatch.make({ kind, found, known })
}, Effect.provide(NodeServices.layer))

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
