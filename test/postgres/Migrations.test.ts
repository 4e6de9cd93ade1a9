/** Which migrations a database is given, and which databases are refused. */
import { describe, expect, layer } from "@effect/vitest"
import { NodeServices } from "@effect/platform-node"
import { Effect, FileSystem } from "effect"
import { migrate, verifySchema } from "#infra/postgres/Migrations.ts"
import { connect } from "#infra/postgres/Postgres.ts"
import { TestPostgres } from "../support/TestPostgres.ts"

/** An empty database. */
const database = Effect.gen(function*() {
  const url = yield* (yield* TestPostgres).freshLog
  const sql = yield* connect({ url, maxConnections: 1 })
  yield* sql`DROP SCHEMA public CASCADE`.unprepared
  yield* sql`CREATE SCHEMA public`.unprepared
  return { url, sql }
})

/** A folder of migrations, each of which makes the table that it is named after. */
const folder = Effect.fnUntraced(function*(migrations: ReadonlyArray<string>) {
  const fs = yield* FileSystem.FileSystem
  const made = yield* fs.makeTempDirectoryScoped()
  for (const migration of migrations) {
    yield* fs.writeFileString(`${made}/${migration}.sql`, `CREATE TABLE ${migration.slice(5)} ();`)
  }
  return made
}, Effect.provide(NodeServices.layer))

const [first, second, third] = ["0001_first", "0002_second", "0003_third"] as const

layer(TestPostgres.layer, { excludeTestServices: true })("a database", (it) => {
  const fresh = Effect.fnUntraced(function*(...migrations: ReadonlyArray<string>) {
    const { sql, url } = yield* database
    if (migrations.length > 0) yield* migrate(url, "shard", yield* folder(migrations))
    const tables = sql<{ readonly name: string }>`
      SELECT tablename::text AS name FROM pg_tables
      WHERE schemaname = 'public' AND tablename <> 'schema_migration' ORDER BY 1`
    return {
      migrate: (...known: ReadonlyArray<string>) =>
        Effect.flatMap(folder(known), (folder) => migrate(url, "shard", folder)),
      verify: (...known: ReadonlyArray<string>) =>
        Effect.flatMap(folder(known), (folder) => verifySchema(sql, "shard", folder)),
      tables: Effect.map(tables, (rows) => rows.map(({ name }) => name))
    }
  })

  it.effect("that is empty is given all migrations in order, once", () =>
    Effect.gen(function*() {
      const it = yield* fresh()
      expect(yield* it.migrate(third, first, second)).toStrictEqual([first, second, third])
      expect(yield* it.migrate(first, second, third)).toStrictEqual([])
      expect(yield* it.tables).toStrictEqual(["first", "second", "third"])
      yield* it.verify(first, second, third)
    }))

  it.effect("is given a migration that was merged later under a lower number than it is at", () =>
    Effect.gen(function*() {
      const it = yield* fresh(first, third)
      expect(yield* Effect.flip(it.verify(first, second, third))).toMatchObject({
        _tag: "SchemaMismatch",
        missing: [second],
        unknown: [],
        message: "the shard schema lacks 0002_second: run `npm run migrate`"
      })
      expect(yield* it.migrate(first, second, third)).toStrictEqual([second])
      expect(yield* it.tables).toStrictEqual(["first", "second", "third"])
      yield* it.verify(first, second, third)
    }))

  it.effect("that two migrate at once is given each migration once", () =>
    Effect.gen(function*() {
      const it = yield* fresh()
      const all = it.migrate(first, second, third)
      const applied = yield* Effect.all([all, all, all], { concurrency: "unbounded" })
      expect(applied.flat()).toStrictEqual([first, second, third])
    }))

  describe("is refused, and left as it is", () => {
    it.effect("when it was never migrated", () =>
      Effect.gen(function*() {
        const it = yield* fresh()
        expect(yield* Effect.flip(it.verify(first, second))).toMatchObject({ missing: [first, second], unknown: [] })
        expect(yield* it.tables).toStrictEqual([])
      }))

    it.effect("when it has a migration that is not known, be it the newest or one between", () =>
      Effect.gen(function*() {
        const it = yield* fresh(first, second, third)
        for (const [known, unknown] of [[[first, second], third], [[first, third], second]] as const) {
          const refusal = {
            _tag: "SchemaMismatch",
            missing: [],
            unknown: [unknown],
            message: `the shard schema has ${unknown}, which this version does not know: run a newer version`
          }
          expect(yield* Effect.flip(it.verify(...known))).toMatchObject(refusal)
          expect(yield* Effect.flip(it.migrate(...known))).toMatchObject(refusal)
        }
      }))

    it.effect("when it had another migration under the same number", () =>
      Effect.gen(function*() {
        const it = yield* fresh(first, "0002_other")
        const refusal = { _tag: "SchemaMismatch", missing: [second, third], unknown: ["0002_other"] }
        expect(yield* Effect.flip(it.verify(first, second, third))).toMatchObject(refusal)
        expect(yield* Effect.flip(it.migrate(first, second, third))).toMatchObject(refusal)
        expect(yield* it.tables).toStrictEqual(["first", "other"])
      }))

    it.effect("when one of its migrations cannot be applied, whose name is told: none of them is", () =>
      Effect.gen(function*() {
        const it = yield* fresh(first)
        const failed = yield* Effect.flip(it.migrate(first, second, "0003_first"))
        expect(failed).toMatchObject({
          _tag: "MigrationFailed",
          migration: "0003_first",
          message: "0003_first could not be applied: relation \"first\" already exists"
        })
        expect(yield* it.tables).toStrictEqual(["first"])
        yield* it.verify(first)
      }))
  })

  it.effect("of another kind is refused, though it is at the same number", () =>
    Effect.gen(function*() {
      const url = yield* (yield* TestPostgres).freshLog
      const sql = yield* connect({ url, maxConnections: 1 })
      yield* verifySchema(sql, "log")
      const refusal = { _tag: "SchemaMismatch", unknown: ["0001_event_log"] }
      expect(yield* Effect.flip(verifySchema(sql, "consumer"))).toMatchObject(refusal)
      expect(yield* Effect.flip(migrate(url, "consumer"))).toMatchObject(refusal)
    }))
})
