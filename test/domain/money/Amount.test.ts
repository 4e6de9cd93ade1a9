import { assert, describe, it } from "@effect/vitest"
import { Effect, Result, Schema } from "effect"
import { Amount, maximum, Sum } from "#domain/money/Amount.ts"

const decode = Schema.decodeUnknownResult(Amount)
const decodeSum = Schema.decodeUnknownResult(Sum)

const nines = "9".repeat(38)

const accepted: ReadonlyArray<readonly [written: string, minorUnits: bigint]> = [
  ["1", 1n],
  ["9", 9n],
  ["10", 10n],
  ["1250", 1250n],
  ["9007199254740993", 9007199254740993n], // no float holds it
  ["9223372036854775808", 9223372036854775808n], // no 64 bits hold it
  [`1${"0".repeat(37)}`, 10n ** 37n],
  [nines, maximum]
]

const refused: ReadonlyArray<readonly [why: string, written: unknown]> = [
  ["zero moves nothing", "0"],
  ["zero with a sign", "-0"],
  ["a minus sign", "-1"],
  ["a plus sign", "+1"],
  ["a leading zero", "01"],
  ["leading zeros only", "00"],
  ["a fraction", "12.50"],
  ["a fraction of nothing", "1.0"],
  ["a point at the end", "1."],
  ["a point at the beginning", ".5"],
  ["a decimal comma", "12,50"],
  ["thousands by comma", "1,000"],
  ["thousands by underscore", "1_000"],
  ["thousands by space", "1 000"],
  ["thousands by apostrophe", "1'000"],
  ["an exponent", "1e3"],
  ["a capital exponent", "1E3"],
  ["hexadecimal", "0x10"],
  ["binary", "0b1"],
  ["a bigint literal", "10n"],
  ["nothing", ""],
  ["a space", " "],
  ["a space before", " 1"],
  ["a space after", "1 "],
  ["a tab after", "1\t"],
  ["a line end after", "1\n"],
  ["a carriage return after", "1\r"],
  ["a second line", "1\n2"],
  ["a zero byte after", "1\u0000"],
  ["a byte order mark before", "\uFEFF1"],
  ["Arabic-Indic digits", "\u0661\u0662"],
  ["full-width digits", "\uFF11\uFF10"],
  ["Devanagari digits", "\u0967\u0968"],
  ["a superscript", "1\u00B2"],
  ["a Roman numeral", "\u2160"],
  ["infinity", "Infinity"],
  ["infinity as a sign", "\u221E"],
  ["not a number", "NaN"],
  ["words", "ten"],
  ["a currency beside it", "10 EUR"],
  ["a currency sign", "€10"],
  ["39 digits", `1${"0".repeat(38)}`],
  ["39 nines", `${nines}9`],
  ["a thousand digits", "9".repeat(1000)],
  ["a number", 1250],
  ["a float", 12.5],
  ["a bigint, which is not the wire's form", 1250n],
  ["true", true],
  ["null", null],
  ["undefined", undefined],
  ["an array", ["1"]],
  ["an object", { amount: "1" }]
]

describe("Amount", () => {
  it.each(accepted)("reads %s minor units to the unit", (written, minorUnits) => {
    assert.strictEqual(Result.getOrThrow(decode(written)), minorUnits)
  })

  it.each(refused)("refuses an amount with %s", (_, written) => {
    assert.isTrue(Result.isFailure(decode(written)))
  })

  it("holds exactly 38 digits and not one more", () => {
    assert.strictEqual(maximum, BigInt(nines))
    assert.isTrue(Result.isFailure(Schema.decodeUnknownResult(Schema.toType(Amount))(maximum + 1n)))
    assert.isTrue(Result.isFailure(Schema.decodeUnknownResult(Schema.toType(Amount))(0n)))
    assert.isTrue(Result.isFailure(Schema.decodeUnknownResult(Schema.toType(Amount))(-1n)))
  })

  it.effect.prop(
    "comes back from the wire as it was sent, to the minor unit",
    [Amount],
    ([amount]) =>
      Effect.gen(function*() {
        const written = yield* Schema.encodeEffect(Amount)(amount)
        assert.match(written, /^[1-9][0-9]{0,37}$/)
        assert.strictEqual(yield* Schema.decodeEffect(Amount)(written), amount)
      }),
    { arbitrary: { runs: 500 } }
  )

  it.prop(
    "is read only from its one spelling: any text that is read is what would be written",
    [Schema.String.check(Schema.isPattern(/^[-+ 0-9.eE_,n]{0,42}$/))],
    ([text]) => {
      const read = decode(text)
      if (Result.isSuccess(read)) assert.strictEqual(String(read.success), text)
    },
    { arbitrary: { runs: 500 } }
  )
})

describe("Sum", () => {
  it.each<readonly [string, bigint]>([
    ["0", 0n],
    ["-1", -1n],
    ["1", 1n],
    [`-${nines}`, -maximum],
    ["9".repeat(48), 10n ** 48n - 1n]
  ])("reads the balance %s", (written, minorUnits) => {
    assert.strictEqual(Result.getOrThrow(decodeSum(written)), minorUnits)
    assert.strictEqual(Schema.encodeSync(Sum)(minorUnits), written)
  })

  it.each(["", "-", "-0", "+1", "01", "-01", "1.0", "1e3", " 1", "1 ", "1\n", "\u0661", "9".repeat(49)])(
    "refuses a balance written as %j",
    (written) => {
      assert.isTrue(Result.isFailure(decodeSum(written)))
    }
  )

  it.each([0, -1, 1n, null, true])("refuses a balance that is not a string: %s", (written) => {
    assert.isTrue(Result.isFailure(decodeSum(written)))
  })
})
