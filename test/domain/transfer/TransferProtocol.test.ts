import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import type { Account } from "#domain/account/Account.ts"
import type { ShardView } from "#domain/ledger/Decision.ts"
import { type Instruction, InstructionId, type Reason } from "#domain/ledger/Instruction.ts"
import { decide } from "#domain/ledger/Protocol.ts"
import { Amount } from "#domain/money/Amount.ts"
import { type Transfer, TransferStatus, type Verdict } from "#domain/transfer/Transfer.ts"
import { type Terms, TransferEvent, type TransferEvent as Event } from "#domain/transfer/TransferEvent.ts"
import { tableOf } from "../Drawing.ts"
import { alice, anna, bob, EUR, map, USD } from "../Scenario.ts"
import { customer, transferId } from "../ShardModel.ts"

const transfer = transferId(map, alice, 1)
const across: Terms = { transfer, source: alice, destination: bob, amount: Amount.make(70n), currency: EUR }
const within: Terms = { ...across, destination: anna }
const reason: Reason = { code: "account_frozen", detail: "bob is frozen" }
const whole = Amount.make(70n)
const part = Amount.make(30n)
const tooMuch = Amount.make(71n)

const funded = (id: typeof alice, posted: bigint, more: Partial<Account> = {}): Account =>
  customer(id, EUR, { balance: { posted, held: 0n, version: 3n, sequence: 5n }, ...more })

/** A shard that knows these accounts, and maybe this transfer and this verdict. */
const shard = (
  id: number,
  accounts: ReadonlyArray<Account>,
  more: { readonly transfer?: Transfer; readonly verdict?: Verdict; readonly reversed?: bigint } = {}
): ShardView => ({
  shard: id,
  isHome: (account) => (account === bob) === (id === 1),
  account: (account) => accounts.find((one) => one.id === account),
  transfer: (asked) => asked === more.transfer?.terms.transfer ? more.transfer : undefined,
  verdict: (asked) => asked === more.verdict?.terms.transfer ? more.verdict : undefined,
  instruction: (asked) => asked === instruction.id ? instruction : undefined,
  reversed: () => more.reversed ?? 0n
})

const instruction: Instruction = {
  id: InstructionId.make("ins_00000000000000000000000001"),
  asks: "capture",
  subject: transfer,
  amount: null,
  status: "open",
  reason: null
}

const eventOf = (type: Event["type"], terms: Terms, captured: Amount | null = null): Event => {
  switch (type) {
    case "transfer.requested":
      return { type, ...terms, capture: "automatic", client: "shop" }
    case "transfer.capture_requested":
      return { type, ...terms, captured, instruction: instruction.id }
    case "transfer.void_requested":
      return { type, ...terms, instruction: instruction.id }
    case "transfer.refused":
    case "transfer.recalled":
    case "transfer.rejected":
    case "transfer.cancelled":
      return { type, ...terms, reason }
    default:
      return { type, ...terms }
  }
}

const statuses = TransferStatus.literals
const facts: ReadonlyArray<Event["type"]> = [
  "transfer.authorized",
  "transfer.committed",
  "transfer.rejected",
  "transfer.cancelled"
]

/** All that can become of a transfer in a state when a message arrives, whatever else is the case on the shard. */
const outcomes = (status: TransferStatus, type: Event["type"]): ReadonlySet<string> => {
  const seen = new Set<string>()
  for (const terms of [across, within]) {
    for (const capture of ["automatic", "manual"] as const) {
      for (const posted of [100n, 10n]) {
        for (const state of ["open", "frozen", "closed"] as const) {
          for (const captured of [null, part, whole]) {
            const accounts = [funded(alice, posted), funded(anna, 0n, { status: state })]
            const known: Transfer = { terms, capture, status, moving: terms.amount, reason: null, reverses: null }
            const decision = decide(shard(0, accounts, { transfer: known }), {
              event: eventOf(type, terms, captured),
              from: terms === within ? 0 : 1
            })
            if (Result.isFailure(decision)) {
              seen.add("stop")
              continue
            }
            for (const change of decision.success) if (change._tag === "Moved") seen.add(change.transfer.status)
            if (decision.success.some((change) => change._tag === "Answered" && change.refusal !== null)) {
              seen.add("refused")
            }
            if (decision.success.length === 0) seen.add("·")
          }
        }
      }
    }
  }
  return seen
}

