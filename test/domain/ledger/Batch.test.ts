import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Result, Schema } from "effect"
import type { Account } from "#domain/account/Account.ts"
import { Batch, needsOf } from "#domain/ledger/Batch.ts"
import type { Message, Origin } from "#domain/ledger/Decision.ts"
import { InstructionId } from "#domain/ledger/Instruction.ts"
import type { LedgerEvent } from "#domain/ledger/LedgerEvent.ts"
import { Amount } from "#domain/money/Amount.ts"
import type { InstructionEvent } from "#domain/transfer/Intake.ts"
import type { Terms, TransferEvent } from "#domain/transfer/TransferEvent.ts"
import type { Transfer } from "#domain/transfer/Transfer.ts"
import { integer } from "../Arbitraries.ts"
import { type BagOptions, inAnyOrder, inOrder } from "../Network.ts"
import {
  alice,
  anna,
  asksAgain,
  bob,
  captures,
  closes,
  EUR,
  expires,
  freezes,
  map,
  recalls,
  scenario,
  unfreezes,
  voids,
  type Wish
} from "../Scenario.ts"
import * as ShardModel from "../ShardModel.ts"
import type { Shard } from "../ShardModel.ts"
import { walk } from "../Walk.ts"

const isHome = (account: string) => account !== bob

const termsOf = (number: number, destination: typeof alice, amount: bigint): Terms => ({
  transfer: ShardModel.transferId(map, alice, number),
  source: alice,
  destination,
  amount: Amount.make(amount),
  currency: EUR
})

const standing = (id: typeof alice, posted: bigint, more: Partial<Account> = {}): Account =>
  ShardModel.customer(id, EUR, { balance: { posted, held: 0n, version: 7n, sequence: 3n }, ...more })

const wish = (terms: Terms): Transfer => ({
  terms,
  capture: "automatic",
  status: "requested",
  moving: terms.amount,
  reason: null,
  reverses: null
})

const instruction = InstructionId.make("ins_00000000000000000000000001")

const batchOf = (accounts: ReadonlyArray<Account>, transfers: ReadonlyArray<Transfer>) =>
  new Batch(0, isHome, {
    accounts: new Map(accounts.map((account) => [account.id, account])),
    transfers: new Map(transfers.map((transfer) => [transfer.terms.transfer, transfer])),
    verdicts: new Map(),
    instructions: new Map([[instruction, {
      id: instruction,
      asks: "capture",
      subject: "",
      amount: null,
      status: "open",
      reason: null
    }]]),
    reversed: new Map()
  })

const messageOf = (event: LedgerEvent, from = 0, origin: Origin = ShardModel.unknownOrigin): Message => ({
  event,
  from,
  origin
})

const request = (terms: Terms) =>
  ({ type: "transfer.requested", ...terms, capture: "automatic", client: "shop" }) as const

const take = (batch: Batch, ...events: ReadonlyArray<TransferEvent>) => {
  for (const event of events) {
    Result.getOrThrow(batch.take(messageOf(event, event.type === "transfer.credited" ? 1 : 0)))
  }
  return batch.changes
}

