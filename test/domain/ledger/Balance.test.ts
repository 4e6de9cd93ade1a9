import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Result, Schema } from "effect"
import { type Account, emptyBalance, type Side } from "#domain/account/Account.ts"
import * as Balance from "#domain/ledger/Balance.ts"
import { Currency } from "#domain/money/Currency.ts"
import { integer } from "../Arbitraries.ts"

interface Standing {
  readonly normalSide: Side
  /** As the owner sees it: positive on the normal side. */
  readonly posted: bigint
  readonly held?: bigint
  readonly floor?: bigint | null
  readonly ceiling?: bigint | null
}

const accountOf = ({ ceiling = null, floor = null, held = 0n, normalSide, posted }: Standing): Account => ({
  id: "alice",
  kind: "customer",
  normalSide,
  currency: Currency.make("EUR"),
  status: "open",
  floor,
  ceiling,
  balance: { ...emptyBalance, posted: normalSide === "credit" ? posted : -posted, held }
})

const answer = (result: Result.Result<void, { readonly code: string }>): string =>
  Result.isSuccess(result) ? "yes" : result.failure.code

type Row = readonly [posted: bigint, held: bigint, floor: bigint | null, ceiling: bigint | null, amount: bigint, string]

const no = "insufficient_funds"
const over = "ceiling_exceeded"

describe("a debit of, or a hold on, a credit-normal account", () => {
  it.each<Row>([
    [100n, 0n, 0n, null, 99n, "yes"],
    [100n, 0n, 0n, null, 100n, "yes"],
    [100n, 0n, 0n, null, 101n, no],
    [0n, 0n, 0n, null, 1n, no],
    [100n, 40n, 0n, null, 60n, "yes"], // what is held is not available
    [100n, 40n, 0n, null, 61n, no],
    [100n, 100n, 0n, null, 1n, no],
    [100n, 0n, 10n, null, 90n, "yes"], // a floor above nothing must stay in
    [100n, 0n, 10n, null, 91n, no],
    [0n, 0n, -50n, null, 50n, "yes"], // an overdraft
    [0n, 0n, -50n, null, 51n, no],
    [-50n, 0n, -50n, null, 1n, no],
    [0n, 30n, -50n, null, 20n, "yes"], // holds count against the overdraft too
    [0n, 30n, -50n, null, 21n, no],
    [0n, 0n, null, null, 10n ** 38n, "yes"], // no floor at all
    [500n, 0n, 0n, 100n, 1n, "yes"] // a debit brings it nearer to its ceiling
  ])(
    "at posted %s, held %s, floor %s, ceiling %s: may %s be taken? %s",
    (posted, held, floor, ceiling, amount, expected) => {
      const account = accountOf({ normalSide: "credit", posted, held, floor, ceiling })
      assert.strictEqual(answer(Balance.mayDebit(account, amount)), expected)
    }
  )
})

describe("a credit to a credit-normal account", () => {
  it.each<Row>([
    [0n, 0n, 0n, 100n, 99n, "yes"],
    [0n, 0n, 0n, 100n, 100n, "yes"],
    [0n, 0n, 0n, 100n, 101n, over],
    [100n, 0n, 0n, 100n, 1n, over],
    [100n, 60n, 0n, 100n, 1n, over], // a hold may yet be released: it makes no room
    [-50n, 0n, -50n, 0n, 50n, "yes"],
    [-50n, 0n, -50n, 0n, 51n, over],
    [0n, 0n, 0n, null, 10n ** 38n, "yes"],
    [-80n, 0n, 0n, null, 1n, "yes"] // what is below its floor may always be filled
  ])(
    "at posted %s, held %s, floor %s, ceiling %s: may %s be put in? %s",
    (posted, held, floor, ceiling, amount, expected) => {
      const account = accountOf({ normalSide: "credit", posted, held, floor, ceiling })
      assert.strictEqual(answer(Balance.mayCredit(account, amount)), expected)
    }
  )
})

