/** A shard's books are what its events come to: made again from them alone, they are the same, digest for digest. */
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { connect } from "#infra/postgres/Postgres.ts"
import { fromLog, isEqual, type ReplayReport, replayShard } from "#infra/postgres/PgReplay.ts"
import { fill, settle } from "../checks/Books.ts"
import { ask, json, variablesOf } from "../counterpoise/Asking.ts"
import { TestPostgres, type TestShards } from "../support/TestPostgres.ts"
import { carryAll, logsOf, replayed, urlOf } from "./Replaying.ts"

const expectEqual = (report: ReplayReport) => {
  assert.deepStrictEqual(report.differences, [])
  for (const { digest, live, liveRows, rows, table } of report.tables) {
    assert.deepStrictEqual({ table, rows, digest }, { table, rows: liveRows, digest: live })
    assert.isAbove(rows, 0, table)
  }
  assert.isTrue(isEqual(report))
}

const fromOwnLog = (shards: TestShards, shard: number) =>
  Effect.provide(replayed(shards, shard, "log"), logsOf(shards), { local: true })

const filled = Effect.gen(function*() {
  const shards = yield* (yield* TestPostgres).freshShards(2)
  return { shards, books: yield* fill(shards) }
})

/** Changes rows behind the back of every guard, as only the owner of the database could. */
const tamper = Effect.fnUntraced(function*(shards: TestShards, shard: number, statement: string) {
  const sql = yield* connect({ url: urlOf(shards, shard), maxConnections: 1 })
  yield* sql.withTransaction(Effect.andThen(
    sql`SELECT set_config('session_replication_role', 'replica', true)`,
    sql.unsafe(statement)
  ))
}, Effect.scoped)

layer(TestPostgres.layer, { excludeTestServices: true, timeout: "60 seconds" })("Replay", (it) => {
  it.effect("from its own log a shard's books are the same, in every state that there is", () =>
    Effect.gen(function*() {
      const { books, shards } = yield* filled
      yield* settle(shards, books)
      for (const shard of [0, 1]) expectEqual(yield* fromOwnLog(shards, shard))
    }))

  it.effect("however few events are decided at a time, while those before are being written", () =>
    Effect.gen(function*() {
      const { books, shards } = yield* filled
      yield* settle(shards, books)
      for (const [shard, most] of [[0, 1], [1, 3]] as const) {
        expectEqual(yield* Effect.provide(replayed(shards, shard, most), logsOf(shards), { local: true }))
      }
    }))

  it.effect("from the event log they are the same, spread over all partitions among those of others", () =>
    Effect.gen(function*() {
      const { shards } = yield* filled
      const compared = Effect.forEach([0, 1], (shard) => Effect.map(replayed(shards, shard, "event log"), expectEqual))
      yield* Effect.provide(Effect.andThen(carryAll, compared), logsOf(shards), { local: true })
    }))

  it.effect("what was changed in the books is found, and the account is named", () =>
    Effect.gen(function*() {
      const { books, shards } = yield* filled
      yield* tamper(shards, 0, `UPDATE balance SET posted = posted + 1 WHERE account_id = '${books.at.ann0}'`)
      const report = yield* fromOwnLog(shards, 0)
      assert.deepStrictEqual(
        report.tables.filter(({ digest, live }) => digest !== live).map(({ table }) => table),
        ["balance"]
      )
      const [difference, ...others] = report.differences
      assert.deepStrictEqual(others, [])
      assert.strictEqual(difference?.account, books.at.ann0)
      assert.strictEqual(BigInt(difference?.live?.posted ?? 0), BigInt(difference?.shadow?.posted ?? 0) + 1n)
    }))

  it.effect("an event that is not there any more is missed where the next one does not follow", () =>
    Effect.gen(function*() {
      const { books, shards } = yield* filled
      yield* tamper(
        shards,
        0,
        `DELETE FROM event WHERE type = 'transfer.held' AND subject = '${books.transfer("cross").transfer}'`
      )
      const error = yield* Effect.flip(fromOwnLog(shards, 0))
      assert.strictEqual(error._tag, "Diverged")
      assert.include(error.message, `transfer.committed of ${books.transfer("cross").transfer}`)
    }))

  it.effect("the operators' command says so with its exit code, and leaves no database behind", () =>
    Effect.gen(function*() {
      const { books, shards } = yield* filled
      const command = `replay --shard 1 --into test_shadow_${books.at.cyd1.replaceAll("-", "_")} -o json`
      const equal = yield* ask(command, variablesOf(shards))
      assert.strictEqual(equal.code, 0, equal.err)
      yield* tamper(shards, 1, `UPDATE account SET ceiling = 101 WHERE account_id = '${books.at.jar1}'`)
      const differing = yield* ask(command, variablesOf(shards))
      assert.strictEqual(differing.code, 6)
      const wrong = json(differing) as ReadonlyArray<{ readonly of: string; readonly is: string }>
      assert.deepStrictEqual(wrong.filter(({ is }) => is === "wrong").map(({ of }) => of), ["account", books.at.jar1])
      yield* tamper(
        shards,
        1,
        `DELETE FROM event WHERE type = 'transfer.credited' AND subject = '${books.transfer("cross").transfer}'`
      )
      const broken = yield* ask(command, variablesOf(shards))
      assert.strictEqual(broken.code, 6)
      assert.strictEqual((yield* ask("replay --shard 7", variablesOf(shards))).code, 3)
      const sql = yield* connect({ url: urlOf(shards, 0), maxConnections: 1 })
      assert.deepStrictEqual(yield* sql`SELECT FROM pg_database WHERE datname LIKE 'test\_shadow\_%'`, [])
    }))

  it.effect("a shadow that is not empty is left alone", () =>
    Effect.gen(function*() {
      const { shards } = yield* filled
      const onto = { live: urlOf(shards, 0), shadow: urlOf(shards, 1), map: shards.map, told: () => Effect.void }
      const refused = yield* Effect.flip(
        Effect.provide(replayShard({ shard: 0, events: fromLog, ...onto }), logsOf(shards), { local: true })
      )
      assert.strictEqual(refused._tag, "ShadowNotEmpty")
    }))
})
