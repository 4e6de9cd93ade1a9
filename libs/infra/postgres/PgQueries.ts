/** The books read from the shards that own them. */
import { Effect, Layer, Option, Schema } from "effect"
import { type Entry, inOrder, Queries, type TimelineStep, type TrialBalance } from "#domain/ledger/Queries.ts"
import { Currency } from "#domain/money/Currency.ts"
import { shardOfAccount, shardOfPartition } from "#domain/sharding/ShardMap.ts"
import { LedgerEventJson } from "#domain/ledger/LedgerEvent.ts"
import { transferScope } from "#domain/transfer/Intents.ts"
import { ended as endings } from "#domain/transfer/Transfer.ts"
import { partitionOf, TransferId } from "#domain/transfer/TransferId.ts"
import { texts } from "./Columns.ts"
import {
  accountRecordColumns,
  accountRecordOf,
  AccountRecordRow,
  instructionColumns,
  instructionOf,
  InstructionRow,
  millis,
  Numeric,
  transferRecordColumns,
  transferRecordOf,
  TransferRecordRow
} from "./Rows.ts"
import { ShardDatabases } from "./ShardDatabases.ts"
import * as TransferSearch from "./TransferSearch.ts"
import * as Watch from "./Watch.ts"

const accountRecords = Schema.decodeUnknownSync(Schema.Array(AccountRecordRow))
const transferRecords = Schema.decodeUnknownSync(Schema.Array(TransferRecordRow))
const instructionRows = Schema.decodeUnknownSync(Schema.Array(InstructionRow))
const isTransferId = Schema.is(TransferId)
const fromJson = Schema.decodeUnknownSync(LedgerEventJson)

const entryRows = Schema.decodeUnknownSync(Schema.Array(Schema.Struct({
  account_id: Schema.String,
  sequence: Schema.BigInt,
  transfer_id: Schema.String,
  direction: Schema.Literals(["DEBIT", "CREDIT"]),
  amount: Numeric,
  currency: Currency,
  posted: Numeric,
  created_at_millis: Schema.Finite
})))

const entryColumns = `account_id, sequence, transfer_id, direction, amount, currency, posted, ${
  millis("created_at")
} AS created_at_millis`

const entriesOf = (rows: ReadonlyArray<unknown>): ReadonlyArray<Entry> =>
  entryRows(rows).map((row) => ({
    account: row.account_id,
    sequence: row.sequence,
    transfer: row.transfer_id,
    direction: row.direction,
    amount: row.amount,
    currency: row.currency,
    posted: row.posted,
    createdAtMillis: row.created_at_millis
  }))

const firstOf = <A>(found: ReadonlyArray<A>): Option.Option<A> => Option.fromUndefinedOr(found[0])

const trialBalanceRows = Schema.decodeUnknownSync(Schema.Array(Schema.Struct({
  currency: Currency,
  debits: Numeric,
  credits: Numeric,
  clearing_to: Numeric,
  clearing_from: Numeric,
  held: Numeric
})))

interface TimelineRow {
  readonly position: bigint
  readonly payload: string
  readonly request_id: string | null
  readonly occurred_at_millis: number
}

