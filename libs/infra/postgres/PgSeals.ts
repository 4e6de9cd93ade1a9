/** Sealed blocks as rows of the shard that they seal. */
import type { PgClient } from "@effect/sql-pg"
import { Effect, Layer, Option } from "effect"
import { type Block, headOf, nothing, type SealedBlock } from "#domain/sealing/Block.ts"
import type { JournalRow, Logged } from "#domain/sealing/Leaf.ts"
import { type End, Seals, type Snapshot } from "#domain/sealing/Seals.ts"
import { LeaseLost } from "#domain/sharding/Leases.ts"
import type { ShardId } from "#domain/sharding/ShardMap.ts"
import { sha256 } from "../Signatures.ts"
import { int8s } from "./Columns.ts"
import { transaction } from "./Postgres.ts"
import { longPatience, ShardDatabases, whatItMeans } from "./ShardDatabases.ts"

// What is verified must be read as it is: every column as text, and nothing refused that a column could hold.

/** A time as RFC 3339 in UTC, to the microsecond; what that has no words for (infinity, and years before 1), as it is. */
const time = (column: string) =>
  `CASE WHEN ${column} >= '0001-01-01' AND ${column} < '10000-01-01'
    THEN to_char(${column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') ELSE ${column}::text END`

interface LoggedRow {
  readonly position: bigint
  readonly occurred_at: string | null
  readonly type: string | null
  readonly subject: string | null
  readonly request_id: string | null
  readonly payload: string | null
  readonly key: string | null
  readonly partition: string | null
  readonly traceparent: string | null
  /** Is there a journal beside it? */
  readonly posted: boolean
  readonly transfer_id: string | null
  readonly leg: string | null
  readonly step: string | null
  readonly amount: string | null
  readonly currency: string | null
  readonly debit_account: string | null
  readonly credit_account: string | null
  readonly created_at: string | null
  readonly debit_sequence: string | null
  readonly debit_posted: string | null
  readonly credit_sequence: string | null
  readonly credit_posted: string | null
}

/**
 * Events with the journals that their transactions wrote: a journal of the destination's half is written with
 * transfer.credited, any other with transfer.committed.
 */
const loggedColumns = `
  position, ${time("occurred_at")} AS occurred_at, type, subject, request_id, payload::text, key, partition::text,
  traceparent, transfer_id IS NOT NULL AS posted, transfer_id, leg::text, step, amount::text,
  journal.currency::text, debit_account, credit_account, ${time("created_at")} AS created_at, debit_sequence::text,
  debit_posted::text, credit_sequence::text, credit_posted::text`

const withJournals = `
  LEFT JOIN journal
    ON transfer_id = CASE WHEN type IN ('transfer.committed', 'transfer.credited') THEN subject END
    AND (step IS NOT DISTINCT FROM 'credit') = (type = 'transfer.credited')`

const journalOf = (row: LoggedRow): JournalRow => ({
  transfer: row.transfer_id,
  leg: row.leg,
  step: row.step,
  amount: row.amount,
  currency: row.currency,
  debit: row.debit_account,
  credit: row.credit_account,
  createdAt: row.created_at,
  debitSequence: row.debit_sequence,
  debitPosted: row.debit_posted,
  creditSequence: row.credit_sequence,
  creditPosted: row.credit_posted
})

/** Rows in the order of their positions, those of one position put together. */
const logged = (rows: ReadonlyArray<LoggedRow>): ReadonlyArray<Logged> => {
  const found: Array<Logged & { readonly journals: Array<JournalRow> }> = []
  for (const row of rows) {
    let last = found.at(-1)
    if (last?.event.position !== row.position) {
      last = {
        event: {
          position: row.position,
          occurredAt: row.occurred_at,
          type: row.type,
          subject: row.subject,
          requestId: row.request_id,
          payload: row.payload,
          key: row.key,
          partition: row.partition,
          traceparent: row.traceparent
        },
        journals: []
      }
      found.push(last)
    }
    if (row.posted) last.journals.push(journalOf(row))
  }
  return found
}

