/**
 * Compares what clients saw with what the books say in the end. Each check is sorting and one way through: n log n, and no
 * search. What a check can't decide it does not excuse: a question that was never answered is a finding of its own.
 */
import type { Asked, Books, History, RecordedTransfer } from "./History.ts"
import { isEnd } from "./History.ts"
import { replay } from "./Replay.ts"

export interface Finding {
  readonly what:
    | "lost"
    | "applied twice"
    | "nobody asked"
    | "not what was asked"
    | "one key, two answers"
    | "never answered"
    | "not ended"
    | "another end than was heard"
    | "effect without commitment"
    | "not a prefix"
    | "seen too late"
    | "out of order"
    | "a sum that does not decode"
    | "no order explains it"
    | "replay differs"
    | "below zero"
    | "refused without reason"
  readonly subject: string
  readonly detail: string
}

export const check = (history: History, books: Books, powers: ReadonlyArray<string> = []): ReadonlyArray<Finding> => [
  ...exactlyOnce(history, books),
  ...effects(books),
  ...heardEnds(history, books),
  ...prefixReads(history, books),
  ...realTime(history, books),
  ...powers.flatMap((account) => powersOfTwo(account, history, books)),
  ...replay(books),
  ...refusals(history, books)
]

const grouped = <A, K>(all: ReadonlyArray<A>, by: (one: A) => K): Map<K, Array<A>> => {
  const groups = new Map<K, Array<A>>()
  for (const one of all) {
    const group = groups.get(by(one))
    if (group === undefined) groups.set(by(one), [one])
    else group.push(one)
  }
  return groups
}

const sameWish = (a: Asked["wish"], b: Asked["wish"]) =>
  a.source === b.source && a.destination === b.destination && a.amount === b.amount

/** Each key leads to one transfer, for whoever asks; what was acknowledged is there, what was refused is not. */
const exactlyOnce = (history: History, books: Books): ReadonlyArray<Finding> => {
  const found: Array<Finding> = []
  const recorded = new Map(books.transfers.map((transfer) => [transfer.id, transfer]))
  const byKey = grouped(books.transfers, ({ key }) => key)
  const asked = grouped(history.asked, ({ key }) => key)
  for (const [key, asks] of asked) {
    const made = byKey.get(key) ?? []
    const ids = new Set(asks.flatMap(({ outcome, transfer }) => outcome === "ok" ? [transfer ?? ""] : []))
    if (ids.size > 1) found.push({ what: "one key, two answers", subject: key, detail: [...ids].join(", ") })
    if (made.length > 1) {
      found.push({ what: "applied twice", subject: key, detail: made.map(({ id }) => id).join(", ") })
    }
    for (const id of ids) {
      const transfer = recorded.get(id)
      if (transfer === undefined) {
        found.push({ what: "lost", subject: key, detail: `${id} was acknowledged, and is not in the books` })
      } else if (!asks.some(({ outcome, wish }) => outcome !== "fail" && sameWish(wish, transfer))) {
        found.push({ what: "not what was asked", subject: key, detail: `${id}: ${say(transfer)}` })
      }
    }
    // A key was once acknowledged for one wish, so for another one it must be refused.
    const accepted = asks.filter(({ outcome }) => outcome === "ok")
    if (accepted.some(({ wish }) => accepted[0] !== undefined && !sameWish(wish, accepted[0].wish))) {
      found.push({ what: "one key, two answers", subject: key, detail: "acknowledged for two wishes" })
    }
    if (asks.every(({ outcome }) => outcome === "unknown")) {
      found.push({
        what: "never answered",
        subject: key,
        detail: `asked ${asks.length} times, last ${asks.at(-1)?.code}`
      })
    }
    const refused = asks.every(({ outcome }) => outcome === "fail")
    if (refused && made.length > 0) {
      found.push({
        what: "effect without commitment",
        subject: key,
        detail: `refused, and in the books as ${made[0]?.id}`
      })
    }
  }
  for (const { id, key } of books.transfers) {
    if (!asked.has(key)) found.push({ what: "nobody asked", subject: id, detail: `its key is "${key}"` })
  }
  return found
}

const say = ({ amount, destination, source }: Asked["wish"]) => `${amount} from ${source} to ${destination}`

