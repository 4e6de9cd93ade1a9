/** The checks are run on live shards, with no tolerance for what is new: the order of the looks leaves nothing to tolerate. */
import { expect, layer } from "@effect/vitest"
import { Duration, Effect, Fiber } from "effect"
import { violationsOf } from "#domain/reconciliation/Checks.ts"
import { connect } from "#infra/postgres/Postgres.ts"
import { TestPostgres, type TestShards } from "../support/TestPostgres.ts"
import { fill, traffic } from "./Books.ts"
import { check } from "./Checking.ts"

const committedOn = ({ urls }: TestShards) =>
  Effect.forEach(urls, (url) =>
    Effect.scoped(Effect.flatMap(connect({ url, maxConnections: 1 }), (sql) =>
      Effect.map(
        sql<{ readonly count: number }>`SELECT count(*)::int4 FROM journal WHERE step = 'commit'`,
        ([row]) => row?.count ?? 0
      ))))

layer(TestPostgres.layer, { excludeTestServices: true, timeout: "2 minutes" })("on live shards", (it) => {
  it.effect("the checks find nothing wrong while money moves", () =>
    Effect.gen(function*() {
      const shards = yield* (yield* TestPostgres).freshShards(2)
      const books = yield* fill(shards)
      const before = yield* committedOn(shards)
      const moving = yield* Effect.forkChild(traffic(shards, books))
      for (let times = 0; times < 15; times++) {
        expect(violationsOf(yield* check(shards, { atRest: false, grace: Duration.minutes(5) }))).toEqual([])
      }
      // If the traffic had ended by a defect, nothing would have been proved.
      expect(moving.pollUnsafe()).toBeUndefined()
      yield* Fiber.interrupt(moving)
      const after = yield* committedOn(shards)
      for (const [shard, count] of after.entries()) expect(count).toBeGreaterThan(10 + (before[shard] ?? 0))
      expect(violationsOf(yield* check(shards))).toEqual([])
    }))
})