interface BlockRow {
  readonly number: bigint
  readonly begins_after: bigint
  readonly up_to: bigint
  readonly leaves: number
  readonly root: string
  readonly list: string
  readonly previous: string
  readonly witness_shard: number | null
  readonly witness_number: bigint | null
  readonly witness_hash: string | null
  readonly sealed_at: string
  readonly key_id: string
}

const blockColumns = `
  number, begins_after, up_to, leaves, encode(root, 'hex') AS root, encode(list, 'hex') AS list,
  encode(previous, 'hex') AS previous, witness_shard::int4, witness_number, encode(witness_hash, 'hex') AS witness_hash,
  ${time("sealed_at")} AS sealed_at, key_id`

const blockOf = (shard: ShardId, row: BlockRow): Block => ({
  shard,
  number: row.number,
  after: row.begins_after,
  upTo: row.up_to,
  leaves: row.leaves,
  root: row.root,
  list: row.list,
  previous: row.previous,
  witness: row.witness_shard === null || row.witness_number === null || row.witness_hash === null
    ? null
    : { shard: row.witness_shard, number: row.witness_number, hash: row.witness_hash },
  sealedAt: row.sealed_at,
  keyId: row.key_id
})

interface SealedRow extends BlockRow {
  readonly signature: string
  readonly leaf_list: Uint8Array
  readonly secret: string
}

const sealedColumns =
  `${blockColumns}, encode(signature, 'hex') AS signature, leaf_list, encode(secret, 'hex') AS secret`

const sealedOf = (shard: ShardId, row: SealedRow): SealedBlock => ({
  ...blockOf(shard, row),
  signature: row.signature,
  leafList: row.leaf_list,
  secret: row.secret
})

const snapshotOf = (sql: PgClient.PgClient, shard: ShardId): Snapshot => ({
  blockAfter: (number) =>
    whatItMeans(
      shard,
      sql<SealedRow>`
        SELECT ${sql.literal(sealedColumns)} FROM sealed_block WHERE number > ${number} ORDER BY number LIMIT 1`.pipe(
        Effect.map((rows) => Option.map(Option.fromNullishOr(rows[0]), (row) => sealedOf(shard, row)))
      )
    ),

  rows: (after, upTo) =>
    whatItMeans(
      shard,
      sql<LoggedRow>`
        SELECT ${sql.literal(loggedColumns)} FROM event ${sql.literal(withJournals)}
        WHERE position > ${after} AND position <= ${upTo}
        ORDER BY position, journal.leg, step`.pipe(Effect.map(logged))
    ),

  countAfter: (position) =>
    whatItMeans(
      shard,
      sql<{ readonly count: bigint }>`SELECT count(*) FROM event WHERE position > ${position}`.pipe(
        Effect.map((rows) => rows[0]?.count ?? 0n)
      )
    ),

  strays: (most) =>
    whatItMeans(
      shard,
      sql<{ readonly name: string }>`
      SELECT format('journal %s of %s, leg %s', step, transfer_id, leg) AS name
      FROM journal
      WHERE NOT EXISTS (
        SELECT FROM event
        WHERE subject = transfer_id
          AND type = CASE step WHEN 'credit' THEN 'transfer.credited' ELSE 'transfer.committed' END
      )
      LIMIT ${most}`.pipe(Effect.map((rows) => rows.map(({ name }) => name)))
    )
})

