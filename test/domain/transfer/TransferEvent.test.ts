import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Result, Schema } from "effect"
import { AccountId, AccountKind, Side } from "#domain/account/Account.ts"
import type { AccountEvent } from "#domain/account/AccountEvent.ts"
import { InstructionId } from "#domain/ledger/Instruction.ts"
import { fromJson, keyOf, type LedgerEvent, LedgerEventJson, toJson } from "#domain/ledger/LedgerEvent.ts"
import { Amount } from "#domain/money/Amount.ts"
import { Currency } from "#domain/money/Currency.ts"
import { type Terms, termsOf, TransferEvent } from "#domain/transfer/TransferEvent.ts"
import { TransferId } from "#domain/transfer/TransferId.ts"
import { accountId, currency, integer, transferEvent } from "../Arbitraries.ts"

const terms: Terms = {
  transfer: TransferId.make("trf_01KDVDNA001Z00000000000000"),
  source: AccountId.make("alice"),
  destination: AccountId.make("bob"),
  amount: Amount.make(1250n),
  currency: Currency.make("EUR")
}

const instruction = InstructionId.make("ins_00000000000000000000000001")
const reason = { code: "account_frozen", detail: "bob is frozen" }

const inJson = {
  transfer: "trf_01KDVDNA001Z00000000000000",
  source: "alice",
  destination: "bob",
  amount: "1250",
  currency: "EUR"
}

type Acts = "source" | "destination" | "nobody"

/** DESIGN §4, one event a line: what it looks like on the wire, and who acts next. */
const table: ReadonlyArray<readonly [event: TransferEvent, more: object, actsNext: Acts]> = [
  [
    { type: "transfer.requested", ...terms, capture: "manual", client: "shop" },
    { capture: "manual", client: "shop" },
    "source"
  ],
  [{ type: "transfer.authorized", ...terms }, {}, "nobody"],
  [{ type: "transfer.held", ...terms }, {}, "destination"],
  [{ type: "transfer.credited", ...terms }, {}, "source"],
  [{ type: "transfer.refused", ...terms, reason }, { reason }, "source"],
  [{ type: "transfer.recalled", ...terms, reason }, { reason }, "destination"],
  [{ type: "transfer.capture_requested", ...terms, captured: Amount.make(1n), instruction }, {
    captured: "1",
    instruction
  }, "source"],
  [
    { type: "transfer.capture_requested", ...terms, captured: null, instruction },
    { captured: null, instruction },
    "source"
  ],
  [{ type: "transfer.void_requested", ...terms, instruction }, { instruction }, "source"],
  [{ type: "transfer.expiry_due", ...terms }, {}, "source"],
  [{ type: "transfer.committed", ...terms }, {}, "nobody"],
  [{ type: "transfer.rejected", ...terms, reason }, { reason }, "nobody"],
  [{ type: "transfer.cancelled", ...terms, reason }, { reason }, "nobody"]
]

const limit = Arbitrary.schema(
  Schema.NullOr(Schema.BigInt.check(Schema.isBetweenBigInt({ minimum: 1n - 10n ** 48n, maximum: 10n ** 48n - 1n })))
)

const accountOpened: Arbitrary.Arbitrary<Extract<AccountEvent, { readonly type: "account.opened" }>> = Arbitrary.map(
  Arbitrary.all({
    account: accountId,
    kind: Arbitrary.schema(AccountKind),
    normalSide: Arbitrary.schema(Side),
    currency,
    floor: limit,
    ceiling: limit
  }),
  (fields) => ({ type: "account.opened", ...fields })
)

const roundTrip = Effect.fnUntraced(function*(event: LedgerEvent) {
  const json = yield* Schema.encodeEffect(LedgerEventJson)(event)
  assert.deepStrictEqual(yield* Schema.decodeEffect(LedgerEventJson)(json), event)
  // What the ledger does by hand is what the schema says.
  assert.deepStrictEqual(JSON.parse(toJson(event)), JSON.parse(json))
  assert.deepStrictEqual(yield* Effect.fromResult(fromJson(json)), event)
})

