/**
 * Intake on PostgreSQL: the requests of the last milliseconds in one statement per shard, which records the idempotency
 * row, the transfer (or account) and the event together, or nothing.
 */
import type { PgClient } from "@effect/sql-pg"
import { Array, Effect, Exit, Layer, Option, Schema } from "effect"
import type { SqlError } from "effect/sql"
import type { AccountId } from "#domain/account/Account.ts"
import type { Instruction } from "#domain/ledger/Instruction.ts"
import { partitionOf } from "#domain/sharding/Partition.ts"
import type { ShardId } from "#domain/sharding/ShardMap.ts"
import { shardOfAccount } from "#domain/sharding/ShardMap.ts"
import type { ShardUnavailable } from "#domain/sharding/Shards.ts"
import {
  AccountExists,
  type AccountIntent,
  type AccountRecord,
  IdempotencyKeyReused,
  type InstructionIntent,
  Intake,
  type Metadata,
  Overloaded,
  type Recorded,
  type Request,
  RevisionMismatch,
  type TransferIntent,
  type TransferRecord
} from "#domain/transfer/Intake.ts"
import {
  accountOpened,
  accountScope,
  instructionGiven,
  instructionScope,
  newAccount,
  newInstruction,
  transferRequested,
  transferScope
} from "#domain/transfer/Intents.ts"
import { keyOf, toJson } from "#domain/ledger/LedgerEvent.ts"
import { byteas, int4s, numerics, texts } from "./Columns.ts"
import * as GroupCommit from "./GroupCommit.ts"
import {
  accountRecordColumns,
  accountRecordOf,
  AccountRecordRow,
  instructionColumns,
  instructionOf,
  InstructionRow,
  millis,
  transferRecordColumns,
  transferRecordOf,
  TransferRecordRow
} from "./Rows.ts"
import { ShardDatabases } from "./ShardDatabases.ts"

const transferRecords = Schema.decodeUnknownSync(Schema.Array(TransferRecordRow))
const instructionRows = Schema.decodeUnknownSync(Schema.Array(InstructionRow))
const accountRecords = Schema.decodeUnknownSync(Schema.Array(AccountRecordRow))

/** Requests in one statement: more would only hold its locks for longer. */
const mostPerBatch = 500

/** Of many that come at once, in one statement: to prepare more of them would keep everybody else waiting. */
const mostTogether = 100

export interface IntakeOptions {
  /** Requests that may wait for one shard; more are turned away with 503. */
  readonly capacity?: number
}

export const layer = (options: IntakeOptions = {}) =>
  Layer.effect(
    Intake,
    Effect.gen(function*() {
      const databases = yield* ShardDatabases
      const { map } = databases
      const capacity = options.capacity ?? 10_000

      const requests = yield* Effect.forEach(databases.shards, (shard) =>
        GroupCommit.make({
          writers: 2,
          mostPerBatch,
          capacity,
          write: (intents: ReadonlyArray<TransferIntent>) =>
            databases.on(shard, (sql) => recordTransfers(sql, intents, map.partitions))
        }, Effect.fail(Overloaded.make({ shard }))))

      const at = <A>(perShard: ReadonlyArray<A>, shard: ShardId): A => {
        const found = perShard[shard]
        if (found === undefined) throw new RangeError(`there is no shard ${shard}`)
        return found
      }

      return Intake.of({
        request: (intent) => at(requests, shardOfAccount(map, intent.terms.source))(intent),
        requestAll: Effect.fnUntraced(function*(intents) {
          const answers: Array<Exit.Exit<Recorded<TransferRecord>, IdempotencyKeyReused | ShardUnavailable>> = []
          const perShard = Map.groupBy(intents.entries(), ([, { terms }]) => shardOfAccount(map, terms.source))
          const batches = [...perShard].flatMap(([shard, mine]) =>
            Array.chunksOf(mine, mostTogether).map((batch) => ({ shard, batch }))
          )
          yield* Effect.forEach(batches, ({ batch, shard }) =>
            databases.on(shard, (sql) =>
              recordTransfers(sql, batch.map(([, intent]) => intent), map.partitions)).pipe(
                Effect.exit,
                Effect.map((exit) => {
                  for (const [place, [index]] of batch.entries()) {
                    answers[index] = Exit.isFailure(exit)
                      ? Exit.failCause(exit.cause)
                      : exit.value[place] ?? Exit.die(new Error("a batch was answered in part"))
                  }
                })
              ), { concurrency: 4, discard: true })
          return answers
        }, Effect.uninterruptible),
        open: (intent) =>
          databases.on(shardOfAccount(map, intent.account.id), (sql) =>
            openAccount(sql, intent, map.partitions)).pipe(
              Effect.uninterruptible
            ),
        instruct: (intent) =>
          databases.on(shardOfAccount(map, keyOf(intent.event)), (sql) =>
            recordInstruction(sql, intent, map.partitions))
            .pipe(Effect.uninterruptible),
        describe: (account, revision, metadata) =>
          databases.on(shardOfAccount(map, account), (sql) => describeAccount(sql, account, revision, metadata))
      })
    })
  )