describe("a debit of, or a hold on, a debit-normal account", () => {
  it.each<Row>([
    [0n, 0n, null, 100n, 100n, "yes"], // a debit makes it grow, so its ceiling is what bounds it
    [0n, 0n, null, 100n, 101n, over],
    [60n, 0n, null, 100n, 40n, "yes"],
    [60n, 0n, null, 100n, 41n, over],
    [60n, 30n, null, 100n, 10n, "yes"], // a hold is a debit that may come
    [60n, 30n, null, 100n, 11n, over],
    [0n, 0n, 0n, null, 10n ** 38n, "yes"],
    [-80n, 0n, 0n, null, 1n, "yes"]
  ])(
    "at posted %s, held %s, floor %s, ceiling %s: may %s be taken? %s",
    (posted, held, floor, ceiling, amount, expected) => {
      const account = accountOf({ normalSide: "debit", posted, held, floor, ceiling })
      assert.strictEqual(answer(Balance.mayDebit(account, amount)), expected)
    }
  )
})

describe("a credit to a debit-normal account", () => {
  it.each<Row>([
    [100n, 0n, 0n, null, 100n, "yes"], // a credit makes it shrink, so its floor is what bounds it
    [100n, 0n, 0n, null, 101n, no],
    [100n, 60n, 0n, null, 100n, "yes"], // a hold would add to it, and so takes no room
    [100n, 60n, 0n, null, 101n, no],
    [0n, 60n, 0n, null, 1n, no], // nor does what may come count as being there
    [0n, 0n, -50n, null, 50n, "yes"],
    [0n, 0n, -50n, null, 51n, no],
    [0n, 0n, null, null, 10n ** 38n, "yes"],
    [500n, 0n, null, 100n, 1n, "yes"]
  ])(
    "at posted %s, held %s, floor %s, ceiling %s: may %s be put in? %s",
    (posted, held, floor, ceiling, amount, expected) => {
      const account = accountOf({ normalSide: "debit", posted, held, floor, ceiling })
      assert.strictEqual(answer(Balance.mayCredit(account, amount)), expected)
    }
  )
})

describe("what an owner sees", () => {
  it.each<readonly [Side, bigint, bigint, bigint, bigint]>([
    ["credit", 100n, 0n, 100n, 100n],
    ["credit", 100n, 40n, 100n, 60n],
    ["credit", -20n, 5n, -20n, -25n],
    ["debit", -100n, 0n, 100n, 100n],
    ["debit", -100n, 40n, 100n, 100n], // a hold on it would make it grow: not before it does
    ["debit", 20n, 0n, -20n, -20n]
  ])("of a %s-normal account with %s in credits over debits and %s held is %s posted, %s available", (
    normalSide,
    creditsOverDebits,
    held,
    posted,
    available
  ) => {
    const account = {
      ...accountOf({ normalSide, posted: 0n }),
      balance: { ...emptyBalance, posted: creditsOverDebits, held }
    }
    assert.strictEqual(Balance.posted(account), posted)
    assert.strictEqual(Balance.available(account), available)
  })
})

describe("a refusal", () => {
  it("says what is available above the floor, and what was needed", () => {
    const account = accountOf({ normalSide: "credit", posted: 10_000n, held: 2_500n, floor: -1_000n })
    const refused = Result.getOrThrow(Result.flip(Balance.mayDebit(account, 8_501n)))
    assert.strictEqual(refused.message, "alice has 85.00 EUR available above its floor, 85.01 EUR needed")
  })

  it("says what the ceiling is", () => {
    const account = accountOf({ normalSide: "credit", posted: 10_000n, ceiling: 15_000n })
    const refused = Result.getOrThrow(Result.flip(Balance.mayCredit(account, 5_001n)))
    assert.strictEqual(refused.message, "alice may not go over 150.00 EUR")
  })
})

