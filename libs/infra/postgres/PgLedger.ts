/**
 * All SQL of the ledger: what a batch reads, and what it writes. A handful of set-based statements, whatever the batch's
 * size; everything written by compare-and-set on what was read.
 */
import type { PgClient } from "@effect/sql-pg"
import { Effect, Schema } from "effect"
import type { Changes, Needs } from "#domain/ledger/Batch.ts"
import { Ledger, LostRace } from "#domain/ledger/Ledger.ts"
import { partitionOf } from "#domain/sharding/Partition.ts"
import type { ShardId, ShardMap } from "#domain/sharding/ShardMap.ts"
import { keyOf, LedgerEventJson } from "#domain/transfer/TransferEvent.ts"
import { int4s, int8s, numerics, texts } from "./Columns.ts"
import {
  accountColumns,
  accountOf,
  AccountRow,
  transferColumns,
  transferOf,
  TransferRow,
  verdictColumns,
  verdictOf,
  VerdictRow
} from "./Rows.ts"
import { whatItMeans } from "./ShardDatabases.ts"

const accountRows = Schema.decodeUnknownSync(Schema.Array(AccountRow))
const transferRows = Schema.decodeUnknownSync(Schema.Array(TransferRow))
const verdictRows = Schema.decodeUnknownSync(Schema.Array(VerdictRow))
const toJson = Schema.encodeSync(LedgerEventJson)

