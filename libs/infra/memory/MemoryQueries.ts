/** The books read from the shards in memory that own them. */
import { Clock, Effect, Layer, Option, Schedule, Schema } from "effect"
import { type Entry, inOrder, Queries, type TransferFilter, type TrialBalance } from "#domain/ledger/Queries.ts"
import { LedgerEventJson } from "#domain/ledger/LedgerEvent.ts"
import type { Currency } from "#domain/money/Currency.ts"
import { type ShardId, shardOfAccount, shardOfPartition } from "#domain/sharding/ShardMap.ts"
import type { ShardUnavailable } from "#domain/sharding/Shards.ts"
import { transferScope } from "#domain/transfer/Intents.ts"
import { ended } from "#domain/transfer/Transfer.ts"
import { beginningOf, partitionOf, TransferId } from "#domain/transfer/TransferId.ts"
import { MemoryDatabases } from "./MemoryDatabases.ts"
import { entryKey, keyRow, type MemoryShard, transferRecordOf, type TransferRow } from "./MemoryShard.ts"

const isTransferId = Schema.is(TransferId)
const fromJson = Schema.decodeSync(LedgerEventJson)

export const layer = Layer.effect(
  Queries,
  Effect.gen(function*() {
    const databases = yield* MemoryDatabases
    const { map, shards } = databases
    const homeOf = (id: TransferId) => shardOfPartition(map, partitionOf(id) % map.partitions)
    const ofAccount = <A>(account: string, at: (shard: MemoryShard) => A) =>
      databases.look(shardOfAccount(map, account), at)
    const ofEach = <A>(of: ReadonlyArray<ShardId>, at: (shard: MemoryShard) => ReadonlyArray<A>) =>
      Effect.map(Effect.forEach(of, (shard) => databases.look(shard, at)), (perShard) => perShard.flat())

    const transfer = (id: TransferId) =>
      databases.look(
        homeOf(id),
        ({ transfers }) => Option.map(Option.fromUndefinedOr(transfers.rows.get(id)), transferRecordOf)
      )

    return Queries.of({
      transfer,
      awaitEnd: (id, withinMillis) =>
        until(transfer(id), (found) => Option.isNone(found) || ended.has(found.value.status), withinMillis),

      awaitAnswer: (instruction, withinMillis) => {
        const { id, subject } = instruction
        const look = databases.look(
          isTransferId(subject) ? homeOf(subject) : shardOfAccount(map, subject),
          ({ instructions }) => instructions.rows.get(id)?.instruction ?? instruction
        )
        return instruction.status === "open"
          ? until(look, ({ status }) => status !== "open", withinMillis)
          : Effect.succeed(instruction)
      },

      account: (id) => ofAccount(id, (shard) => Option.fromUndefinedOr(shard.accountRecord(id))),

      accounts: (after, limit) =>
        ofEach(
          shards,
          (shard) =>
            [...shard.accounts.rows.values()].flatMap(({ account: { id, kind } }) =>
              kind === "clearing" || id <= (after ?? "") ? [] : shard.accountRecord(id) ?? []
            )
        ).pipe(
          Effect.map((found) => found.toSorted((a, b) => a.account.id < b.account.id ? -1 : 1).slice(0, limit))
        ),

      entries: (account, before, limit) =>
        ofAccount(account, (shard) => {
          const last = lastOf(shard, account)
          const upTo = before === null || before > last ? last : before - 1n
          return entriesOf(shard, account, upTo - BigInt(limit), upTo).toReversed()
        }),

      entriesAfter: (account, after, upTo, limit) =>
        ofAccount(account, (shard) => {
          const last = lastOf(shard, account)
          return entriesOf(shard, account, after, upTo < last ? upTo : last).slice(0, limit)
        }),

      entry: (account, sequence) =>
        ofAccount(account, (shard) => Option.fromUndefinedOr(entryOf(shard, account, sequence))),

      lastEntryBefore: (account, time) =>
        ofAccount(account, (shard) =>
          Option.fromUndefinedOr(
            entriesOf(shard, account, 0n, lastOf(shard, account))
              .findLast(({ createdAtMillis }) => createdAtMillis < time)
          )),

      transfers: (filter, below, limit) =>
        ofEach(
          filter.source === null ? shards : [shardOfAccount(map, filter.source)],
          ({ transfers }) => [...transfers.rows.values()].filter((row) => isWanted(row, filter, below))
        ).pipe(Effect.map((found) => {
          const shown = found.toSorted((a, b) => a.transfer.terms.transfer < b.transfer.terms.transfer ? 1 : -1)
            .slice(0, limit)
          return {
            records: shown.map(transferRecordOf),
            next: found.length > limit ? shown.at(-1)?.transfer.terms.transfer ?? null : null
          }
        })),

      transferOf: (client, source, idempotencyKey) =>
        ofAccount(source, ({ keys, transfers }) => {
          const spent = keys.rows.get(keyRow({ client, idempotencyKey }, transferScope({ terms: { source } })))
          return Option.map(Option.fromUndefinedOr(transfers.rows.get(spent?.resource ?? "")), transferRecordOf)
        }),

      timeline: Effect.fnUntraced(function*(id) {
        const found = yield* transfer(id)
        if (Option.isNone(found)) return []
        const both = new Set([homeOf(id), shardOfAccount(map, found.value.terms.destination)])
        return inOrder(
          yield* ofEach(
            [...both],
            ({ events, id: shard }) =>
              events.flatMap(({ occurredAtMillis, payload, position, requestId, subject }) =>
                subject === id ? [{ shard, position, event: fromJson(payload), requestId, occurredAtMillis }] : []
              )
          )
        )
      }),

      trialBalance: ofEach(shards, trialBalanceOf)
    })
  })
)