describe("the arithmetic of a balance", () => {
  const before = { posted: 100n, held: 30n, version: 7n, sequence: 4n }

  it("lowers posted by a debit, raises it by a credit, and numbers the entry", () => {
    assert.deepStrictEqual(Balance.debit(before, 25n), { ...before, posted: 75n, sequence: 5n })
    assert.deepStrictEqual(Balance.credit(before, 25n), { ...before, posted: 125n, sequence: 5n })
  })

  it("numbers no entry for a hold, which is a memo", () => {
    assert.deepStrictEqual(Balance.hold(before, 25n), { ...before, held: 55n })
    assert.deepStrictEqual(Balance.hold(before, -25n), { ...before, held: 5n })
  })
})

// What may happen to an account, in any order. A hold ends by being released or by being settled, which is a debit.
const steps = Arbitrary.array(
  Arbitrary.all({
    step: Arbitrary.schema(Schema.Literals(["debit", "credit", "hold", "release", "settle"])),
    amount: integer(1, 120)
  }),
  { maxLength: 60 }
)

const limits = Arbitrary.all({
  normalSide: Arbitrary.schema(Schema.Literals(["debit", "credit"])),
  floor: Arbitrary.schema(Schema.NullOr(Schema.Int.check(Schema.isBetween({ minimum: -200, maximum: 0 })))),
  ceiling: Arbitrary.schema(Schema.NullOr(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 300 }))))
})

describe("limits", () => {
  it.prop(
    "are never crossed, whatever permitted steps are taken and whatever the open holds then do",
    { limits, steps },
    ({ limits, steps }) => {
      let account = accountOf({
        normalSide: limits.normalSide,
        posted: 0n,
        floor: limits.floor === null ? null : BigInt(limits.floor),
        ceiling: limits.ceiling === null ? null : BigInt(limits.ceiling)
      })
      const holds: Array<bigint> = []
      let [entries, sum] = [0n, 0n]

      const change = (balance: Account["balance"]) => {
        account = { ...account, balance }
      }
      const post = (kind: "debit" | "credit", amount: bigint) => {
        change(kind === "debit" ? Balance.debit(account.balance, amount) : Balance.credit(account.balance, amount))
        sum += kind === "credit" ? amount : -amount
        entries += 1n
      }

      for (const { amount: number, step } of steps) {
        const amount = BigInt(number)
        switch (step) {
          case "debit":
            if (Result.isSuccess(Balance.mayDebit(account, amount))) post("debit", amount)
            break
          case "credit":
            if (Result.isSuccess(Balance.mayCredit(account, amount))) post("credit", amount)
            break
          case "hold":
            if (Result.isSuccess(Balance.mayDebit(account, amount))) {
              change(Balance.hold(account.balance, amount))
              holds.push(amount)
            }
            break
          case "release": {
            const held = holds.shift()
            if (held !== undefined) change(Balance.hold(account.balance, -held))
            break
          }
          case "settle": {
            // Nothing is asked before: that a hold is placed must be enough for the debit that follows it.
            const held = holds.pop()
            if (held === undefined) break
            change(Balance.hold(account.balance, -held))
            post("debit", held)
          }
        }

        const open = holds.reduce((total, held) => total + held, 0n)
        assert.deepStrictEqual(
          [account.balance.posted, account.balance.held, account.balance.sequence],
          [sum, open, entries]
        )
        // The two ends of what may still come: all holds are released, or all of them settled.
        for (const debits of [0n, open]) {
          const owned = limits.normalSide === "credit" ? sum - debits : debits - sum
          if (limits.floor !== null) assert.isTrue(owned >= BigInt(limits.floor), `${owned} is below the floor`)
          if (limits.ceiling !== null) assert.isTrue(owned <= BigInt(limits.ceiling), `${owned} is above the ceiling`)
        }
      }
    },
    { arbitrary: { runs: 500, size: 60 } }
  )
})
