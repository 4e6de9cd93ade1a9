/**
 * A shard in memory, as a value: what a shard's database keeps, and a worker's turn on it. A turn is the real one: what
 * the messages need is read, the real `Batch` decides, and what it decided is written. Nothing is ever changed in place,
 * so a state can be kept, compared and gone on from in many ways.
 */
import { Result } from "effect"
import { type Account, AccountId, defaultsOf, emptyBalance } from "#domain/account/Account.ts"
import { Batch, type Changes, type Known, type Needs, needsOf } from "#domain/ledger/Batch.ts"
import type { Message, Origin, ProtocolViolation } from "#domain/ledger/Decision.ts"
import type { Instruction } from "#domain/ledger/Instruction.ts"
import type { LedgerEvent } from "#domain/ledger/LedgerEvent.ts"
import type { HoldRecord, Journal } from "#domain/ledger/Journal.ts"
import type { Currency } from "#domain/money/Currency.ts"
import { partitionOf } from "#domain/sharding/Partition.ts"
import { type ShardId, type ShardMap, shardOfAccount } from "#domain/sharding/ShardMap.ts"
import type { Capture, Terms } from "#domain/transfer/TransferEvent.ts"
import { failed, type Transfer, type Verdict } from "#domain/transfer/Transfer.ts"
import * as TransferId from "#domain/transfer/TransferId.ts"

export interface Shard {
  readonly id: ShardId
  readonly map: ShardMap
  readonly accounts: ReadonlyMap<string, Account>
  readonly transfers: ReadonlyMap<string, Transfer>
  readonly verdicts: ReadonlyMap<string, Verdict>
  readonly instructions: ReadonlyMap<string, Instruction>
  readonly holds: ReadonlyArray<HoldRecord>
  readonly journals: ReadonlyArray<Journal>
  /** The shard's own event log, which is its outbox. */
  readonly log: ReadonlyArray<LedgerEvent>
}

export const empty = (map: ShardMap, id: ShardId): Shard => ({
  id,
  map,
  accounts: new Map(),
  transfers: new Map(),
  verdicts: new Map(),
  instructions: new Map(),
  holds: [],
  journals: [],
  log: []
})

export const unknownOrigin: Origin = { requestId: null, traceparent: null }

export const isHome = (shard: Shard) => (account: string): boolean => shardOfAccount(shard.map, account) === shard.id

/** An id like `name` whose home is `shard`: the name itself if it happens to live there. */
export const accountOn = (map: ShardMap, shard: ShardId, name: string): AccountId => {
  for (let suffix = 1;; suffix++) {
    const id = suffix === 1 ? name : `${name}.${suffix}`
    if (shardOfAccount(map, id) === shard) return AccountId.make(id)
  }
}

/** Opens an account, or changes what an operator may change of it. */
export const withAccount = (shard: Shard, account: Account): Shard => ({
  ...shard,
  accounts: new Map(shard.accounts).set(account.id, account)
})

export const customer = (id: AccountId, currency: Currency, more: Partial<Account> = {}): Account => ({
  id,
  kind: "customer",
  currency,
  status: "open",
  ceiling: null,
  balance: emptyBalance,
  ...defaultsOf("customer"),
  ...more
})

/** What the api writes for a client's wish, in one transaction: the transfer, and the event that begins it. */
export const requested = (
  shard: Shard,
  terms: Terms,
  capture: Capture,
  reverses: TransferId.TransferId | null = null
): { readonly shard: Shard; readonly event: LedgerEvent } => {
  const transfer: Transfer = { terms, capture, status: "requested", moving: terms.amount, reason: null, reverses }
  const event: LedgerEvent = {
    type: "transfer.requested",
    ...terms,
    capture,
    client: "client",
    ...(reverses === null ? {} : { reverses })
  }
  return {
    shard: {
      ...shard,
      transfers: new Map(shard.transfers).set(terms.transfer, transfer),
      log: [...shard.log, event]
    },
    event
  }
}

