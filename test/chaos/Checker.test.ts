/** A checker that never found anything is not trusted: for each kind of finding a history, or books, in which it is. */
import { describe, expect, it } from "vitest"
import { check, type Finding } from "./Checker.ts"
import type { Asked, Books, Heard, History, Read, RecordedJournal, RecordedTransfer, Wish } from "./History.ts"

const eve = "eve"
const ben = "ben"
const powers = "powers"
const bank = "bank"

/** Times: the whole number is the step, one after the other unless a test says so. */
const asked = (at: number, key: string, wish: Wish, transfer: string): Asked => ({
  client: 0,
  key,
  wish,
  askedAt: at,
  heardAt: at + 0.5,
  outcome: "ok",
  transfer,
  code: null
})

const unknown = (ask: Asked): Asked => ({ ...ask, outcome: "unknown", transfer: null, code: "TimeoutError" })

const heard = (at: number, transfer: string, end: Heard["end"]): Heard => ({
  transfer,
  end,
  askedAt: at,
  heardAt: at + 0.5
})

const read = (at: number, account: string, posted: bigint, sequence: number): Read => ({
  account,
  posted,
  held: 0n,
  sequence,
  askedAt: at,
  heardAt: at + 0.5
})

const fund: Wish = { source: bank, destination: eve, amount: 100n }
const pay: Wish = { source: eve, destination: ben, amount: 30n }
const more: Wish = { source: eve, destination: ben, amount: 50n }
const tooMuch: Wish = { source: eve, destination: ben, amount: 90n }
const one: Wish = { source: bank, destination: powers, amount: 1n }
const four: Wish = { source: bank, destination: powers, amount: 4n }

const recorded = (id: string, key: string, wish: Wish, status = "committed"): RecordedTransfer => ({
  id,
  key,
  ...wish,
  status,
  reason: status === "rejected" ? "insufficient_funds" : null
})

/** eve is funded and pays ben twice, once within her shard and once across; then she asks for more than she has. */
const history: History = {
  asked: [
    asked(1, "k1", fund, "t1"),
    asked(3, "k2", pay, "t2"),
    unknown(asked(5, "k3", more, "t3")),
    asked(6, "k3", more, "t3"),
    asked(8, "k4", tooMuch, "t4"),
    asked(1.1, "p0", one, "u0"),
    asked(4, "p2", four, "u2")
  ],
  heard: [
    heard(2, "t1", "committed"),
    heard(4, "t2", "committed"),
    heard(7, "t3", "committed"),
    heard(9, "t4", "rejected"),
    heard(3, "u0", "committed")
  ],
  reads: [
    read(2.6, eve, 100n, 1),
    read(5, eve, 70n, 2),
    read(8, ben, 80n, 2),
    read(10, eve, 20n, 3),
    read(3.6, powers, 1n, 1),
    read(10, powers, 5n, 2)
  ]
}

const entry = (account: string, sequence: number, posted: bigint) => ({ account, sequence, posted })

const books: Books = {
  customers: new Set([eve, ben, powers]),
  transfers: [
    recorded("t1", "k1", fund),
    recorded("t2", "k2", pay),
    recorded("t3", "k3", more),
    recorded("t4", "k4", tooMuch, "rejected"),
    recorded("u0", "p0", one),
    recorded("u2", "p2", four)
  ],
  journals: [
    { transfer: "t1", step: "direct", amount: 100n, debit: entry(bank, 1, -100n), credit: entry(eve, 1, 100n) },
    { transfer: "t2", step: "direct", amount: 30n, debit: entry(eve, 2, 70n), credit: entry(ben, 1, 30n) },
    { transfer: "t3", step: "credit", amount: 50n, debit: entry("clearing-from", 1, -50n), credit: entry(ben, 2, 80n) },
    { transfer: "t3", step: "commit", amount: 50n, debit: entry(eve, 3, 20n), credit: entry("clearing-to", 1, 50n) },
    { transfer: "u0", step: "direct", amount: 1n, debit: entry(bank, 2, -101n), credit: entry(powers, 1, 1n) },
    { transfer: "u2", step: "direct", amount: 4n, debit: entry(bank, 3, -105n), credit: entry(powers, 2, 5n) }
  ]
}

interface Planted {
  readonly history?: Partial<History>
  readonly books?: Partial<Books>
}