// In the order of their keys, so that two writers that meet on the same keys wait for each other in turn and never
// deadlock.
const inKeyOrder = <A extends { readonly request: Request }>(scope: (intent: A) => string, intents: ReadonlyArray<A>) =>
  intents.map((intent, index) => ({
    intent,
    index,
    order: `${intent.request.client}\n${scope(intent)}\n${intent.request.idempotencyKey}`
  }))
    .toSorted((a, b) => a.order < b.order ? -1 : a.order > b.order ? 1 : a.index - b.index)

const keyColumns = <A extends { readonly request: Request }>(
  scope: (intent: A) => string,
  intents: ReadonlyArray<A>
) => ({
  client: texts(intents.map(({ request }) => request.client)),
  scope: texts(intents.map(scope)),
  key: texts(intents.map(({ request }) => request.idempotencyKey)),
  fingerprint: byteas(intents.map(({ request }) => Buffer.from(request.fingerprint, "hex"))),
  requestId: texts(intents.map(({ request }) => request.requestId)),
  traceparent: texts(intents.map(({ request }) => request.traceparent))
})

interface KeyRow {
  readonly client: string
  readonly scope: string
  readonly key: string
  readonly fingerprint: Uint8Array
  readonly resource_id: string
}

/** What the keys of requests that came before led to. */
const formerKeys = Effect.fnUntraced(function*<A extends { readonly request: Request }>(
  sql: PgClient.PgClient,
  scope: (intent: A) => string,
  intents: ReadonlyArray<A>
) {
  const keys = keyColumns(scope, intents)
  const rows = yield* sql<KeyRow>`
    SELECT client, scope, key, fingerprint, resource_id
    FROM unnest(${keys.client}::text[], ${keys.scope}::text[], ${keys.key}::text[]) AS asked (client, scope, key)
    JOIN idempotency_key USING (client, scope, key)`
  return new Map(rows.map((row) => [`${row.client}\n${row.scope}\n${row.key}`, row]))
})

const sameFingerprint = (row: KeyRow, request: Request) =>
  Buffer.from(row.fingerprint).toString("hex") === request.fingerprint

const reused = (row: KeyRow) => Exit.fail(IdempotencyKeyReused.make({ key: row.key, resource: row.resource_id }))

// transfers ──────────────────────────────────────────────────────────────────────────────────────────────────────────

type TransferAnswer = Exit.Exit<Recorded<TransferRecord>, IdempotencyKeyReused>

