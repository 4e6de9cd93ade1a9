import { assert, describe, it } from "@effect/vitest"
import { Result, Schema } from "effect"
import { Currency, exponentOf, exponents, format } from "#domain/money/Currency.ts"
import * as Arbitraries from "../Arbitraries.ts"

const decode = Schema.decodeUnknownResult(Currency)
const currency = Schema.decodeUnknownSync(Currency)

/** Reads what people read, by its own arithmetic: the digits without the point are the minor units. */
const minorUnitsOf = (text: string): bigint => BigInt(text.slice(0, -4).replace(".", ""))

describe("Currency", () => {
  it.each<readonly [string, number]>([
    ["JPY", 0],
    ["KRW", 0],
    ["ISK", 0],
    ["CLP", 0],
    ["XOF", 0],
    ["EUR", 2],
    ["USD", 2],
    ["CHF", 2],
    ["GBP", 2],
    ["HUF", 2],
    ["XCG", 2],
    ["ZWG", 2],
    ["BHD", 3],
    ["KWD", 3],
    ["TND", 3],
    ["CLF", 4],
    ["UYW", 4]
  ])("%s has %i decimals", (code, decimals) => {
    assert.strictEqual(exponentOf(currency(code)), decimals)
  })

  it.each([
    "",
    "EU",
    "EURO",
    "eur",
    "Eur",
    "EUR ",
    " EUR",
    "EUR\n",
    "978",
    "€",
    "XXX", // no currency
    "XTS", // for tests
    "XAU", // gold
    "XDR", // no minor unit
    "DEM", // long gone
    "HRK",
    "BGN",
    "BTC",
    "__proto__",
    "constructor"
  ])("nobody can hold an account in %j", (code) => {
    assert.isTrue(Result.isFailure(decode(code)))
  })

  it("lists every code once, as three capitals with at most four decimals", () => {
    assert.isAbove(exponents.size, 150)
    for (const [code, decimals] of exponents) {
      assert.match(code, /^[A-Z]{3}$/)
      assert.include([0, 2, 3, 4], decimals)
    }
  })

  it.each<readonly [bigint, string, string]>([
    [1250n, "EUR", "12.50 EUR"],
    [100n, "EUR", "1.00 EUR"],
    [99n, "EUR", "0.99 EUR"],
    [5n, "EUR", "0.05 EUR"],
    [0n, "EUR", "0.00 EUR"],
    [-5n, "EUR", "-0.05 EUR"],
    [-1250n, "EUR", "-12.50 EUR"],
    [1250n, "JPY", "1250 JPY"],
    [0n, "JPY", "0 JPY"],
    [-7n, "JPY", "-7 JPY"],
    [1250n, "BHD", "1.250 BHD"],
    [1n, "BHD", "0.001 BHD"],
    [1250n, "CLF", "0.1250 CLF"],
    [10n ** 38n - 1n, "EUR", `${"9".repeat(36)}.99 EUR`]
  ])("writes %s minor units of %s as %s", (minor, code, text) => {
    assert.strictEqual(format(minor, currency(code)), text)
  })

  it.prop("no minor unit is lost in what people read", [Schema.BigInt, Arbitraries.currency], ([minor, code]) => {
    const text = format(minor, code)
    assert.strictEqual(minorUnitsOf(text), minor)
    assert.strictEqual((text.slice(0, -4).split(".")[1] ?? "").length, exponentOf(code))
    assert.isFalse(text.startsWith("-") && minor >= 0n)
  }, { arbitrary: { runs: 500 } })
})
