/** Intake in memory: each request in one transaction, or as many as come together, with its key and its event. */
import { Effect, Exit, Layer, Option } from "effect"
import { keyOf, type LedgerEvent } from "#domain/ledger/LedgerEvent.ts"
import { type ShardId, shardOfAccount } from "#domain/sharding/ShardMap.ts"
import type { ShardUnavailable } from "#domain/sharding/Shards.ts"
import {
  AccountExists,
  IdempotencyKeyReused,
  Intake,
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
  newTransfer,
  transferRequested,
  transferScope
} from "#domain/transfer/Intents.ts"
import { MemoryDatabases } from "./MemoryDatabases.ts"
import { keyRow, type MemoryShard, transferRecordOf, type TransferRow } from "./MemoryShard.ts"
import { ConstraintViolation } from "./MemoryTable.ts"
import type { MemoryTransaction } from "./MemoryTransaction.ts"

export const layer = Layer.effect(
  Intake,
  Effect.gen(function*() {
    const databases = yield* MemoryDatabases
    const { map } = databases

    /** Transfers with keys that are new, in one transaction; and what the keys of the others led to. */
    const recordTransfers = Effect.fnUntraced(function*(shard: ShardId, intents: ReadonlyArray<TransferIntent>) {
      const asked = intents.map((intent, index) => ({
        intent,
        index,
        key: keyRow(intent.request, transferScope(intent))
      }))
        .toSorted((a, b) => a.key < b.key ? -1 : a.key > b.key ? 1 : a.index - b.index)
      const fresh = yield* databases.transact(shard, (transaction, database) =>
        Effect.gen(function*() {
          yield* transaction.arrival
          yield* transaction.claim(() =>
            database.keys.claim(transaction, asked.map(({ key }) => key)) ??
              database.transfers.claim(transaction, asked.map(({ intent }) => intent.terms.transfer))
          )
          const rows = new Map<number, TransferRow>()
          const announcements = asked.flatMap(({ index, intent, key }) => {
            const { request, terms: { transfer } } = intent
            if (!spend(transaction, database, key, request, transfer)) return []
            if (database.transfers.get(transaction, transfer) !== undefined) {
              throw new ConstraintViolation("transfer_pkey")
            }
            const row = rowOf(intent, transaction.begunAtMillis)
            database.transfers.put(transaction, transfer, row)
            rows.set(index, row)
            return [announcement(transferRequested(intent), request)]
          })
          database.announce(transaction, announcements)
          return rows
        }))
      if (fresh.size === intents.length) {
        return intents.map((_, index): TransferAnswer => made(fresh.get(index), false))
      }
      return yield* databases.look(shard, (database) => {
        const answers: Array<TransferAnswer> = []
        for (const { index, intent, key } of asked) {
          const row = fresh.get(index)
          answers[index] = row === undefined
            ? again(database, key, intent.request, (id) => made(database.transfers.rows.get(id), true))
            : made(row, false)
        }
        return answers
      })
    })

    return Intake.of({
      request: (intent) =>
        recordTransfers(shardOfAccount(map, intent.terms.source), [intent]).pipe(
          Effect.flatMap(([answer]) => answer ?? Effect.die(new Error("a batch was answered in part"))),
          Effect.uninterruptible
        ),

      requestAll: Effect.fnUntraced(function*(intents) {
        const answers: Array<Exit.Exit<Recorded<TransferRecord>, IdempotencyKeyReused | ShardUnavailable>> = []
        const perShard = Map.groupBy(intents.entries(), ([, { terms }]) => shardOfAccount(map, terms.source))
        yield* Effect.forEach(
          perShard,
          ([shard, mine]) =>
            recordTransfers(shard, mine.map(([, intent]) => intent)).pipe(
              Effect.exit,
              Effect.map((exit) => {
                for (const [place, [index]] of mine.entries()) {
                  answers[index] = Exit.isFailure(exit)
                    ? Exit.failCause(exit.cause)
                    : exit.value[place] ?? Exit.die(new Error("a batch was answered in part"))
                }
              })
            ),
          { discard: true }
        )
        return answers
      }, Effect.uninterruptible),

      open: Effect.fnUntraced(function*(intent) {
        const { account: { id }, request } = intent
        const shard = shardOfAccount(map, id)
        const key = keyRow(request, accountScope(intent))
        const opened = yield* databases.transact(shard, (transaction, database) =>
          Effect.gen(function*() {
            yield* transaction.arrival
            yield* transaction.claim(() => database.keys.claim(transaction, [key]))
            if (!spend(transaction, database, key, request, id)) return undefined
            yield* transaction.claim(() => database.accounts.claim(transaction, [id]))
            if (database.accounts.get(transaction, id) !== undefined) return yield* AccountExists.make({ account: id })
            yield* transaction.claim(() => database.balances.claim(transaction, [id]))
            const { balance, ...account } = newAccount(intent)
            const { metadata } = intent
            const row = { account, metadata, revision: 1n, createdAtMillis: transaction.begunAtMillis }
            database.accounts.put(transaction, id, row)
            database.balances.put(transaction, id, balance)
            database.announce(transaction, [announcement(accountOpened(intent), request)])
            return { ...row, account: { ...account, balance } }
          }))
        if (opened !== undefined) return { replayed: false, record: opened }
        return yield* Effect.flatten(
          databases.look(shard, (database) =>
            again(database, key, request, (id) => {
              const record = database.accountRecord(id)
              return record === undefined
                ? Exit.die(new Error(`key without its account ${id}`))
                : Exit.succeed({ replayed: true, record })
            }))
        )
      }, Effect.uninterruptible),

      instruct: Effect.fnUntraced(function*(intent) {
        const { event, request } = intent
        const shard = shardOfAccount(map, keyOf(event))
        const key = keyRow(request, instructionScope(intent))
        const instruction = newInstruction(intent)
        const isFresh = yield* databases.transact(shard, (transaction, database) =>
          Effect.gen(function*() {
            yield* transaction.arrival
            yield* transaction.claim(() => database.keys.claim(transaction, [key]))
            if (!spend(transaction, database, key, request, instruction.id)) return false
            yield* transaction.claim(() => database.instructions.claim(transaction, [instruction.id]))
            if (database.instructions.get(transaction, instruction.id) !== undefined) {
              throw new ConstraintViolation("instruction_pkey")
            }
            const row = { instruction, event, createdAtMillis: transaction.begunAtMillis }
            database.instructions.put(transaction, instruction.id, row)
            database.announce(transaction, [announcement(instructionGiven(intent), request)])
            return true
          }))
        if (isFresh) return { replayed: false, record: instruction }
        return yield* Effect.flatten(
          databases.look(shard, (database) =>
            again(database, key, request, (id) => {
              const record = database.instructions.rows.get(id)?.instruction
              return record === undefined
                ? Exit.die(new Error(`key without its instruction ${id}`))
                : Exit.succeed({ replayed: true, record })
            }))
        )
      }, Effect.uninterruptible),

      describe: Effect.fnUntraced(function*(id, revision, metadata) {
        const shard = shardOfAccount(map, id)
        const isChanged = yield* databases.transact(shard, (transaction, { accounts }) =>
          Effect.gen(function*() {
            yield* transaction.arrival
            yield* transaction.claim(() => accounts.claim(transaction, [id]))
            const row = accounts.get(transaction, id)
            if (row?.revision !== revision) return false
            accounts.put(transaction, id, { ...row, metadata, revision: revision + 1n })
            return true
          }))
        const record = yield* databases.look(shard, (database) => database.accountRecord(id))
        if (record === undefined) return Option.none()
        if (!isChanged) return yield* RevisionMismatch.make({ account: id, revision: record.revision })
        return Option.some(record)
      })
    })
  })
)

