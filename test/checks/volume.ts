/**
 * How long the checks take: `node test/checks/volume.ts [entries]` fills two shards with healthy books of so many entries
 * in all (1,000,000 unless given), 4 transfers of 10 across shards, by plain SQL, and prints what each check took.
 */
import { Duration, Effect } from "effect"
import { violationsOf } from "#domain/reconciliation/Checks.ts"
import { partitionOf } from "#domain/sharding/Partition.ts"
import { shardOfAccount } from "#domain/sharding/ShardMap.ts"
import { texts } from "#infra/postgres/Columns.ts"
import { connect } from "#infra/postgres/Postgres.ts"
import { TestPostgres } from "../support/TestPostgres.ts"
import { check } from "./Checking.ts"

const entries = Number(process.argv[2] ?? 1_000_000)
const accountsPerShard = 10_000
// A transfer within a shard makes two entries, one across shards four; a fiftieth moves nothing.
const transfersPerShard = Math.round((entries / 2 - 2 * accountsPerShard) / (0.98 * (0.6 * 2 + 0.4 * 4)))

/**
 * What each shard's clients wished, as a function of the shard and a number, so that both shards can write their halves of
 * the same transfers. The first wishes are deposits.
 */
const wished = (shard: string) => `
  SELECT ${shard} AS shard, n, 'trf_0' || lpad((n * 2 + ${shard})::text, 25, '0') AS transfer_id,
         source.id AS source, destination.id AS destination, outcome, n > ${accountsPerShard} AND n % 10 < 4 AS crosses,
         CASE WHEN n <= ${accountsPerShard} THEN 1000000000 ELSE 1 + n % 97 END::numeric AS amount
  FROM (
    SELECT n, CASE WHEN n > ${accountsPerShard} AND n % 50 = 7 THEN 'rejected'
                   WHEN n > ${accountsPerShard} AND n % 50 = 13 THEN 'cancelled' ELSE 'committed' END AS outcome
    FROM generate_series(1, ${accountsPerShard + transfersPerShard}) AS t (n)
  ) AS numbered
  JOIN customer AS source
    ON source.shard = ${shard}
    AND source.number = CASE WHEN n <= ${accountsPerShard} THEN 0 ELSE 1 + n * 7919 % ${accountsPerShard} END
  JOIN customer AS destination
    ON destination.shard = CASE WHEN n > ${accountsPerShard} AND n % 10 < 4 THEN 1 - ${shard} ELSE ${shard} END
    AND destination.number = CASE WHEN n <= ${accountsPerShard} THEN n ELSE 1 + (n * 7919 + 1) % ${accountsPerShard} END`

