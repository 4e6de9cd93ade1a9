/** The checks are run on live shards, with no tolerance for what is new: the order of the looks leaves nothing to tolerate. */
import { expect, layer } from "@effect/vitest"
import { Duration, Effect, Fiber, Layer } from "effect"
import { Checks, violationsOf } from "#domain/reconciliation/Checks.ts"
import * as PgChecks from "#infra/postgres/PgChecks.ts"
import { connect } from "#infra/postgres/Postgres.ts"
import { ShardDatabases } from "#infra/postgres/ShardDatabases.ts"
import { TestPostgres, type TestShards } from "../support/TestPostgres.ts"
import { fill, settle, traffic } from "./Books.ts"
import { check } from "./Checking.ts"

const committedOn = ({ urls }: TestShards) =>
  Effect.forEach(urls, (url) =>
    Effect.scoped(Effect.flatMap(connect({ url, maxConnections: 1 }), (sql) =>
      Effect.map(
        sql<{ readonly count: number }>`SELECT count(*)::int4 FROM journal WHERE step = 'commit'`,
        ([row]) => row?.count ?? 0
      ))))

/** Checks, with `meanwhile` done after the last shard was looked at as a destination and before the first as a source. */
const checkWhile = (shards: TestShards, meanwhile: Effect.Effect<unknown>, atRest: boolean) =>
  Effect.gen(function*() {
    const databases = yield* ShardDatabases
    const once = yield* Effect.cached(meanwhile)
    let looks = 0
    // Each shard is looked at for its own checks, then as a destination, then as a source.
    const gated = ShardDatabases.of({
      ...databases,
      on: (shard, work) =>
        Effect.andThen(++looks > 2 * shards.urls.length ? once : Effect.void, databases.on(shard, work))
    })
    const checks = Layer.provide(Layer.fresh(PgChecks.layer), Layer.succeed(ShardDatabases, gated))
    return violationsOf(
      yield* Effect.provide(Checks.use((checks) => checks.run({ atRest, grace: Duration.hours(1) })), checks)
    )
  }).pipe(
    Effect.provide(ShardDatabases.layer({ ...shards, role: "counterpoise_reconciler" }), { local: true }),
    Effect.orDie
  )

layer(TestPostgres.layer, { excludeTestServices: true, timeout: "2 minutes" })("on live shards", (it) => {
  it.effect("what goes the whole way between two looks is seen at the third, and only there", () =>
    Effect.gen(function*() {
      const postgres = yield* TestPostgres
      const shards = yield* postgres.freshShards(2)
      const books = yield* fill(shards)
      const copies = yield* postgres.copy(shards)

      expect(yield* checkWhile(shards, settle(shards, books), false)).toEqual([])

      const unsettled = yield* checkWhile(copies, settle(copies, books), true)
      expect([...new Set(unsettled.map(({ check }) => check))]).toEqual([
        "committed_transfers_were_credited",
        "holds_are_released_only_after_a_refusal",
        "clearing_accounts_show_what_is_in_flight"
      ])
      // It was the looking that was unsettled.
      expect(violationsOf(yield* check(copies))).toEqual([])
    }))

  it.effect("the checks find nothing wrong while money moves", () =>
    Effect.gen(function*() {
      const shards = yield* (yield* TestPostgres).freshShards(2)
      const books = yield* fill(shards)
      const before = yield* committedOn(shards)
      const moving = yield* Effect.forkChild(traffic(shards, books))
      // However slow the traffic is beside other tests, the checks go on until enough of it has passed them.
      const enough = Effect.map(
        committedOn(shards),
        (now) => now.every((count, shard) => count > 10 + (before[shard] ?? 0))
      )
      for (let times = 0; times < 15 || !(yield* enough); times++) {
        expect(violationsOf(yield* check(shards, { atRest: false, grace: Duration.minutes(5) }))).toEqual([])
        // If the traffic had ended by a defect, nothing would be proved.
        expect(moving.pollUnsafe()).toBeUndefined()
      }
      yield* Fiber.interrupt(moving)
      expect(violationsOf(yield* check(shards))).toEqual([])
    }))
})
