/**
 * Looks at a shard's books after every commit: what is wrong for a while and right again in the end is wrong all the same, for
 * whoever reads it or decides by it meanwhile. It keeps its own sums of journals and holds, so that a look costs little.
 */
import { isWithin, mustHold } from "../domain/Invariants.ts"
import type { HoldRecord, Journal } from "#domain/ledger/Journal.ts"
import { entryKey, type MemoryShard } from "#infra/memory/MemoryShard.ts"

/** What an account has by its journals and holds. */
interface Sum {
  posted: bigint
  held: bigint
  sequence: bigint
}

/** What goes wrong once is seen again after every commit. */
const mostTold = 3

/** The rows that came since it was last asked. Rows are only ever added. */
const newest = <Row>(rows: ReadonlyMap<string, Row>): () => Iterable<Row> => {
  const all = rows.values()
  let taken = 0
  // An iterator that has come to the end once stays there, so it is never asked for more than there is.
  return function*() {
    for (; taken < rows.size; taken++) {
      const { done, value } = all.next()
      if (done !== true) yield value
    }
  }
}

/** Looks at a shard each time; answers what is wrong with it. */
const look = (shard: MemoryShard): () => ReadonlyArray<string> => {
  const sums = new Map<string, Sum>()
  /** What is held for each transfer for which anything is. */
  const open = new Map<string, bigint>()
  const journals = newest(shard.journals.rows)
  const holds = newest(shard.holds.rows)
  const { accounts, balances, credits, debits, transfers } = shard

  const sumOf = (account: string): Sum => {
    const found = sums.get(account) ?? { posted: 0n, held: 0n, sequence: 0n }
    sums.set(account, found)
    return found
  }
  const post = (account: string, change: bigint): Sum => {
    const sum = sumOf(account)
    sum.posted += change
    sum.sequence += 1n
    return sum
  }
  const add = ({ account, amount, change, transfer }: HoldRecord): void => {
    const placed = change === "placed" ? amount : -amount
    sumOf(account).held += placed
    const held = (open.get(transfer) ?? 0n) + placed
    if (held === 0n) open.delete(transfer)
    else open.set(transfer, held)
  }

  const ofJournal = (journal: Journal): ReadonlyArray<string> => {
    const { amount, credit, creditPosted, creditSequence, currency, debit, debitPosted, debitSequence } = journal
    const name = `the ${journal.step} of ${journal.transfer}`
    const [from, to] = [post(debit, -amount), post(credit, amount)]
    const isWhole = debits.rows.get(entryKey(debit, debitSequence)) === journal &&
      credits.rows.get(entryKey(credit, creditSequence)) === journal &&
      [debit, credit].every((id) => accounts.rows.get(id)?.account.currency === currency)
    return [
      ...(isWhole ? [] : [`${name} is not one debit and one credit of accounts that are there`]),
      ...(from.posted === debitPosted && from.sequence === debitSequence && to.posted === creditPosted &&
          to.sequence === creditSequence
        ? []
        : [`${name} does not go on where the entries before it ended`])
    ]
  }

  const ofBalances = (): ReadonlyArray<string> => {
    const wrong: Array<string> = []
    const totals = new Map<string, bigint>()
    for (const [id, balance] of balances.rows) {
      const { held, posted, sequence } = sumOf(id)
      const row = accounts.rows.get(id)
      if (balance.posted !== posted || balance.held !== held || balance.sequence !== sequence) {
        wrong.push(
          `${id} has ${balance.posted}, ${balance.held} held, #${balance.sequence}; ` +
            `by its entries and holds ${posted}, ${held} held, #${sequence}`
        )
      }
      if (row === undefined) continue
      const { account } = row
      totals.set(account.currency, (totals.get(account.currency) ?? 0n) + balance.posted)
      if (!isWithin({ ...account, balance })) wrong.push(`${id} is beyond its limits with ${posted}, ${held} held`)
      if (account.status === "closed" && (posted !== 0n || held !== 0n)) wrong.push(`${id} is closed with ${posted}`)
    }
    for (const [currency, total] of totals) if (total !== 0n) wrong.push(`all sums to ${total} ${currency}`)
    return wrong
  }

  /** Exactly that is held which may yet be taken. */
  const ofHolds = (): ReadonlyArray<string> => {
    const wrong: Array<string> = []
    const mind = (transfer: string, held: bigint) => {
      const row = transfers.rows.get(transfer)
      if (row === undefined || mustHold(row.transfer) !== held) {
        wrong.push(`${held} are held for ${transfer}, which is ${row?.transfer.status ?? "nowhere"}`)
      }
    }
    for (const { transfer: { terms } } of shard.open()) mind(terms.transfer, open.get(terms.transfer) ?? 0n)
    for (const [transfer, held] of open) mind(transfer, held)
    return wrong
  }

  return () => {
    const wrong: Array<string> = []
    for (const journal of journals()) wrong.push(...ofJournal(journal))
    for (const hold of holds()) add(hold)
    return [...wrong, ...ofBalances(), ...ofHolds()]
  }
}

/** Watches shards from now on. Answers with what was wrong at any time, to which more may be added. */
export const watch = (
  shards: ReadonlyArray<MemoryShard>,
  nowMillis: () => number
): ReadonlyArray<string> => {
  const wrong: Array<string> = []
  for (const shard of shards) {
    const lookAgain = look(shard)
    shard.whenCommitted = () => {
      for (const what of lookAgain()) {
        if (wrong.length < mostTold) wrong.push(`after a commit at ${nowMillis()} ms, on shard ${shard.id}: ${what}`)
      }
    }
  }
  return wrong
}