const statements = (shard: number): ReadonlyArray<string> => {
  const other = 1 - shard
  const event = (type: string, from: string, extra = "") => `
    INSERT INTO event (type, subject, key, partition, payload)
    SELECT '${type}', transfer_id, source, 0, json_build_object('type', '${type}', 'transfer', transfer_id,
      'source', source, 'destination', destination, 'amount', amount::text, 'currency', 'EUR')
    FROM ${from} ${extra}`
  return [
    `CREATE TEMPORARY TABLE own AS ${wished(String(shard))}`,
    `CREATE TEMPORARY TABLE foreign_wish AS SELECT * FROM (${wished(String(other))}) AS all_of_them WHERE crosses`,
    `INSERT INTO account (account_id, partition, kind, normal_side, currency, floor)
     SELECT id, partition, CASE number WHEN 0 THEN 'external' ELSE 'customer' END,
       CASE number WHEN 0 THEN 'debit' ELSE 'credit' END, 'EUR', CASE number WHEN 0 THEN NULL ELSE 0 END
     FROM customer WHERE shard = ${shard}`,
    `INSERT INTO account (account_id, kind, normal_side, currency)
     VALUES ('clearing:${shard}:to:${other}:EUR', 'clearing', 'credit', 'EUR'),
            ('clearing:${shard}:from:${other}:EUR', 'clearing', 'credit', 'EUR')`,
    `INSERT INTO event (type, subject, key, partition, payload)
     SELECT 'account.opened', account_id, account_id, partition, json_build_object('type', 'account.opened',
       'account', account_id, 'kind', kind, 'normalSide', normal_side, 'currency', currency, 'floor', floor::text,
       'ceiling', NULL)
     FROM account WHERE kind <> 'clearing'`,
    `INSERT INTO transfer (transfer_id, source, destination, amount, currency, capture, moving, status, reason_code, client)
     SELECT transfer_id, source, destination, amount, 'EUR', 'automatic', amount,
       CASE WHEN outcome = 'cancelled' AND NOT crosses THEN 'rejected' ELSE outcome END,
       CASE outcome WHEN 'committed' THEN NULL ELSE 'a reason' END, 'shop'
     FROM own`,
    `INSERT INTO idempotency_key (client, scope, key, fingerprint, resource_id)
     SELECT 'shop', 'transfer:' || source, n::text, sha256(''), transfer_id FROM own`,
    `INSERT INTO hold (transfer_id, number, account_id, change, amount)
     SELECT transfer_id, number, source,
       CASE number WHEN 1 THEN 'placed' ELSE CASE outcome WHEN 'committed' THEN 'settled' ELSE 'released' END END, amount
     FROM own CROSS JOIN (VALUES (1), (2)) AS t (number) WHERE crosses AND outcome <> 'rejected'`,
    `INSERT INTO verdict (transfer_id, ruling, reason_code, source, destination, amount, currency, from_shard)
     SELECT transfer_id, CASE outcome WHEN 'committed' THEN 'CREDITED' ELSE 'REFUSED' END,
       CASE outcome WHEN 'committed' THEN NULL ELSE 'a reason' END, source, destination, amount, 'EUR', ${other}
     FROM foreign_wish WHERE outcome <> 'rejected'`,
    `INSERT INTO verdict (transfer_id, ruling, source, destination, amount, currency, from_shard)
     SELECT transfer_id, 'CREDITED', source, destination, amount, 'EUR', ${shard}
     FROM own WHERE NOT crosses AND outcome = 'committed'`,
    event("transfer.requested", "own"),
    event("transfer.held", "own", "WHERE crosses AND outcome <> 'rejected'"),
    event("transfer.credited", "foreign_wish", "WHERE outcome = 'committed'"),
    event("transfer.refused", "foreign_wish", "WHERE outcome = 'cancelled'"),
    event("transfer.committed", "own", "WHERE outcome = 'committed'"),
    event("transfer.cancelled", "own", "WHERE outcome = 'cancelled' AND crosses"),
    event("transfer.rejected", "own", "WHERE outcome = 'rejected' OR (outcome = 'cancelled' AND NOT crosses)"),
    `CREATE TEMPORARY TABLE posting AS
     SELECT transfer_id, n, 0 AS late, CASE WHEN crosses THEN 'commit' ELSE 'direct' END AS step, amount, source AS debit,
       CASE WHEN crosses THEN 'clearing:${shard}:to:${other}:EUR' ELSE destination END AS credit
     FROM own WHERE outcome = 'committed'
     UNION ALL
     SELECT transfer_id, n, 1, 'credit', amount, 'clearing:${shard}:from:${other}:EUR', destination
     FROM foreign_wish WHERE outcome = 'committed'`,
    `CREATE TEMPORARY TABLE line AS
     SELECT transfer_id, step, account_id, direction,
       row_number() OVER (PARTITION BY account_id ORDER BY n, late) AS sequence,
       sum(signed) OVER (PARTITION BY account_id ORDER BY n, late) AS posted
     FROM (SELECT transfer_id, step, n, late, debit AS account_id, 'DEBIT' AS direction, -amount AS signed FROM posting
           UNION ALL SELECT transfer_id, step, n, late, credit, 'CREDIT', amount FROM posting) AS both_sides`,
    `INSERT INTO journal (transfer_id, step, amount, currency, debit_account, debit_sequence, debit_posted,
       credit_account, credit_sequence, credit_posted)
     SELECT posting.transfer_id, step, amount, 'EUR', debit, d.sequence, d.posted, credit, c.sequence, c.posted
     FROM posting
     JOIN line AS d USING (transfer_id, step)
     JOIN line AS c USING (transfer_id, step)
     WHERE d.direction = 'DEBIT' AND c.direction = 'CREDIT'`,
    `INSERT INTO balance (account_id, posted, sequence)
     SELECT account_id, coalesce(posted, 0), coalesce(sequence, 0)
     FROM account
     LEFT JOIN (SELECT DISTINCT ON (account_id) account_id, posted, sequence FROM line
                ORDER BY account_id, sequence DESC) AS last USING (account_id)`,
    "ANALYZE"
  ]
}

const program = Effect.gen(function*() {
  const shards = yield* (yield* TestPostgres).freshShards(2)
  const { map } = shards
  const customers: Array<{ readonly id: string; readonly shard: number; readonly number: number }> = []
  const counts = [0, 0]
  for (let n = 0; counts.some((count) => count <= accountsPerShard); n++) {
    const id = `customer-${n}`
    const shard = shardOfAccount(map, id)
    const number = counts[shard] ?? 0
    if (number > accountsPerShard) continue
    counts[shard] = number + 1
    customers.push({ id, shard, number })
  }
  for (const [shard, url] of shards.urls.entries()) {
    const begun = Date.now()
    yield* Effect.scoped(Effect.gen(function*() {
      const sql = yield* connect({ url, maxConnections: 1 })
      yield* sql.withTransaction(Effect.gen(function*() {
        yield* sql`SELECT set_config('session_replication_role', 'replica', true),
          set_config('statement_timeout', '0', true), set_config('work_mem', '256MB', true)`
        yield* sql`CREATE TEMPORARY TABLE customer AS
          SELECT id, shard::int, number::int, partition::int FROM unnest(
            ${texts(customers.map(({ id }) => id))}::text[],
            ${texts(customers.map(({ shard }) => String(shard)))}::text[],
            ${texts(customers.map(({ number }) => String(number)))}::text[],
            ${texts(customers.map(({ id }) => String(partitionOf(id, map.partitions))))}::text[]
          ) AS t (id, shard, number, partition)`
        for (const statement of statements(shard)) yield* sql.unsafe(statement).unprepared
      }))
      const [rows] = yield* sql`SELECT (SELECT count(*) FROM transfer)::int4 AS transfers,
        (SELECT count(*) FROM entry)::int4 AS entries, (SELECT count(*) FROM event)::int4 AS events`
      console.log(`shard ${shard} filled in ${Date.now() - begun} ms:`, rows)
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
