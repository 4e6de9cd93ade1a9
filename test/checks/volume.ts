/**
 * How long the checks take: `node test/checks/volume.ts [entries]` fills two shards with healthy books of so many entries
 * in all (1,000,000 unless given) and prints what each check took.
 */
import { Duration, Effect } from "effect"
import { violationsOf } from "#domain/reconciliation/Checks.ts"
import { connect } from "#infra/postgres/Postgres.ts"
import { TestPostgres } from "../support/TestPostgres.ts"
import { check } from "./Checking.ts"
import { fill } from "./Filled.ts"

const entries = Number(process.argv[2] ?? 1_000_000)

const program = Effect.gen(function*() {
  const shards = yield* (yield* TestPostgres).freshShards(2)
  const filling = Date.now()
  yield* fill(shards, { accountsPerShard: 10_000, entries })
  console.log(`filled in ${Date.now() - filling} ms`)
  for (const [shard, url] of shards.urls.entries()) {
    yield* Effect.scoped(Effect.gen(function*() {
      const sql = yield* connect({ url, maxConnections: 1 })
      const [rows] = yield* sql`SELECT (SELECT count(*) FROM transfer)::int4 AS transfers,
        (SELECT count(*) FROM entry)::int4 AS entries, (SELECT count(*) FROM event)::int4 AS events`
      console.log(`shard ${shard}:`, rows)
    }))
  }
  const begun = Date.now()
  const runs = yield* check(shards, { atRest: false, grace: Duration.hours(1) })
  const took = Date.now() - begun
  for (const { check, millis, shard } of runs) {
    console.log(
      `${check.number} ${shard === null ? "all" : `  ${shard}`} ${String(millis).padStart(6)} ms  ${check.name}`
    )
  }
  for (const violation of violationsOf(runs).slice(0, 20)) console.log(violation)
  console.log(`all checks: ${took} ms, ${violationsOf(runs).length} violations, ${process.memoryUsage.rss() >> 20} MB`)
})

await program.pipe(Effect.scoped, Effect.provide(TestPostgres.layer), Effect.runPromise)
