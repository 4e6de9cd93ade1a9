/**
 * The shadow in PostgreSQL: a database of a shard's schema, written set-wise and as its owner, as the positions and times of
 * events are those that they had. The tables' own guards look at everything that is written, as they do on a shard.
 */
import type { PgClient } from "@effect/sql-pg"
import { Effect, Layer, type Redacted, Schema } from "effect"
import type { Account } from "#domain/account/Account.ts"
import type { Known, Needs } from "#domain/ledger/Batch.ts"
import type { Instruction } from "#domain/ledger/Instruction.ts"
import { type At, type Rebuilt } from "#domain/replay/Replay.ts"
import { Shadow } from "#domain/replay/Shadow.ts"
import { partitionOf } from "#domain/sharding/Partition.ts"
import type { ShardId, ShardMap } from "#domain/sharding/ShardMap.ts"
import type { Terms } from "#domain/transfer/TransferEvent.ts"
import { int4s, int8s, numerics, texts } from "./Columns.ts"
import * as PgLedger from "./PgLedger.ts"
import { connect, transaction } from "./Postgres.ts"
import { instructionColumns, instructionOf, InstructionRow } from "./Rows.ts"
import { whatItMeans } from "./ShardDatabases.ts"

const instructionRows = Schema.decodeUnknownSync(Schema.Array(InstructionRow))

/** Who asked was not always in the event of an instruction. */
const unknownClient = "unknown"

const none: ReadonlySet<string> = new Set()

const millisOf = (things: ReadonlyArray<At<unknown>>) => int8s(things.map(({ millis }) => BigInt(millis)))

const termsColumns = (terms: ReadonlyArray<Terms>) => ({
  transfer: texts(terms.map(({ transfer }) => transfer)),
  source: texts(terms.map(({ source }) => source)),
  destination: texts(terms.map(({ destination }) => destination)),
  amount: numerics(terms.map(({ amount }) => amount)),
  currency: texts(terms.map(({ currency }) => currency))
})

const balanceColumns = (accounts: ReadonlyArray<Account>) => ({
  id: texts(accounts.map(({ id }) => id)),
  status: texts(accounts.map(({ status }) => status)),
  posted: numerics(accounts.map(({ balance }) => balance.posted)),
  held: numerics(accounts.map(({ balance }) => balance.held)),
  sequence: int8s(accounts.map(({ balance }) => balance.sequence))
})