describe("what a batch reads", () => {
  const terms = termsOf(1, bob, 70n)
  const near = termsOf(2, anna, 70n)
  const reason = { code: "timeout", detail: "" }

  it.each<
    readonly [TransferEvent, number, Partial<Record<"accounts" | "transfers" | "verdicts", ReadonlyArray<string>>>]
  >([
    [request(terms), 0, { accounts: [alice], transfers: [terms.transfer] }],
    [request(near), 0, { accounts: [alice, anna], transfers: [near.transfer] }],
    [{ type: "transfer.capture_requested", ...terms, captured: null, instruction }, 0, {
      accounts: [alice],
      transfers: [terms.transfer]
    }],
    [
      { type: "transfer.capture_requested", ...near, captured: null, instruction },
      0,
      { accounts: [alice, anna], transfers: [near.transfer] }
    ],
    [{ type: "transfer.void_requested", ...terms, instruction }, 0, { accounts: [alice], transfers: [terms.transfer] }],
    [{ type: "transfer.expiry_due", ...terms }, 0, { accounts: [alice], transfers: [terms.transfer] }],
    [{ type: "transfer.refused", ...terms, reason }, 1, { accounts: [alice], transfers: [terms.transfer] }],
    [
      { type: "transfer.credited", ...terms },
      1,
      { accounts: [alice, "clearing:0:to:1:EUR"], transfers: [terms.transfer] }
    ],
    [
      { type: "transfer.held", ...terms, source: bob, destination: alice },
      1,
      { accounts: [alice, "clearing:0:from:1:EUR"], verdicts: [terms.transfer] }
    ],
    [{ type: "transfer.recalled", ...terms, reason }, 1, { verdicts: [terms.transfer] }],
    [{ type: "transfer.authorized", ...terms }, 0, {}],
    [{ type: "transfer.committed", ...terms }, 0, {}],
    [{ type: "transfer.rejected", ...terms, reason }, 0, {}],
    [{ type: "transfer.cancelled", ...terms, reason }, 0, {}]
  ])("for $type is what it may change, and what it must know for that", (event, from, expected) => {
    const needs = needsOf([messageOf(event, from)], 0, isHome)
    assert.deepStrictEqual({
      accounts: [...needs.accounts].toSorted(),
      transfers: [...needs.transfers],
      verdicts: [...needs.verdicts]
    }, { accounts: [], transfers: [], verdicts: [], ...expected })
  })

  it("for a reversal is also what became of the transfer that it reverses", () => {
    const needs = needsOf([messageOf({ ...request(terms), reverses: near.transfer })], 0, isHome)
    assert.deepStrictEqual([[...needs.verdicts], [...needs.reversed]], [[near.transfer], [near.transfer]])
  })

  it.each<InstructionEvent>([
    { type: "account.freeze_requested", account: alice, instruction },
    { type: "account.unfreeze_requested", account: alice, instruction },
    { type: "account.close_requested", account: alice, instruction },
    { type: "transfer.void_requested", ...terms, instruction }
  ])("for $type is also the instruction, which may have its answer already", (event) => {
    const needs = needsOf([messageOf(event)], 0, isHome)
    assert.deepStrictEqual([[...needs.instructions], [...needs.accounts]], [[instruction], [alice]])
  })

  it("is read once, however many messages ask about it", () => {
    const needs = needsOf([messageOf(request(terms)), messageOf(request(termsOf(3, bob, 5n)))], 0, isHome)
    assert.deepStrictEqual([...needs.accounts], [alice])
    assert.strictEqual(needs.transfers.size, 2)
  })
})

