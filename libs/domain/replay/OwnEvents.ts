/** Where a shard's own events are to be had: in its log, or in the event log, among those of all shards. */
import { Effect, Ref } from "effect"
import { EventLog, type LogRecord } from "../messaging/EventLog.ts"
import { ShardLog } from "../messaging/ShardLog.ts"
import { type ShardId } from "../sharding/ShardMap.ts"
import type { OwnEvents } from "./Shadow.ts"

/** A stretch is read and written as a whole: larger ones take more memory, and are no faster. */
const mostPerStretch = 5_000

/** A shard's events after a position, from its own log. */
export const fromShardLog = Effect.fnUntraced(function*(shard: ShardId, after: bigint) {
  const log = yield* ShardLog
  const position = yield* Ref.make(after)
  const next: OwnEvents["next"] = Effect.gen(function*() {
    const from = yield* Ref.get(position)
    const { records, upTo } = yield* log.after(shard, from, mostPerStretch)
    yield* Ref.set(position, upTo)
    return records.length > 0 || upTo === from ? records : yield* next
  })
  return { next }
})

/** What has come from a partition, and up to which position of the shard there can be nothing more. */
interface Lane {
  highest: bigint
  finished: boolean
}

/**
 * A shard's events after a position, from the event log, as far as that goes now.
 *
 * They are spread over the partitions, and in each they come in order, with replays. So what is not above the highest
 * position seen in every unfinished partition is complete, and is given out in order; the rest waits.
 */
export const fromEventLog = Effect.fnUntraced(function*(shard: ShardId, after: bigint, partitions: number) {
  const log = yield* EventLog
  const all = Array.from({ length: partitions }, (_, partition) => partition)
  const bounds = yield* log.bounds(all)
  const reader = yield* log.reader(new Map(all.map((partition) => [partition, bounds.get(partition)?.begin ?? 0n])))
  const lanes = new Map(all.map((partition): [number, Lane] => [partition, { highest: after, finished: false }]))
  const isFinished = (partition: number) => (reader.next(partition) ?? 0n) >= (bounds.get(partition)?.end ?? 0n)
  let waiting: Array<LogRecord> = []

  /** Takes what is there, unless there is nothing more to come of what was there at the beginning. */
  const take = Effect.suspend(() => {
    const reading = all.filter((partition) => lanes.get(partition)?.finished === false)
    for (const partition of reading) {
      const lane = lanes.get(partition)
      if (lane !== undefined) lane.finished = isFinished(partition)
    }
    return [...lanes.values()].every(({ finished }) => finished)
      ? Effect.undefined
      // What takes up the last offsets of a partition may be no record at all: then nothing comes, and its end is seen.
      : reader.take(mostPerStretch).pipe(
        Effect.timeoutOrElse({ duration: "50 millis", orElse: () => Effect.succeed([]) })
      )
  })

  const next: OwnEvents["next"] = Effect.gen(function*() {
    const taken = yield* take
    for (const record of taken ?? []) {
      const lane = lanes.get(record.partition)
      if (record.source !== shard || lane === undefined || record.position <= lane.highest) continue
      lane.highest = record.position
      waiting.push(record)
    }
    const complete = [...lanes.values()].reduce<bigint | undefined>(
      (least, { finished, highest }) => finished || (least !== undefined && least <= highest) ? least : highest,
      undefined
    )
    if (taken !== undefined && waiting.length < mostPerStretch) return yield* next
    waiting = waiting.toSorted((a, b) => a.position < b.position ? -1 : a.position > b.position ? 1 : 0)
    const end = complete === undefined ? waiting.length : waiting.findIndex(({ position }) => position > complete)
    const given = waiting.slice(0, Math.min(end === -1 ? waiting.length : end, mostPerStretch))
    waiting = waiting.slice(given.length)
    return given.length > 0 || taken === undefined ? given : yield* next
  })
  return { next }
})
