/** A checker that never failed is not trusted: corruptions are planted here, and each must be found by its name. */
import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import type { Account } from "#domain/account/Account.ts"
import { type Instruction, InstructionId } from "#domain/ledger/Instruction.ts"
import type { LedgerEvent } from "#domain/ledger/LedgerEvent.ts"
import { Amount } from "#domain/money/Amount.ts"
import type { Terms } from "#domain/transfer/TransferEvent.ts"
import { tableOf } from "./Drawing.ts"
import * as Invariants from "./Invariants.ts"
import type { Invariant } from "./Invariants.ts"
import { alice, bob, map, nobody, scenario } from "./Scenario.ts"
import * as ShardModel from "./ShardModel.ts"
import type { Shard } from "./ShardModel.ts"

const { requests, shards, transfers } = scenario({
  name: "one across shards",
  accounts: [{ id: alice, funds: 100n }, { id: bob, more: { ceiling: 200n } }],
  wishes: [{ source: alice, destination: bob, amount: 70n }]
})
const wealth = Invariants.wealth(shards)

/** A transfer step by step, as it goes in health: both shards after each message. */
const story: ReadonlyArray<ReadonlyArray<Shard>> = (() => {
  const told: Array<{ readonly event: LedgerEvent; readonly from: number }> = requests.map(({ event, shard }) => ({
    event,
    from: shard
  }))
  const states = [shards]
  for (let message = told.shift(); message !== undefined; message = told.shift()) {
    const now = states.at(-1) ?? []
    const to = message.event.type === "transfer.held" ? 1 : 0
    const turn = Result.getOrThrow(
      ShardModel.work(now[to] ?? ShardModel.empty({ version: 0, partitions: 0, homes: [] }, to), [message])
    )
    states.push(now.map((shard) => shard.id === to ? turn.shard : shard))
    for (const { event } of turn.changes.events) if (event.type !== "transfer.committed") told.push({ event, from: to })
  }
  return states
})()

const at = (step: number): ReadonlyArray<Shard> => story.at(step) ?? []
const [begun, held, credited, committed] = [at(0), at(1), at(2), at(3)]

const shard = (states: ReadonlyArray<Shard>, id: number, change: (shard: Shard) => Partial<Shard>) =>
  states.map((one) => one.id === id ? { ...one, ...change(one) } : one)

const account = (states: ReadonlyArray<Shard>, id: string, change: (account: Account) => Partial<Account>) =>
  states.map((one) => {
    const found = one.accounts.get(id)
    return found === undefined ? one : ShardModel.withAccount(one, { ...found, ...change(found) })
  })

const balance = (states: ReadonlyArray<Shard>, id: string, change: Partial<Account["balance"]>) =>
  account(states, id, (found) => ({ balance: { ...found.balance, ...change } }))

const transfer = transfers.map((terms) => terms.transfer).join()

const [went] = transfers

/** With a reversal of what went, in some way other than it should be. */
const reversed = (transfers: Shard["transfers"], other: Partial<Terms>) => {
  if (went === undefined) return transfers
  const terms: Terms = {
    ...went,
    transfer: ShardModel.transferId(map, bob, 2),
    source: bob,
    destination: alice,
    ...other
  }
  return new Map(transfers).set(terms.transfer, {
    terms,
    capture: "automatic",
    status: "held",
    moving: terms.amount,
    reason: null,
    reverses: went.transfer
  })
}

const instruction: Instruction = {
  id: InstructionId.make("ins_00000000000000000000000001"),
  asks: "capture",
  subject: transfer,
  amount: null,
  status: "done",
  reason: null
}