export const layer = Layer.effect(
  Queries,
  Effect.gen(function*() {
    const databases = yield* ShardDatabases
    const { map, shards } = databases
    const homeOf = (id: TransferId) => shardOfPartition(map, partitionOf(id) % map.partitions)

    const transfer = (id: TransferId) => {
      const shard = homeOf(id)
      return databases.on(
        shard,
        (sql) =>
          sql`SELECT ${sql.literal(transferRecordColumns)} FROM transfer WHERE transfer_id = ${id}`.pipe(
            Effect.map((rows) => Option.map(firstOf(transferRecords(rows)), transferRecordOf))
          )
      )
    }

    const ended = yield* Watch.make(databases, (sql, ids) =>
      sql<{ readonly id: string }>`
        SELECT transfer_id AS id FROM transfer
        WHERE transfer_id = ANY(${texts(ids)}::text[]) AND status IN ('committed', 'rejected', 'cancelled')`)

    const answered = yield* Watch.make(databases, (sql, ids) =>
      sql<{ readonly id: string }>`
        SELECT instruction_id AS id FROM instruction
        WHERE instruction_id = ANY(${texts(ids)}::text[]) AND status <> 'open'`)

    return Queries.of({
      transfer,

      awaitEnd: Effect.fnUntraced(function*(id, withinMillis) {
        const found = yield* transfer(id)
        if (Option.isNone(found) || endings.has(found.value.status)) return found
        yield* ended(homeOf(id), id).pipe(Effect.timeoutOption(withinMillis))
        return yield* transfer(id)
      }),

      awaitAnswer: Effect.fnUntraced(function*(instruction, withinMillis) {
        if (instruction.status !== "open") return instruction
        const { id, subject } = instruction
        const shard = isTransferId(subject) ? homeOf(subject) : shardOfAccount(map, subject)
        yield* answered(shard, id).pipe(Effect.timeoutOption(withinMillis))
        const rows = yield* databases.on(
          shard,
          (sql) => sql`SELECT ${sql.literal(instructionColumns)} FROM instruction WHERE instruction_id = ${id}`
        )
        return instructionRows(rows).map(instructionOf)[0] ?? instruction
      }),

      account: (id) =>
        databases.on(shardOfAccount(map, id), (sql) =>
          sql`
            SELECT ${sql.literal(accountRecordColumns)} FROM account JOIN balance USING (account_id)
            WHERE account_id = ${id}`.pipe(
            Effect.map((rows) => Option.map(firstOf(accountRecords(rows)), accountRecordOf))
          )),

      accounts: Effect.fnUntraced(function*(after, limit) {
        const perShard = yield* Effect.forEach(shards, (shard) =>
          databases.on(shard, (sql) =>
            sql`
              SELECT ${sql.literal(accountRecordColumns)} FROM account JOIN balance USING (account_id)
              WHERE account_id > ${after ?? ""} AND kind <> 'clearing'
              ORDER BY account_id LIMIT ${limit}`.pipe(
              Effect.map((rows) => accountRecords(rows).map(accountRecordOf))
            )), { concurrency: "unbounded" })
        const found = new Map(perShard.flat().map((record) => [record.account.id, record]))
        // A database may sort otherwise than JavaScript, as people do: pages that were cut in its order are merged in it.
        const ordered = yield* databases.on(0, (sql) =>
          sql<{ readonly id: string }>`
            SELECT id FROM unnest(${texts([...found.keys()])}::text[]) AS t (id) ORDER BY id LIMIT ${limit}`)
        return ordered.flatMap(({ id }) => found.get(id) ?? [])
      }),

      entries: (account, before, limit) =>
        databases.on(shardOfAccount(map, account), (sql) =>
          Effect.map(
            sql`
              SELECT ${sql.literal(entryColumns)} FROM entry
              WHERE account_id = ${account} AND sequence < coalesce(${before}::int8, 9223372036854775807)
              ORDER BY sequence DESC LIMIT ${limit}`,
            entriesOf
          )),

      entriesAfter: (account, after, upTo, limit) =>
        databases.on(shardOfAccount(map, account), (sql) =>
          Effect.map(
            sql`
              SELECT ${sql.literal(entryColumns)} FROM entry
              WHERE account_id = ${account} AND sequence > ${after}::int8 AND sequence <= ${upTo}::int8
              ORDER BY sequence LIMIT ${limit}`,
            entriesOf
          )),

      entry: (account, sequence) =>
        databases.on(shardOfAccount(map, account), (sql) =>
          Effect.map(
            sql`
              SELECT ${sql.literal(entryColumns)} FROM entry
              WHERE account_id = ${account} AND sequence = ${sequence}::int8`,
            (rows) => firstOf(entriesOf(rows))
          )),

      lastEntryBefore: (account, time) =>
        databases.on(shardOfAccount(map, account), (sql) =>
          Effect.map(
            // The number is put together bit by bit, from the highest: a bit is set where the entry of the number so far is
            // there and early enough. Numbers without a gap and in the order of time make that one look for each bit.
            sql`
              WITH RECURSIVE search (found, bit) AS (
                SELECT 0::int8, max(1::int8 << n)
                FROM balance JOIN generate_series(0, 61) AS n ON 1::int8 << n <= sequence
                WHERE account_id = ${account}
                UNION ALL
                SELECT
                  CASE WHEN (
                    SELECT created_at FROM entry WHERE account_id = ${account} AND sequence = found + bit
                  ) < to_timestamp(${time}::float8 / 1000) THEN found + bit ELSE found END,
                  bit >> 1
                FROM search WHERE bit > 0
              )
              SELECT ${sql.literal(entryColumns)} FROM entry
              WHERE account_id = ${account} AND sequence = (SELECT found FROM search WHERE bit = 0)`,
            (rows) => firstOf(entriesOf(rows))
          )),

      transfers: TransferSearch.make(databases),

      transferOf: (client, source, idempotencyKey) =>
        databases.on(shardOfAccount(map, source), (sql) =>
          Effect.map(
            sql`
              SELECT ${sql.literal(transferRecordColumns)} FROM transfer
              WHERE transfer_id = (
                SELECT resource_id FROM idempotency_key
                WHERE client = ${client} AND scope = ${transferScope({ terms: { source } })} AND key = ${idempotencyKey}
              )`,
            (rows) => Option.map(firstOf(transferRecords(rows)), transferRecordOf)
          )),

      timeline: Effect.fnUntraced(function*(id) {
        const found = yield* transfer(id)
        if (Option.isNone(found)) return []
        const both = new Set([homeOf(id), shardOfAccount(map, found.value.terms.destination)])
        const perShard = yield* Effect.forEach([...both], (shard) =>
          databases.on(shard, (sql) =>
            sql<TimelineRow>`
              SELECT position, payload::text, request_id, ${sql.literal(millis("occurred_at"))} AS occurred_at_millis
              FROM event WHERE subject = ${id} ORDER BY position`.pipe(
              Effect.map((rows) =>
                rows.map((row): TimelineStep => ({
                  shard,
                  position: row.position,
                  event: fromJson(row.payload),
                  requestId: row.request_id,
                  occurredAtMillis: row.occurred_at_millis
                }))
              )
            )), { concurrency: 2 })
        return inOrder(perShard.flat())
      }),

      trialBalance: Effect.forEach(shards, (shard) =>
        databases.on(shard, (sql) =>
          sql`
            SELECT currency,
              coalesce(-sum(posted) FILTER (WHERE posted < 0), 0) AS debits,
              coalesce(sum(posted) FILTER (WHERE posted > 0), 0) AS credits,
              coalesce(sum(posted) FILTER (WHERE account_id LIKE 'clearing:%:to:%'), 0) AS clearing_to,
              coalesce(sum(posted) FILTER (WHERE account_id LIKE 'clearing:%:from:%'), 0) AS clearing_from,
              sum(held) AS held
            FROM balance JOIN account USING (account_id)
            GROUP BY currency ORDER BY currency`.pipe(
            Effect.map((rows) =>
              trialBalanceRows(rows).map((row): TrialBalance => ({
                shard,
                currency: row.currency,
                debits: row.debits,
                credits: row.credits,
                clearingTo: row.clearing_to,
                clearingFrom: row.clearing_from,
                held: row.held
              }))
            )
          )), { concurrency: "unbounded" }).pipe(Effect.map((perShard) => perShard.flat()))
    })
  })
)
