/**
 * The journals of all shards once more, one after the other, in an order that they themselves imply, on books of our own.
 * There must be such an order: entries of an account follow their numbers, and the source commits after the destination
 * was credited.
 */
import type { Finding } from "./Checker.ts"
import type { Books, RecordedJournal } from "./History.ts"

export const replay = (books: Books): ReadonlyArray<Finding> => {
  const { journals } = books
  // An account that is not of these books (a clearing account) has entries that we don't see: it orders nothing.
  const entries = new Map<string, Array<{ readonly journal: number; readonly sequence: number }>>()
  const credits = new Map<string, number>()
  journals.forEach(({ credit, debit, step, transfer }, journal) => {
    for (const { account, sequence } of [debit, credit]) {
      if (!books.customers.has(account)) continue
      const of = entries.get(account) ?? []
      of.push({ journal, sequence })
      entries.set(account, of)
    }
    if (step === "credit") credits.set(transfer, journal)
  })

  const found: Array<Finding> = []
  const after: Array<Array<number>> = journals.map(() => [])
  const waitsFor: Array<number> = journals.map(() => 0)
  const order = (first: number, second: number) => {
    after[first]?.push(second)
    waitsFor[second] = (waitsFor[second] ?? 0) + 1
  }
  for (const [account, of] of entries) {
    const sorted = of.toSorted((a, b) => a.sequence - b.sequence)
    sorted.forEach(({ journal, sequence }, index) => {
      if (sequence !== index + 1) {
        found.push({
          what: "replay differs",
          subject: account,
          detail: `its entry ${index + 1} has the number ${sequence}`
        })
      }
      const before = sorted[index - 1]
      if (before !== undefined) order(before.journal, journal)
    })
  }
  journals.forEach(({ step, transfer }, journal) => {
    const credit = credits.get(transfer)
    if (step === "commit" && credit !== undefined) order(credit, journal)
  })

  const ready = waitsFor.flatMap((count, journal) => count === 0 ? [journal] : [])
  const balances = new Map<string, bigint>()
  let done = 0
  for (let journal = ready.pop(); journal !== undefined; journal = ready.pop()) {
    done += 1
    const taken = journals[journal]
    if (taken !== undefined) found.push(...take(taken, balances, books))
    for (const next of after[journal] ?? []) {
      waitsFor[next] = (waitsFor[next] ?? 0) - 1
      if (waitsFor[next] === 0) ready.push(next)
    }
  }
  if (done < journals.length) {
    found.push({
      what: "no order explains it",
      subject: "all shards",
      detail: `${journals.length - done} journals wait for each other in a circle`
    })
  }
  return found
}

/** Posts a journal to our own books, and compares. */
const take = (
  { amount, credit, debit, transfer }: RecordedJournal,
  balances: Map<string, bigint>,
  { customers }: Books
): ReadonlyArray<Finding> =>
  [{ ...debit, change: -amount }, { ...credit, change: amount }].flatMap(
    ({ account, change, posted, sequence }): ReadonlyArray<Finding> => {
      if (!customers.has(account)) return []
      const balance = (balances.get(account) ?? 0n) + change
      balances.set(account, balance)
      const detail = `entry ${sequence} of ${account} says ${posted}, replayed it is ${balance}`
      return [
        ...(posted === balance ? [] : [{ what: "replay differs" as const, subject: transfer, detail }]),
        ...(balance >= 0n ? [] : [{ what: "below zero" as const, subject: transfer, detail }])
      ]
    }
  )