/** What the api writes for what a client asks of something that exists: the instruction, and the event that carries it. */
export const instructed = (shard: Shard, instruction: Instruction, event: LedgerEvent): Shard => ({
  ...shard,
  instructions: new Map(shard.instructions).set(instruction.id, instruction),
  log: [...shard.log, event]
})

/** How much of a transfer was brought back: what its reversals that were decided, and did not fail, add up to. */
const reversedOf = (shard: Shard, id: string): bigint => {
  let sum = 0n
  for (const { moving, reverses, status } of shard.transfers.values()) {
    if (reverses === id && status !== "requested" && !failed.has(status)) sum += moving
  }
  return sum
}

/** What a `Ledger` reads: what was asked for and exists, and nothing else. */
const read = (shard: Shard, needs: Needs): Known => {
  const found = <A>(ids: ReadonlySet<string>, all: ReadonlyMap<string, A>) => {
    const known = new Map<string, A>()
    for (const id of ids) {
      const value = all.get(id)
      if (value !== undefined) known.set(id, value)
    }
    return known
  }
  return {
    accounts: found(needs.accounts, shard.accounts),
    transfers: found(needs.transfers, shard.transfers),
    verdicts: found(needs.verdicts, shard.verdicts),
    instructions: found(needs.instructions, shard.instructions),
    reversed: new Map(Array.from(needs.reversed, (id) => [id, reversedOf(shard, id)]))
  }
}

const written = <A>(all: ReadonlyMap<string, A>, rows: ReadonlyArray<readonly [id: string, row: A]>) => {
  if (rows.length === 0) return all
  const after = new Map(all)
  for (const [id, row] of rows) after.set(id, row)
  return after
}

/** What a `Ledger` writes. No constraint stands in the way here: whatever is wrong must be seen by the invariants. */
const write = (shard: Shard, changes: Changes): Shard => ({
  ...shard,
  accounts: written(
    shard.accounts,
    changes.balances.map((account) => {
      const balance = { ...account.balance, version: account.balance.version + 1n }
      return [account.id, { ...account, balance }] as const
    })
  ),
  transfers: written(shard.transfers, changes.transfers.map(({ transfer }) => [transfer.terms.transfer, transfer])),
  verdicts: written(shard.verdicts, changes.verdicts.map((verdict) => [verdict.terms.transfer, verdict])),
  instructions: written(shard.instructions, changes.instructions.map((instruction) => [instruction.id, instruction])),
  holds: changes.holds.length === 0 ? shard.holds : [...shard.holds, ...changes.holds],
  journals: changes.journals.length === 0 ? shard.journals : [...shard.journals, ...changes.journals],
  log: changes.events.length === 0 ? shard.log : [...shard.log, ...changes.events.map(({ event }) => event)]
})

export interface Turn {
  readonly shard: Shard
  readonly changes: Changes
}

/** One turn of the worker: a batch of messages in, one transaction, messages out. */
export const work = (
  shard: Shard,
  messages: ReadonlyArray<Pick<Message, "event" | "from">>
): Result.Result<Turn, ProtocolViolation> => {
  const batchOf = messages.map((message) => ({ ...message, origin: unknownOrigin }))
  const batch = new Batch(shard.id, isHome(shard), read(shard, needsOf(batchOf, shard.id, isHome(shard))))
  for (const message of batchOf) {
    const taken = batch.take(message)
    if (Result.isFailure(taken)) return Result.fail(taken.failure)
  }
  const { changes } = batch
  return Result.succeed({ shard: write(shard, changes), changes })
}

/** Brings money from outside into an account, by a transfer like any other. */
export const deposit = (shard: Shard, terms: Terms): Shard => {
  const begun = requested(shard, terms, "automatic")
  return Result.getOrThrow(work(begun.shard, [{ event: begun.event, from: shard.id }])).shard
}

/** A transfer id of the account's partition; the number makes it another. */
export const transferId = (map: ShardMap, source: string, number: number): TransferId.TransferId =>
  TransferId.make(number, partitionOf(source, map.partitions), () => 0)