describe("a batch", () => {
  it("lets a later message see the money that an earlier one took", () => {
    const [first, second] = [termsOf(1, bob, 70n), termsOf(2, bob, 50n)]
    const changes = take(batchOf([standing(alice, 100n)], [wish(first), wish(second)]), request(first), request(second))
    assert.deepStrictEqual(
      changes.transfers.map(({ transfer }) => transfer.status),
      ["held", "rejected"]
    )
    assert.strictEqual(changes.balances[0]?.balance.held, 70n)
  })

  it("lets a later message spend the money that an earlier one brought", () => {
    const incoming: Terms = { ...termsOf(1, alice, 70n), source: bob }
    const outgoing = termsOf(2, anna, 70n)
    const batch = batchOf([standing(alice, 0n), standing(anna, 0n)], [wish(outgoing)])
    Result.getOrThrow(batch.take(messageOf({ type: "transfer.held", ...incoming }, 1)))
    const changes = take(batch, request(outgoing))
    assert.deepStrictEqual(changes.transfers.map(({ transfer }) => transfer.status), ["committed"])
    assert.deepStrictEqual(
      changes.journals.map(({ credit, creditPosted, creditSequence, debit, debitPosted, debitSequence }) => [
        `${debit} #${debitSequence} ${debitPosted}`,
        `${credit} #${creditSequence} ${creditPosted}`
      ]),
      [
        ["clearing:0:from:1:EUR #1 -70", `${alice} #4 70`],
        [`${alice} #5 0`, `${anna} #4 70`]
      ]
    )
  })

  it("takes a transfer through more than one step", () => {
    const terms = termsOf(1, bob, 70n)
    const changes = take(
      batchOf([standing(alice, 100n)], [wish(terms)]),
      request(terms),
      { type: "transfer.credited", ...terms },
      { type: "transfer.credited", ...terms }
    )
    // From what was read to what it is now; what lay between is in the events.
    assert.deepStrictEqual(changes.transfers.map(({ transfer, was }) => [was, transfer.status]), [[
      "requested",
      "committed"
    ]])
    assert.deepStrictEqual(changes.holds.map(({ change }) => change), ["placed", "settled"])
    assert.deepStrictEqual(changes.events.map(({ event }) => event.type), ["transfer.held", "transfer.committed"])
    assert.strictEqual(changes.journals.length, 1)
  })

  describe("of reversals of one transfer that credited 70", () => {
    const there: Terms = { ...termsOf(1, alice, 70n), transfer: ShardModel.transferId(map, bob, 1), source: bob }
    const [first, second] = [termsOf(2, bob, 40n), termsOf(3, bob, 40n)]
    const reversal = (terms: Terms): Transfer => ({ ...wish(terms), reverses: there.transfer })
    const reversing = (terms: Terms): TransferEvent => ({ ...request(terms), reverses: there.transfer })
    const begun = (reversals: ReadonlyArray<Transfer>, reversed: bigint, held = 0n) =>
      new Batch(0, isHome, {
        accounts: new Map([[alice, standing(alice, 200n, { balance: { ...standing(alice, 200n).balance, held } })]]),
        transfers: new Map(reversals.map((transfer) => [transfer.terms.transfer, transfer])),
        verdicts: new Map([[there.transfer, { terms: there, from: 1, ruling: "CREDITED", reason: null }]]),
        instructions: new Map(),
        reversed: new Map([[there.transfer, reversed]])
      })
    const both = [reversal(first), reversal(second)]
    const statuses = (batch: Batch, ...events: ReadonlyArray<TransferEvent>) =>
      take(batch, ...events).transfers.map(({ transfer }) => transfer.status)
    const refused: TransferEvent = {
      type: "transfer.refused",
      ...first,
      reason: { code: "account_frozen", detail: "" }
    }

    it("lets a later one see what an earlier one takes", () => {
      assert.deepStrictEqual(statuses(begun(both, 0n), reversing(first), reversing(second)), ["held", "rejected"])
    })

    it("adds what they take to what was taken before it began", () => {
      assert.deepStrictEqual(statuses(begun(both, 40n), reversing(first), reversing(second)), ["rejected", "rejected"])
    })

    it("gives back what one took that fails in it, whenever that was", () => {
      const failing = begun([{ ...reversal(first), status: "held" }, reversal(second)], 40n, 40n)
      assert.deepStrictEqual(statuses(failing, refused, reversing(second)), ["cancelled", "held"])
      assert.deepStrictEqual(
        statuses(begun(both, 0n), reversing(first), refused, reversing(second)),
        ["cancelled", "held"]
      )
    })

    it("counts one that goes on from held to committed once", () => {
      const rest = { ...second, amount: Amount.make(30n) }
      const batch = begun([reversal(first), reversal(rest)], 0n)
      assert.deepStrictEqual(
        statuses(batch, reversing(first), { type: "transfer.credited", ...first }, reversing(rest)),
        ["committed", "held"]
      )
    })
  })

  it("says of each balance which version it assumed, whatever it did to it", () => {
    const [first, second] = [termsOf(1, bob, 10n), termsOf(2, anna, 20n)]
    const changes = take(
      batchOf([standing(alice, 100n), standing(anna, 0n)], [wish(first), wish(second)]),
      request(first),
      request(second)
    )
    assert.deepStrictEqual(changes.balances.map(({ balance, id }) => [id, balance.version]), [[alice, 7n], [anna, 7n]])
  })

  it("writes nothing of what it only looked at", () => {
    const terms = termsOf(1, anna, 101n)
    const changes = take(batchOf([standing(alice, 100n), standing(anna, 0n)], [wish(terms)]), request(terms))
    assert.isEmpty(changes.balances)
    assert.isEmpty(changes.holds)
    assert.isEmpty(changes.journals)
    assert.deepStrictEqual(changes.transfers.map(({ transfer }) => transfer.status), ["rejected"])
  })

  it("writes nothing at all for what it has seen before", () => {
    const terms = termsOf(1, bob, 70n)
    const done: Transfer = { ...wish(terms), status: "committed" }
    const changes = take(batchOf([standing(alice, 30n)], [done]), request(terms), {
      type: "transfer.credited",
      ...terms
    })
    assert.deepStrictEqual(changes, {
      opened: [],
      balances: [],
      transfers: [],
      holds: [],
      journals: [],
      verdicts: [],
      statuses: [],
      instructions: [],
      events: []
    })
  })

  it("opens a clearing account with its first entry, and not with its second", () => {
    const [first, second] = [termsOf(1, bob, 10n), termsOf(2, bob, 20n)]
    const held = (terms: Terms): Transfer => ({ ...wish(terms), status: "held" })
    const changes = take(
      batchOf([standing(alice, 100n, { balance: { posted: 100n, held: 30n, version: 7n, sequence: 3n } })], [
        held(first),
        held(second)
      ]),
      { type: "transfer.credited", ...first },
      { type: "transfer.credited", ...second }
    )
    assert.deepStrictEqual(changes.opened.map(({ id }) => id), ["clearing:0:to:1:EUR"])
    assert.deepStrictEqual(
      changes.journals.map(({ creditPosted, creditSequence }) => [creditSequence, creditPosted]),
      [[1n, 10n], [2n, 30n]]
    )
  })

  it("stays as it was when a message cannot be, and goes on after it", () => {
    const [good, bad] = [termsOf(1, anna, 10n), termsOf(2, anna, 20n)]
    const batch = batchOf([standing(alice, 100n), standing(anna, 0n)], [wish(good)])
    const before = structuredClone(take(batch, request(good)))
    const refused = batch.take(messageOf({ type: "transfer.credited", ...bad }, 1))
    assert.isTrue(Result.isFailure(refused))
    assert.deepStrictEqual(batch.changes, before)
  })

  it("carries the request that something began with into everything that follows from it", () => {
    const origin: Origin = {
      requestId: "req_1",
      traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    }
    const terms = termsOf(1, bob, 70n)
    const batch = batchOf([standing(alice, 100n)], [wish(terms)])
    Result.getOrThrow(batch.take(messageOf(request(terms), 0, origin)))
    Result.getOrThrow(batch.take(messageOf({ type: "transfer.credited", ...terms }, 1)))
    assert.deepStrictEqual(batch.changes.events.map((announcement) => announcement.origin), [
      origin,
      ShardModel.unknownOrigin
    ])
  })

  it("does not invent an account", () => {
    const terms = termsOf(1, bob, 70n)
    const batch = batchOf([], [{ ...wish(terms), status: "held" }])
    assert.throws(() => batch.take(messageOf({ type: "transfer.credited", ...terms }, 1)), /an account it had not read/)
  })
})

