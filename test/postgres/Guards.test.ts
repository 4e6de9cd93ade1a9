/** What the tables themselves refuse, whoever writes: here it is the owner, past every grant. */
import { expect, layer } from "@effect/vitest"
import type { PgClient } from "@effect/sql-pg"
import { Effect, Predicate } from "effect"
import type { SqlError } from "effect/sql"
import { connect } from "#infra/postgres/Postgres.ts"
import { TestPostgres } from "../support/TestPostgres.ts"

/** A shard with two accounts, a thousand in the first, and a transfer of ten between them in every state. */
const books = Effect.gen(function*() {
  const { urls: [url] } = yield* (yield* TestPostgres).freshShards(1)
  if (url === undefined) return yield* Effect.die("no shard")
  const sql = yield* connect({ url, maxConnections: 1 })
  yield* sql`
    INSERT INTO account (account_id, partition, kind, normal_side, currency, floor)
    VALUES ('ann', 0, 'customer', 'credit', 'EUR', 0), ('ben', 0, 'customer', 'credit', 'EUR', 0)`
  yield* sql`INSERT INTO balance (account_id, posted) VALUES ('ann', 1000), ('ben', 0)`
  yield* sql`
    INSERT INTO transfer (transfer_id, source, destination, amount, currency, capture, moving, status, reason_code, client)
    SELECT status, 'ann', 'ben', 10, 'EUR', 'automatic', 10, status,
      CASE WHEN status IN ('rejected', 'cancelled') THEN 'a reason' END, 'shop'
    FROM unnest(ARRAY['requested', 'authorized', 'held', 'committed', 'rejected', 'cancelled']) AS t (status)`
  return sql
}).pipe(Effect.orDie)

/** The name of the rule that refuses a statement, or nothing where it is done. */
const refusal = <A>(statement: Effect.Effect<A, SqlError.SqlError>) =>
  statement.pipe(
    Effect.as("done"),
    Effect.catch(({ reason: { cause } }) =>
      Effect.succeed(
        Predicate.hasProperty(cause, "constraint") && typeof cause.constraint === "string"
          ? cause.constraint
          : Predicate.hasProperty(cause, "message")
          ? String(cause.message)
          : "refused"
      )
    )
  )

/** Does it and takes it back. */
const undone = <A>(sql: PgClient.PgClient, statement: Effect.Effect<A, SqlError.SqlError>) =>
  sql.withTransaction(Effect.andThen(statement, Effect.fail("undone" as const))).pipe(
    Effect.catchIf((error) => error === "undone", () => Effect.void)
  )

const failed = (status: string) => status === "rejected" || status === "cancelled"

const move = (sql: PgClient.PgClient, from: string, to: string) =>
  sql`UPDATE transfer SET status = ${to}, reason_code = ${failed(to) ? "a reason" : null} WHERE transfer_id = ${from}`

