import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import { type Account, AccountStatus } from "#domain/account/Account.ts"
import { AccountEvent } from "#domain/account/AccountEvent.ts"
import type { ShardView } from "#domain/ledger/Decision.ts"
import { type Instruction, InstructionId } from "#domain/ledger/Instruction.ts"
import { decide } from "#domain/ledger/Protocol.ts"
import { tableOf } from "../Drawing.ts"
import { alice, EUR } from "../Scenario.ts"
import { customer } from "../ShardModel.ts"

const id = InstructionId.make("ins_00000000000000000000000001")
const open: Instruction = { id, asks: "close", subject: alice, amount: null, status: "open", reason: null }

/** A shard that knows one account, or none, and one instruction, or none. */
const shard = (account: Account | undefined, instruction: Instruction | undefined = open): ShardView => ({
  shard: 0,
  isHome: () => true,
  account: (asked) => asked === account?.id ? account : undefined,
  transfer: () => undefined,
  verdict: () => undefined,
  instruction: (asked) => asked === instruction?.id ? instruction : undefined,
  reversed: () => 0n
})

const types = AccountEvent.members.map((member) => member.fields.type.literal)
type Type = (typeof types)[number]

const eventOf = (type: Type): AccountEvent => {
  switch (type) {
    case "account.opened":
      return { type, account: alice, kind: "customer", normalSide: "credit", currency: EUR, floor: 0n, ceiling: null }
    case "account.freeze_requested":
    case "account.unfreeze_requested":
    case "account.close_requested":
      return { type, account: alice, instruction: id }
    default:
      return { type, account: alice }
  }
}

const accountWith = (status: AccountStatus, posted = 0n, held = 0n): Account =>
  customer(alice, EUR, { status, balance: { posted, held, version: 3n, sequence: 5n } })

const decided = (type: Type, account: Account | undefined, instruction?: Instruction) =>
  decide(shard(account, instruction), { event: eventOf(type), from: 0 })

/** All that can become of an account in a state when an event arrives, whatever is in it. */
const outcomes = (type: Type, status: AccountStatus): ReadonlySet<string> => {
  const seen = new Set<string>()
  for (const [posted, held] of [[0n, 0n], [5n, 0n], [5n, 5n], [0n, 5n], [-5n, 0n]] as const) {
    const changes = Result.getOrThrow(decided(type, accountWith(status, posted, held)))
    if (changes.length === 0) seen.add("·")
    for (const change of changes) {
      if (change._tag === "StatusChanged") seen.add(change.status)
      if (change._tag === "Answered" && change.refusal !== null) seen.add("refused")
    }
  }
  return seen
}

describe("docs/transfer-states.md", () => {
  const [heading = [], ...rows] = tableOf("The states of an account")
  const cells = rows.flatMap(([type = "", ...cells]) =>
    cells.map((cell, index) => ({ type, status: heading[index + 1] ?? "", cell }))
  )

  it("names every state of an account, and every event of one", () => {
    assert.deepStrictEqual([...heading].slice(1).toSorted(), [...AccountStatus.literals].toSorted())
    assert.deepStrictEqual(rows.map(([type = ""]) => type).toSorted(), [...types].toSorted())
  })

  it.each(cells)("says what $type does to an account that is $status: $cell", ({ cell, status, type }) => {
    const [event, known] = [types.find((one) => one === type), AccountStatus.literals.find((one) => one === status)]
    assert.isDefined(event)
    assert.isDefined(known)
    if (event === undefined || known === undefined) return
    assert.deepStrictEqual([...outcomes(event, known)].toSorted(), cell.split(" or ").toSorted())
  })
})

describe("an account that is to be closed", () => {
  it.each<readonly [string, bigint, bigint]>([
    ["has money in it", 1n, 0n],
    ["owes some", -1n, 0n],
    ["has some held that it has not got", 0n, 1n],
    ["has all of its money held", 1n, 1n]
  ])("stays as it is while it %s, and whoever asked is told why", (_, posted, held) => {
    const changes = Result.getOrThrow(decided("account.close_requested", accountWith("open", posted, held)))
    assert.deepStrictEqual(
      changes.map((change) => change._tag === "Answered" ? change.refusal?.code : change._tag),
      ["account_not_empty"]
    )
  })

  it("is closed when it is empty: its status, the fact and the answer are one decision", () => {
    assert.deepStrictEqual(Result.getOrThrow(decided("account.close_requested", accountWith("frozen"))), [
      { _tag: "StatusChanged", account: alice, status: "closed" },
      { _tag: "Announced", event: { type: "account.closed", account: alice } },
      { _tag: "Answered", instruction: id, refusal: null }
    ])
  })
})

describe("an instruction", () => {
  it.each<readonly [Instruction["status"], AccountStatus]>([
    ["done", "open"],
    ["done", "frozen"],
    ["refused", "open"]
  ])("that was answered %s comes again to an account that is %s by now, and changes nothing", (status, now) => {
    const answered: Instruction = {
      ...open,
      status,
      reason: status === "done" ? null : { code: "account_frozen", detail: "" }
    }
    assert.deepStrictEqual(Result.getOrThrow(decided("account.freeze_requested", accountWith(now), answered)), [])
  })

  it.each<readonly [string, Account | undefined, Instruction | undefined]>([
    ["an account", undefined, open],
    ["an instruction", accountWith("open"), { ...open, id: InstructionId.make("ins_00000000000000000000000002") }]
  ])("that speaks of %s that its shard does not know stops the partition", (_, account, instruction) => {
    assert.isTrue(Result.isFailure(decided("account.freeze_requested", account, instruction)))
  })
})