describe("docs/transfer-states.md", () => {
  const [heading = [], ...rows] = tableOf("Every message in every state")

  it("names every state, and every message on which a source acts", () => {
    assert.deepStrictEqual([...heading].slice(1).toSorted(), [...statuses].toSorted())
    const bySource = TransferEvent.members.map((member) => member.fields.type.literal).filter((type) =>
      !facts.includes(type) && type !== "transfer.held" && type !== "transfer.recalled"
    )
    assert.deepStrictEqual(rows.map(([type]) => type ?? "").toSorted(), [...bySource].toSorted())
  })

  const cells = rows.flatMap(([type = "", ...cells]) =>
    cells.map((cell, index) => ({ type, status: heading[index + 1] ?? "", cell }))
  )

  it.each(cells)("says what $type does to a transfer that is $status: $cell", ({ cell, status, type }) => {
    const expected = cell.split(/, | or /)
    const known = statuses.find((one) => one === status)
    const event = TransferEvent.members.map((member) => member.fields.type.literal).find((one) => one === type)
    assert.isDefined(known)
    assert.isDefined(event)
    if (known === undefined || event === undefined) return
    assert.deepStrictEqual([...outcomes(known, event)].toSorted(), expected.toSorted())
  })

  it("says who writes and who acts on every event there is", () => {
    const [, ...rows] = tableOf("Who does what")
    assert.deepStrictEqual(
      rows.map(([type]) => type ?? "").toSorted(),
      TransferEvent.members.map((member) => member.fields.type.literal as string).toSorted()
    )
    for (const [type = "", , actsNext] of rows) {
      assert.strictEqual(actsNext === "nobody", facts.some((fact) => fact === type))
    }
  })
})

describe("a fact on which nobody acts", () => {
  it.each(facts)("%s changes nothing, in any state and on any shard", (type) => {
    for (const status of statuses) {
      const known: Transfer = {
        terms: across,
        capture: "automatic",
        status,
        moving: across.amount,
        reason: null,
        reverses: null
      }
      const event = eventOf(type, across)
      assert.deepStrictEqual(Result.getOrThrow(decide(shard(0, [], { transfer: known }), { event, from: 0 })), [])
      assert.deepStrictEqual(Result.getOrThrow(decide(shard(1, []), { event, from: 0 })), [])
    }
  })

  it("is also that an account was opened", () => {
    const event = {
      type: "account.opened",
      account: alice,
      kind: "customer",
      normalSide: "credit",
      currency: EUR,
      floor: 0n,
      ceiling: null
    } as const
    assert.deepStrictEqual(Result.getOrThrow(decide(shard(0, []), { event, from: 0 })), [])
  })
})

const reasonsOf = (decision: ReturnType<typeof decide>): ReadonlyArray<string> =>
  Result.getOrThrow(decision).flatMap((change) =>
    change._tag === "Announced" && "reason" in change.event ? [change.event.reason.code] : []
  )

describe("a source that cannot pay", () => {
  it.each<readonly [string, ReadonlyArray<Account>, string]>([
    ["does not exist", [], "account_not_found"],
    ["is frozen", [funded(alice, 100n, { status: "frozen" })], "account_frozen"],
    ["is closed", [funded(alice, 100n, { status: "closed" })], "account_closed"],
    ["holds another currency", [funded(alice, 100n, { currency: USD })], "currency_mismatch"],
    ["has one minor unit too little", [funded(alice, 69n)], "insufficient_funds"],
    // One reason is told, the first that a person would look at.
    [
      "is frozen, empty and of another currency",
      [funded(alice, 0n, { status: "frozen", currency: USD })],
      "account_frozen"
    ]
  ])("because it %s rejects the transfer with the reason", (_, accounts, code) => {
    const known: Transfer = {
      terms: across,
      capture: "automatic",
      status: "requested",
      moving: whole,
      reason: null,
      reverses: null
    }
    const decision = decide(shard(0, accounts, { transfer: known }), {
      event: eventOf("transfer.requested", across),
      from: 0
    })
    assert.deepStrictEqual(reasonsOf(decision), [code])
    assert.deepStrictEqual(
      Result.getOrThrow(decision).map((change) => change._tag === "Moved" ? change.transfer.status : change._tag),
      ["rejected", "Announced"]
    )
  })
})