const recordTransfers = Effect.fnUntraced(function*(
  sql: PgClient.PgClient,
  unordered: ReadonlyArray<TransferIntent>,
  partitions: number
): Effect.fn.Return<ReadonlyArray<TransferAnswer>, SqlError.SqlError> {
  const ordered = inKeyOrder(transferScope, unordered)
  const intents = ordered.map(({ intent }) => intent)
  const keys = keyColumns(transferScope, intents)
  const times = yield* sql<
    { readonly transfer_id: string; readonly created_at_millis: number; readonly expires_at_millis: number | null }
  >`
    WITH asked AS MATERIALIZED (
      SELECT * FROM unnest(
        ${keys.client}::text[], ${keys.scope}::text[], ${keys.key}::text[], ${keys.fingerprint}::bytea[],
        ${keys.requestId}::text[], ${keys.traceparent}::text[],
        ${texts(intents.map(({ terms }) => terms.transfer))}::text[],
        ${texts(intents.map(({ terms }) => terms.source))}::text[],
        ${texts(intents.map(({ terms }) => terms.destination))}::text[],
        ${numerics(intents.map(({ terms }) => terms.amount))}::text[],
        ${texts(intents.map(({ terms }) => terms.currency))}::text[],
        ${texts(intents.map(({ capture }) => capture))}::text[],
        ${texts(intents.map(({ reverses }) => reverses))}::text[],
        ${texts(intents.map(({ reference }) => reference))}::text[],
        ${texts(intents.map(({ description }) => description))}::text[],
        ${texts(intents.map(({ metadata }) => JSON.stringify(metadata)))}::text[],
        ${int4s(intents.map(({ expiresInSeconds }) => expiresInSeconds))}::int4[],
        ${int4s(intents.map(({ terms }) => partitionOf(terms.source, partitions)))}::int4[],
        ${texts(intents.map((intent) => toJson(transferRequested(intent))))}::text[]
      ) WITH ORDINALITY AS t (client, scope, key, fingerprint, request_id, traceparent, transfer_id, source, destination,
        amount, currency, capture, reverses, reference, description, metadata, expires_in, partition, payload, ordinality)
    ), fresh AS (
      INSERT INTO idempotency_key (client, scope, key, fingerprint, resource_id)
      SELECT client, scope, key, fingerprint, transfer_id FROM asked ORDER BY ordinality
      ON CONFLICT DO NOTHING
      RETURNING resource_id
    ), wished AS (
      INSERT INTO transfer (transfer_id, source, destination, amount, currency, capture, moving, reverses, reference,
        description, metadata, client, expires_at)
      SELECT transfer_id, source, destination, amount::numeric, currency, capture, amount::numeric, reverses, reference,
        description, metadata::json, client, now() + make_interval(secs => expires_in)
      FROM asked JOIN fresh ON resource_id = transfer_id
      RETURNING transfer_id, created_at, expires_at
    ), logged AS (
      -- Reads what was inserted above, so this transaction has its id before it draws a position.
      INSERT INTO event (type, subject, key, partition, payload, request_id, traceparent)
      SELECT 'transfer.requested', transfer_id, source, partition, payload::json, request_id, traceparent
      FROM asked JOIN wished USING (transfer_id) ORDER BY ordinality
    )
    SELECT transfer_id, ${sql.literal(millis("created_at"))} AS created_at_millis,
      ${sql.literal(millis("expires_at"))} AS expires_at_millis
    FROM wished`
  const recorded = new Map(times.map((row) => [row.transfer_id, row]))

  const again = intents.filter(({ terms }) => !recorded.has(terms.transfer))
  const former = again.length === 0 ? new Map<string, KeyRow>() : yield* formerKeys(sql, transferScope, again)
  const formerRecords = former.size === 0 ? new Map<string, TransferRecord>() : new Map(
    transferRecords(
      yield* sql`
        SELECT ${sql.literal(transferRecordColumns)} FROM transfer
        WHERE transfer_id = ANY(${texts([...former.values()].map((row) => row.resource_id))}::text[])`
    ).map((row) => [row.transfer_id as string, transferRecordOf(row)])
  )

  const answers: Array<TransferAnswer> = []
  for (const { intent, index, order } of ordered) {
    const row = recorded.get(intent.terms.transfer)
    if (row !== undefined) {
      answers[index] = Exit.succeed({
        replayed: false,
        record: freshRecord(intent, row.created_at_millis, row.expires_at_millis)
      })
      continue
    }
    const key = former.get(order)
    if (key === undefined) answers[index] = Exit.die(new Error(`no trace of transfer ${intent.terms.transfer}`))
    else if (!sameFingerprint(key, intent.request)) answers[index] = reused(key)
    else {
      const record = formerRecords.get(key.resource_id)
      answers[index] = record === undefined
        ? Exit.die(new Error(`key without its transfer ${key.resource_id}`))
        : Exit.succeed({ replayed: true, record })
    }
  }
  return answers
})