layer(TestPostgres.layer, { excludeTestServices: true })("the tables", (it) => {
  it.effect("let a transfer go forward only", () =>
    Effect.gen(function*() {
      const sql = yield* books
      const ways: Readonly<Record<string, ReadonlyArray<string>>> = {
        requested: ["authorized", "held", "committed", "rejected", "cancelled"],
        authorized: ["held", "committed", "cancelled"],
        held: ["committed", "cancelled"],
        committed: [],
        rejected: [],
        cancelled: []
      }
      for (const [from, allowed] of Object.entries(ways)) {
        for (const to of Object.keys(ways)) {
          expect([from, to, yield* refusal(undone(sql, move(sql, from, to)))]).toEqual([
            from,
            to,
            allowed.includes(to) ? "done" : "a_transfer_only_goes_forward"
          ])
        }
      }
    }))

  it.effect("keep a transfer's terms as they were agreed", () =>
    Effect.gen(function*() {
      const sql = yield* books
      for (
        const change of [
          "source = 'eve'",
          "destination = 'eve'",
          "amount = 11",
          "currency = 'USD'",
          "capture = 'manual'",
          "reverses = 'x'"
        ]
      ) {
        expect([
          change,
          yield* refusal(sql.unsafe(`UPDATE transfer SET status = 'committed', ${change} WHERE transfer_id = 'held'`))
        ]).toEqual([change, "a_transfer_only_goes_forward"])
      }
    }))

  it.effect("refuse a whole statement for one row of it", () =>
    Effect.gen(function*() {
      const sql = yield* books
      expect(
        yield* refusal(sql`UPDATE transfer SET status = 'committed' WHERE transfer_id IN ('held', 'committed')`)
      ).toBe("a_transfer_only_goes_forward")
      expect(yield* sql`SELECT status FROM transfer WHERE transfer_id = 'held'`).toEqual([{ status: "held" }])
    }))

  it.effect("let no more come back than went", () =>
    Effect.gen(function*() {
      const sql = yield* books
      yield* sql`
        INSERT INTO verdict (transfer_id, ruling, source, destination, amount, currency, from_shard)
        VALUES ('committed', 'CREDITED', 'ann', 'ben', 10, 'EUR', 0)`
      yield* sql`
        INSERT INTO transfer (transfer_id, source, destination, amount, currency, capture, moving, client, reverses)
        SELECT id, 'ben', 'ann', amount, 'EUR', 'automatic', amount, 'shop', 'committed'
        FROM (VALUES ('six', 6), ('four', 4), ('one', 1)) AS t (id, amount)`
      expect(yield* refusal(move(sql, "six", "held"))).toBe("done")
      expect(yield* refusal(sql`UPDATE transfer SET status = 'held' WHERE transfer_id IN ('four', 'one')`)).toBe(
        "no_more_comes_back_than_went"
      )
      expect(yield* refusal(move(sql, "four", "held"))).toBe("done")
      expect(yield* refusal(move(sql, "one", "held"))).toBe("no_more_comes_back_than_went")
      // What failed on its way counts no more.
      expect(yield* refusal(move(sql, "four", "cancelled"))).toBe("done")
      expect(yield* refusal(move(sql, "one", "held"))).toBe("done")
    }))

  it.effect("let nothing come back of what never went", () =>
    Effect.gen(function*() {
      const sql = yield* books
      yield* sql`
        INSERT INTO transfer (transfer_id, source, destination, amount, currency, capture, moving, client, reverses)
        VALUES ('back', 'ben', 'ann', 1, 'EUR', 'automatic', 1, 'shop', 'committed')`
      expect(yield* refusal(move(sql, "back", "held"))).toBe("no_more_comes_back_than_went")
    }))

  it.effect("hold no entry and no hold of an account that does not exist", () =>
    Effect.gen(function*() {
      const sql = yield* books
      const enter = (debit: string, credit: string) =>
        sql`
          INSERT INTO journal (transfer_id, step, amount, currency, debit_account, debit_sequence, debit_posted,
            credit_account, credit_sequence, credit_posted)
          SELECT 'entry ' || n, 'direct', 1, 'EUR', CASE n WHEN 2 THEN ${debit} ELSE 'ann' END, n, -n,
            CASE n WHEN 2 THEN ${credit} ELSE 'ben' END, n, n
          FROM generate_series(1, 3) AS t (n)`
      expect(yield* refusal(enter("nobody", "ben"))).toBe("an_entry_is_of_an_account_that_exists")
      expect(yield* refusal(enter("ann", "nobody"))).toBe("an_entry_is_of_an_account_that_exists")
      expect(yield* refusal(enter("ann", "ben"))).toBe("done")
      const hold = (account: string) =>
        sql`INSERT INTO hold (transfer_id, number, account_id, change, amount) VALUES (${account}, 1, ${account}, 'placed', 1)`
      expect(yield* refusal(hold("nobody"))).toBe("a_hold_is_of_an_account_that_exists")
      expect(yield* refusal(hold("ann"))).toBe("done")
    }))

  it.effect("take an entry of an account that the same statement opens", () =>
    Effect.gen(function*() {
      const sql = yield* books
      expect(
        yield* refusal(sql`
        WITH opened AS (
          INSERT INTO account (account_id, kind, normal_side, currency)
          VALUES ('clearing:0:to:1:EUR', 'clearing', 'credit', 'EUR')
        )
        INSERT INTO journal (transfer_id, step, amount, currency, debit_account, debit_sequence, debit_posted,
          credit_account, credit_sequence, credit_posted)
        VALUES ('held', 'commit', 10, 'EUR', 'ann', 1, 990, 'clearing:0:to:1:EUR', 1, 10)`)
      ).toBe("done")
    }))

  it.effect("keep every account, entry, hold, verdict, event, key and transfer for ever", () =>
    Effect.gen(function*() {
      const sql = yield* books
      for (const table of ["account", "journal", "hold", "verdict", "event", "idempotency_key", "transfer"]) {
        expect(yield* refusal(sql`DELETE FROM ${sql(table)}`)).toBe(`${table} is append-only: DELETE is refused`)
      }
    }))

  it.effect("let no balance cross its account's limits", () =>
    Effect.gen(function*() {
      const sql = yield* books
      expect(yield* refusal(sql`UPDATE balance SET posted = posted - 1`)).toBe("a_balance_stays_within_its_limits")
      expect(yield* refusal(sql`UPDATE balance SET held = 1001 WHERE account_id = 'ann'`)).toBe(
        "a_balance_stays_within_its_limits"
      )
      expect(yield* refusal(sql`UPDATE balance SET held = 1000 WHERE account_id = 'ann'`)).toBe("done")
    }))
})
