/**
 * All SQL of the ledger: what a batch reads, and what it writes. A handful of set-based statements, whatever the batch's
 * size; everything written by compare-and-set on what was read.
 */
import type { PgClient } from "@effect/sql-pg"
import { Effect, Schema } from "effect"
import type { Statement } from "effect/sql"
import type { Changes, Needs } from "#domain/ledger/Batch.ts"
import { Ledger, LostRace } from "#domain/ledger/Ledger.ts"
import { partitionOf } from "#domain/sharding/Partition.ts"
import type { ShardId, ShardMap } from "#domain/sharding/ShardMap.ts"
import { keyOf, subjectOf, toJson } from "#domain/ledger/LedgerEvent.ts"
import { int4s, int8s, numerics, texts } from "./Columns.ts"
import {
  type AccountGiven,
  accountOf,
  type TransferGiven,
  transferOf,
  type VerdictGiven,
  verdictOf
} from "./LedgerRows.ts"
import {
  accountColumns,
  instructionColumns,
  instructionOf,
  InstructionRow,
  Numeric,
  transferColumns,
  verdictColumns
} from "./Rows.ts"
import { whatItMeans } from "./ShardDatabases.ts"

const instructionRows = Schema.decodeUnknownSync(Schema.Array(InstructionRow))
const reversedRows = Schema.decodeUnknownSync(Schema.Array(Schema.Struct({ reverses: Schema.String, moving: Numeric })))

/** How many rows were still as the batch had read them. */
interface Written {
  readonly balances: number
  readonly transfers: number
  readonly statuses: number
  readonly instructions: number
}

const given = <A>(rows: ReadonlyArray<A>, part: (rows: ReadonlyArray<A>) => Statement.Fragment) =>
  rows.length === 0 ? [] : [part(rows)]

const countOf = (name: keyof Written, part: string, rows: ReadonlyArray<unknown>) =>
  rows.length === 0 ? `0 AS ${name}` : `(SELECT count(*) FROM ${part})::int4 AS ${name}`