/** A committed transfer took its amount once and gave it once; any other did neither. */
const effects = (books: Books): ReadonlyArray<Finding> => {
  const found: Array<Finding> = []
  const journals = grouped(books.journals, ({ transfer }) => transfer)
  const known = new Set(books.transfers.map(({ id }) => id))
  for (const transfer of books.transfers) {
    const { amount, destination, id, source, status } = transfer
    if (!isEnd(status)) {
      found.push({ what: "not ended", subject: id, detail: `${status}: ${say(transfer)}` })
      continue
    }
    const of = journals.get(id) ?? []
    const debits = of.filter(({ debit }) => debit.account === source)
    const credits = of.filter(({ credit }) => credit.account === destination)
    const wanted = status === "committed" ? 1 : 0
    if (debits.length > wanted || credits.length > wanted) {
      found.push({
        what: wanted === 1 ? "applied twice" : "effect without commitment",
        subject: id,
        detail: `${status}, debited ${debits.length} and credited ${credits.length} times: ${say(transfer)}`
      })
    } else if (debits.length < wanted || credits.length < wanted) {
      found.push({
        what: "lost",
        subject: id,
        detail: `${status}, debited ${debits.length} and credited ${credits.length} times: ${say(transfer)}`
      })
    }
    if (of.some((journal) => journal.amount !== amount)) {
      found.push({
        what: "not what was asked",
        subject: id,
        detail: `moved ${of.map((each) => each.amount).join(", ")}`
      })
    }
  }
  for (const id of journals.keys()) {
    if (!known.has(id)) found.push({ what: "nobody asked", subject: id, detail: "money moved without a transfer" })
  }
  return found
}

/** Who was told of an end was told the only one. */
const heardEnds = (history: History, books: Books): ReadonlyArray<Finding> => {
  const recorded = new Map(books.transfers.map(({ id, status }) => [id, status]))
  return history.heard.flatMap(({ end, transfer }) =>
    recorded.get(transfer) === end ? [] : [{
      what: "another end than was heard" as const,
      subject: transfer,
      detail: `heard ${end}, the books say ${recorded.get(transfer) ?? "nothing"}`
    }]
  )
}

/** The sum after each entry of an account, computed from the amounts alone; the first is before any. */
const sumsOf = (books: Books): ReadonlyMap<string, ReadonlyArray<bigint>> => {
  const changes = books.journals.flatMap(({ amount, credit, debit }) => [
    { account: debit.account, sequence: debit.sequence, change: -amount },
    { account: credit.account, sequence: credit.sequence, change: amount }
  ])
  return new Map(
    [...grouped(changes.filter(({ account }) => books.customers.has(account)), ({ account }) => account)].map(
      ([account, of]) => {
        const sums = [0n]
        for (const { change } of of.toSorted((a, b) => a.sequence - b.sequence)) sums.push((sums.at(-1) ?? 0n) + change)
        return [account, sums]
      }
    )
  )
}

/** A balance that was read is the sum of the first so many entries, exactly. */
const prefixReads = (history: History, books: Books): ReadonlyArray<Finding> => {
  const sums = sumsOf(books)
  return history.reads.flatMap(({ account, posted, sequence }) => {
    const expected = sequence === 0 ? 0n : sums.get(account)?.[sequence]
    return expected === posted
      ? []
      : [{
        what: "not a prefix" as const,
        subject: account,
        detail: `read ${posted} after entry ${sequence}; the entries up to it make ${
          expected ?? "nothing: there are fewer"
        }`
      }]
  })
}

/** What happened to an account, in the order of time: somebody learned, or somebody began to ask. */
interface Learned {
  readonly at: number
  readonly is: "learned"
  readonly sequence: number
}
interface Began {
  readonly at: number
  readonly is: "began"
  readonly sequence: number
  readonly late: Finding["what"]
  readonly subject: string
}

/**
 * Whoever asks after something was heard finds it done: reads see every entry that anybody had heard of before, and a
 * transfer that was asked after another had been heard to have ended comes after it in each account that they share.
 */
