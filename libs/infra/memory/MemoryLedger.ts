/** A shard's books in memory: what a batch reads, and what it writes; everything by compare-and-set on what was read. */
import { Effect } from "effect"
import type { Account } from "#domain/account/Account.ts"
import type { Changes, Needs } from "#domain/ledger/Batch.ts"
import type { HoldRecord } from "#domain/ledger/Journal.ts"
import { Ledger, LostRace } from "#domain/ledger/Ledger.ts"
import { entryKey, holdKey, type HoldRow, journalKey, type JournalRow, type MemoryShard } from "./MemoryShard.ts"
import { ConstraintViolation } from "./MemoryTable.ts"
import type { Claimable, MemoryTransaction } from "./MemoryTransaction.ts"

/** Keys of rows that are to be new, and the unique constraint that they meet where they are not. */
interface Insertion {
  readonly into: Claimable<string> & { readonly get: (transaction: MemoryTransaction, key: string) => unknown }
  readonly keys: ReadonlyArray<string>
  readonly unique: string
}

export const make = (transaction: MemoryTransaction, shard: MemoryShard) => {
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

  const read = (needs: Needs) =>
    Effect.all({
      accounts: found(needs.accounts, (id) => shard.accountOf(transaction, id)),
      transfers: found(needs.transfers, (id) => shard.transfers.get(transaction, id)?.transfer),
      verdicts: found(needs.verdicts, (id) => shard.verdicts.get(transaction, id)),
      instructions: found(needs.instructions, (id) => shard.instructions.get(transaction, id)?.instruction),
      reversed: found(needs.reversed, (id) => shard.reversedOf(transaction, id))
    })

  const write = Effect.fnUntraced(function*(changes: Changes) {
    yield* transaction.arrival
    const isNew = new Set(changes.opened.map(({ id }) => id))
    const balances = changes.balances.filter(({ id }) => !isNew.has(id))
    const journals = changes.journals.map((journal) => ({ ...journal, createdAtMillis: transaction.begunAtMillis }))
    const holds = numbered(changes.holds)
    const insertions: ReadonlyArray<Insertion> = [
      { into: shard.accounts, keys: changes.opened.map(({ id }) => id), unique: "account_pkey" },
      {
        into: shard.verdicts,
        keys: changes.verdicts.map(({ terms }) => terms.transfer),
        unique: "a_transfer_has_one_verdict"
      },
      {
        into: shard.journals,
        keys: journals.map(({ step, transfer }) => journalKey(transfer, step)),
        unique: "a_step_is_posted_once"
      },
      {
        into: shard.debits,
        keys: journals.map(({ debit, debitSequence }) => entryKey(debit, debitSequence)),
        unique: "an_account_numbers_its_debits_once"
      },
      {
        into: shard.credits,
        keys: journals.map(({ credit, creditSequence }) => entryKey(credit, creditSequence)),
        unique: "an_account_numbers_its_credits_once"
      },
      {
        into: shard.holds,
        keys: holds.map(({ number, transfer }) => holdKey(transfer, number)),
        unique: "the_records_of_a_hold_are_numbered"
      }
    ]
    yield* transaction.claim(shard.balances, changes.balances.map(({ id }) => id))
    yield* transaction.claim(shard.transfers, changes.transfers.map(({ transfer }) => transfer.terms.transfer))
    yield* transaction.claim(shard.accounts, changes.statuses.map(({ account }) => account.id))
    yield* transaction.claim(shard.instructions, changes.instructions.map(({ id }) => id))
    for (const { into, keys } of insertions) yield* transaction.claim(into, keys)

    // All of it is ours now: it stays as it is until we write it.
    const on = taken(insertions) ?? changed({ ...changes, balances })
    if (on !== undefined) return yield* LostRace.make({ on })
    put({ ...changes, balances }, journals, holds)
    keepWithinLimits(balances)
    keepReversalsWithinTransfers(changes)
    shard.announce(transaction, changes.events)
  })

  /** A hold's records in the order of the batch, after those it has; being placed is always the first. */
  const numbered = (holds: ReadonlyArray<HoldRecord>): ReadonlyArray<HoldRow> => {
    const last = new Map<string, number>()
    return holds.map((record) => {
      const { change, transfer } = record
      let number = last.get(transfer) ?? 0
      if (number === 0) { while (shard.holds.rows.has(holdKey(transfer, number + 1))) number++ }
      number++
      last.set(transfer, number)
      return { ...record, number: change === "placed" ? 1 : number }
    })
  }

  /** What was to be new and is not: another writer gave the verdict, posted the step or opened the clearing account. */
  const taken = (insertions: ReadonlyArray<Insertion>): string | undefined =>
    insertions.find(({ into, keys }) =>
      new Set(keys).size < keys.length || keys.some((key) => into.get(transaction, key) !== undefined)
    )?.unique

  /** What is no longer as the batch read it. */
  const changed = ({ balances, instructions, statuses, transfers }: Changes): string | undefined => {
    if (balances.some(({ balance, id }) => shard.balances.get(transaction, id)?.version !== balance.version)) {
      return "a balance"
    }
    const statusOf = (id: string) => shard.transfers.get(transaction, id)?.transfer.status
    if (transfers.some(({ transfer, was }) => statusOf(transfer.terms.transfer) !== was)) return "a transfer"
    if (
      statuses.some(({ account, was }) => shard.accounts.get(transaction, account.id)?.account.status !== was)
    ) return "an account"
    if (instructions.some(({ id }) => shard.instructions.get(transaction, id)?.instruction.status !== "open")) {
      return "an instruction"
    }
    return undefined
  }

  const put = (changes: Changes, journals: ReadonlyArray<JournalRow>, holds: ReadonlyArray<HoldRow>) => {
    const nowMillis = transaction.begunAtMillis
    for (const { balance, ...account } of changes.opened) {
      const row = { account, metadata: {}, revision: 1n, createdAtMillis: nowMillis }
      shard.accounts.put(transaction, account.id, row)
      shard.balances.put(transaction, account.id, { ...balance, version: 1n })
    }
    for (const { account: { id, status } } of changes.statuses) {
      const row = shard.accounts.get(transaction, id)
      if (row === undefined) continue
      const account = { ...row.account, status }
      shard.accounts.put(transaction, id, { ...row, account, revision: row.revision + 1n })
    }
    for (const { balance, id } of changes.balances) {
      shard.balances.put(transaction, id, { ...balance, version: balance.version + 1n })
    }
    for (const { transfer: { moving, reason, status, terms } } of changes.transfers) {
      const row = shard.transfers.get(transaction, terms.transfer)
      if (row === undefined) continue
      const transfer = { ...row.transfer, status, moving, reason }
      shard.transfers.put(transaction, terms.transfer, { ...row, transfer, statusChangedAtMillis: nowMillis })
    }
    for (const { id, reason, status } of changes.instructions) {
      const row = shard.instructions.get(transaction, id)
      if (row === undefined) continue
      const instruction = { ...row.instruction, status, reason }
      shard.instructions.put(transaction, id, { ...row, instruction })
    }
    for (const verdict of changes.verdicts) shard.verdicts.put(transaction, verdict.terms.transfer, verdict)
    for (const journal of journals) {
      mustExist(journal.debit, "an_entry_is_of_an_account_that_exists")
      mustExist(journal.credit, "an_entry_is_of_an_account_that_exists")
      shard.journals.put(transaction, journalKey(journal.transfer, journal.step), journal)
      shard.debits.put(transaction, entryKey(journal.debit, journal.debitSequence), journal)
      shard.credits.put(transaction, entryKey(journal.credit, journal.creditSequence), journal)
    }
    for (const hold of holds) {
      mustExist(hold.account, "a_hold_is_of_an_account_that_exists")
      shard.holds.put(transaction, holdKey(hold.transfer, hold.number), hold)
    }
  }

  const mustExist = (account: string, constraint: string) => {
    if (shard.accounts.get(transaction, account) === undefined) throw new ConstraintViolation(constraint)
  }

  const keepWithinLimits = (balances: ReadonlyArray<Account>) => {
    for (const { id } of balances) {
      const account = shard.accountOf(transaction, id)
      if (account !== undefined && !isWithinLimits(account)) {
        throw new ConstraintViolation("a_balance_stays_within_its_limits")
      }
    }
  }

  /** A reversal counts from when its money is held until it has failed. */
  const keepReversalsWithinTransfers = ({ transfers }: Changes) => {
    for (const { transfer } of transfers) {
      const reverses = shard.transfers.get(transaction, transfer.terms.transfer)?.transfer.reverses ?? null
      if (reverses === null) continue
      const verdict = shard.verdicts.get(transaction, reverses)
      const went = verdict?.ruling === "CREDITED" ? verdict.terms.amount : 0n
      if ((shard.reversedOf(transaction, reverses) ?? 0n) > went) {
        throw new ConstraintViolation("no_more_comes_back_than_went")
      }
    }
  }

  return Ledger.of({ read, write })
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
