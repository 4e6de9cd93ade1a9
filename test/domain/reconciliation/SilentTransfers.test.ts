import { assert, describe, it } from "@effect/vitest"
import { Amount } from "#domain/money/Amount.ts"
import { question, type SilentTransfer } from "#domain/reconciliation/SilentTransfers.ts"
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
    const recalled = question(silent("held", false, { moving: Amount.make(30n) }))
    assert.strictEqual(recalled?.amount, 30n)
  })

  it("is never asked about once it has ended", () => {
    for (const status of TransferStatus.literals) {
      if (ended.has(status)) assert.isUndefined(question(silent(status, true)))
    }
  })
})
