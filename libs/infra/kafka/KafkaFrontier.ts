/**
 * How far a shard has come in a topic: the highest position among its records. Kafka keeps no such thing, so the partitions are
 * read from their ends, further and further back, until each has shown a record of the shard or has been read whole.
 */
import { Effect } from "effect"
import type { Bounds, EventLog } from "#domain/messaging/EventLog.ts"
import type { ShardId } from "#domain/sharding/ShardMap.ts"

/** Records of a partition that are read at first; each further look is eight times as far. */
const firstLook = 64n

export const frontierOf = Effect.fnUntraced(function*(
  { bounds, reader }: Pick<EventLog["Service"], "bounds" | "reader">,
  partitions: ReadonlyArray<number>,
  source: ShardId
) {
  let highest = 0n
  let unseen = new Map<number, Bounds>(
    [...yield* bounds(partitions)].filter(([, { begin, end }]) => begin < end)
  )
  for (let look = firstLook; unseen.size > 0; look *= 8n) {
    const looked = unseen
    const from = new Map([...looked].map(([partition, { begin, end }]) => {
      const back = end - look
      return [partition, back > begin ? back : begin]
    }))
    const seen = yield* Effect.scoped(Effect.gen(function*() {
      const found = new Set<number>()
      const { next, take } = yield* reader(from)
      const isRead = () => [...looked].every(([partition, { end }]) => (next(partition) ?? end) >= end)
      while (!isRead()) {
        // The last offsets may be taken up by what is no record.
        const records = yield* Effect.timeoutOrElse(take(10_000), {
          duration: "50 millis",
          orElse: () => Effect.succeed([])
        })
        for (const { partition, position, source: of } of records) {
          if (of !== source) continue
          found.add(partition)
          if (position > highest) highest = position
        }
      }
      return found
    }))
    unseen = new Map(
      [...looked].flatMap(([partition, { begin }]) => {
        const start = from.get(partition) ?? begin
        return seen.has(partition) || start <= begin ? [] : [[partition, { begin, end: start }] as const]
      })
    )
  }
  return highest
})
