/** A shard that lost data stops and says so; it takes nothing before it has caught up, and then it is what it was. */
import { assert, layer } from "@effect/vitest"
import { Effect, Exit, Layer } from "effect"
import { Leases } from "#domain/sharding/Leases.ts"
import { connect } from "#infra/postgres/Postgres.ts"
import { violationsOf } from "#domain/reconciliation/Checks.ts"
import { check } from "../checks/Checking.ts"
import { TestPostgres } from "../support/TestPostgres.ts"
import { digestsOf, isRefused, load, on, platform, recover, restored } from "./Disaster.ts"
import { urlOf } from "./Replaying.ts"

/** A platform whose shard 0 was backed up, worked on, was destroyed, and is there again as it was in the backup. */
const destroyed = Effect.gen(function*() {
  const postgres = yield* TestPostgres
  const platform_ = yield* platform
  yield* load(platform_, platform_.shards, 60)
  const backup = yield* postgres.copy(platform_.shards)
  yield* load(platform_, platform_.shards, 60)
  const before = yield* digestsOf(platform_.shards, 0)
  return { platform: platform_, before, shards: restored(platform_.shards, backup) }
})

layer(TestPostgres.layer, { excludeTestServices: true, timeout: "60 seconds" })(
  "A shard restored from an older copy",
  (it) => {
    it.effect("takes nothing, catches up from the event log, is what it was, and goes on", () =>
      Effect.gen(function*() {
        const { before, platform, shards } = yield* destroyed
        assert.isTrue(yield* isRefused(platform, shards))
        // Nobody gets to work for it.
        const lease = yield* Effect.exit(
          Effect.provide(Leases.use((leases) => leases.acquire(0, "ledger")), on(shards), { local: true })
        )
        assert.isTrue(Exit.isFailure(lease))

        const caughtUp = yield* recover(platform, shards)
        assert.isTrue(caughtUp.wasBehind)
        assert.isAbove(caughtUp.events, 0)
        assert.deepStrictEqual(yield* digestsOf(shards, 0), before)

        yield* load(platform, shards, 30)
        assert.deepStrictEqual(violationsOf(yield* check(shards)), [])
        assert.isFalse((yield* recover(platform, shards)).wasBehind)
      }))

    it.effect("that was written to since is not mended by guessing", () =>
      Effect.gen(function*() {
        const { platform, shards } = yield* destroyed
        const sql = yield* connect({ url: urlOf(shards, 0), maxConnections: 1 })
        yield* sql`
        INSERT INTO event (type, subject, key, partition, payload)
        SELECT type, subject, key, partition, payload FROM event ORDER BY position LIMIT 1`
        const refused = yield* Effect.flip(recover(platform, shards))
        assert.strictEqual(refused._tag, "WrittenTo")
      }))

    it.effect("whose events are nowhere stays closed, until somebody accepts that", () =>
      Effect.gen(function*() {
        const { platform, shards } = yield* destroyed
        const lost = { ...platform, log: (yield* platform_).log }
        const missing = yield* Effect.flip(recover(lost, shards))
        assert.strictEqual(missing._tag, "EventsMissing")
        const accepted = yield* recover(lost, shards, "the backup is all there is")
        assert.strictEqual(accepted.events, 0)
        // It takes part again, at positions that nobody has seen.
        yield* Effect.provide(
          Leases.use((leases) => leases.acquire(0, "ledger")),
          Layer.fresh(on(shards)),
          { local: true }
        )
        assert.isFalse((yield* recover(lost, shards)).wasBehind)
      }))
  }
)

/** Another platform, for its event log. */
const platform_ = platform