type TransferAnswer = Exit.Exit<Recorded<TransferRecord>, IdempotencyKeyReused>

const made = (row: TransferRow | undefined, replayed: boolean): TransferAnswer =>
  row === undefined
    ? Exit.die(new Error("key without its transfer"))
    : Exit.succeed({ replayed, record: transferRecordOf(row) })

/** Spends a key that was claimed, if it never led to anything. */
const spend = (
  transaction: MemoryTransaction,
  { keys }: MemoryShard,
  row: string,
  { fingerprint, idempotencyKey: key }: Request,
  resource: string
): boolean => {
  if (keys.get(transaction, row) !== undefined) return false
  keys.put(transaction, row, { key, fingerprint, resource })
  return true
}

/** What a key that was spent before led to, if this is the request that it was spent on. */
const again = <A>(
  { keys }: MemoryShard,
  row: string,
  request: Request,
  recorded: (resource: string) => Exit.Exit<A, IdempotencyKeyReused>
): Exit.Exit<A, IdempotencyKeyReused> => {
  const spent = keys.rows.get(row)
  if (spent === undefined) return Exit.die(new Error(`no trace of ${row}`))
  return spent.fingerprint === request.fingerprint
    ? recorded(spent.resource)
    : Exit.fail(IdempotencyKeyReused.make({ key: spent.key, resource: spent.resource }))
}

const announcement = (event: LedgerEvent, { requestId, traceparent }: Request) => ({
  event,
  origin: { requestId, traceparent }
})

const rowOf = (intent: TransferIntent, nowMillis: number): TransferRow => ({
  transfer: newTransfer(intent),
  client: intent.request.client,
  reference: intent.reference,
  description: intent.description,
  metadata: intent.metadata,
  expiresAtMillis: intent.expiresInSeconds === null ? null : nowMillis + intent.expiresInSeconds * 1_000,
  createdAtMillis: nowMillis,
  statusChangedAtMillis: nowMillis
})