describe("a reversal", () => {
  const there: Terms = {
    transfer: transferId(map, bob, 2),
    source: bob,
    destination: alice,
    amount: whole,
    currency: EUR
  }
  const credited: Verdict = { terms: there, from: 1, ruling: "CREDITED", reason: null }
  const refused: Verdict = { ...credited, ruling: "REFUSED", reason }
  const decided = (terms: Terms, verdict: Verdict | undefined, reversed: bigint) => {
    const known: Transfer = {
      terms,
      capture: "automatic",
      status: "requested",
      moving: terms.amount,
      reason: null,
      reverses: there.transfer
    }
    return decide(
      shard(0, [funded(alice, 100n)], { transfer: known, reversed, ...(verdict === undefined ? {} : { verdict }) }),
      {
        event: { type: "transfer.requested", ...terms, capture: "automatic", client: "shop", reverses: there.transfer },
        from: 0
      }
    )
  }
  const of = (terms: Partial<Terms>): Verdict => ({ ...credited, terms: { ...there, ...terms } })

  it.each<readonly [string, Terms, Verdict, bigint]>([
    ["of the whole", across, credited, 0n],
    ["of a part", { ...across, amount: part }, credited, 0n],
    ["of the rest", { ...across, amount: part }, credited, 40n]
  ])("%s is held like any transfer", (_, terms, verdict, reversed) => {
    assert.deepStrictEqual(
      Result.getOrThrow(decided(terms, verdict, reversed)).map((change) => change._tag),
      ["Held", "Moved", "Announced"]
    )
  })

  it.each<readonly [string, Terms, Verdict | undefined, bigint, string]>([
    ["of what is not known here", across, undefined, 0n, "not_reversible"],
    ["of what was refused", across, refused, 0n, "not_reversible"],
    ["of what came from somebody else", across, of({ source: anna }), 0n, "not_reversible"],
    ["of what went to somebody else", across, of({ destination: anna }), 0n, "not_reversible"],
    ["of what came in another currency", across, of({ currency: USD }), 0n, "not_reversible"],
    ["of one minor unit too much", { ...across, amount: tooMuch }, credited, 0n, "reversal_exceeds_transfer"],
    ["of one minor unit more than is left", across, credited, 1n, "reversal_exceeds_transfer"],
    ["of what came back already", across, credited, 70n, "reversal_exceeds_transfer"]
  ])("%s is rejected with the reason", (_, terms, verdict, reversed, code) => {
    assert.deepStrictEqual(reasonsOf(decided(terms, verdict, reversed)), [code])
  })
})

describe("a destination that cannot take the money", () => {
  it.each<readonly [string, ReadonlyArray<Account>, string]>([
    ["does not exist", [], "account_not_found"],
    ["is frozen", [funded(bob, 0n, { status: "frozen" })], "account_frozen"],
    ["is closed", [funded(bob, 0n, { status: "closed" })], "account_closed"],
    ["holds another currency", [funded(bob, 0n, { currency: USD })], "currency_mismatch"],
    ["would go over its ceiling by one minor unit", [funded(bob, 31n, { ceiling: 100n })], "ceiling_exceeded"]
  ])("because it %s rules REFUSED, with the reason, and posts nothing", (_, accounts, code) => {
    const changes = Result.getOrThrow(
      decide(shard(1, accounts), { event: eventOf("transfer.held", across), from: 0 })
    )
    assert.deepStrictEqual(changes.map((change) => change._tag), ["Ruled", "Announced"])
    for (const change of changes) {
      if (change._tag === "Ruled") {
        assert.deepStrictEqual([change.verdict.ruling, change.verdict.reason?.code], ["REFUSED", code])
      }
      if (change._tag === "Announced") assert.strictEqual(change.event.type, "transfer.refused")
    }
  })
})

describe("a destination", () => {
  const credited: Verdict = { terms: across, from: 0, ruling: "CREDITED", reason: null }
  const refused: Verdict = { terms: across, from: 0, ruling: "REFUSED", reason }

  it.each<readonly [Event["type"], string, Verdict, Event]>([
    ["transfer.held", "CREDITED", credited, eventOf("transfer.credited", across)],
    ["transfer.held", "REFUSED", refused, eventOf("transfer.refused", across)],
    ["transfer.recalled", "CREDITED", credited, eventOf("transfer.credited", across)],
    ["transfer.recalled", "REFUSED", refused, eventOf("transfer.refused", across)]
  ])(
    "that is told %s after it ruled %s says it again, word for word, and does nothing else",
    (type, _, verdict, told) => {
      const view = shard(1, [funded(bob, 0n)], { verdict })
      assert.deepStrictEqual(Result.getOrThrow(decide(view, { event: eventOf(type, across), from: 0 })), [
        { _tag: "Announced", event: told }
      ])
    }
  )

  it.each<Event["type"]>(["transfer.held", "transfer.recalled"])(
    "that is told %s of another amount than it ruled on says that this cannot be",
    (type) => {
      const view = shard(1, [funded(bob, 0n)], { verdict: credited })
      const decision = decide(view, { event: eventOf(type, { ...across, amount: part }), from: 0 })
      assert.match(String(Result.isFailure(decision) && decision.failure.message), /its verdict is on 70, not 30/)
    }
  )

  it("credits against the clearing account of the shard that the money comes from", () => {
    const changes = Result.getOrThrow(
      decide(shard(1, [funded(bob, 0n)]), { event: eventOf("transfer.held", across), from: 0 })
    )
    assert.deepStrictEqual(changes[0], {
      _tag: "Posted",
      posting: {
        transfer,
        step: "credit",
        debit: "clearing:1:from:0:EUR",
        credit: bob,
        amount: whole,
        currency: EUR
      }
    })
    assert.deepStrictEqual(changes[1], { _tag: "Ruled", verdict: credited })
  })

  it("that is recalled before it was asked refuses for ever, whatever it would have said", () => {
    const changes = Result.getOrThrow(
      decide(shard(1, [funded(bob, 0n)]), { event: eventOf("transfer.recalled", across), from: 0 })
    )
    assert.deepStrictEqual(changes, [
      { _tag: "Ruled", verdict: refused },
      { _tag: "Announced", event: eventOf("transfer.refused", across) }
    ])
  })
})