const freshRecord = (
  intent: TransferIntent,
  createdAtMillis: number,
  expiresAtMillis: number | null
): TransferRecord => ({
  terms: intent.terms,
  capture: intent.capture,
  status: "requested",
  captured: null,
  reason: null,
  reverses: intent.reverses,
  reference: intent.reference,
  description: intent.description,
  metadata: intent.metadata,
  expiresAtMillis,
  createdAtMillis,
  statusChangedAtMillis: createdAtMillis
})

// accounts ───────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Accounts are opened one at a time: few requests, and each in one statement. */
const openAccount = Effect.fnUntraced(function*(
  sql: PgClient.PgClient,
  intent: AccountIntent,
  partitions: number
): Effect.fn.Return<Recorded<AccountRecord>, IdempotencyKeyReused | AccountExists | SqlError.SqlError> {
  const { account, request } = intent
  const scope = accountScope(intent)
  const rows = yield* sql<{ readonly created_at_millis: number }>`
    WITH spent AS (
      INSERT INTO idempotency_key (client, scope, key, fingerprint, resource_id)
      VALUES (${request.client}, ${scope}, ${request.idempotencyKey}, ${Buffer.from(request.fingerprint, "hex")},
        ${account.id})
      ON CONFLICT DO NOTHING
      RETURNING resource_id
    ), opened AS (
      INSERT INTO account (account_id, partition, kind, normal_side, currency, floor, ceiling, metadata)
      SELECT resource_id, ${partitionOf(account.id, partitions)}::int4, ${account.kind}, ${account.normalSide},
        ${account.currency}, ${account.floor?.toString() ?? null}::numeric,
        ${account.ceiling?.toString() ?? null}::numeric, ${JSON.stringify(intent.metadata)}::json
      FROM spent
      RETURNING account_id, partition, created_at
    ), balanced AS (
      INSERT INTO balance (account_id) SELECT account_id FROM opened
    ), logged AS (
      INSERT INTO event (type, subject, key, partition, payload, request_id, traceparent)
      SELECT 'account.opened', account_id, account_id, partition, ${
    toJson(accountOpened(intent))
  }::json, ${request.requestId},
        ${request.traceparent}
      FROM opened
    )
    SELECT ${sql.literal(millis("created_at"))} AS created_at_millis FROM opened`.pipe(
    // The statement is undone as a whole: the key of a request that asked for a taken id is not spent.
    Effect.catchReason("SqlError", "UniqueViolation", () => Effect.fail(AccountExists.make({ account: account.id })))
  )
  const created = rows[0]
  if (created !== undefined) {
    return { replayed: false, record: freshAccount(intent, created.created_at_millis) }
  }
  const former = yield* formerKeys(sql, accountScope, [intent])
  const key = [...former.values()][0]
  if (key === undefined) return yield* Effect.die(new Error(`no trace of account ${account.id}`))
  if (!sameFingerprint(key, request)) return yield* reused(key)
  const records = accountRecords(
    yield* sql`
      SELECT ${sql.literal(accountRecordColumns)} FROM account JOIN balance USING (account_id)
      WHERE account_id = ${key.resource_id}`
  )
  const record = records[0]
  if (record === undefined) return yield* Effect.die(new Error(`key without its account ${key.resource_id}`))
  return { replayed: true, record: accountRecordOf(record) }
})

