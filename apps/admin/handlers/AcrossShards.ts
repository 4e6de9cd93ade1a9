/**
 * Lists over all shards.
 */
import { Effect } from "effect"
import type { ShardId } from "#domain/sharding/ShardMap.ts"

/** A place in a list that goes shard by shard. */
export type Place = `${number} ${bigint}`
export const isPlace = (text: string): text is Place => /^(?:0|[1-9][0-9]{0,3}) (?:0|[1-9][0-9]{0,17})$/.test(text)

/** Where a cursor goes on; at the beginning where there is none. */
export const startOf = (place: Place | null): { readonly shard: ShardId; readonly number: bigint } => {
  const [shard = "0", number = "0"] = place?.split(" ") ?? []
  return { shard: Number(shard), number: BigInt(number) }
}

/** At most `most` of what the shards have, one shard after the other, from a place on. */
export const shardByShard = Effect.fnUntraced(function*<A, E, R>(
  shards: ReadonlyArray<ShardId>,
  place: Place | null,
  most: number,
  of: (shard: ShardId, after: bigint, most: number) => Effect.Effect<ReadonlyArray<A>, E, R>
) {
  const start = startOf(place)
  const found: Array<A> = []
  for (const shard of shards) {
    if (shard < start.shard || found.length >= most) continue
    found.push(...yield* of(shard, shard === start.shard ? start.number : 0n, most - found.length))
  }
  return found
})