export const layer = Layer.effect(
  Seals,
  Effect.gen(function*() {
    const databases = yield* ShardDatabases
    return Seals.of({
      end: (shard) =>
        databases.on(
          shard,
          (sql) =>
            sql<BlockRow>`SELECT ${sql.literal(blockColumns)} FROM sealed_block ORDER BY number DESC LIMIT 1`.pipe(
              Effect.map(([row]): End =>
                row === undefined
                  ? { ...nothing, upTo: 0n }
                  : { ...headOf(sha256, blockOf(shard, row)), upTo: row.up_to }
              )
            )
        ),

      waiting: (shard, after) =>
        databases.on(
          shard,
          (sql) =>
            sql<{ readonly drawn: bigint }>`SELECT last_value AS drawn FROM event_position_seq WHERE is_called`.pipe(
              Effect.map(([row]) => (row?.drawn ?? 0n) - after)
            )
        ),

      // The barrier is a statement of its own. It takes a transaction id, for which the relay would have to wait.
      unsealed: (shard, after, most) =>
        databases.on(shard, (sql) =>
          Effect.gen(function*() {
            const [row] = yield* sql<{ readonly barrier: bigint | null }>`SELECT event_barrier(${after}) AS barrier`
            const barrier = row?.barrier ?? null
            if (barrier === null) return { rows: [], upTo: after }
            const rows = yield* sql<LoggedRow>`
              SELECT ${sql.literal(loggedColumns)} FROM (
                SELECT * FROM event WHERE position > ${after} AND position <= ${barrier} ORDER BY position LIMIT ${most}
              ) AS event ${sql.literal(withJournals)}
              ORDER BY position, journal.leg, step`
            const found = logged(rows)
            const last = found.at(-1)
            return { rows: found, upTo: found.length === most && last !== undefined ? last.event.position : barrier }
          })),

      append: (lease, block) =>
        databases.on(lease.shard, (sql) =>
          sql`
            INSERT INTO sealed_block (number, begins_after, up_to, leaves, root, list, previous, witness_shard,
              witness_number, witness_hash, sealed_at, key_id, signature, hash, leaf_list, secret)
            SELECT ${block.number}, ${block.after}, ${block.upTo}, ${block.leaves}, decode(${block.root}, 'hex'),
              decode(${block.list}, 'hex'), decode(${block.previous}, 'hex'), ${block.witness?.shard ?? null}::int2,
              ${block.witness?.number ?? null}::int8, decode(${block.witness?.hash ?? null}, 'hex'),
              ${block.sealedAt}::timestamptz, ${block.keyId},
              decode(${block.signature}, 'hex'), decode(${headOf(sha256, block).hash}, 'hex'), ${block.leafList},
              decode(${block.secret}, 'hex')
            FROM lease WHERE role = ${lease.role} AND epoch = ${lease.epoch}
            RETURNING 1`.pipe(
            // Another has sealed these events: the lease is not ours any more, though we have not been told yet.
            Effect.catchReason("SqlError", "UniqueViolation", () => Effect.succeed([])),
            Effect.flatMap((rows) =>
              rows.length === 1
                ? Effect.void
                : Effect.fail(LeaseLost.make({ shard: lease.shard, role: lease.role }))
            )
          )),

      hashesOf: (shard, numbers) =>
        databases.on(shard, (sql) =>
          sql<BlockRow>`
            SELECT ${sql.literal(blockColumns)} FROM sealed_block WHERE number = ANY(${int8s(numbers)}::int8[])`.pipe(
            Effect.map((rows) =>
              new Map(rows.map((row) => [row.number, headOf(sha256, blockOf(shard, row)).hash] as const))
            )
          )),

      partOf: (shard, transfer) =>
        databases.on(shard, (sql) =>
          Effect.gen(function*() {
            const rows = logged(
              yield* sql<LoggedRow>`
                SELECT ${sql.literal(loggedColumns)} FROM event ${sql.literal(withJournals)}
                WHERE subject = ${transfer} AND starts_with(type, 'transfer.')
                ORDER BY position, journal.leg, step`
            )
            const blocks = yield* sql<SealedRow>`
              SELECT ${sql.literal(sealedColumns)} FROM sealed_block
              WHERE number IN (
                SELECT (SELECT number FROM sealed_block WHERE up_to >= position ORDER BY up_to LIMIT 1)
                FROM unnest(${int8s(rows.map(({ event }) => event.position))}::int8[]) AS t (position)
              )
              ORDER BY number`
            return { shard, rows, blocks: blocks.map((row) => sealedOf(shard, row)) }
          })),

      look: (shard, at) =>
        databases.on(shard, (sql) =>
          transaction(
            sql,
            Effect.gen(function*() {
              yield* sql`SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY`
              yield* sql`
              SELECT set_config('statement_timeout', '10min', true),
                set_config('idle_in_transaction_session_timeout', '10min', true), set_config('work_mem', '64MB', true)`
              return yield* at(snapshotOf(sql, shard))
            })
          ), longPatience)
    })
  })
)