const freshAccount = (intent: AccountIntent, createdAtMillis: number): AccountRecord => ({
  account: newAccount(intent),
  metadata: intent.metadata,
  revision: 1n,
  createdAtMillis
})

/** Replaces the metadata by compare-and-set on the revision that the client saw. */
const describeAccount = Effect.fnUntraced(function*(
  sql: PgClient.PgClient,
  account: AccountId,
  revision: bigint,
  metadata: Metadata
): Effect.fn.Return<Option.Option<AccountRecord>, RevisionMismatch | SqlError.SqlError> {
  const changed = yield* sql`
    UPDATE account SET metadata = ${JSON.stringify(metadata)}::json, revision = revision + 1
    WHERE account_id = ${account} AND revision = ${revision}::int8 RETURNING 1`
  const [record] = accountRecords(
    yield* sql`
      SELECT ${sql.literal(accountRecordColumns)} FROM account JOIN balance USING (account_id)
      WHERE account_id = ${account} AND kind <> 'clearing'`
  ).map(accountRecordOf)
  if (record === undefined) return Option.none()
  if (changed.length === 0) return yield* RevisionMismatch.make({ account, revision: record.revision })
  return Option.some(record)
})

// instructions ───────────────────────────────────────────────────────────────────────────────────────────────────────

/** Instructions come one at a time, each in one statement. */
const recordInstruction = Effect.fnUntraced(function*(
  sql: PgClient.PgClient,
  intent: InstructionIntent,
  partitions: number
): Effect.fn.Return<Recorded<Instruction>, IdempotencyKeyReused | SqlError.SqlError> {
  const { event, request } = intent
  const instruction = newInstruction(intent)
  const scope = instructionScope(intent)
  const fresh = yield* sql`
    WITH spent AS (
      INSERT INTO idempotency_key (client, scope, key, fingerprint, resource_id)
      VALUES (${request.client}, ${scope}, ${request.idempotencyKey}, ${Buffer.from(request.fingerprint, "hex")},
        ${instruction.id})
      ON CONFLICT DO NOTHING
      RETURNING resource_id
    ), asked AS (
      INSERT INTO instruction (instruction_id, asks, subject, amount, client)
      SELECT resource_id, ${instruction.asks}, ${instruction.subject}, ${
    instruction.amount?.toString() ?? null
  }::numeric,
        ${request.client}
      FROM spent
      RETURNING instruction_id
    ), logged AS (
      -- Reads what was inserted above, so this transaction has its id before it draws a position.
      INSERT INTO event (type, subject, key, partition, payload, request_id, traceparent)
      SELECT ${event.type}, ${instruction.subject}, ${keyOf(event)}, ${partitionOf(keyOf(event), partitions)}::int4,
        ${toJson(instructionGiven(intent))}::json, ${request.requestId}, ${request.traceparent}
      FROM asked
    )
    SELECT instruction_id FROM asked`
  if (fresh.length > 0) return { replayed: false, record: instruction }
  const former = yield* formerKeys(sql, instructionScope, [intent])
  const key = [...former.values()][0]
  if (key === undefined) return yield* Effect.die(new Error(`no trace of instruction ${instruction.id}`))
  if (!sameFingerprint(key, request)) return yield* reused(key)
  const [record] = instructionRows(
    yield* sql`
      SELECT ${sql.literal(instructionColumns)} FROM instruction WHERE instruction_id = ${key.resource_id}`
  ).map(instructionOf)
  if (record === undefined) return yield* Effect.die(new Error(`key without its instruction ${key.resource_id}`))
  return { replayed: true, record }
})