export const make = (sql: PgClient.PgClient, map: ShardMap, shard: ShardId) => {
  const read = Effect.fnUntraced(function*(needs: Needs) {
    const accounts = needs.accounts.size === 0 ? [] : yield* sql<AccountGiven>`
      SELECT ${sql.literal(accountColumns)} FROM account JOIN balance USING (account_id)
      WHERE account_id = ANY(${texts([...needs.accounts])}::text[])`
    const transfers = needs.transfers.size === 0 ? [] : yield* sql<TransferGiven>`
      SELECT ${sql.literal(transferColumns)} FROM transfer
      WHERE transfer_id = ANY(${texts([...needs.transfers])}::text[])`
    const verdicts = needs.verdicts.size === 0 ? [] : yield* sql<VerdictGiven>`
      SELECT ${sql.literal(verdictColumns)} FROM verdict
      WHERE transfer_id = ANY(${texts([...needs.verdicts])}::text[]) AND leg = 1`
    const instructions = needs.instructions.size === 0 ? [] : instructionRows(
      yield* sql`
        SELECT ${sql.literal(instructionColumns)} FROM instruction
        WHERE instruction_id = ANY(${texts([...needs.instructions])}::text[])`
    )
    const reversed = needs.reversed.size === 0 ? [] : reversedRows(
      yield* sql`
        SELECT reverses, sum(moving) AS moving FROM transfer
        WHERE reverses = ANY(${
        texts([...needs.reversed])
      }::text[]) AND status NOT IN ('requested', 'rejected', 'cancelled')
        GROUP BY reverses`
    )
    return {
      accounts: new Map(accounts.map((row) => [row.account_id, accountOf(row)])),
      transfers: new Map(transfers.map((row) => [row.transfer_id, transferOf(row)])),
      verdicts: new Map(verdicts.map((row) => [row.transfer_id, verdictOf(row)])),
      instructions: new Map(instructions.map((row) => [row.instruction_id, instructionOf(row)])),
      reversed: new Map(reversed.map((row) => [row.reverses, row.moving]))
    }
  })

  // The parts of what a batch writes. They see the shard as it was before, so what depends on another part is given its final
  // values at once: a clearing account is inserted with its first balance.

  const openAccounts = (opened: Changes["opened"]) =>
    sql`
      opened AS (
        INSERT INTO account (account_id, kind, normal_side, currency)
        SELECT account_id, 'clearing', 'credit', currency
        FROM unnest(
          ${texts(opened.map(({ id }) => id))}::text[],
          ${texts(opened.map(({ currency }) => currency))}::text[]
        ) AS t (account_id, currency)
      )`

  const beginBalances = (opened: Changes["opened"]) =>
    sql`
      begun AS (
        INSERT INTO balance (account_id, posted, held, sequence, version)
        SELECT account_id, posted::numeric, held::numeric, sequence, 1
        FROM unnest(
          ${texts(opened.map(({ id }) => id))}::text[],
          ${numerics(opened.map(({ balance }) => balance.posted))}::text[],
          ${numerics(opened.map(({ balance }) => balance.held))}::text[],
          ${int8s(opened.map(({ balance }) => balance.sequence))}::int8[]
        ) AS t (account_id, posted, held, sequence)
      )`

  const moveBalances = (balances: Changes["balances"]) =>
    sql`
      moved AS (
        UPDATE balance
        SET posted = now.posted::numeric, held = now.held::numeric, sequence = now.sequence,
            version = balance.version + 1
        FROM unnest(
          ${texts(balances.map(({ id }) => id))}::text[],
          ${int8s(balances.map(({ balance }) => balance.version))}::int8[],
          ${numerics(balances.map(({ balance }) => balance.posted))}::text[],
          ${numerics(balances.map(({ balance }) => balance.held))}::text[],
          ${int8s(balances.map(({ balance }) => balance.sequence))}::int8[]
        ) AS now (account_id, version, posted, held, sequence)
        WHERE balance.account_id = now.account_id AND balance.version = now.version
        RETURNING 1
      )`

  const advanceTransfers = (transfers: Changes["transfers"]) =>
    sql`
      advanced AS (
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
        RETURNING 1
      )`

  const markAccounts = (statuses: Changes["statuses"]) =>
    sql`
      marked AS (
        UPDATE account
        SET status = now.status, revision = revision + 1
        FROM unnest(
          ${texts(statuses.map(({ account }) => account.id))}::text[],
          ${texts(statuses.map(({ was }) => was))}::text[],
          ${texts(statuses.map(({ account }) => account.status))}::text[]
        ) AS now (account_id, was, status)
        WHERE account.account_id = now.account_id AND account.status = now.was
        RETURNING 1
      )`

  const answerInstructions = (instructions: Changes["instructions"]) =>
    sql`
      answered AS (
        UPDATE instruction
        SET status = now.status, reason_code = now.reason_code, reason_detail = now.reason_detail, answered_at = now()
        FROM unnest(
          ${texts(instructions.map(({ id }) => id))}::text[],
          ${texts(instructions.map(({ status }) => status))}::text[],
          ${texts(instructions.map(({ reason }) => reason?.code ?? null))}::text[],
          ${texts(instructions.map(({ reason }) => reason?.detail ?? null))}::text[]
        ) AS now (instruction_id, status, reason_code, reason_detail)
        WHERE instruction.instruction_id = now.instruction_id AND instruction.status = 'open'
        RETURNING 1
      )`

  const rule = (verdicts: Changes["verdicts"]) =>
    sql`
      ruled AS (
        INSERT INTO verdict
          (transfer_id, ruling, reason_code, reason_detail, source, destination, amount, currency, from_shard)
        SELECT transfer_id, ruling, reason_code, reason_detail, source, destination, amount::numeric, currency,
          from_shard
        FROM unnest(
          ${texts(verdicts.map(({ terms }) => terms.transfer))}::text[],
          ${texts(verdicts.map(({ ruling }) => ruling))}::text[],
          ${texts(verdicts.map(({ reason }) => reason?.code ?? null))}::text[],
          ${texts(verdicts.map(({ reason }) => reason?.detail ?? null))}::text[],
          ${texts(verdicts.map(({ terms }) => terms.source))}::text[],
          ${texts(verdicts.map(({ terms }) => terms.destination))}::text[],
          ${numerics(verdicts.map(({ terms }) => terms.amount))}::text[],
          ${texts(verdicts.map(({ terms }) => terms.currency))}::text[],
          ${int4s(verdicts.map(({ from }) => from))}::int4[]
        ) AS t (transfer_id, ruling, reason_code, reason_detail, source, destination, amount, currency, from_shard)
      )`

  const post = (journals: Changes["journals"]) =>
    sql`
      posted AS (
        INSERT INTO journal (transfer_id, step, amount, currency, debit_account, debit_sequence, debit_posted,
          credit_account, credit_sequence, credit_posted)
        SELECT transfer_id, step, amount::numeric, currency, debit_account, debit_sequence, debit_posted::numeric,
          credit_account, credit_sequence, credit_posted::numeric
        FROM unnest(
          ${texts(journals.map(({ transfer }) => transfer))}::text[],
          ${texts(journals.map(({ step }) => step))}::text[],
          ${numerics(journals.map(({ amount }) => amount))}::text[],
          ${texts(journals.map(({ currency }) => currency))}::text[],
          ${texts(journals.map(({ debit }) => debit))}::text[],
          ${int8s(journals.map(({ debitSequence }) => debitSequence))}::int8[],
          ${numerics(journals.map(({ debitPosted }) => debitPosted))}::text[],
          ${texts(journals.map(({ credit }) => credit))}::text[],
          ${int8s(journals.map(({ creditSequence }) => creditSequence))}::int8[],
          ${numerics(journals.map(({ creditPosted }) => creditPosted))}::text[]
        ) AS t (transfer_id, step, amount, currency, debit_account, debit_sequence, debit_posted,
          credit_account, credit_sequence, credit_posted)
      )`

  const rememberHolds = (holds: Changes["holds"]) =>
    sql`
      remembered AS (
        INSERT INTO hold (transfer_id, number, account_id, change, amount)
        SELECT transfer_id, number, account_id, change, amount::numeric
        FROM unnest(
          ${texts(holds.map(({ transfer }) => transfer))}::text[],
          ${int4s(holds.map(({ number }) => number))}::int4[],
          ${texts(holds.map(({ account }) => account))}::text[],
          ${texts(holds.map(({ change }) => change))}::text[],
          ${numerics(holds.map(({ amount }) => amount))}::text[]
        ) AS t (transfer_id, number, account_id, change, amount)
      )`

  const announce = (events: Changes["events"]) => {
    const keys = events.map(({ event }) => keyOf(event))
    return sql`
      announced AS (
        -- The transaction takes its id before a position is drawn: the position barrier relies on it.
        INSERT INTO event (type, subject, key, partition, payload, request_id, traceparent)
        SELECT type, subject, key, partition, payload::json, request_id, traceparent
        FROM unnest(
          ${texts(events.map(({ event }) => event.type))}::text[],
          ${texts(events.map(({ event }) => subjectOf(event)))}::text[],
          ${texts(keys)}::text[],
          ${int4s(keys.map((key) => partitionOf(key, map.partitions)))}::int4[],
          ${texts(events.map(({ event }) => toJson(event)))}::text[],
          ${texts(events.map(({ origin }) => origin.requestId))}::text[],
          ${texts(events.map(({ origin }) => origin.traceparent))}::text[]
        ) WITH ORDINALITY AS t (type, subject, key, partition, payload, request_id, traceparent, ordinality)
        WHERE pg_current_xact_id() IS NOT NULL
        ORDER BY ordinality
      )`
  }

  /** One statement for all that a batch changed, of those parts that have something to write: each costs, even for no rows. */
  const write = Effect.fnUntraced(function*(changes: Changes) {
    const { events, holds, instructions, journals, opened, statuses, transfers, verdicts } = changes
    const isNew = new Set(opened.map(({ id }) => id))
    const balances = changes.balances.filter(({ id }) => !isNew.has(id))
    const parts = [
      ...given(opened, openAccounts),
      ...given(opened, beginBalances),
      ...given(balances, moveBalances),
      ...given(transfers, advanceTransfers),
      ...given(statuses, markAccounts),
      ...given(instructions, answerInstructions),
      ...given(verdicts, rule),
      ...given(journals, post),
      ...given(holds, rememberHolds),
      ...given(events, announce)
    ]
    if (parts.length === 0) return
    const counted = [
      countOf("balances", "moved", balances),
      countOf("transfers", "advanced", transfers),
      countOf("statuses", "marked", statuses),
      countOf("instructions", "answered", instructions)
    ]
    const [written] = yield* sql<Written>`WITH ${sql.csv(parts)} SELECT ${sql.literal(counted.join(", "))}`.pipe(
      // Another writer gave the verdict, posted the step or opened the clearing account first.
      Effect.catchReason(
        "SqlError",
        "UniqueViolation",
        ({ constraint }) => Effect.fail(LostRace.make({ on: constraint }))
      )
    )
    if (written?.balances !== balances.length) return yield* LostRace.make({ on: "a balance" })
    if (written.transfers !== transfers.length) return yield* LostRace.make({ on: "a transfer" })
    if (written.statuses !== statuses.length) return yield* LostRace.make({ on: "an account" })
    if (written.instructions !== instructions.length) return yield* LostRace.make({ on: "an instruction" })
  })

  return Ledger.of({
    read: (needs) => whatItMeans(shard, read(needs)),
    write: (changes) => whatItMeans(shard, write(changes))
  })
}
