/**
 * Real PostgreSQL for tests: the server that TEST_DATABASE_URL names (a superuser's address), or one of the test file's
 * own. Databases are copied from a migrated template, which takes a tenth of a second, and go with their scope.
 */
import { createHash, randomBytes } from "node:crypto"
import { mkdtempSync, readdirSync, readFileSync } from "node:fs"
import { tmpdir } from "node:os"
import path from "node:path"
import type { PgClient } from "@effect/sql-pg"
import { Context, Effect, Layer, Redacted, type Scope } from "effect"
import { even, type ShardMap } from "#domain/sharding/ShardMap.ts"
import * as LocalPostgres from "#infra/local/LocalPostgres.ts"
import { migrate, migrateConsumer, migrateShard, type SchemaKind } from "#infra/postgres/Migrations.ts"
import { connect, sqlState } from "#infra/postgres/Postgres.ts"

/** Shard databases and the map that they were made for: what `ShardDatabases.layer` takes, but for the role. */
export interface TestShards {
  readonly urls: ReadonlyArray<Redacted.Redacted<string>>
  readonly map: ShardMap
}

export class TestPostgres extends Context.Service<TestPostgres, {
  /** New, empty, migrated shards 0 … `count` − 1. */
  readonly freshShards: (
    count: number,
    options?: { readonly partitions?: number }
  ) => Effect.Effect<TestShards, never, Scope.Scope>
  /** A new, empty, migrated event log. */
  readonly freshLog: Effect.Effect<Redacted.Redacted<string>, never, Scope.Scope>
  /** A new, empty, migrated database of a consumer of that name. */
  readonly freshConsumer: (name: string) => Effect.Effect<Redacted.Redacted<string>, never, Scope.Scope>
  /** A copy of shards with all that is in them. Nobody may be connected to the originals. */
  readonly copy: (shards: TestShards) => Effect.Effect<TestShards, never, Scope.Scope>
}>()("counterpoise/test/TestPostgres") {
  /** The server that TEST_DATABASE_URL names, or one of its own. */
  static readonly layer = Layer.unwrap(Effect.gen(function*() {
    return TestPostgres.on(process.env["TEST_DATABASE_URL"] ?? (yield* ownServer).url("postgres"))
  }))

  /** A server, by the address of its superuser. */
  static readonly on = (admin: string) =>
    Layer.effect(
      TestPostgres,
      Effect.gen(function*() {
        const sql = yield* connect({ url: Redacted.make(admin), name: "counterpoise tests", maxConnections: 2 })
        const urlOf = (database: string) =>
          Redacted.make(Object.assign(new URL(admin), { pathname: `/${database}` }).href)

        const create = (name: string, template: string) =>
          Effect.acquireRelease(
            sql`CREATE DATABASE ${sql(name)} TEMPLATE ${sql(template)}`.unprepared,
            () => Effect.orDie(sql`DROP DATABASE IF EXISTS ${sql(name)} WITH (FORCE)`.unprepared)
          ).pipe(Effect.as(urlOf(name)), Effect.orDie)

        const template = (kind: SchemaKind) => Effect.cached(Effect.orDie(migrated(sql, kind, urlOf)))
        const shardTemplate = yield* template("shard")
        const logTemplate = yield* template("log")
        const consumerTemplate = yield* template("consumer")

        return TestPostgres.of({
          freshShards: Effect.fnUntraced(function*(count, { partitions = 64 } = {}) {
            const from = yield* shardTemplate
            const urls = yield* Effect.forEach(
              Array.from({ length: count }),
              (_, shard) =>
                create(unique(`shard_${shard}`), from).pipe(
                  Effect.tap((url) => Effect.orDie(migrateShard(url, shard, partitions)))
                )
            )
            return { urls, map: even(count, partitions) }
          }),
          freshLog: Effect.flatMap(logTemplate, (from) => create(unique("log"), from)),
          freshConsumer: (name) =>
            Effect.flatMap(consumerTemplate, (from) => create(unique(name), from)).pipe(
              Effect.tap((url) => Effect.orDie(migrateConsumer(url, name)))
            ),
          copy: Effect.fnUntraced(function*({ map, urls }) {
            const copies = yield* Effect.forEach(urls, (url, shard) => {
              const original = decodeURIComponent(new URL(Redacted.value(url)).pathname.slice(1))
              return create(unique(`copy_${shard}`), original)
            })
            return { urls: copies, map }
          })
        })
      })
    )
}

/** Nothing that these tests write needs to survive a loss of power. */
const ownServer = Effect.suspend(() =>
  LocalPostgres.start({
    dataDir: mkdtempSync(path.join(tmpdir(), "counterpoise-postgres-")),
    ephemeral: true,
    settings: { fsync: "off", synchronous_commit: "off", full_page_writes: "off", shared_buffers: "128MB" }
  })
)

const unique = (name: string) => `test_${name}_${process.pid}_${randomBytes(4).toString("hex")}`

/**
 * The name of a database at the newest schema that nobody ever connects to. It is named by the migrations themselves, and
 * shared by all who test on this server: of two that make it at once, the first to give it its name wins.
 */
const migrated = Effect.fnUntraced(function*(
  sql: PgClient.PgClient,
  kind: SchemaKind,
  urlOf: (database: string) => Redacted.Redacted<string>
) {
  const folder = path.resolve(import.meta.dirname, "../../sql", kind)
  const hash = createHash("sha256")
  for (const file of readdirSync(folder).toSorted()) hash.update(readFileSync(path.join(folder, file)))
  const name = `test_template_${kind}_${hash.digest("hex").slice(0, 12)}`
  const found = yield* sql`SELECT 1 FROM pg_database WHERE datname = ${name}`
  if (found.length > 0) return name

  const draft = unique(`draft_${kind}`)
  yield* sql`CREATE DATABASE ${sql(draft)}`.unprepared
  yield* migrate(urlOf(draft), kind)
  yield* sql`ALTER DATABASE ${sql(draft)} RENAME TO ${sql(name)}`.unprepared.pipe(
    Effect.catchIf(
      (error) => sqlState(error) === "42P04",
      () => sql`DROP DATABASE ${sql(draft)} WITH (FORCE)`.unprepared
    )
  )
  return name
})