const realTime = (history: History, books: Books): ReadonlyArray<Finding> => {
  const entries = entriesByTransfer(books)
  const events: Array<(Learned | Began) & { readonly account: string }> = []
  for (const { account, askedAt, heardAt, sequence } of history.reads) {
    events.push({ is: "began", at: askedAt, account, sequence, late: "seen too late", subject: `a read of ${account}` })
    events.push({ is: "learned", at: heardAt, account, sequence })
  }
  for (const { end, heardAt, transfer } of history.heard) {
    if (end !== "committed") continue
    for (const { account, sequence } of entries.get(transfer) ?? []) {
      events.push({ is: "learned", at: heardAt, account, sequence })
    }
  }
  const firstAsked = new Map<string, number>()
  for (const { askedAt, key } of history.asked) {
    firstAsked.set(key, Math.min(askedAt, firstAsked.get(key) ?? Number.POSITIVE_INFINITY))
  }
  for (const { id, key } of books.transfers) {
    const at = firstAsked.get(key)
    if (at === undefined) continue
    for (const { account, sequence } of entries.get(id) ?? []) {
      // Its own entry is one more than what could be known before.
      events.push({ is: "began", at, account, sequence: sequence - 1, late: "out of order", subject: id })
    }
  }
  const known = new Map<string, number>()
  return events.toSorted((a, b) => a.at - b.at || (a.is === "began" ? -1 : 1)).flatMap((event) => {
    const before = known.get(event.account) ?? 0
    if (event.is === "learned") {
      known.set(event.account, Math.max(before, event.sequence))
      return []
    }
    return event.sequence >= before ? [] : [{
      what: event.late,
      subject: event.subject,
      detail: `entry ${before} of ${event.account} was known before it was asked; it came after entry ${event.sequence}`
    }]
  })
}

const entriesByTransfer = (books: Books) =>
  grouped(
    books.journals.flatMap(({ credit, debit, transfer }) =>
      [debit, credit].flatMap(({ account, sequence }) =>
        books.customers.has(account) ? [{ transfer, account, sequence }] : []
      )
    ),
    ({ transfer }) => transfer
  )

/** The exponents of the powers of two that a sum is made of, if it is made of each at most once. */
export const exponentsIn = (sum: bigint): ReadonlyArray<number> =>
  [...sum.toString(2)].toReversed().flatMap((digit, exponent) => digit === "1" ? [exponent] : [])

/**
 * An account that is paid each power of two once, and pays nothing: any balance of it, in binary, is the list of those
 * that are in it, whatever else the books say.
 */
const powersOfTwo = (account: string, history: History, books: Books): ReadonlyArray<Finding> => {
  const incoming = books.transfers.filter(({ destination }) => destination === account)
  const wished = new Map<number, number>()
  for (const { askedAt, wish } of history.asked) {
    const [exponent, ...others] = exponentsIn(wish.amount)
    if (wish.destination !== account || exponent === undefined || others.length > 0) continue
    wished.set(exponent, Math.min(askedAt, wished.get(exponent) ?? Number.POSITIVE_INFINITY))
  }
  const committed = incoming.filter(({ status }) => status === "committed")
  const exponentOf = new Map(committed.map(({ amount, id }) => [id, exponentsIn(amount)[0] ?? -1]))
  const settled = history.heard.flatMap(({ end, heardAt, transfer }) => {
    const exponent = exponentOf.get(transfer)
    return end === "committed" && exponent !== undefined ? [{ at: heardAt, exponent }] : []
  }).toSorted((a, b) => a.at - b.at)
  const reads = history.reads.filter((read) => read.account === account).toSorted((a, b) => a.askedAt - b.askedAt)

  const found: Array<Finding> = []
  let must = 0n
  let next = 0
  for (const { askedAt, heardAt, posted } of reads) {
    while (settled[next] !== undefined && (settled[next]?.at ?? 0) < askedAt) {
      must |= 1n << BigInt(settled[next++]?.exponent ?? 0)
    }
    const strangers = exponentsIn(posted).filter((exponent) => !((wished.get(exponent) ?? heardAt) < heardAt))
    if (strangers.length > 0 || (posted & must) !== must) {
      found.push({
        what: "a sum that does not decode",
        subject: account,
        detail: `read ${posted.toString(2)}; nobody had asked for 2^${strangers.join(", 2^")}; settled before: ${
          must.toString(2)
        }`
      })
    }
  }
  const last = reads.at(-1)
  const all = [...exponentOf.values()].reduce((sum, exponent) => sum | (1n << BigInt(Math.max(0, exponent))), 0n)
  if (last !== undefined && last.posted !== all) {
    found.push({
      what: "a sum that does not decode",
      subject: account,
      detail: `it holds ${last.posted.toString(2)} in the end, and those committed are ${all.toString(2)}`
    })
  }
  return found
}