const found = ({ books: otherBooks, history: otherHistory }: Planted): ReadonlyArray<Finding["what"]> => [
  ...new Set(check({ ...history, ...otherHistory }, { ...books, ...otherBooks }, [powers]).map(({ what }) => what))
]

const without = <A>(all: ReadonlyArray<A>, those: (one: A) => boolean) => all.filter((one) => !those(one))
const change = <A>(all: ReadonlyArray<A>, which: (one: A) => boolean, to: (one: A) => A) =>
  all.map((one) => which(one) ? to(one) : one)
const of = (id: string) => ({ transfer }: RecordedJournal) => transfer === id

describe("the history checker", () => {
  it("finds nothing in books that say what clients saw", () => {
    expect(check(history, books, [powers])).toEqual([])
  })

  const planted: ReadonlyArray<readonly [sentence: string, what: Finding["what"], plant: Planted]> = [
    ["a transfer that was acknowledged and is not there", "lost", {
      books: {
        transfers: without(books.transfers, ({ id }) => id === "u2"),
        journals: without(books.journals, of("u2"))
      }
    }],
    ["a committed transfer that moved nothing", "lost", { books: { journals: without(books.journals, of("u2")) } }],
    ["two transfers of one key", "applied twice", {
      books: { transfers: [...books.transfers, recorded("t5", "k1", fund, "rejected")] }
    }],
    ["a transfer whose destination was credited twice", "applied twice", {
      books: {
        journals: [
          ...books.journals,
          {
            transfer: "t3",
            step: "credit",
            amount: 50n,
            debit: entry("clearing-from", 2, -100n),
            credit: entry(ben, 3, 130n)
          }
        ]
      }
    }],
    ["a transfer that nobody asked for", "nobody asked", {
      books: { transfers: [...books.transfers, recorded("t5", "k5", pay, "rejected")] }
    }],
    ["money that moved without a transfer", "nobody asked", {
      books: {
        journals: [
          ...books.journals,
          { transfer: "t9", step: "direct", amount: 1n, debit: entry(bank, 4, -106n), credit: entry(ben, 3, 81n) }
        ]
      }
    }],
    ["another amount than was asked for", "not what was asked", {
      history: {
        asked: change(history.asked, ({ key }) => key === "k2", (ask) => ({ ...ask, wish: { ...pay, amount: 31n } }))
      }
    }],
    ["another amount than was agreed", "not what was asked", {
      books: { journals: change(books.journals, of("t2"), (journal) => ({ ...journal, amount: 31n })) }
    }],
    ["a key that led to two transfers", "one key, two answers", {
      history: { asked: [...history.asked, asked(11, "k1", fund, "t7")] }
    }],
    ["a key that was taken with another wish", "one key, two answers", {
      history: { asked: [...history.asked, asked(11, "k1", { ...fund, amount: 101n }, "t1")] }
    }],
    ["a question that was never answered", "never answered", {
      history: { asked: [...history.asked, unknown(asked(11, "k9", fund, "t9"))] }
    }],
    ["a transfer that has not ended", "not ended", {
      books: {
        transfers: change(
          books.transfers,
          ({ id }) => id === "t4",
          (transfer) => ({ ...transfer, status: "held", reason: null })
        )
      }
    }],
    ["an end that was another one later", "another end than was heard", {
      history: { heard: [...history.heard, heard(11, "t4", "cancelled")] }
    }],
    ["a refused request that was recorded all the same", "effect without commitment", {
      history: {
        asked: change(
          history.asked,
          ({ key }) => key === "p2",
          (ask): Asked => ({ ...ask, outcome: "fail", transfer: null })
        )
      }
    }],
    ["a rejected transfer that moved money", "effect without commitment", {
      books: {
        transfers: change(books.transfers, ({ id }) => id === "u2", (transfer) => ({
          ...transfer,
          status: "rejected",
          reason: "account_closed"
        }))
      }
    }],
    ["a balance that no prefix of the entries makes", "not a prefix", {
      history: { reads: [...history.reads, read(11, eve, 21n, 3)] }
    }],
    ["a balance after more entries than there are", "not a prefix", {
      history: { reads: [...history.reads, read(11, eve, 20n, 4)] }
    }],
    ["a read that does not see what had been heard of", "seen too late", {
      history: { reads: [...history.reads, read(11, ben, 30n, 1)] }
    }],
    ["a read that goes back behind an earlier one", "seen too late", {
      history: { reads: [...history.reads, read(11, eve, 70n, 2)] }
    }],
    ["a transfer that comes before one that had ended when it was asked for", "out of order", {
      history: {
        asked: change(history.asked, ({ key }) => key === "k2", (ask) => ({ ...ask, askedAt: 12, heardAt: 12.5 }))
      }
    }],
    ["a power of two that was added twice", "a sum that does not decode", {
      history: {
        reads: change(history.reads, ({ account, sequence }) => account === powers && sequence === 1, (one) => ({
          ...one,
          posted: 2n
        }))
      }
    }],
    ["a power of two that had settled, and is missing", "a sum that does not decode", {
      history: {
        reads: change(history.reads, ({ account, sequence }) => account === powers && sequence === 2, (one) => ({
          ...one,
          posted: 4n
        }))
      }
    }],
    ["journals that wait for each other in a circle", "no order explains it", {
      books: {
        journals: books.journals.map((journal) =>
          journal.transfer === "t2"
            ? { ...journal, credit: entry(ben, 2, 80n) }
            : journal.step === "credit"
            ? { ...journal, credit: entry(ben, 1, 50n), debit: entry(eve, 2, 70n) }
            : journal.transfer === "t3"
            ? { ...journal, debit: entry(eve, 1, 20n) }
            : journal
        )
      }
    }],
    ["a journal with another balance after it than it makes", "replay differs", {
      books: { journals: change(books.journals, of("t2"), (journal) => ({ ...journal, debit: entry(eve, 2, 71n) })) }
    }],
    ["a gap in the numbers of an account", "replay differs", {
      books: { journals: change(books.journals, of("u2"), (journal) => ({ ...journal, credit: entry(powers, 3, 5n) })) }
    }],
    ["more spent than there was", "below zero", {
      books: { journals: change(books.journals, of("t1"), (journal) => ({ ...journal, amount: 60n })) }
    }],
    ["a refusal for want of money that was there", "refused without reason", {
      history: {
        asked: change(
          history.asked,
          ({ key }) => key === "k4",
          (ask) => ({ ...ask, wish: { ...tooMuch, amount: 20n } })
        )
      },
      books: {
        transfers: change(books.transfers, ({ id }) => id === "t4", (transfer) => ({ ...transfer, amount: 20n }))
      }
    }]
  ]

  it.each(planted)("finds %s", (_, what, plant) => {
    expect(found(plant)).toContain(what)
  })

  it("does not blame a refusal for what others may have reserved meanwhile", () => {
    const open: Wish = { source: eve, destination: ben, amount: 15n }
    expect(found({
      history: {
        asked: [
          ...change(history.asked, ({ key }) => key === "k4", (ask) => ({ ...ask, wish: { ...tooMuch, amount: 20n } })),
          asked(7.8, "k5", open, "t5")
        ]
      },
      books: {
        transfers: [
          ...change(books.transfers, ({ id }) => id === "t4", (transfer) => ({ ...transfer, amount: 20n })),
          recorded("t5", "k5", open, "rejected")
        ]
      }
    })).toEqual([])
  })

  it("looks at each once: twenty thousand transfers take a second", () => {
    const many = 20_000
    const wishes = Array.from({ length: many }, (): Wish => ({ source: bank, destination: eve, amount: 1n }))
    const began = performance.now()
    const all = check({
      asked: wishes.map((wish, index) => asked(index, `k${index}`, wish, `t${index}`)),
      heard: wishes.map((_, index) => heard(index + 0.6, `t${index}`, "committed")),
      reads: wishes.map((_, index) => read(index + 1.2, eve, BigInt(index + 1), index + 1))
    }, {
      customers: new Set([eve]),
      transfers: wishes.map((wish, index) => recorded(`t${index}`, `k${index}`, wish)),
      journals: wishes.map((wish, index) => ({
        transfer: `t${index}`,
        step: "direct",
        amount: wish.amount,
        debit: entry(bank, index + 1, BigInt(-index - 1)),
        credit: entry(eve, index + 1, BigInt(index + 1))
      }))
    })
    expect(all).toEqual([])
    expect(performance.now() - began).toBeLessThan(10_000)
  })
})