describe("an event of a transfer", () => {
  it.each(table.map(([event, more, acts]) => ({ type: event.type, event, more, acts })))(
    "$type carries the whole terms as JSON, amounts as strings",
    ({ event, more }) => {
      const json: unknown = JSON.parse(toJson(event))
      assert.deepStrictEqual(json, { type: event.type, ...inJson, ...more })
      assert.deepStrictEqual(Result.getOrThrow(fromJson(JSON.stringify(json))), event)
    }
  )

  it.each(table.map(([event, , acts]) => ({ type: event.type, event, acts })))(
    "$type travels to the account that acts next: $acts",
    ({ acts, event }) => {
      // An event on which nobody acts is a fact for the world; it is told in the order of its source.
      assert.strictEqual(keyOf(event), acts === "destination" ? "bob" : "alice")
    }
  )

  it("is of a kind that the tables above know", () => {
    const known = new Set(table.map(([event]) => event.type))
    for (const member of TransferEvent.members) assert.isTrue(known.has(member.fields.type.literal))
  })

  it.effect.prop(
    "of any kind comes back from the log as it was written",
    [transferEvent],
    ([event]) => roundTrip(event),
    { arbitrary: { runs: 500 } }
  )

  it.prop("shows its terms, and nothing else of it", [transferEvent], ([event]) => {
    assert.hasAllKeys(termsOf(event), ["transfer", "source", "destination", "amount", "currency"])
    assert.deepStrictEqual({ ...event, ...termsOf(event) }, event)
  })

  it.prop("goes to its source or its destination, whatever it says", [transferEvent], ([event]) => {
    assert.include([event.source, event.destination], keyOf(event))
  })
})

describe("an account that was opened", () => {
  it.effect.prop("comes back from the log as it was written", [accountOpened], ([event]) => roundTrip(event))

  it.prop("travels by its own id", [accountOpened], ([event]) => {
    assert.strictEqual(keyOf(event), event.account)
  })
})

describe("what stands in the log", () => {
  it.each<readonly [string, string]>([
    ["is not JSON", "transfer.held"],
    ["is cut short", JSON.stringify({ type: "transfer.held", ...inJson }).slice(0, -1)],
    ["is of no kind", JSON.stringify(inJson)],
    ["is of a kind nobody knows", JSON.stringify({ type: "transfer.teleported", ...inJson })],
    ["has no transfer", JSON.stringify({ type: "transfer.held", ...inJson, transfer: undefined })],
    ["has an amount that is a number", JSON.stringify({ type: "transfer.held", ...inJson, amount: 1250 })],
    ["has an amount with a fraction", JSON.stringify({ type: "transfer.held", ...inJson, amount: "12.50" })],
    ["has an amount of nothing", JSON.stringify({ type: "transfer.held", ...inJson, amount: "0" })],
    ["has no such currency", JSON.stringify({ type: "transfer.held", ...inJson, currency: "XXX" })],
    ["names a clearing account", JSON.stringify({ type: "transfer.held", ...inJson, source: "clearing:0:to:1:EUR" })],
    ["refuses without a reason", JSON.stringify({ type: "transfer.refused", ...inJson })],
    ["captures nothing", JSON.stringify({ type: "transfer.capture_requested", ...inJson, captured: "0" })],
    ["is a list", JSON.stringify([{ type: "transfer.held", ...inJson }])]
  ])("is not guessed at when it %s", (_, json) => {
    assert.isTrue(Result.isFailure(fromJson(json)))
  })

  it("may carry fields that a later version added", () => {
    const later = JSON.stringify({ type: "transfer.held", ...inJson, leg: 2 })
    assert.deepStrictEqual(Result.getOrThrow(fromJson(later)), { type: "transfer.held", ...terms })
  })

  it.prop("is not read with an amount of a length that no account can hold", [integer(39, 60)], ([digits]) => {
    assert.isTrue(
      Result.isFailure(fromJson(JSON.stringify({ type: "transfer.held", ...inJson, amount: "9".repeat(digits) })))
    )
  })
})
