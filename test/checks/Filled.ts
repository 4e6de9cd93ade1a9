/**
 * Two shards filled with healthy books by plain SQL, as large as one likes: what takes the platform a day is there in
 * minutes. 4 transfers of 10 go across shards; a fiftieth moves nothing.
 */
import { Effect } from "effect"
import { partitionOf } from "#domain/sharding/Partition.ts"
import { type ShardId, type ShardMap, shardOfAccount } from "#domain/sharding/ShardMap.ts"
import { texts } from "#infra/postgres/Columns.ts"
import { connect } from "#infra/postgres/Postgres.ts"
import type { TestShards } from "../support/TestPostgres.ts"

interface Size {
  readonly accountsPerShard: number
  readonly transfersPerShard: number
}

/** An account, and where it lives. Number 0 of each shard is the bank that all others were given their money by. */
export interface Customer {
  readonly id: string
  readonly shard: ShardId
  readonly number: number
}

/** The customers of both shards, by shard and number, after the bank of each. */
export const customersOf = (map: ShardMap, accountsPerShard: number): ReadonlyArray<ReadonlyArray<Customer>> => {
  const customers: ReadonlyArray<Array<Customer>> = [[], []]
  for (let n = 0; customers.some((here) => here.length <= accountsPerShard); n++) {
    const id = `customer-${n}`
    const shard = shardOfAccount(map, id)
    const here = customers[shard]
    if (here !== undefined && here.length <= accountsPerShard) here.push({ id, shard, number: here.length })
  }
  return customers
}

/**
 * What each shard's clients wished, as a function of the shard and a number, so that both shards can write their halves of
 * the same transfers. The first wishes are deposits.
 */
const wished = (shard: number, { accountsPerShard, transfersPerShard }: Size) => `
  SELECT ${shard} AS shard, n, 'trf_0' || lpad((n * 2 + ${shard})::text, 25, '0') AS transfer_id,
         source.id AS source, destination.id AS destination, outcome, n > ${accountsPerShard} AND n % 10 < 4 AS crosses,
         CASE WHEN n <= ${accountsPerShard} THEN 1000000000 ELSE 1 + n % 97 END::numeric AS amount
  FROM (
    SELECT n, CASE WHEN n > ${accountsPerShard} AND n % 50 = 7 THEN 'rejected'
                   WHEN n > ${accountsPerShard} AND n % 50 = 13 THEN 'cancelled' ELSE 'committed' END AS outcome
    FROM generate_series(1::bigint, ${accountsPerShard + transfersPerShard}) AS t (n)
  ) AS numbered
  JOIN customer AS source
    ON source.shard = ${shard}
    AND source.number = CASE WHEN n <= ${accountsPerShard} THEN 0 ELSE 1 + n * 7919 % ${accountsPerShard} END
  JOIN customer AS destination
    ON destination.shard = CASE WHEN n > ${accountsPerShard} AND n % 10 < 4 THEN 1 - ${shard} ELSE ${shard} END
    AND destination.number = CASE WHEN n <= ${accountsPerShard} THEN n ELSE 1 + (n * 7919 + 1) % ${accountsPerShard} END`

const statements = (shard: ShardId, size: Size): ReadonlyArray<string> => {
  const other = 1 - shard
  const event = (type: string, from: string, extra = "") => `
    INSERT INTO event (type, subject, key, partition, payload)
    SELECT '${type}', transfer_id, source, 0, json_build_object('type', '${type}', 'transfer', transfer_id,
      'source', source, 'destination', destination, 'amount', amount::text, 'currency', 'EUR')
    FROM ${from} ${extra}`
  return [
    `CREATE TEMPORARY TABLE own AS ${wished(shard, size)}`,
    `CREATE TEMPORARY TABLE foreign_wish AS SELECT * FROM (${wished(other, size)}) AS all_of_them WHERE crosses`,
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
                ORDER BY account_id, sequence DESC) AS last USING (account_id)`
  ]
}

/**
 * Fills two empty shards, so that they have about so many entries in all: each account begins with a deposit of two
 * entries, a transfer within a shard makes two and one across shards four.
 */
export const fill = Effect.fn("fill")(function*(
  shards: TestShards,
  options: {
    readonly accountsPerShard: number
    readonly entries: number
    /** Told after each statement, of which there are so many. */
    readonly progress?: (shard: ShardId, done: number, of: number) => void
  }
) {
  const { accountsPerShard, entries } = options
  const transfersPerShard = Math.max(0, Math.round((entries / 2 - 2 * accountsPerShard) / (0.98 * (0.6 * 2 + 0.4 * 4))))
  const customers = customersOf(shards.map, accountsPerShard).flat()
  for (const [shard, url] of shards.urls.entries()) {
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
            ${texts(customers.map(({ id }) => String(partitionOf(id, shards.map.partitions))))}::text[]
          ) AS t (id, shard, number, partition)`
        const all = statements(shard, { accountsPerShard, transfersPerShard })
        for (const [index, statement] of all.entries()) {
          yield* sql.unsafe(statement).unprepared
          options.progress?.(shard, index + 1, all.length)
        }
      }))
      // Rows as they are after some time: known to be committed, and on disk. Whoever reads a row first would pay for both.
      yield* sql`SELECT set_config('statement_timeout', '0', false)`
      yield* sql`VACUUM (FREEZE, ANALYZE)`.unprepared
      yield* sql`CHECKPOINT`.unprepared
    }))
  }
})