const corruptions: ReadonlyArray<readonly [what: string, states: ReadonlyArray<Shard>, Invariant]> = [
  ["a balance is changed by hand", balance(held, alice, { posted: 101n }), "posted is the sum of the entries"],
  ["a balance is changed by hand", balance(held, alice, { posted: 101n }), "a shard sums to zero per currency"],
  ["a balance is changed by hand", balance(held, alice, { posted: 101n }), "money is neither created nor destroyed"],
  [
    "a journal is deleted",
    shard(credited, 1, ({ journals }) => ({ journals: journals.slice(0, -1) })),
    "posted is the sum of the entries"
  ],
  [
    "a journal is deleted",
    shard(committed, 0, ({ journals }) => ({ journals: journals.slice(1) })),
    "entries are numbered 1..n, each with the balance after it"
  ],
  [
    "a journal is written twice",
    shard(committed, 0, ({ journals }) => ({ journals: [...journals, ...journals.slice(-1)] })),
    "a step is posted once"
  ],
  [
    "an amount is changed in a journal",
    shard(committed, 0, ({ journals }) => ({ journals: journals.map((one) => ({ ...one, amount: one.amount + 1n })) })),
    "entries are numbered 1..n, each with the balance after it"
  ],
  [
    "an amount is changed in a journal",
    shard(committed, 0, ({ journals }) => ({ journals: journals.map((one) => ({ ...one, amount: one.amount + 1n })) })),
    "no more moves than was asked for"
  ],
  [
    "an entry's number is changed",
    balance(committed, bob, { sequence: 7n }),
    "entries are numbered 1..n, each with the balance after it"
  ],
  [
    "both entries of a journal are on one account",
    shard(committed, 0, ({ journals }) => ({ journals: journals.map((one) => ({ ...one, credit: one.debit })) })),
    "a journal is one DEBIT and one CREDIT of the same amount, in one currency"
  ],
  ["a hold is forgotten", balance(held, alice, { held: 0n }), "held is the sum of the open holds, and never negative"],
  [
    "a hold record is deleted",
    shard(held, 0, () => ({ holds: [] })),
    "held is the sum of the open holds, and never negative"
  ],
  ["a hold record is deleted", shard(held, 0, () => ({ holds: [] })), "what may still be taken is held"],
  [
    "a floor is crossed",
    account(held, alice, () => ({ floor: 31n })),
    "no account crosses its floor or its ceiling"
  ],
  [
    "a ceiling is crossed",
    account(credited, bob, () => ({ ceiling: 69n })),
    "no account crosses its floor or its ceiling"
  ],
  [
    "a verdict is lost",
    shard(committed, 1, () => ({ verdicts: new Map() })),
    "committed means CREDITED, and what ended otherwise was never credited"
  ],
  [
    "a verdict is lost",
    shard(credited, 1, () => ({ verdicts: new Map() })),
    "clearing accounts together are what is in flight"
  ],
  [
    "a transfer is set back",
    shard(committed, 0, () => ({ transfers: at(1)[0]?.transfers ?? new Map() })),
    "clearing accounts together are what is in flight"
  ],
  [
    "more comes back than went",
    shard(committed, 1, ({ transfers }) => ({ transfers: reversed(transfers, { amount: Amount.make(71n) }) })),
    "never more comes back than went"
  ],
  [
    "what came is sent to somebody else",
    shard(committed, 1, ({ transfers }) => ({ transfers: reversed(transfers, { destination: nobody }) })),
    "a reversal goes the way of its transfer back"
  ],
  [
    "a capture is said to be done that decided nothing",
    shard(held, 0, () => ({ instructions: new Map([[instruction.id, instruction]]) })),
    "a capture or void is done if and only if it decided the transfer"
  ],
  [
    "an account is closed with money in it",
    account(held, alice, () => ({ status: "closed" })),
    "a closed account holds nothing, and nothing ever reaches or leaves it"
  ],
  [
    "the source's shard is set back to yesterday",
    committed.map((one, index) => index === 0 ? begun[0] ?? one : one),
    "committed means CREDITED, and what ended otherwise was never credited"
  ]
]

describe("the invariants", () => {
  it("hold in every step of a transfer in health", () => {
    assert.strictEqual(story.length, 4)
    for (const states of story) assert.deepStrictEqual(Invariants.ofState(states, transfers, wealth), [])
    assert.deepStrictEqual(Invariants.ofRest(committed, transfers), [])
    assert.strictEqual(committed[0]?.transfers.get(transfer)?.status, "committed")
  })

  it.each(corruptions)("find it when %s", (_, states, invariant) => {
    const broken = Invariants.ofState(states, transfers, wealth).map((one) => one.invariant)
    assert.include(broken, invariant)
  })

  it.each<readonly [string, ReadonlyArray<Shard>, ReadonlyArray<Invariant>]>([
    ["requested", begun, ["every transfer ends"]],
    ["held", held, ["every transfer ends", "nothing is held at rest"]],
    ["credited", credited, ["every transfer ends", "nothing is held at rest", "nothing is in flight at rest"]],
    ["committed", committed, []]
  ])("know what is unfinished when everything stands still after %s", (_, states, expected) => {
    assert.deepStrictEqual(Invariants.ofRest(states, transfers).map(({ invariant }) => invariant), expected)
  })
})

describe("the money", () => {
  const [, ...rows] = tableOf("Where the money is")

  it.each(story.map((states, step) => ({ states, step, after: rows[step]?.[0] ?? "nothing that is written" })))(
    "is where docs/transfer-states.md says it is after $after",
    ({ states, step }) => {
      const clearing = (id: number) =>
        [...(states[id]?.accounts.values() ?? [])].reduce(
          (sum, { balance, kind }) => kind === "clearing" ? sum + balance.posted : sum,
          0n
        )
      const balances = [
        states[0]?.accounts.get(alice)?.balance.posted,
        states[0]?.accounts.get(alice)?.balance.held,
        clearing(0),
        clearing(1),
        states[1]?.accounts.get(bob)?.balance.posted,
        -clearing(0) - clearing(1)
      ]
      assert.deepStrictEqual(rows[step]?.slice(1), balances.map((sum) => String(sum).replace("-", "−")))
    }
  )
})
