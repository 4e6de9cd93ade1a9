/** What the doctor finds, on real databases; and the commands about schemas and shards. */
import { expect, layer } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { connect } from "#infra/postgres/Postgres.ts"
import { TestPostgres } from "../support/TestPostgres.ts"
import { ask, json, variablesOf } from "./Asking.ts"

interface Diagnosis {
  readonly is: string
  readonly what: string
  readonly detail: string
  readonly fix: string | null
}

/** A port of nobody's. */
const quiet = { API_PORT: "1" }

const diagnose = (environment: Readonly<Record<string, string>>) =>
  Effect.map(ask("doctor -o json", { ...quiet, ...environment }), (said) => ({
    code: said.code,
    diagnoses: json(said) as ReadonlyArray<Diagnosis>
  }))

/** What is wrong, but for what a server for tests leaves out. */
const wrongs = (diagnoses: ReadonlyArray<Diagnosis>) =>
  diagnoses.filter(({ is, what }) => is === "wrong" && !what.endsWith("durability"))

layer(TestPostgres.layer, { excludeTestServices: true })("the doctor", (it) => {
  it.effect("finds nothing wrong with a platform that is well", () =>
    Effect.gen(function*() {
      const postgres = yield* TestPostgres
      const shards = yield* postgres.freshShards(2)
      const log = yield* postgres.freshLog
      const { diagnoses } = yield* diagnose(variablesOf(shards, log))
      expect(wrongs(diagnoses)).toEqual([])
      const looked = diagnoses.map(({ what }) => what)
      for (const what of ["shard 0: schema", "shard 1: identity", "shard 1: clock", "event log", "seals", "api"]) {
        expect(looked).toContain(what)
      }
    }))

  it.effect("names each setting that is wrong, and looks no further", () =>
    Effect.gen(function*() {
      const { code, diagnoses } = yield* diagnose({
        SHARD_URLS: "postgres://127.0.0.1:1/a",
        PARTITIONS: "0",
        SEAL_KEY: "short",
        EVENT_LOG: "rabbit"
      })
      expect(code).toBe(6)
      const details = diagnoses.map(({ detail }) => detail).join("\n")
      for (const name of ["PARTITIONS", "SEAL_KEY", "EVENT_LOG"]) expect(details).toContain(name)
      expect(diagnoses.every(({ is }) => is === "wrong")).toBe(true)
    }))

  it.effect("says that a database is not there, has the wrong place, or was given twice", () =>
    Effect.gen(function*() {
      const postgres = yield* TestPostgres
      const shards = yield* postgres.freshShards(2)
      const log = yield* postgres.freshLog
      const [first = "", second = ""] = shards.urls.map(Redacted.value)
      const gone = yield* diagnose({
        ...variablesOf(shards, log),
        SHARD_URLS: `${first},postgres://nobody@127.0.0.1:1/nothing`
      })
      expect(gone.code).toBe(6)
      expect(wrongs(gone.diagnoses).map(({ what }) => what)).toEqual(["shard 1"])

      const swapped = yield* diagnose({ ...variablesOf(shards, log), SHARD_URLS: `${second},${first}` })
      expect(wrongs(swapped.diagnoses).map(({ what }) => what)).toEqual(["shard 0: identity", "shard 1: identity"])

      const twice = yield* diagnose({ ...variablesOf(shards, log), SHARD_URLS: `${first},${first}` })
      expect(wrongs(twice.diagnoses).map(({ detail }) => detail).join("\n")).toContain("given twice")
    }))

  it.effect("says which migrations are missing, and what applies them", () =>
    Effect.gen(function*() {
      const postgres = yield* TestPostgres
      const shards = yield* postgres.freshShards(1)
      const log = yield* postgres.freshLog
      yield* undoLast(shards.urls[0] ?? Redacted.make(""))
      const { code, diagnoses } = yield* diagnose(variablesOf(shards, log))
      expect(code).toBe(6)
      expect(wrongs(diagnoses)).toMatchObject([{ what: "shard 0: schema", fix: "counterpoise migrate up" }])

      const status = yield* ask("migrate status", variablesOf(shards, log))
      expect(status.code).toBe(6)
      expect(status.out).toMatch(/shard 0 .* 00\d\d_\w+/)
      const tried = yield* ask("migrate up --dry-run -o json", variablesOf(shards, log))
      expect(tried.code).toBe(0)
      expect(json(tried)).toEqual([
        { database: "shard 0", would_apply: [expect.stringMatching(/^00\d\d_\w+/)] },
        { database: "event log", would_apply: [] }
      ])
      // It was only tried: that one is lacking still.
      expect(yield* ask("migrate up --dry-run -o json", variablesOf(shards, log))).toEqual(tried)
    }))

  it.effect("says that the event log is not there, or is not told of", () =>
    Effect.gen(function*() {
      const shards = yield* (yield* TestPostgres).freshShards(1)
      const untold = yield* diagnose(variablesOf(shards))
      expect(wrongs(untold.diagnoses)).toMatchObject([{ what: "event log", fix: "set EVENT_LOG_URL" }])
      const gone = yield* diagnose({
        ...variablesOf(shards),
        EVENT_LOG_URL: "postgres://nobody@127.0.0.1:1/nothing"
      })
      expect(new Set(wrongs(gone.diagnoses).map(({ what }) => what))).toEqual(new Set(["event log"]))
    }))
})

layer(TestPostgres.layer, { excludeTestServices: true })("migrate and shards", (it) => {
  it.effect("bring every database to the newest schema, and say where each shard is", () =>
    Effect.gen(function*() {
      const postgres = yield* TestPostgres
      const shards = yield* postgres.freshShards(2, { partitions: 8 })
      const variables = variablesOf(shards, yield* postgres.freshLog)
      const up = yield* ask("migrate up -o json", variables)
      expect(up.code).toBe(0)
      expect(json(up)).toEqual([
        { database: "shard 0", applied: [] },
        { database: "shard 1", applied: [] },
        { database: "event log", applied: [] }
      ])
      expect((yield* ask("migrate status", variables)).code).toBe(0)

      const listed = yield* ask("shards list -o json", variables)
      expect(listed.code).toBe(0)
      expect(json(listed)).toMatchObject([
        { shard: 0, partitions: "0-3", answers: "yes", ledger: "nobody yet", last_position: "0" },
        { shard: 1, partitions: "4-7", answers: "yes", relay: "nobody yet" }
      ])
    }))

  it.effect("a shard that is down is a line in the list, and the others are listed", () =>
    Effect.gen(function*() {
      const shards = yield* (yield* TestPostgres).freshShards(2)
      const variables = variablesOf(shards)
      const listed = yield* ask("shards list -o ndjson", {
        ...variables,
        SHARD_URLS: `${Redacted.value(shards.urls[0] ?? Redacted.make(""))},postgres://nobody@127.0.0.1:1/nothing`
      })
      expect(listed.code).toBe(0)
      expect(listed.out.split("\n").map((line) => (JSON.parse(line) as { readonly answers: string }).answers))
        .toEqual(["yes", "no"])
    }))
})

/** Forgets that the newest migration was applied, as if this version were newer than the database. */
const undoLast = (url: Redacted.Redacted<string>) =>
  Effect.scoped(Effect.flatMap(
    connect({ url, maxConnections: 1 }),
    (sql) => sql`DELETE FROM schema_migration WHERE migration_id = (SELECT max(migration_id) FROM schema_migration)`
  ))