export const make = (sql: PgClient.PgClient, map: ShardMap, shard: ShardId) => {
  const read = Effect.fnUntraced(function*(needs: Needs) {
    const accounts = needs.accounts.size === 0 ? [] : accountRows(
      yield* sql`
        SELECT ${sql.literal(accountColumns)} FROM account JOIN balance USING (account_id)
        WHERE account_id = ANY(${texts([...needs.accounts])}::text[])`
    )
    const transfers = needs.transfers.size === 0 ? [] : transferRows(
      yield* sql`
        SELECT ${sql.literal(transferColumns)} FROM transfer
        WHERE transfer_id = ANY(${texts([...needs.transfers])}::text[])`
    )
    const verdicts = needs.verdicts.size === 0 ? [] : verdictRows(
      yield* sql`
        SELECT ${sql.literal(verdictColumns)} FROM verdict
        WHERE transfer_id = ANY(${texts([...needs.verdicts])}::text[]) AND leg = 1`
    )
    return {
      accounts: new Map(accounts.map((row) => [row.account_id, accountOf(row)])),
      transfers: new Map(transfers.map((row) => [row.transfer_id, transferOf(row)])),
      verdicts: new Map(verdicts.map((row) => [row.transfer_id, verdictOf(row)]))
    }
  })

  const write = Effect.fnUntraced(function*(changes: Changes) {
    yield* openClearingAccounts(changes)
    yield* moveBalances(changes)
    yield* moveTransfers(changes)
    yield* rule(changes)
    yield* post(changes)
    yield* recordHolds(changes)
    yield* announce(changes)
  })

  const openClearingAccounts = Effect.fnUntraced(function*({ opened }: Changes) {
    if (opened.length === 0) return
    const ids = texts(opened.map((account) => account.id))
    yield* sql`
      INSERT INTO account (account_id, kind, normal_side, currency)
      SELECT account_id, 'clearing', 'credit', currency
      FROM unnest(${ids}::text[], ${
      texts(opened.map((account) => account.currency))
    }::text[]) AS t (account_id, currency)
      ON CONFLICT DO NOTHING`
    yield* sql`
      INSERT INTO balance (account_id) SELECT account_id FROM unnest(${ids}::text[]) AS t (account_id)
      ON CONFLICT DO NOTHING`
  })

  const moveBalances = Effect.fnUntraced(function*({ balances }: Changes) {
    if (balances.length === 0) return
    const moved = yield* sql`
      UPDATE balance
      SET posted = now.posted::numeric, held = now.held::numeric, sequence = now.sequence, version = balance.version + 1
      FROM unnest(
        ${texts(balances.map((account) => account.id))}::text[],
        ${int8s(balances.map((account) => account.balance.version))}::int8[],
        ${numerics(balances.map((account) => account.balance.posted))}::text[],
        ${numerics(balances.map((account) => account.balance.held))}::text[],
        ${int8s(balances.map((account) => account.balance.sequence))}::int8[]
      ) AS now (account_id, version, posted, held, sequence)
      WHERE balance.account_id = now.account_id AND balance.version = now.version
      RETURNING 1`
    if (moved.length !== balances.length) return yield* LostRace.make({ on: "a balance" })
  })

  const moveTransfers = Effect.fnUntraced(function*({ transfers }: Changes) {
    if (transfers.length === 0) return
    const moved = yield* sql`
      UPDATE transfer
      SET status = now.status, moving = now.moving::numeric, status_changed_at = now(),
          reason_code = now.reason_code, reason_detail = now.reason_detail
      FROM unnest(
        ${texts(transfers.map(({ transfer }) => transfer.terms.transfer))}::text[],
        ${texts(transfers.map(({ was }) => was))}::text[],
        ${texts(transfers.map(({ transfer }) => transfer.status))}::text[],
        ${numerics(transfers.map(({ transfer }) => transfer.moving))}::text[],
        ${texts(transfers.map(({ transfer }) => transfer.reason?.code ?? null))}::text[],
        ${texts(transfers.map(({ transfer }) => transfer.reason?.detail ?? null))}::text[]
      ) AS now (transfer_id, was, status, moving, reason_code, reason_detail)
      WHERE transfer.transfer_id = now.transfer_id AND transfer.status = now.was
      RETURNING 1`
    if (moved.length !== transfers.length) return yield* LostRace.make({ on: "a transfer" })
  })

  const rule = Effect.fnUntraced(function*({ verdicts }: Changes) {
    if (verdicts.length === 0) return
    const ruled = yield* sql`
      INSERT INTO verdict
        (transfer_id, ruling, reason_code, reason_detail, source, destination, amount, currency, from_shard)
      SELECT transfer_id, ruling, reason_code, reason_detail, source, destination, amount::numeric, currency, from_shard
      FROM unnest(
        ${texts(verdicts.map((verdict) => verdict.terms.transfer))}::text[],
        ${texts(verdicts.map((verdict) => verdict.ruling))}::text[],
        ${texts(verdicts.map((verdict) => verdict.reason?.code ?? null))}::text[],
        ${texts(verdicts.map((verdict) => verdict.reason?.detail ?? null))}::text[],
        ${texts(verdicts.map((verdict) => verdict.terms.source))}::text[],
        ${texts(verdicts.map((verdict) => verdict.terms.destination))}::text[],
        ${numerics(verdicts.map((verdict) => verdict.terms.amount))}::text[],
        ${texts(verdicts.map((verdict) => verdict.terms.currency))}::text[],
        ${int4s(verdicts.map((verdict) => verdict.from))}::int4[]
      ) AS t (transfer_id, ruling, reason_code, reason_detail, source, destination, amount, currency, from_shard)
      ON CONFLICT DO NOTHING
      RETURNING 1`
    if (ruled.length !== verdicts.length) return yield* LostRace.make({ on: "a verdict" })
  })

  const post = Effect.fnUntraced(function*({ journals }: Changes) {
    if (journals.length === 0) return
    yield* sql`
      INSERT INTO journal (transfer_id, step, amount, currency, debit_account, debit_sequence, debit_posted,
        credit_account, credit_sequence, credit_posted)
      SELECT transfer_id, step, amount::numeric, currency, debit_account, debit_sequence, debit_posted::numeric,
        credit_account, credit_sequence, credit_posted::numeric
      FROM unnest(
        ${texts(journals.map((journal) => journal.transfer))}::text[],
        ${texts(journals.map((journal) => journal.step))}::text[],
        ${numerics(journals.map((journal) => journal.amount))}::text[],
        ${texts(journals.map((journal) => journal.currency))}::text[],
        ${texts(journals.map((journal) => journal.debit))}::text[],
        ${int8s(journals.map((journal) => journal.debitSequence))}::int8[],
        ${numerics(journals.map((journal) => journal.debitPosted))}::text[],
        ${texts(journals.map((journal) => journal.credit))}::text[],
        ${int8s(journals.map((journal) => journal.creditSequence))}::int8[],
        ${numerics(journals.map((journal) => journal.creditPosted))}::text[]
      ) AS t (transfer_id, step, amount, currency, debit_account, debit_sequence, debit_posted,
        credit_account, credit_sequence, credit_posted)`
  })

  // A hold's records are numbered in the order of the batch, after those it has already; `placed` is always its first.
  const recordHolds = Effect.fnUntraced(function*({ holds }: Changes) {
    if (holds.length === 0) return
    yield* sql`
      INSERT INTO hold (transfer_id, number, account_id, change, amount)
      SELECT transfer_id,
        CASE change WHEN 'placed' THEN 1 ELSE
          (SELECT count(*) FROM hold WHERE hold.transfer_id = t.transfer_id AND leg = 1)
          + row_number() OVER (PARTITION BY transfer_id ORDER BY ordinality)
        END,
        account_id, change, amount::numeric
      FROM unnest(
        ${texts(holds.map((hold) => hold.transfer))}::text[],
        ${texts(holds.map((hold) => hold.account))}::text[],
        ${texts(holds.map((hold) => hold.change))}::text[],
        ${numerics(holds.map((hold) => hold.amount))}::text[]
      ) WITH ORDINALITY AS t (transfer_id, account_id, change, amount, ordinality)`
  })

  /** Last, so that positions are drawn by a transaction that has its id: the position barrier relies on it. */
  const announce = Effect.fnUntraced(function*({ events }: Changes) {
    if (events.length === 0) return
    const keys = events.map(({ event }) => keyOf(event))
    yield* sql`
      INSERT INTO event (type, subject, key, partition, payload, request_id, traceparent)
      SELECT type, subject, key, partition, payload::json, request_id, traceparent
      FROM unnest(
        ${texts(events.map(({ event }) => event.type))}::text[],
        ${texts(events.map(({ event }) => event.transfer))}::text[],
        ${texts(keys)}::text[],
        ${int4s(keys.map((key) => partitionOf(key, map.partitions)))}::int4[],
        ${texts(events.map(({ event }) => toJson(event)))}::text[],
        ${texts(events.map(({ origin }) => origin.requestId))}::text[],
        ${texts(events.map(({ origin }) => origin.traceparent))}::text[]
      ) WITH ORDINALITY AS t (type, subject, key, partition, payload, request_id, traceparent, ordinality)
      ORDER BY ordinality`
  })

  return Ledger.of({
    read: (needs) => whatItMeans(shard, read(needs)),
    write: (changes) => whatItMeans(shard, write(changes))
  })
}
