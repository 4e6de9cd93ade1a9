/** A shard's books in memory: what a batch reads, and what it writes; everything by compare-and-set on what was read. */
import { Effect } from "effect"
import type { Account } from "#domain/account/Account.ts"
import type { Changes, Known, Needs } from "#domain/ledger/Batch.ts"
import type { HoldRecord } from "#domain/ledger/Journal.ts"
import { Ledger, LostRace } from "#domain/ledger/Ledger.ts"
import { entryKey, holdKey, journalKey, type JournalRow, type MemoryShard } from "./MemoryShard.ts"
import { ConstraintViolation, type MemoryTable } from "./MemoryTable.ts"
import type { MemoryTransaction } from "./MemoryTransaction.ts"

export const make = (transaction: MemoryTransaction, shard: MemoryShard) =>
  Ledger.of({
    read: (needs) => read(transaction, shard, needs),
    write: (changes) => write(transaction, shard, changes)
  })

const read = (transaction: MemoryTransaction, shard: MemoryShard, needs: Needs) => {
  /** What is there of what was asked for: a statement of its own, unless nothing was asked. */
  const found = <A>(ids: ReadonlySet<string>, get: (id: string) => A | undefined) => {
    const known = new Map<string, A>()
    if (ids.size === 0) return Effect.succeed(known)
    return transaction.statement(() => {
      for (const id of ids) {
        const value = get(id)
        if (value !== undefined) known.set(id, value)
      }
      return known
    })
  }
  return Effect.gen(function*() {
    return {
      accounts: yield* found(needs.accounts, (id) => shard.accountOf(transaction, id)),
      transfers: yield* found(needs.transfers, (id) => shard.transfers.get(transaction, id)?.transfer),
      verdicts: yield* found(needs.verdicts, (id) => shard.verdicts.get(transaction, id)),
      instructions: yield* found(needs.instructions, (id) => shard.instructions.get(transaction, id)?.instruction),
      reversed: yield* found(needs.reversed, (id) => shard.reversedOf(transaction, id))
    } satisfies Known
  })
}

const write = (transaction: MemoryTransaction, shard: MemoryShard, changes: Changes) =>
  Effect.gen(function*() {
    yield* transaction.arrival
    const rows = rowsOf(transaction, changes)
    const inserts = insertsOf(shard, rows)
    yield* transaction.claim(() => claimAll(transaction, shard, rows, inserts))
    // All of it is ours now: it stays as it is until we write it.
    const on = taken(transaction, inserts) ?? changed(transaction, shard, rows)
    if (on !== undefined) return yield* LostRace.make({ on })
    put(transaction, shard, rows)
    refuseWhatMayNotBe(transaction, shard, rows)
    shard.announce(transaction, changes.events)
  })

/** What a batch changed, as the rows of tables. */
interface Rows extends Pick<Changes, "opened" | "transfers" | "verdicts" | "statuses" | "instructions"> {
  /** But for accounts that are opened: they begin with their first balance. */
  readonly balances: ReadonlyArray<Account>
  readonly journals: ReadonlyArray<JournalRow>
  readonly holds: ReadonlyArray<HoldRecord>
}

const rowsOf = (transaction: MemoryTransaction, changes: Changes): Rows => {
  const isNew = new Set(changes.opened.map(({ id }) => id))
  return {
    ...changes,
    balances: changes.balances.filter(({ id }) => !isNew.has(id)),
    journals: changes.journals.map((journal) => ({ ...journal, createdAtMillis: transaction.begunAtMillis }))
  }
}

/** Keys of rows that are to be new, and the unique constraint that they meet where they are not. */
interface Inserts {
  readonly into: Pick<MemoryTable<string, never>, "claim"> & {
    readonly get: (transaction: MemoryTransaction, key: string) => unknown
  }
  readonly keys: ReadonlyArray<string>
  readonly unique: string
}

const insertsOf = (
  { accounts, credits, debits, holds, journals, verdicts }: MemoryShard,
  rows: Rows
): ReadonlyArray<Inserts> => [
  { into: accounts, keys: rows.opened.map(({ id }) => id), unique: "account_pkey" },
  { into: verdicts, keys: rows.verdicts.map(({ terms }) => terms.transfer), unique: "a_transfer_has_one_verdict" },
  {
    into: journals,
    keys: rows.journals.map(({ step, transfer }) => journalKey(transfer, step)),
    unique: "a_step_is_posted_once"
  },
  {
    into: debits,
    keys: rows.journals.map(({ debit, debitSequence }) => entryKey(debit, debitSequence)),
    unique: "an_account_numbers_its_debits_once"
  },
  {
    into: credits,
    keys: rows.journals.map(({ credit, creditSequence }) => entryKey(credit, creditSequence)),
    unique: "an_account_numbers_its_credits_once"
  },
  {
    into: holds,
    keys: rows.holds.map(({ number, transfer }) => holdKey(transfer, number)),
    unique: "the_records_of_a_hold_are_numbered"
  }
]

const claimAll = (
  transaction: MemoryTransaction,
  { accounts, balances, instructions, transfers }: MemoryShard,
  rows: Rows,
  inserts: ReadonlyArray<Inserts>
): MemoryTransaction | undefined => {
  let owner = balances.claim(transaction, rows.balances.map(({ id }) => id)) ??
    balances.claim(transaction, rows.opened.map(({ id }) => id)) ??
    transfers.claim(transaction, rows.transfers.map(({ transfer }) => transfer.terms.transfer)) ??
    accounts.claim(transaction, rows.statuses.map(({ account }) => account.id)) ??
    instructions.claim(transaction, rows.instructions.map(({ id }) => id))
  for (const { into, keys } of inserts) owner ??= into.claim(transaction, keys)
  return owner
}