export const make = (sql: PgClient.PgClient, map: ShardMap, shard: ShardId): Shadow["Service"] => {
  const ledger = PgLedger.make(sql, map, shard)

  const read = Effect.fnUntraced(function*(needs: Needs) {
    const first = yield* ledger.read({ ...needs, verdicts: none, reversed: none })
    const reversed = new Set(needs.reversed)
    for (const { reverses } of first.transfers.values()) if (reverses !== null) reversed.add(reverses)
    const verdicts = new Set([...needs.verdicts, ...reversed])
    const then = yield* ledger.read({ accounts: none, transfers: none, instructions: none, verdicts, reversed })
    const open = instructionRows(
      yield* sql`
        SELECT ${sql.literal(instructionColumns)} FROM instruction
        WHERE subject = ANY(${texts([...needs.transfers, ...needs.accounts])}::text[]) AND status = 'open'
        ORDER BY (SELECT min(position) FROM event
                  WHERE event.subject = instruction.subject AND payload->>'instruction' = instruction_id)`
    )
    const instructions = new Map(open.map((row): [string, Instruction] => [row.instruction_id, instructionOf(row)]))
    for (const [id, instruction] of first.instructions) instructions.set(id, instruction)
    const known: Known = {
      accounts: first.accounts,
      transfers: first.transfers,
      verdicts: then.verdicts,
      reversed: then.reversed,
      instructions
    }
    return known
  })

  const write = (rebuilt: Rebuilt) =>
    transaction(
      sql,
      Effect.gen(function*() {
        // A shard that catches up takes nothing but this.
        yield* sql`SELECT set_config('counterpoise.catching_up', 'on', true)`
        for (const [these, how] of statements(rebuilt)) if (these.length > 0) yield* how
      })
    )

  /** In an order in which every guard finds what it asks for. */
  const statements = (
    { accounts, answered, asked, events, holds, journals, keys, opened, requested, transfers, verdicts }: Rebuilt
  ) =>
    [
      [opened, openAccounts(opened)],
      [accounts, changeBalances(accounts)],
      [verdicts, insertVerdicts(verdicts)],
      [journals, insertJournals(journals)],
      [holds, insertHolds(holds)],
      [requested, insertTransfers(requested)],
      [transfers, changeTransfers(transfers)],
      [asked, insertInstructions(asked)],
      [keys, insertKeys(keys)],
      [answered, answerInstructions(answered)],
      [events, insertEvents(events)]
    ] as const

  const openAccounts = (opened: Rebuilt["opened"]) => {
    const accounts = opened.map(({ it }) => it)
    const columns = balanceColumns(accounts)
    return sql`
      WITH given AS MATERIALIZED (
        SELECT * FROM unnest(
          ${columns.id}::text[],
          ${
      int4s(accounts.map(({ id, kind }) => kind === "clearing" ? null : partitionOf(id, map.partitions)))
    }::int4[],
          ${texts(accounts.map(({ kind }) => kind))}::text[],
          ${texts(accounts.map(({ normalSide }) => normalSide))}::text[],
          ${texts(accounts.map(({ currency }) => currency))}::text[],
          ${columns.status}::text[],
          ${numerics(accounts.map(({ floor }) => floor))}::text[],
          ${numerics(accounts.map(({ ceiling }) => ceiling))}::text[],
          ${columns.posted}::text[], ${columns.held}::text[], ${columns.sequence}::int8[], ${millisOf(opened)}::int8[]
        ) AS t (account_id, partition, kind, normal_side, currency, status, floor, ceiling, posted, held, sequence, millis)
      ), opened AS (
        INSERT INTO account (account_id, partition, kind, normal_side, currency, status, floor, ceiling, created_at)
        SELECT account_id, partition, kind, normal_side, currency, status, floor::numeric, ceiling::numeric,
          to_timestamp(millis / 1000.0)
        FROM given
      )
      INSERT INTO balance (account_id, posted, held, sequence, version)
      SELECT account_id, posted::numeric, held::numeric, sequence, 1 FROM given`
  }

  const changeBalances = (accounts: Rebuilt["accounts"]) => {
    const columns = balanceColumns(accounts)
    return sql`
      WITH given AS MATERIALIZED (
        SELECT * FROM unnest(${columns.id}::text[], ${columns.status}::text[], ${columns.posted}::text[],
          ${columns.held}::text[], ${columns.sequence}::int8[]) AS t (account_id, status, posted, held, sequence)
      ), marked AS (
        UPDATE account SET status = given.status, revision = revision + 1
        FROM given WHERE account.account_id = given.account_id AND account.status <> given.status
      )
      UPDATE balance
      SET posted = given.posted::numeric, held = given.held::numeric, sequence = given.sequence, version = version + 1
      FROM given WHERE balance.account_id = given.account_id`
  }

  const insertVerdicts = (verdicts: Rebuilt["verdicts"]) => {
    const given = verdicts.map(({ it }) => it)
    const terms = termsColumns(given.map((verdict) => verdict.terms))
    return sql`
      INSERT INTO verdict
        (transfer_id, source, destination, amount, currency, ruling, reason_code, reason_detail, from_shard, created_at)
      SELECT transfer_id, source, destination, amount::numeric, currency, ruling, reason_code, reason_detail, from_shard,
        to_timestamp(millis / 1000.0)
      FROM unnest(
        ${terms.transfer}::text[], ${terms.source}::text[], ${terms.destination}::text[], ${terms.amount}::text[],
        ${terms.currency}::text[],
        ${texts(given.map(({ ruling }) => ruling))}::text[],
        ${texts(given.map(({ reason }) => reason?.code ?? null))}::text[],
        ${texts(given.map(({ reason }) => reason?.detail ?? null))}::text[],
        ${int4s(given.map(({ from }) => from))}::int4[],
        ${millisOf(verdicts)}::int8[]
      ) AS t (transfer_id, source, destination, amount, currency, ruling, reason_code, reason_detail, from_shard, millis)`
  }

  const insertJournals = (journals: Rebuilt["journals"]) => {
    const given = journals.map(({ it }) => it)
    return sql`
      INSERT INTO journal (transfer_id, step, amount, currency, debit_account, debit_sequence, debit_posted,
        credit_account, credit_sequence, credit_posted, created_at)
      SELECT transfer_id, step, amount::numeric, currency, debit_account, debit_sequence, debit_posted::numeric,
        credit_account, credit_sequence, credit_posted::numeric, to_timestamp(millis / 1000.0)
      FROM unnest(
        ${texts(given.map(({ transfer }) => transfer))}::text[],
        ${texts(given.map(({ step }) => step))}::text[],
        ${numerics(given.map(({ amount }) => amount))}::text[],
        ${texts(given.map(({ currency }) => currency))}::text[],
        ${texts(given.map(({ debit }) => debit))}::text[],
        ${int8s(given.map(({ debitSequence }) => debitSequence))}::int8[],
        ${numerics(given.map(({ debitPosted }) => debitPosted))}::text[],
        ${texts(given.map(({ credit }) => credit))}::text[],
        ${int8s(given.map(({ creditSequence }) => creditSequence))}::int8[],
        ${numerics(given.map(({ creditPosted }) => creditPosted))}::text[],
        ${millisOf(journals)}::int8[]
      ) AS t (transfer_id, step, amount, currency, debit_account, debit_sequence, debit_posted,
        credit_account, credit_sequence, credit_posted, millis)`
  }

  const insertHolds = (holds: Rebuilt["holds"]) => {
    const given = holds.map(({ it }) => it)
    return sql`
      INSERT INTO hold (transfer_id, number, account_id, change, amount, created_at)
      SELECT transfer_id, number, account_id, change, amount::numeric, to_timestamp(millis / 1000.0)
      FROM unnest(
        ${texts(given.map(({ transfer }) => transfer))}::text[],
        ${int4s(given.map(({ number }) => number))}::int4[],
        ${texts(given.map(({ account }) => account))}::text[],
        ${texts(given.map(({ change }) => change))}::text[],
        ${numerics(given.map(({ amount }) => amount))}::text[],
        ${millisOf(holds)}::int8[]
      ) AS t (transfer_id, number, account_id, change, amount, millis)`
  }

  const insertTransfers = (requested: Rebuilt["requested"]) => {
    const given = requested.map(({ it }) => it)
    const terms = termsColumns(given.map((transfer) => transfer.terms))
    return sql`
      INSERT INTO transfer (transfer_id, source, destination, amount, currency, capture, moving, status, reason_code,
        reason_detail, reverses, client, expires_at, created_at, status_changed_at)
      SELECT transfer_id, source, destination, amount::numeric, currency, capture, moving::numeric, status, reason_code,
        reason_detail, reverses, client, to_timestamp(millis / 1000.0) + make_interval(secs => expires_in),
        to_timestamp(millis / 1000.0), to_timestamp(changed_at_millis / 1000.0)
      FROM unnest(
        ${terms.transfer}::text[], ${terms.source}::text[], ${terms.destination}::text[], ${terms.amount}::text[],
        ${terms.currency}::text[],
        ${texts(given.map(({ capture }) => capture))}::text[],
        ${numerics(given.map(({ moving }) => moving))}::text[],
        ${texts(given.map(({ status }) => status))}::text[],
        ${texts(given.map(({ reason }) => reason?.code ?? null))}::text[],
        ${texts(given.map(({ reason }) => reason?.detail ?? null))}::text[],
        ${texts(given.map(({ reverses }) => reverses))}::text[],
        ${texts(requested.map(({ client }) => client))}::text[],
        ${int4s(requested.map(({ expiresInSeconds }) => expiresInSeconds))}::int4[],
        ${millisOf(requested)}::int8[],
        ${int8s(requested.map(({ changedAtMillis }) => BigInt(changedAtMillis)))}::int8[]
      ) AS t (transfer_id, source, destination, amount, currency, capture, moving, status, reason_code, reason_detail,
        reverses, client, expires_in, millis, changed_at_millis)`
  }

  const changeTransfers = (transfers: Rebuilt["transfers"]) => {
    const given = transfers.map(({ it }) => it)
    return sql`
      UPDATE transfer
      SET status = now.status, moving = now.moving::numeric, reason_code = now.reason_code,
          reason_detail = now.reason_detail, status_changed_at = to_timestamp(now.millis / 1000.0)
      FROM unnest(
        ${texts(given.map((transfer) => transfer.terms.transfer))}::text[],
        ${texts(given.map(({ status }) => status))}::text[],
        ${numerics(given.map(({ moving }) => moving))}::text[],
        ${texts(given.map(({ reason }) => reason?.code ?? null))}::text[],
        ${texts(given.map(({ reason }) => reason?.detail ?? null))}::text[],
        ${millisOf(transfers)}::int8[]
      ) AS now (transfer_id, status, moving, reason_code, reason_detail, millis)
      WHERE transfer.transfer_id = now.transfer_id`
  }

  const insertInstructions = (asked: Rebuilt["asked"]) => {
    const given = asked.map(({ it }) => it)
    return sql`
      INSERT INTO instruction
        (instruction_id, asks, subject, amount, client, status, reason_code, reason_detail, created_at, answered_at)
      SELECT instruction_id, asks, subject, amount::numeric, client, status, reason_code, reason_detail,
        to_timestamp(millis / 1000.0), to_timestamp(answered_at_millis / 1000.0)
      FROM unnest(
        ${texts(given.map(({ id }) => id))}::text[],
        ${texts(given.map(({ asks }) => asks))}::text[],
        ${texts(given.map(({ subject }) => subject))}::text[],
        ${numerics(given.map(({ amount }) => amount))}::text[],
        ${texts(asked.map(({ client }) => client ?? unknownClient))}::text[],
        ${texts(given.map(({ status }) => status))}::text[],
        ${texts(given.map(({ reason }) => reason?.code ?? null))}::text[],
        ${texts(given.map(({ reason }) => reason?.detail ?? null))}::text[],
        ${millisOf(asked)}::int8[],
        ${
      int8s(asked.map(({ answeredAtMillis }) => answeredAtMillis === null ? null : BigInt(answeredAtMillis)))
    }::int8[]
      ) AS t (instruction_id, asks, subject, amount, client, status, reason_code, reason_detail, millis, answered_at_millis)`
  }

  const answerInstructions = (answered: Rebuilt["answered"]) => {
    const given = answered.map(({ it }) => it)
    return sql`
      UPDATE instruction
      SET status = now.status, reason_code = now.reason_code, reason_detail = now.reason_detail,
          answered_at = to_timestamp(now.millis / 1000.0)
      FROM unnest(
        ${texts(given.map(({ id }) => id))}::text[],
        ${texts(given.map(({ status }) => status))}::text[],
        ${texts(given.map(({ reason }) => reason?.code ?? null))}::text[],
        ${texts(given.map(({ reason }) => reason?.detail ?? null))}::text[],
        ${millisOf(answered)}::int8[]
      ) AS now (instruction_id, status, reason_code, reason_detail, millis)
      WHERE instruction.instruction_id = now.instruction_id AND instruction.status = 'open'`
  }

  /** A request that was asked about again by the reconciler comes without its key. */
  const insertKeys = (keys: Rebuilt["keys"]) => {
    const given = keys.map(({ it }) => it)
    return sql`
      INSERT INTO idempotency_key (client, scope, key, fingerprint, resource_id, created_at)
      SELECT client, scope, key, decode(fingerprint, 'hex'), resource_id, to_timestamp(millis / 1000.0)
      FROM unnest(
        ${texts(given.map(({ client }) => client))}::text[],
        ${texts(given.map(({ scope }) => scope))}::text[],
        ${texts(given.map(({ key }) => key))}::text[],
        ${texts(given.map(({ fingerprint }) => fingerprint))}::text[],
        ${texts(keys.map(({ resource }) => resource))}::text[],
        ${millisOf(keys)}::int8[]
      ) AS t (client, scope, key, fingerprint, resource_id, millis)`
  }

  /** What is written later gets a position above them. */
  const insertEvents = (events: Rebuilt["events"]) =>
    sql`
      WITH logged AS (
        INSERT INTO event
          (position, type, subject, key, partition, payload, request_id, traceparent, occurred_at)
        OVERRIDING SYSTEM VALUE
        SELECT position, type, subject, key, partition, payload::json, request_id, traceparent,
          to_timestamp(millis / 1000.0)
        FROM unnest(
          ${int8s(events.map(({ position }) => position))}::int8[],
          ${texts(events.map(({ type }) => type))}::text[],
          ${texts(events.map(({ subject }) => subject))}::text[],
          ${texts(events.map(({ key }) => key))}::text[],
          ${int4s(events.map(({ partition }) => partition))}::int4[],
          ${texts(events.map(({ payload }) => payload))}::text[],
          ${texts(events.map(({ requestId }) => requestId))}::text[],
          ${texts(events.map(({ traceparent }) => traceparent))}::text[],
          ${int8s(events.map(({ occurredAtMillis }) => BigInt(occurredAtMillis)))}::int8[]
        ) AS t (position, type, subject, key, partition, payload, request_id, traceparent, millis)
      )
      SELECT setval('event_position_seq', greatest(
        (SELECT last_value FROM event_position_seq), ${events.at(-1)?.position ?? 1n}::int8))`

  return Shadow.of({
    shard,
    map,
    end: whatItMeans(
      shard,
      sql<{ readonly position: bigint }>`SELECT coalesce(max(position), 0) AS position FROM event`.pipe(
        Effect.map((rows) => rows[0]?.position ?? 0n)
      )
    ),
    read: (needs) => whatItMeans(shard, read(needs)),
    write: (rebuilt) => whatItMeans(shard, write(rebuilt))
  })
}

/** The shadow of a shard in a migrated database, by the address of its owner. */
export const layer = (url: Redacted.Redacted<string>, map: ShardMap, shard: ShardId) =>
  Layer.effect(
    Shadow,
    Effect.map(
      connect({ url, maxConnections: 2, name: "counterpoise replay" }),
      (sql) => make(sql, map, shard)
    )
  )
