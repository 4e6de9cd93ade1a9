import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { AccountId } from "#domain/account/Account.ts"
import { maximumPartitions, partitionOf } from "#domain/sharding/Partition.ts"
import * as ShardMap from "#domain/sharding/ShardMap.ts"

const Partitions = Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: maximumPartitions }))
const Shards = Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 40 }))

describe("the shard map of a new platform", () => {
  it.each<readonly [shards: number, partitions: number, homes: ReadonlyArray<number>]>([
    [1, 4, [0, 0, 0, 0]],
    [2, 2, [0, 1]],
    [2, 4, [0, 0, 1, 1]],
    [2, 5, [0, 0, 0, 1, 1]],
    [3, 7, [0, 0, 0, 1, 1, 2, 2]],
    [4, 4, [0, 1, 2, 3]],
    [3, 2, [0, 1]]
  ])("gives %i shards their blocks of %i partitions", (shards, partitions, homes) => {
    assert.deepStrictEqual(ShardMap.even(shards, partitions), { version: 1, partitions, homes })
  })

  it.prop("gives every partition exactly one home, and no shard one it does not have", [Shards, Partitions], (
    [shards, partitions]
  ) => {
    const map = ShardMap.even(shards, partitions)
    const owned = Array.from({ length: shards }, (_, shard) => ShardMap.partitionsOf(map, shard))
    assert.deepStrictEqual(owned.flat(), Array.from({ length: partitions }, (_, partition) => partition))
    for (const [shard, block] of owned.entries()) {
      for (const partition of block) assert.strictEqual(ShardMap.shardOfPartition(map, partition), shard)
    }
  })

  it.prop("differs by one partition at most between the largest block and the smallest", [Shards, Partitions], (
    [shards, partitions]
  ) => {
    const map = ShardMap.even(shards, partitions)
    const sizes = Array.from({ length: shards }, (_, shard) => ShardMap.partitionsOf(map, shard).length)
    assert.isAtMost(Math.max(...sizes) - Math.min(...sizes), 1)
  })

  it.prop("finds an account where its partition lives", [AccountId, Shards], ([account, shards]) => {
    const map = ShardMap.even(shards, 64)
    assert.include(ShardMap.partitionsOf(map, ShardMap.shardOfAccount(map, account)), partitionOf(account, 64))
  })

  it.each([-1, 4, 1.5, Number.NaN])("knows no home for partition %s of four", (partition) => {
    assert.throws(() => ShardMap.shardOfPartition(ShardMap.even(2, 4), partition), RangeError)
  })

  it("can be moved partition by partition: each is still found at exactly one home", () => {
    const before = ShardMap.even(2, 4)
    const after: ShardMap.ShardMap = { ...before, version: 2, homes: [0, 1, 1, 1] }
    assert.deepStrictEqual(ShardMap.partitionsOf(after, 0), [0])
    assert.deepStrictEqual(ShardMap.partitionsOf(after, 1), [1, 2, 3])
  })
})