// far and wide ───────────────────────────────────────────────────────────────────────────────────────────────────────

const people = ["ada", "ben", "cleo", "dan", "eve"].map((name, index) => ShardModel.accountOn(map, index % 2, name))
const person = integer(0, people.length - 1)
const personOf = (index: number) => people[index] ?? alice

const wishes = Arbitrary.array(
  Arbitrary.filter(
    Arbitrary.all({
      source: person,
      destination: person,
      amount: integer(1, 90),
      capture: Arbitrary.schema(Schema.Literals(["automatic", "automatic", "manual"])),
      // Some bring back what an earlier one moved, or try to.
      reverses: Arbitrary.schema(Schema.Literals([0, 0, 1, 2]))
    }),
    ({ destination, source }) => source !== destination
  ),
  { minLength: 1, maxLength: 8 }
)

const openings = Arbitrary.all(people.map(() =>
  Arbitrary.all({
    funds: integer(0, 100),
    status: Arbitrary.schema(Schema.Literals(["open", "open", "open", "open", "frozen", "closed"])),
    overdraft: Arbitrary.schema(Schema.Literals([0, 0, 50])),
    ceiling: Arbitrary.schema(Schema.NullOr(Schema.Literal(150)))
  })
))

const choices = Arbitrary.array(integer(0, 1_000_000), { minLength: 20, maxLength: 120 })