/** Looks again and again until it is so, or the time is up; a shard that is away meanwhile may come back. */
const until = Effect.fnUntraced(
  function*<A>(look: Effect.Effect<A, ShardUnavailable>, is: (found: A) => boolean, withinMillis: number) {
    const begun = yield* Clock.currentTimeMillis
    const found = yield* look
    const left = withinMillis - ((yield* Clock.currentTimeMillis) - begun)
    if (is(found) || left <= 0) return found
    yield* Effect.option(look).pipe(
      Effect.repeat({ until: Option.exists(is), schedule: Schedule.spaced("5 millis") }),
      Effect.timeoutOption(left)
    )
    return yield* look
  }
)

const lastOf = ({ balances }: MemoryShard, account: string): bigint => balances.rows.get(account)?.sequence ?? 0n

const entryOf = ({ credits, debits }: MemoryShard, account: string, sequence: bigint): Entry | undefined => {
  const key = entryKey(account, sequence)
  const debit = debits.rows.get(key)
  const journal = debit ?? credits.rows.get(key)
  return journal === undefined ? undefined : {
    account,
    sequence,
    transfer: journal.transfer,
    direction: debit === undefined ? "CREDIT" : "DEBIT",
    amount: journal.amount,
    currency: journal.currency,
    posted: debit === undefined ? journal.creditPosted : journal.debitPosted,
    createdAtMillis: journal.createdAtMillis
  }
}

/** Entries in ascending order, with a sequence above the first number and not above the second. */
const entriesOf = (shard: MemoryShard, account: string, after: bigint, upTo: bigint): ReadonlyArray<Entry> => {
  const found: Array<Entry> = []
  for (let sequence = after < 0n ? 1n : after + 1n; sequence <= upTo; sequence++) {
    const entry = entryOf(shard, account, sequence)
    if (entry !== undefined) found.push(entry)
  }
  return found
}

const isWanted = (
  { transfer: { reverses, status, terms: { source, transfer } } }: TransferRow,
  filter: TransferFilter,
  below: TransferId | null
): boolean =>
  (below === null || transfer < below) &&
  (filter.source === null || source === filter.source) &&
  (filter.status === null || status === filter.status) &&
  (filter.reverses === null || reverses === filter.reverses) &&
  (filter.fromMillis === null || transfer >= beginningOf(filter.fromMillis)) &&
  (filter.beforeMillis === null || transfer < beginningOf(filter.beforeMillis))

const trialBalanceOf = ({ accounts, balances, id: shard }: MemoryShard): ReadonlyArray<TrialBalance> => {
  const found = new Map<Currency, TrialBalance>()
  for (const { account: { currency, id } } of accounts.rows.values()) {
    const { held, posted } = balances.rows.get(id) ?? { held: 0n, posted: 0n }
    const [, direction] = /^clearing:\d+:(to|from):/.exec(id) ?? []
    const sum = found.get(currency) ??
      { shard, currency, debits: 0n, credits: 0n, clearingTo: 0n, clearingFrom: 0n, held: 0n }
    found.set(currency, {
      ...sum,
      debits: sum.debits + (posted < 0n ? -posted : 0n),
      credits: sum.credits + (posted > 0n ? posted : 0n),
      clearingTo: sum.clearingTo + (direction === "to" ? posted : 0n),
      clearingFrom: sum.clearingFrom + (direction === "from" ? posted : 0n),
      held: sum.held + held
    })
  }
  return [...found.values()].toSorted((a, b) => a.currency < b.currency ? -1 : 1)
}
