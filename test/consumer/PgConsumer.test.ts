import { expect, layer as suite } from "@effect/vitest"
import { Duration, Effect, Layer, type Redacted } from "effect"
import { migrateConsumer } from "#infra/postgres/Migrations.ts"
import * as PgConsumer from "#infra/postgres/PgConsumer.ts"
import { connect, sqlState } from "#infra/postgres/Postgres.ts"
import { blocksOf, read } from "../docs/Markdown.ts"
import { ConsumerDatabases, consumerLaws } from "../laws/ConsumerLaws.ts"
import { TestPostgres } from "../support/TestPostgres.ts"

const open = (url: Redacted.Redacted<string>, timeToLive: Duration.Duration, consumer = "test") =>
  Layer.build(Layer.fresh(PgConsumer.layer({ url, consumer, holder: crypto.randomUUID(), timeToLive })))

consumerLaws(
  "a consumer's database in PostgreSQL",
  Layer.effect(
    ConsumerDatabases,
    Effect.map(TestPostgres, ({ freshConsumer }) => ({
      fresh: Effect.map(
        freshConsumer("test"),
        (url) => (timeToLive: Duration.Duration) => Effect.orDie(open(url, timeToLive))
      )
    }))
  ).pipe(Layer.provide(TestPostgres.layer))
)

suite(TestPostgres.layer, { excludeTestServices: true })("a consumer's database in PostgreSQL", (it) => {
  const fresh = Effect.flatMap(TestPostgres, ({ freshConsumer }) => freshConsumer("test"))

  it.effect("is not given to another consumer", () =>
    Effect.gen(function*() {
      const url = yield* fresh
      expect(yield* Effect.flip(open(url, Duration.minutes(1), "other"))).toMatchObject({
        _tag: "WrongConsumer",
        found: "test"
      })
      expect(yield* Effect.flip(migrateConsumer(url, "other"))).toMatchObject({ _tag: "WrongConsumer" })
      expect(yield* migrateConsumer(url, "test")).toEqual([])
    }))

  const denied = "42501" // insufficient_privilege
  const restricted = "23001" // restrict_violation
  const unchecked = "23514" // check_violation

  /** What becomes of a statement: nothing, or the SQLSTATE of its refusal. */
  const attempts = Effect.fnUntraced(function*(role: string | undefined) {
    const url = yield* fresh
    const owner = yield* connect({ url, maxConnections: 1 })
    yield* owner`
      INSERT INTO parked_message (source_shard, position, partition, key, type, subject, payload, occurred_at, trouble, detail)
      VALUES (0, 1, 0, 'anna', 'transfer.committed', 'trf', '{}', now(), 'refused', '410')`
    yield* owner`
      INSERT INTO parked_retry (message, actor, reason, trouble, detail, tries) VALUES (1, 'a', 'b', 'refused', '410', 1)`
    const sql = yield* connect({ url, maxConnections: 1, ...(role === undefined ? {} : { role }) })
    return (statement: string) =>
      sql.unsafe(statement).unprepared.pipe(
        Effect.as("done"),
        Effect.catch((error) => Effect.succeed(sqlState(error) ?? "unknown"))
      )
  })

  const discard = "UPDATE parked_message SET status = 'discarded', ended_at = now()"

  it.effect("lets nobody delete or rewrite what was parked, its owner neither", () =>
    Effect.gen(function*() {
      for (const role of [undefined, "counterpoise_consumer"]) {
        const attempt = yield* attempts(role)
        const refusal = role === undefined ? restricted : denied
        expect(yield* attempt("DELETE FROM parked_message")).toBe(refusal)
        expect(yield* attempt("TRUNCATE parked_message CASCADE")).toBe(refusal)
        expect(yield* attempt("UPDATE parked_message SET payload = '{\"other\": 1}'")).toBe(refusal)
        expect(yield* attempt("DELETE FROM parked_retry")).toBe(refusal)
        expect(yield* attempt("UPDATE parked_retry SET reason = 'another'")).toBe(refusal)
      }
    }))

  it.effect("holds a discarded message to a name and a reason, and lets it never come back", () =>
    Effect.gen(function*() {
      const attempt = yield* attempts("counterpoise_consumer")
      expect(yield* attempt(discard)).toBe(unchecked)
      expect(yield* attempt(`${discard}, discarded_by = 'olga'`)).toBe(unchecked)
      expect(yield* attempt(`${discard}, discarded_by = 'olga', discarded_because = ' '`)).toBe(unchecked)
      expect(yield* attempt(`${discard}, discarded_by = 'olga', discarded_because = 'told'`)).toBe("done")
      expect(yield* attempt("UPDATE parked_message SET status = 'waiting', ended_at = NULL")).toBe(restricted)
    }))

  it.effect("does what docs/webhooks.md says, statement by statement", () =>
    Effect.gen(function*() {
      const attempt = yield* attempts("counterpoise_consumer")
      const statements = blocksOf(read("docs/webhooks.md")).filter(({ language }) => language === "sql")
      const [look = "", retry = "", giveUp = ""] = statements.map(({ text }) => text)
      expect(yield* attempt(`DO $$ BEGIN ASSERT (SELECT count(*) = 1 FROM (${look.replace(";", "")})); END $$`)).toBe(
        "done"
      )
      expect(yield* attempt(giveUp.replaceAll("= 1 ", "= 2 "))).toBe("done")
      expect(yield* attempt(`${retry.replaceAll("olga", "oscar")}`)).toBe("done")
      const holds = (what: string) =>
        attempt(`DO $$ BEGIN ASSERT (SELECT ${what} FROM parked_message WHERE number = 1); END $$`)
      expect(yield* holds("trouble IS NULL AND status = 'waiting'")).toBe("done")
      expect(yield* attempt("DO $$ BEGIN ASSERT (SELECT count(*) = 2 FROM parked_retry); END $$")).toBe("done")
      expect(yield* attempt("UPDATE parked_message SET trouble = 'refused', detail = 'again'")).toBe("done")
      expect(yield* attempt(giveUp)).toBe("done")
      expect(yield* holds("status = 'discarded' AND discarded_by = 'olga'")).toBe("done")
    }))

  it.effect("lets the auditor read, and change nothing", () =>
    Effect.gen(function*() {
      const attempt = yield* attempts("counterpoise_auditor")
      expect(yield* attempt("SELECT * FROM parked_message")).toBe("done")
      expect(yield* attempt("UPDATE parked_message SET tries = 7")).toBe(denied)
      expect(yield* attempt("INSERT INTO lease (holder, epoch, expires_at) VALUES ('me', 1, now())")).toBe(denied)
    }))
})
