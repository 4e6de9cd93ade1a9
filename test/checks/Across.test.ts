/** The checks over all shards, decided from evidence by hand: above all, what may happen between two looks. */
import { describe, expect, it } from "vitest"
import {
  acrossChecks,
  type ClearingEvidence,
  type Evidence,
  type TransferEvidence,
  type VerdictEvidence,
  withoutVerdict
} from "#domain/reconciliation/Checks.ts"
import { partitionOf } from "#domain/sharding/Partition.ts"
import { even } from "#domain/sharding/ShardMap.ts"
import { idAt } from "./Books.ts"

const map = even(3, 64)
const terms = { transfer: "t1", source: "ann", destination: "cyd", amount: 100n, currency: "EUR" }

const transfer = (more: Partial<TransferEvidence> = {}): TransferEvidence => ({
  shard: 0,
  status: "committed",
  asked: true,
  terms,
  ...more
})

const verdict = (more: Partial<VerdictEvidence> = {}): VerdictEvidence => ({
  shard: 1,
  from: 0,
  ruling: "CREDITED",
  terms,
  ...more
})

const to = (posted: bigint, more: Partial<ClearingEvidence> = {}): ClearingEvidence => ({
  shard: 0,
  direction: "to",
  other: 1,
  currency: "EUR",
  posted,
  ...more
})

const from = (posted: bigint, more: Partial<ClearingEvidence> = {}): ClearingEvidence => ({
  shard: 1,
  direction: "from",
  other: 0,
  currency: "EUR",
  posted,
  ...more
})

interface Looks {
  /** First look, at the destination. */
  readonly verdicts?: ReadonlyArray<VerdictEvidence>
  readonly from?: ReadonlyArray<ClearingEvidence>
  /** Second look, at the source. */
  readonly transfers?: ReadonlyArray<TransferEvidence>
  readonly to?: ReadonlyArray<ClearingEvidence>
  /** Third look, at the destination again. */
  readonly late?: ReadonlyArray<VerdictEvidence>
}

const evidenceOf = (looks: Looks): Evidence => ({
  ruled: { verdicts: looks.verdicts ?? [], clearing: looks.from ?? [] },
  stood: { transfers: looks.transfers ?? [], clearing: looks.to ?? [], accounts: [], sums: [] },
  late: looks.late ?? []
})

const foundIn = (evidence: Evidence) =>
  acrossChecks.filter(({ decide }) => decide(evidence, map).length > 0).map(({ name }) => name)