/** What was to be new and is not: another writer gave the verdict, posted the step or opened the clearing account. */
const taken = (transaction: MemoryTransaction, inserts: ReadonlyArray<Inserts>): string | undefined =>
  inserts.find(({ into, keys }) =>
    keys.length > 0 &&
    (new Set(keys).size < keys.length || keys.some((key) => into.get(transaction, key) !== undefined))
  )?.unique

/** What is no longer as the batch read it. */
const changed = (
  transaction: MemoryTransaction,
  { accounts, balances, instructions, transfers }: MemoryShard,
  rows: Rows
): string | undefined => {
  if (rows.balances.some(({ balance, id }) => balances.get(transaction, id)?.version !== balance.version)) {
    return "a balance"
  }
  const statusOf = (id: string) => transfers.get(transaction, id)?.transfer.status
  if (rows.transfers.some(({ transfer, was }) => statusOf(transfer.terms.transfer) !== was)) return "a transfer"
  const markOf = (id: string) => accounts.get(transaction, id)?.account.status
  if (rows.statuses.some(({ account, was }) => markOf(account.id) !== was)) return "an account"
  const answerOf = (id: string) => instructions.get(transaction, id)?.instruction.status
  if (rows.instructions.some(({ id }) => answerOf(id) !== "open")) return "an instruction"
  return undefined
}

/** Writes each row as PgLedger does: what its statement sets, and nothing else. */
const put = (transaction: MemoryTransaction, shard: MemoryShard, rows: Rows): void => {
  const nowMillis = transaction.begunAtMillis
  for (const { balance, ...account } of rows.opened) {
    const row = { account, metadata: {}, revision: 1n, createdAtMillis: nowMillis }
    shard.accounts.put(transaction, account.id, row)
    shard.balances.put(transaction, account.id, { ...balance, version: 1n })
  }
  for (const { account: { id, status } } of rows.statuses) {
    const row = shard.accounts.get(transaction, id)
    if (row === undefined) continue
    const account = { ...row.account, status }
    shard.accounts.put(transaction, id, { ...row, account, revision: row.revision + 1n })
  }
  for (const { balance, id } of rows.balances) {
    shard.balances.put(transaction, id, { ...balance, version: balance.version + 1n })
  }
  for (const { transfer: { moving, reason, status, terms } } of rows.transfers) {
    const row = shard.transfers.get(transaction, terms.transfer)
    if (row === undefined) continue
    const transfer = { ...row.transfer, status, moving, reason }
    shard.transfers.put(transaction, terms.transfer, { ...row, transfer, statusChangedAtMillis: nowMillis })
  }
  for (const { id, reason, status } of rows.instructions) {
    const row = shard.instructions.get(transaction, id)
    if (row === undefined) continue
    const instruction = { ...row.instruction, status, reason }
    shard.instructions.put(transaction, id, { ...row, instruction })
  }
  for (const verdict of rows.verdicts) shard.verdicts.put(transaction, verdict.terms.transfer, verdict)
  for (const journal of rows.journals) {
    shard.journals.put(transaction, journalKey(journal.transfer, journal.step), journal)
    shard.debits.put(transaction, entryKey(journal.debit, journal.debitSequence), journal)
    shard.credits.put(transaction, entryKey(journal.credit, journal.creditSequence), journal)
  }
  for (const hold of rows.holds) shard.holds.put(transaction, holdKey(hold.transfer, hold.number), hold)
}

// what a whole statement must leave behind ───────────────────────────────────────────────────────────────────────────

const refuseWhatMayNotBe = (transaction: MemoryTransaction, shard: MemoryShard, rows: Rows): void => {
  const isThere = (account: string) => shard.accounts.get(transaction, account) !== undefined
  for (const { credit, debit } of rows.journals) {
    if (!isThere(debit) || !isThere(credit)) throw new ConstraintViolation("an_entry_is_of_an_account_that_exists")
  }
  for (const { account } of rows.holds) {
    if (!isThere(account)) throw new ConstraintViolation("a_hold_is_of_an_account_that_exists")
  }
  for (const { id } of rows.balances) {
    const account = shard.accountOf(transaction, id)
    if (account !== undefined && !isWithinLimits(account)) {
      throw new ConstraintViolation("a_balance_stays_within_its_limits")
    }
  }
  for (const { transfer: { terms } } of rows.transfers) {
    const reverses = shard.transfers.get(transaction, terms.transfer)?.transfer.reverses ?? null
    if (reverses !== null && bringsBackTooMuch(transaction, shard, reverses)) {
      throw new ConstraintViolation("no_more_comes_back_than_went")
    }
  }
}

/**
 * No account goes below its floor or above its ceiling, and a closed one has nothing. Open holds are debits that may still
 * come: they count against a credit-normal floor and a debit-normal ceiling.
 */
const isWithinLimits = ({ balance: { held, posted }, ceiling, floor, normalSide, status }: Account): boolean => {
  const [least, most] = normalSide === "credit" ? [posted - held, posted] : [-posted, -posted + held]
  return (floor === null || least >= floor) && (ceiling === null || most <= ceiling) &&
    (status !== "closed" || (posted === 0n && held === 0n))
}

/** A reversal counts from when its money is held until it has failed. */
const bringsBackTooMuch = (transaction: MemoryTransaction, shard: MemoryShard, reversed: string): boolean => {
  const verdict = shard.verdicts.get(transaction, reversed)
  const went = verdict?.ruling === "CREDITED" ? verdict.terms.amount : 0n
  return (shard.reversedOf(transaction, reversed) ?? 0n) > went
}