const story = Arbitrary.map(Arbitrary.all({ openings, wishes }), ({ openings, wishes }) =>
  scenario({
    name: "any",
    accounts: openings.map(({ ceiling, funds, overdraft, status }, index) => ({
      id: personOf(index),
      funds: status === "closed" ? 0n : BigInt(funds),
      more: { status, floor: BigInt(-overdraft), ceiling: ceiling === null ? null : BigInt(ceiling) }
    })),
    wishes: wishes.map(({ amount, capture, destination, reverses, source }, index): Wish => {
      const reversed = wishes[index - reverses]
      return reverses === 0 || reversed === undefined
        ? { source: personOf(source), destination: personOf(destination), amount: BigInt(amount), capture }
        : {
          source: personOf(reversed.destination),
          destination: personOf(reversed.source),
          amount: BigInt(amount),
          reverses: index - reverses + 1
        }
    }),
    actors: (terms) => [
      asksAgain(terms, 2),
      recalls(terms, 2),
      expires(terms, 1),
      captures(terms, null),
      captures(terms, terms.amount / 2n + 1n),
      voids(terms)
    ],
    others: people.flatMap((id) => [freezes(id), unfreezes(id), closes(id)])
  }))

const bag: BagOptions = { each: 3, repeats: Number.POSITIVE_INFINITY }

const plain = (shard: Shard) => ({
  accounts: Object.fromEntries(
    Array.from(
      shard.accounts.values(),
      (account) => [account.id, { ...account, balance: { ...account.balance, version: 0n } }]
    )
  ),
  transfers: Object.fromEntries(shard.transfers),
  verdicts: Object.fromEntries(shard.verdicts),
  instructions: Object.fromEntries(shard.instructions),
  holds: shard.holds,
  journals: shard.journals,
  log: shard.log
})

describe("many transfers among many accounts", () => {
  it.prop(
    "keep every promise at every step, in the log's order with replays from anywhere",
    { story, choices },
    ({ choices, story }) => {
      const { broken, steps } = walk(story, inOrder({ replays: 5 }), choices)
      assert.isEmpty(broken, steps.join("\n"))
    },
    { arbitrary: { runs: 150, size: 100 } }
  )

  it.prop(
    "keep every promise at every step, in any order with every letter up to three times",
    { story, choices },
    ({ choices, story }) => {
      const { broken, steps } = walk(story, inAnyOrder(bag), choices)
      assert.isEmpty(broken, steps.join("\n"))
    },
    { arbitrary: { runs: 150, size: 100 } }
  )

  it.prop(
    "come to the same books one message at a time, in batches of any size, or in one batch",
    { story, choices },
    ({ choices, story }) => {
      const { broken, delivered, shards, steps } = walk(story, inAnyOrder(bag), choices)
      assert.isEmpty(broken, steps.join("\n"))
      for (const [index, letters] of delivered.entries()) {
        const [first, last] = [story.shards[index], shards[index]]
        if (first === undefined || last === undefined) continue
        // What clients asked meanwhile, as if they had asked all of it before.
        const asked = Array.from(
          last.instructions,
          ([id, one]) => [id, { ...one, status: "open", reason: null }] as const
        )
        const begin: Shard = { ...first, instructions: new Map(asked) }
        const after = (sizes: ReadonlyArray<number>): Shard => {
          let [shard, from] = [begin, 0]
          for (let turn = 0; from < letters.length; turn++) {
            const to = from + (sizes[turn % sizes.length] ?? 1)
            shard = Result.getOrThrow(ShardModel.work(shard, letters.slice(from, to))).shard
            from = to
          }
          return shard
        }
        const oneByOne = plain(after([1]))
        assert.deepStrictEqual(plain(after([letters.length + 1])), oneByOne)
        assert.deepStrictEqual(plain(after(choices.map((choice) => 1 + choice % 9))), oneByOne)
      }
    },
    { arbitrary: { runs: 100, size: 100 } }
  )
})