const cases: ReadonlyArray<readonly [what: string, looks: Looks, found: ReadonlyArray<string>]> = [
  ["nothing at all", {}, []],
  ["credited and committed", {
    verdicts: [verdict()],
    from: [from(-100n)],
    transfers: [transfer()],
    to: [to(100n)]
  }, []],
  ["credited and still held is in flight", {
    verdicts: [verdict()],
    from: [from(-100n)],
    transfers: [transfer({ status: "held" })]
  }, []],
  ["held and not yet ruled on", { transfers: [transfer({ status: "held" })] }, []],
  ["refused and cancelled", {
    verdicts: [verdict({ ruling: "REFUSED" })],
    transfers: [transfer({ status: "cancelled" })]
  }, []],
  ["refused and still held", {
    verdicts: [verdict({ ruling: "REFUSED" })],
    transfers: [transfer({ status: "held" })]
  }, []],
  ["cancelled, and never asked", { transfers: [transfer({ status: "cancelled", asked: false })] }, []],
  ["rejected, and never asked", { transfers: [transfer({ status: "rejected", asked: false })] }, []],
  ["credited and committed between the looks", {
    transfers: [transfer()],
    to: [to(100n)],
    late: [verdict()]
  }, []],
  ["refused and cancelled between the looks", {
    transfers: [transfer({ status: "cancelled" })],
    late: [verdict({ ruling: "REFUSED" })]
  }, []],
  ["one in flight, another credited and committed between the looks", {
    verdicts: [verdict()],
    from: [from(-100n)],
    transfers: [
      transfer({ status: "held" }),
      transfer({ terms: { ...terms, transfer: "t2", amount: 7n } })
    ],
    to: [to(7n)],
    late: [verdict({ terms: { ...terms, transfer: "t2", amount: 7n } })]
  }, []],
  ["committed, and no verdict at the third look either", {
    transfers: [transfer()],
    to: [to(100n)]
  }, ["committed_transfers_were_credited", "clearing_accounts_show_what_is_in_flight"]],
  ["committed between the looks, and refused", {
    transfers: [transfer()],
    to: [to(100n)],
    late: [verdict({ ruling: "REFUSED" })]
  }, ["committed_transfers_were_credited", "clearing_accounts_show_what_is_in_flight"]],
  ["cancelled between the looks, and credited", {
    transfers: [transfer({ status: "cancelled" })],
    late: [verdict()]
  }, ["credited_transfers_are_held_or_committed", "clearing_accounts_show_what_is_in_flight"]],
  ["cancelled after it was asked, and never ruled on", {
    transfers: [transfer({ status: "cancelled" })]
  }, ["holds_are_released_only_after_a_refusal"]],
  ["refused, though only requested", {
    verdicts: [verdict({ ruling: "REFUSED" })],
    transfers: [transfer({ status: "requested", asked: false })]
  }, ["verdicts_are_on_known_transfers"]],
  ["ruled on by two shards", {
    verdicts: [verdict({ ruling: "REFUSED" }), verdict({ ruling: "REFUSED", shard: 2 })],
    transfers: [transfer({ status: "cancelled" })]
  }, ["verdicts_are_on_known_transfers"]],
  ["ruled on as if from another shard", {
    verdicts: [verdict({ ruling: "REFUSED", from: 2 })],
    transfers: [transfer({ status: "cancelled" })]
  }, ["verdicts_are_on_known_transfers"]],
  ["one currency makes up for another", {
    from: [from(-100n), from(100n, { currency: "USD" })]
  }, ["clearing_accounts_show_what_is_in_flight"]],
  ["one pair of shards makes up for another", {
    from: [from(-100n), from(100n, { shard: 2 })]
  }, ["clearing_accounts_show_what_is_in_flight"]],
  ["one direction makes up for the other", {
    from: [from(-100n), from(100n, { shard: 0, other: 1 })]
  }, ["clearing_accounts_show_what_is_in_flight"]]
]

describe("over all shards,", () => {
  it.each(cases)("%s", (_, looks, found) => {
    expect(foundIn(evidenceOf(looks))).toEqual(found)
  })

  it("only a transfer that went on without a verdict in the first look is looked for again", () => {
    const { ruled, stood } = evidenceOf({
      verdicts: [verdict()],
      transfers: [
        transfer(),
        ...(["requested", "authorized", "held", "committed", "rejected", "cancelled"] as const).map((status) =>
          transfer({ status, terms: { ...terms, transfer: status }, asked: status !== "rejected" })
        ),
        transfer({ status: "cancelled", terms: { ...terms, transfer: "voided" }, asked: false })
      ]
    })
    expect(withoutVerdict({ ruled, stood })).toEqual(["committed", "cancelled"])
  })

  it("an account is at home in the partition and on the shard that its id says, and only there", () => {
    const account = idAt(map, 1, "ann")
    const partition = partitionOf(account, map.partitions)
    const found = (shard: number, partition: number) => {
      const evidence = evidenceOf({})
      return foundIn({ ...evidence, stood: { ...evidence.stood, accounts: [{ account, partition, shard }] } })
    }
    expect(found(1, partition)).toEqual([])
    expect(found(0, partition)).toEqual(["accounts_live_at_home_and_nowhere_else"])
    expect(found(1, partition - 1)).toEqual(["accounts_live_at_home_and_nowhere_else"])
  })

  it("what one shard lacks, another may have, if all together sum to zero", () => {
    const found = (...sums: ReadonlyArray<bigint>) => {
      const evidence = evidenceOf({})
      return foundIn({
        ...evidence,
        stood: { ...evidence.stood, sums: sums.map((posted, shard) => ({ shard, currency: "EUR", posted })) }
      })
    }
    expect(found(5n, -5n)).toEqual([])
    expect(found(5n, -4n)).toEqual(["all_shards_together_sum_to_zero"])
  })
})
