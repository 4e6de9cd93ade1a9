import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { AccountId } from "#domain/account/Account.ts"
import { maximumPartitions, partitionOf } from "#domain/sharding/Partition.ts"

/**
 * The home partition of accounts among 64 and among 1024. These numbers are frozen: a change here would send every
 * account of every database to another home. If one of them fails, the code is wrong and the number is right.
 */
const frozen: ReadonlyArray<readonly [account: string, of64: number, of1024: number]> = [
  ["alice", 5, 197],
  ["bob", 18, 530],
  ["carol", 26, 26],
  ["dave", 51, 435],
  ["erin", 20, 852],
  ["frank", 15, 463],
  ["grace", 35, 547],
  ["heidi", 21, 597],
  ["acme", 18, 82],
  ["bank", 2, 258],
  ["a", 32, 288],
  ["Z", 1, 577],
  ["0", 35, 419],
  ["house:fees", 15, 463],
  ["merchant:1", 18, 146],
  ["merchant:2", 43, 747],
  ["user@example.org", 29, 477],
  ["acc_01", 41, 1001],
  ["acc_02", 16, 528],
  ["wallet-0001", 9, 585],
  ["A".repeat(64), 4, 196]
]

/** FNV-1a of 32 bits, as its draft publishes it. */
const published: ReadonlyArray<readonly [text: string, hash: number]> = [
  ["", 0x811c9dc5],
  ["a", 0xe40c292c],
  ["b", 0xe70c2de5],
  ["c", 0xe60c2c52],
  ["foobar", 0xbf9cf968]
]

const fold = (hash: number): number => (hash ^ (hash >>> 16)) >>> 0

describe("the home partition of an account", () => {
  it.each(frozen)("of %s never changes", (account, of64, of1024) => {
    assert.strictEqual(partitionOf(account, 64), of64)
    assert.strictEqual(partitionOf(account, 1024), of1024)
  })

  it.each(published)("is the published FNV-1a hash of %j, folded", (text, hash) => {
    assert.strictEqual(partitionOf(text, 2 ** 32), fold(hash))
  })

  it.prop("is the same by the arithmetic of the draft, done in whole numbers of any size", [AccountId], ([account]) => {
    let hash = 0x811c9dc5n
    for (const byte of Buffer.from(account, "utf8")) hash = ((hash ^ BigInt(byte)) * 0x01000193n) % 2n ** 32n
    assert.strictEqual(partitionOf(account, 64), Number((hash ^ (hash >> 16n)) % 64n))
  }, { arbitrary: { runs: 300 } })

  it("counts an id that is not ASCII by its UTF-8 bytes", () => {
    assert.strictEqual(partitionOf("ä", 1024), partitionOf("\u00E4", 1024))
    assert.notStrictEqual(partitionOf("ä", 1024), partitionOf("a\u0308", 1024))
  })

  it.prop(
    "is one of the partitions there are",
    [AccountId, Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: maximumPartitions }))],
    ([account, partitions]) => {
      const partition = partitionOf(account, partitions)
      assert.isTrue(Number.isInteger(partition) && partition >= 0 && partition < partitions)
    }
  )

  const named: ReadonlyArray<readonly [string, (n: number) => string]> = [
    ["counted upward", (n) => `acc_${n}`],
    ["padded with zeros", (n) => `customer-${String(n).padStart(10, "0")}`],
    ["that differ in front only", (n) => `${n.toString(36)}@example.org`],
    ["in hexadecimal", (n) => (n * 2654435761 % 2 ** 32).toString(16)]
  ]

  // χ² with 63 degrees of freedom stays below 103.4 in 999 of 1,000 honest spreads. The ids are fixed, so this can't flicker.
  it.each(named)("spreads ids %s evenly over 64 partitions", (_, name) => {
    const accounts = 64_000
    const counts = Array.from({ length: 64 }, () => 0)
    for (let n = 0; n < accounts; n++) {
      const partition = partitionOf(name(n), 64)
      counts[partition] = (counts[partition] ?? 0) + 1
    }
    const expected = accounts / 64
    const chiSquared = counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0)
    assert.isBelow(chiSquared, 103.4)
    assert.isAbove(Math.min(...counts), expected * 0.85)
    assert.isBelow(Math.max(...counts), expected * 1.15)
  })
})
