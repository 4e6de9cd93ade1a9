import { assert, describe, it } from "@effect/vitest"
import { Amount } from "#domain/money/Amount.ts"
import { type Instruction, InstructionId, InstructionStatus } from "#domain/ledger/Instruction.ts"
import { idOf, question, type SilentTransfer } from "#domain/reconciliation/SilentTransfers.ts"
import type { InstructionEvent } from "#domain/transfer/Intake.ts"
import { ended, type Transfer, TransferStatus } from "#domain/transfer/Transfer.ts"
import type { Terms } from "#domain/transfer/TransferEvent.ts"
import { alice, bob, EUR, map } from "../Scenario.ts"
import { transferId } from "../ShardModel.ts"

const terms: Terms = {
  transfer: transferId(map, alice, 1),
  source: alice,
  destination: bob,
  amount: Amount.make(70n),
  currency: EUR
}

const silent = (status: TransferStatus, expired: boolean, more: Partial<Transfer> = {}): SilentTransfer => ({
  transfer: { terms, capture: "manual", status, moving: terms.amount, reason: null, reverses: null, ...more },
  client: "shop",
  expired,
  openSinceMillis: 0
})

describe("a transfer that got no answer for too long", () => {
  it.each<readonly [status: TransferStatus, expired: boolean, asked: string | undefined]>([
    ["requested", false, "transfer.requested"],
    ["requested", true, "transfer.requested"],
    ["authorized", false, undefined], // it waits for its client
    ["authorized", true, "transfer.expiry_due"],
    ["held", false, "transfer.recalled"], // never released by age: its destination is asked to rule
    ["held", true, "transfer.recalled"],
    ["committed", true, undefined],
    ["rejected", true, undefined],
    ["cancelled", true, undefined]
  ])("and is %s (its authorization over: %s) is asked about by %s", (status, expired, asked) => {
    assert.strictEqual(question(silent(status, expired))?.type, asked)
  })

  it("is asked about in its own words: as it was requested, by whom", () => {
    assert.deepStrictEqual(question(silent("requested", false)), {
      type: "transfer.requested",
      ...terms,
      capture: "manual",
      client: "shop"
    })
  })

  it("is recalled by what is on its way, where it was captured in part", () => {
    const moving = Amount.make(30n)
    assert.deepStrictEqual(question(silent("held", false, { moving })), {
      type: "transfer.recalled",
      ...terms,
      amount: moving,
      reason: { code: "timeout", detail: "the destination did not answer in time" }
    })
  })

  it("is never asked about once it has ended", () => {
    for (const status of TransferStatus.literals) {
      if (ended.has(status)) assert.isUndefined(question(silent(status, true)))
    }
  })
})

describe("an instruction that got no answer for too long", () => {
  const id = InstructionId.make("ins_00000000000000000000000001")
  const event: InstructionEvent = { type: "account.close_requested", account: alice, instruction: id }
  const instruction = (status: InstructionStatus): Instruction => ({
    id,
    asks: "close",
    subject: alice,
    amount: null,
    status,
    reason: null
  })

  it("is asked again by the very event that asked it first", () => {
    assert.deepStrictEqual(question({ instruction: instruction("open"), event }), event)
  })

  it("is never asked again once it is answered", () => {
    for (const status of InstructionStatus.literals) {
      if (status !== "open") assert.isUndefined(question({ instruction: instruction(status), event }))
    }
  })

  it("is remembered by its own id, a transfer by the transfer's", () => {
    assert.strictEqual(idOf({ instruction: instruction("open"), event }), id)
    assert.strictEqual(idOf(silent("held", false)), terms.transfer)
  })
})
