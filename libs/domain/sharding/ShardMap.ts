/**
 * The shard map: which shard is home to which partition.
 */
import { partitionOf } from "./Partition.ts"

/** The number of a shard: its place in the list of shard databases, from 0. */
export type ShardId = number

export interface ShardMap {
  /** Grows with every change of the map. */
  readonly version: number
  readonly partitions: number
  /** The shard of each partition. */
  readonly homes: ReadonlyArray<ShardId>
}

/** Spreads `partitions` evenly over `shards`, in blocks: the map a new platform begins with. */
export const even = (shards: number, partitions: number): ShardMap => ({
  version: 1,
  partitions,
  homes: Array.from({ length: partitions }, (_, partition) => Math.floor((partition * shards) / partitions))
})

/** The shard that is home to a partition. */
export const shardOfPartition = (map: ShardMap, partition: number): ShardId => {
  const shard = map.homes[partition]
  if (shard === undefined) throw new RangeError(`partition ${partition} is not in a map of ${map.partitions}`)
  return shard
}

/** The shard that is home to an account. */
export const shardOfAccount = (map: ShardMap, account: string): ShardId =>
  shardOfPartition(map, partitionOf(account, map.partitions))

/** The partitions whose home is `shard`, ascending. */
export const partitionsOf = (map: ShardMap, shard: ShardId): ReadonlyArray<number> =>
  map.homes.flatMap((home, partition) => home === shard ? [partition] : [])
