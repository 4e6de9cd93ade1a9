/**
 * What the ledger knows, as the outside sees it.
 */
import type { Account as LedgerAccount } from "#domain/account/Account.ts"
import { available, posted } from "#domain/ledger/Balance.ts"
import type {
  Entry as LedgerEntry,
  TimelineStep as LedgerStep,
  TrialBalance as ShardSums
} from "#domain/ledger/Queries.ts"
import type { AccountRecord, TransferRecord } from "#domain/transfer/Intake.ts"
import type { Account, Balance, BalanceAsOf, Entry } from "../contract/Accounts.ts"
import type { TrialBalance } from "../contract/LedgerBooks.ts"
import type { TimelineStep, Transfer } from "../contract/Transfers.ts"

/** RFC 3339 in UTC, to the millisecond. */
export const time = (millis: number): string => new Date(millis).toISOString()

export const timeOrNull = (millis: number | undefined): string | null => millis === undefined ? null : time(millis)

const digits = (minor: bigint | null): string | null => minor === null ? null : minor.toString()

export const balance = (account: LedgerAccount): typeof Balance.Encoded => ({
  posted: posted(account).toString(),
  held: account.balance.held.toString(),
  available: available(account).toString(),
  currency: account.currency,
  version: Number(account.balance.version),
  sequence: Number(account.balance.sequence)
})

export const account = ({ account, createdAtMillis, metadata }: AccountRecord): typeof Account.Encoded => ({
  id: account.id,
  object: "account",
  kind: account.kind,
  normal_side: account.normalSide,
  currency: account.currency,
  status: account.status,
  floor: digits(account.floor),
  ceiling: digits(account.ceiling),
  balance: balance(account),
  metadata,
  created_at: time(createdAtMillis)
})

/** What was posted after an entry, seen from the account's normal side; 0 before the first. */
export const postedAfter = (entry: LedgerEntry | null, normalSide: LedgerAccount["normalSide"]): bigint =>
  entry === null ? 0n : normalSide === "credit" ? entry.posted : -entry.posted

/** The balance after an entry; before the first where there is none. */
export const balanceAsOf = (account: LedgerAccount, entry: LedgerEntry | null): typeof BalanceAsOf.Encoded => ({
  posted: postedAfter(entry, account.normalSide).toString(),
  currency: account.currency,
  sequence: Number(entry?.sequence ?? 0n),
  created_at: entry === null ? null : time(entry.createdAtMillis)
})

/** What entries add up to, on each side. */
export const sums = (entries: ReadonlyArray<LedgerEntry>): { readonly debits: bigint; readonly credits: bigint } => {
  const sum = (side: LedgerEntry["direction"]) =>
    entries.reduce((total, { amount, direction }) => direction === side ? total + amount : total, 0n)
  return { debits: sum("DEBIT"), credits: sum("CREDIT") }
}

/** @param normalSide of the entry's account: `posted` is seen from it */
export const entry = (entry: LedgerEntry, normalSide: LedgerAccount["normalSide"]): typeof Entry.Encoded => ({
  id: `${entry.account}/${entry.sequence}`,
  object: "entry",
  account: entry.account,
  sequence: Number(entry.sequence),
  transfer: entry.transfer,
  direction: entry.direction,
  amount: entry.amount.toString(),
  currency: entry.currency,
  posted: postedAfter(entry, normalSide).toString(),
  created_at: time(entry.createdAtMillis)
})

export const transfer = (record: TransferRecord): typeof Transfer.Encoded => {
  const createdAt = time(record.createdAtMillis)
  return {
    id: record.terms.transfer,
    object: "transfer",
    status: record.status,
    // Most transfers are answered as they come in, and writing a time is dear.
    status_changed_at: record.statusChangedAtMillis === record.createdAtMillis
      ? createdAt
      : time(record.statusChangedAtMillis),
    source: record.terms.source,
    destination: record.terms.destination,
    amount: record.terms.amount.toString(),
    currency: record.terms.currency,
    capture: record.capture,
    captured_amount: digits(record.captured),
    expires_at: record.expiresAtMillis === null ? null : time(record.expiresAtMillis),
    reverses: record.reverses,
    reference: record.reference,
    description: record.description,
    metadata: record.metadata,
    ...(record.reason === null ? {} : { failure: { code: record.reason.code, detail: record.reason.detail } }),
    created_at: createdAt
  }
}

/** A transfer as it was first answered, whatever became of it since. */
export const asRequested = (record: TransferRecord): typeof Transfer.Encoded =>
  transfer({
    ...record,
    status: "requested",
    captured: null,
    reason: null,
    statusChangedAtMillis: record.createdAtMillis
  })

export const timelineStep = ({ event, ...step }: LedgerStep): typeof TimelineStep.Encoded => ({
  id: `${step.shard}:${step.position}`,
  object: "timeline_step",
  event: event.type,
  shard: step.shard,
  position: Number(step.position),
  request_id: step.requestId,
  ...("reason" in event ? { failure: { code: event.reason.code, detail: event.reason.detail } } : {}),
  created_at: time(step.occurredAtMillis)
})

/** @param createdAtMillis when the sums were read */
export const trialBalance = (
  sums: ReadonlyArray<ShardSums>,
  createdAtMillis: number
): typeof TrialBalance.Encoded => {
  const currencies = [...Map.groupBy(sums, ({ currency }) => currency)].toSorted(([one], [other]) =>
    one < other ? -1 : 1
  )
    .map(([currency, shards]) => {
      const total = (of: (shard: ShardSums) => bigint) => shards.reduce((sum, shard) => sum + of(shard), 0n)
      return {
        currency,
        debits: total(({ debits }) => debits).toString(),
        credits: total(({ credits }) => credits).toString(),
        balances: shards.every(({ credits, debits }) => debits === credits),
        held: total(({ held }) => held).toString(),
        // Credited on the one shard: clearing-from went down. Committed on the other: clearing-to went up as much.
        in_flight: total(({ clearingFrom, clearingTo }) => -clearingTo - clearingFrom).toString(),
        shards: shards.map((shard) => ({
          shard: shard.shard,
          debits: shard.debits.toString(),
          credits: shard.credits.toString(),
          balances: shard.debits === shard.credits,
          held: shard.held.toString(),
          clearing_to: shard.clearingTo.toString(),
          clearing_from: shard.clearingFrom.toString()
        }))
      }
    })
  return {
    id: "trial_balance",
    object: "trial_balance",
    created_at: time(createdAtMillis),
    balances: currencies.every(({ balances }) => balances),
    currencies
  }
}