describe("a source", () => {
  const heldOf = (more: Partial<Transfer> = {}): Transfer => ({
    terms: across,
    capture: "automatic",
    status: "held",
    moving: whole,
    reason: null,
    reverses: null,
    ...more
  })

  it("turns the hold into a debit when the money has arrived, even if it has been frozen or emptied since", () => {
    for (const status of ["open", "frozen", "closed"] as const) {
      const view = shard(0, [funded(alice, 0n, { status })], { transfer: heldOf() })
      const changes = Result.getOrThrow(decide(view, { event: eventOf("transfer.credited", across), from: 1 }))
      assert.deepStrictEqual(changes.map((change) => change._tag), ["Held", "Posted", "Moved", "Announced"])
      assert.deepStrictEqual(changes[1], {
        _tag: "Posted",
        posting: { transfer, step: "commit", debit: alice, credit: "clearing:0:to:1:EUR", amount: whole, currency: EUR }
      })
    }
  })

  it("that hears of a credit of another amount than it holds says that this cannot be", () => {
    const view = shard(0, [funded(alice, 100n)], { transfer: heldOf() })
    const decision = decide(view, { event: eventOf("transfer.credited", { ...across, amount: part }), from: 1 })
    assert.match(String(Result.isFailure(decision) && decision.failure.message), /30 were credited, 70 are held/)
  })

  it("gives the destination's reason for what was refused", () => {
    const view = shard(0, [funded(alice, 100n)], { transfer: heldOf() })
    const decision = decide(view, { event: eventOf("transfer.refused", across), from: 1 })
    assert.deepStrictEqual(reasonsOf(decision), ["account_frozen"])
  })

  it("moves the captured part only, and makes the rest available at once", () => {
    const view = shard(0, [funded(alice, 100n)], { transfer: heldOf({ status: "authorized", capture: "manual" }) })
    const changes = Result.getOrThrow(
      decide(view, { event: eventOf("transfer.capture_requested", across, part), from: 0 })
    )
    assert.deepStrictEqual(changes, [
      { _tag: "Held", record: { transfer, number: 2, account: alice, change: "released", amount: 40n } },
      { _tag: "Moved", transfer: heldOf({ capture: "manual", moving: part }) },
      { _tag: "Announced", event: eventOf("transfer.held", { ...across, amount: part }) },
      { _tag: "Answered", instruction: instruction.id, refusal: null }
    ])
  })

  it("refuses to capture more than was authorized, and changes nothing", () => {
    const view = shard(0, [funded(alice, 100n)], { transfer: heldOf({ status: "authorized", capture: "manual" }) })
    const decision = decide(view, { event: eventOf("transfer.capture_requested", across, tooMuch), from: 0 })
    assert.deepStrictEqual(Result.getOrThrow(decision), [{
      _tag: "Answered",
      instruction: instruction.id,
      refusal: {
        code: "capture_exceeds_authorization",
        detail: `0.70 EUR of ${transfer} are authorized, 0.71 EUR were to be captured`
      }
    }])
  })

  it("captures all of it when no amount is named, and releases nothing then", () => {
    const view = shard(0, [funded(alice, 100n)], { transfer: heldOf({ status: "authorized", capture: "manual" }) })
    const changes = Result.getOrThrow(decide(view, { event: eventOf("transfer.capture_requested", across), from: 0 }))
    assert.deepStrictEqual(changes.map((change) => change._tag), ["Moved", "Announced", "Answered"])
  })

  it.each(
    [
      "transfer.requested",
      "transfer.capture_requested",
      "transfer.void_requested",
      "transfer.expiry_due",
      "transfer.credited",
      "transfer.refused"
    ] as const
  )(
    "that hears %s of a transfer it does not know stops: it must have lost it",
    (type) => {
      const decision = decide(shard(0, [funded(alice, 100n)]), { event: eventOf(type, across), from: 1 })
      assert.isTrue(Result.isFailure(decision))
      if (Result.isFailure(decision)) {
        assert.strictEqual(
          decision.failure.message,
          `${type} of ${transfer} cannot be: its source's shard does not know it`
        )
      }
    }
  )
})
