/** A shard that is not there any more, and of which nobody says so: what is asked of it fails in time, and is asked anew. */
import { expect, layer } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { transaction } from "#infra/postgres/Postgres.ts"
import { ShardDatabases } from "#infra/postgres/ShardDatabases.ts"
import { Link } from "../support/Link.ts"
import { TestPostgres } from "../support/TestPostgres.ts"

const linkTo = Effect.fnUntraced(function*(target: Redacted.Redacted<string>) {
  const url = new URL(Redacted.value(target))
  const link = yield* Effect.acquireRelease(
    Effect.promise(() => new Link("to a database", () => ({ host: url.hostname, port: Number(url.port) })).open()),
    (link) => Effect.sync(() => link.close())
  )
  return { link, through: Redacted.make(Object.assign(new URL(url), { host: link.address }).href) }
})

/** What was connected leads nowhere from now on; what connects from now on arrives. */
const vanish = (link: Link) =>
  Effect.sync(() => {
    link.weather = { is: "half-open" }
    link.weather = { is: "fair" }
  })

layer(TestPostgres.layer, { excludeTestServices: true })("a connection whose other side is gone in silence", (it) => {
  it.effect("fails the work on it in time, and is replaced", () =>
    Effect.gen(function*() {
      const postgres = yield* TestPostgres
      const { map, urls: [target] } = yield* postgres.freshShards(1)
      if (target === undefined) return expect.fail("no shard")
      const { link, through } = yield* linkTo(target)
      yield* Effect.gen(function*() {
        const { on } = yield* ShardDatabases
        const asked = on(0, (sql) => sql`SELECT 1`)
        yield* asked
        expect(link.connections).toBe(1)

        yield* vanish(link)
        // As the intake does: what is under way there may not be interrupted from outside.
        const lost = yield* Effect.uninterruptible(Effect.flip(asked))
        expect(lost).toMatchObject({ _tag: "ShardUnavailable", shard: 0 })
        yield* asked
        expect(link.connections).toBe(1)
      }).pipe(
        Effect.provide(ShardDatabases.layer({
          urls: [through],
          map,
          role: "counterpoise_api",
          maxConnections: 1,
          patience: "300 millis"
        }))
      )
    }))

  const before = {
    "its begin": (vanishes: Effect.Effect<void>) => ({ earlier: vanishes, later: Effect.void }),
    "its end": (vanishes: Effect.Effect<void>) => ({ earlier: Effect.void, later: vanishes }),
    "it is undone": (vanishes: Effect.Effect<void>) => ({
      earlier: Effect.void,
      later: Effect.andThen(vanishes, Effect.fail("undo it" as const))
    })
  }
  for (const [when, plan] of Object.entries(before)) {
    it.effect(`ends a transaction too, if it is gone before ${when}`, () =>
      Effect.gen(function*() {
        const postgres = yield* TestPostgres
        const { map, urls: [target] } = yield* postgres.freshShards(1)
        if (target === undefined) return expect.fail("no shard")
        const { link, through } = yield* linkTo(target)
        yield* Effect.gen(function*() {
          const { on } = yield* ShardDatabases
          yield* on(0, (sql) => sql`SELECT 1`)

          const { earlier, later } = plan(vanish(link))
          yield* earlier
          const lost = yield* Effect.uninterruptible(
            Effect.flip(on(0, (sql) => transaction(sql, Effect.andThen(sql`SELECT 1`, later))))
          )
          if (when !== "it is undone") expect(lost).toMatchObject({ _tag: "ShardUnavailable", shard: 0 })
          yield* on(0, (sql) => transaction(sql, sql`SELECT 1`))
          expect(link.connections).toBe(1)
        }).pipe(
          Effect.provide(ShardDatabases.layer({
            urls: [through],
            map,
            role: "counterpoise_ledger",
            maxConnections: 1,
            patience: "300 millis"
          }))
        )
      }))
  }
})