/**
 * Who is refused for want of money had too little at some moment between the question and its end. The least that can have
 * been available is bounded from below: the least that was ever posted from then on, less everything else that may have
 * been reserved meanwhile.
 */
const refusals = (history: History, books: Books): ReadonlyArray<Finding> => {
  const lives = livesOf(history, books)
  const sums = sumsOf(books)
  return [...grouped(books.transfers, ({ source }) => source)].flatMap(([source, of]) => {
    if (!books.customers.has(source)) return []
    const begins = of.map((each) => ({ at: lives(each).from, amount: each.amount })).toSorted((a, b) => a.at - b.at)
    const ends = of.map((each) => ({ at: lives(each).to, amount: each.amount })).toSorted((a, b) => a.at - b.at)
    const begunBy = summedUpTo(begins)
    const endedBy = summedUpTo(ends)
    const leastFrom = suffixMinima(sums.get(source) ?? [0n])
    const seen = knownAt(source, history)
    return of.flatMap((transfer) => {
      if (transfer.status !== "rejected" || transfer.reason !== "insufficient_funds") return []
      const { from, to } = lives(transfer)
      const reserved = begunBy(to) - endedBy(from) - transfer.amount
      const least = (leastFrom[seen(from)] ?? 0n) - reserved
      return least >= transfer.amount
        ? [{
          what: "refused without reason" as const,
          subject: transfer.id,
          detail: `${say(transfer)}, of which at least ${least} was there all the time`
        }]
        : []
    })
  })
}

/** From when to when a transfer may have reserved money: from its first question until its end was first heard. */
const livesOf = (history: History, books: Books) => {
  const from = new Map<string, number>()
  for (const { askedAt, key } of history.asked) {
    from.set(key, Math.min(askedAt, from.get(key) ?? Number.POSITIVE_INFINITY))
  }
  const to = new Map<string, number>()
  for (const { heardAt, transfer } of history.heard) {
    to.set(transfer, Math.min(heardAt, to.get(transfer) ?? Number.POSITIVE_INFINITY))
  }
  const made = new Map(
    books.transfers.map(({ id, key }) => [
      id,
      { from: from.get(key) ?? Number.NEGATIVE_INFINITY, to: to.get(id) ?? Number.POSITIVE_INFINITY }
    ])
  )
  return ({ id }: RecordedTransfer) => made.get(id) ?? { from: Number.NEGATIVE_INFINITY, to: Number.POSITIVE_INFINITY }
}

/** The sum of all amounts before a time. */
const summedUpTo = (sorted: ReadonlyArray<{ readonly at: number; readonly amount: bigint }>) => {
  const sums = [0n]
  for (const { amount } of sorted) sums.push((sums.at(-1) ?? 0n) + amount)
  return (time: number): bigint => sums[countBefore(sorted, time)] ?? 0n
}

/** How many are before a time: binary search. */
const countBefore = (sorted: ReadonlyArray<{ readonly at: number }>, time: number): number => {
  let [low, high] = [0, sorted.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((sorted[middle]?.at ?? 0) < time) low = middle + 1
    else high = middle
  }
  return low
}

const suffixMinima = (sums: ReadonlyArray<bigint>): ReadonlyArray<bigint> => {
  const minima = [...sums]
  for (let index = minima.length - 2; index >= 0; index--) {
    const [here = 0n, later = 0n] = [minima[index], minima[index + 1]]
    minima[index] = here < later ? here : later
  }
  return minima
}

/** How many entries of an account somebody had read before a time. */
const knownAt = (account: string, history: History) => {
  const reads = history.reads.filter((read) => read.account === account)
    .map(({ heardAt, sequence }) => ({ at: heardAt, sequence }))
    .toSorted((a, b) => a.at - b.at)
  const most: Array<number> = [0]
  for (const { sequence } of reads) most.push(Math.max(sequence, most.at(-1) ?? 0))
  return (time: number): number => most[countBefore(reads, time)] ?? 0
}
