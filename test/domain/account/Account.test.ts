import { assert, describe, it } from "@effect/vitest"
import { Result, Schema } from "effect"
import { type Account, AccountId, AccountKind, defaultsOf, emptyBalance } from "#domain/account/Account.ts"
import * as ClearingAccount from "#domain/account/ClearingAccount.ts"
import * as Balance from "#domain/ledger/Balance.ts"
import { Currency } from "#domain/money/Currency.ts"
import { currency, integer } from "../Arbitraries.ts"

const EUR = Currency.make("EUR")
const decode = Schema.decodeUnknownResult(AccountId)

describe("an account id", () => {
  it.each([
    "a",
    "0",
    "alice",
    "user@example.org",
    "house:fees",
    "merchant-1",
    "A_b.C:d@e-f",
    "clearing", // only with the colon is it the platform's own
    "Clearing:x",
    "my-clearing:x",
    "A".repeat(64)
  ])("may be %s", (id) => {
    assert.strictEqual(Result.getOrThrow(decode(id)), id)
  })

  it.each([
    "",
    " ",
    "-a",
    ".a",
    ":a",
    "@a",
    "_a",
    "a b",
    " a",
    "a ",
    "a\n",
    "a/b",
    "../a",
    "a\\b",
    "a'b",
    "a\"b",
    "a;b",
    "a\u0000",
    "é",
    "а", // Cyrillic
    "١",
    "😀",
    "clearing:",
    "clearing:0:to:1:EUR",
    "A".repeat(65)
  ])("may not be %j", (id) => {
    assert.isTrue(Result.isFailure(decode(id)))
  })
})

describe("an account whose opener does not say more", () => {
  it.each<readonly [AccountKind, "debit" | "credit", bigint | null]>([
    ["customer", "credit", 0n],
    ["house", "credit", null],
    ["external", "debit", null],
    ["clearing", "credit", null]
  ])("of kind %s is %s-normal, with the floor %s", (kind, normalSide, floor) => {
    assert.deepStrictEqual(defaultsOf(kind), { normalSide, floor })
  })

  it.prop("can go below nothing only if it is not a customer's", [AccountKind], ([kind]) => {
    const account: Account = {
      id: "x",
      kind,
      currency: EUR,
      status: "open",
      ceiling: null,
      balance: emptyBalance,
      ...defaultsOf(kind)
    }
    assert.strictEqual(Result.isFailure(Balance.mayDebit(account, 1n)), kind === "customer")
    assert.isTrue(Result.isSuccess(Balance.mayCredit(account, 1n)))
  })

  it("begins with nothing posted, nothing held and no entry", () => {
    assert.deepStrictEqual(emptyBalance, { posted: 0n, held: 0n, version: 0n, sequence: 0n })
  })
})

describe("a clearing account", () => {
  const shard = integer(0, 99)

  it("is named by its shard, its direction, the other shard and its currency", () => {
    assert.strictEqual(ClearingAccount.toShard(0, 1, EUR), "clearing:0:to:1:EUR")
    assert.strictEqual(ClearingAccount.fromShard(1, 0, EUR), "clearing:1:from:0:EUR")
  })

  it.prop("is its own for each shard, direction, other shard and currency", {
    a: shard,
    b: shard,
    c: shard,
    d: shard,
    x: currency,
    y: currency
  }, ({ a, b, c, d, x, y }) => {
    assert.notStrictEqual(ClearingAccount.toShard(a, b, x), ClearingAccount.fromShard(c, d, y))
    assert.strictEqual(
      ClearingAccount.toShard(a, b, x) === ClearingAccount.toShard(c, d, y),
      a === c && b === d && x === y
    )
  })

  it.prop("has a name that no client can choose", { a: shard, b: shard, x: currency }, ({ a, b, x }) => {
    assert.isTrue(Result.isFailure(decode(ClearingAccount.toShard(a, b, x))))
    assert.isTrue(Result.isFailure(decode(ClearingAccount.fromShard(a, b, x))))
  })

  it("stands for another shard without any limit, so that the point of no return can always be passed", () => {
    const account = ClearingAccount.opening(ClearingAccount.toShard(0, 1, EUR), EUR)
    assert.deepStrictEqual(
      [account.kind, account.status, account.floor, account.ceiling, account.balance],
      ["clearing", "open", null, null, emptyBalance]
    )
    assert.isTrue(Result.isSuccess(Balance.mayDebit(account, 10n ** 38n)))
    assert.isTrue(Result.isSuccess(Balance.mayCredit(account, 10n ** 38n)))
  })
})
