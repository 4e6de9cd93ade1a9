/**
 * The port to the books in which events are replayed: an empty copy of a shard, its shadow, that is held against the shard;
 * or a shard that was restored from an older backup and is to catch up. Nobody else writes there meanwhile.
 */
import { Context, Effect, Fiber } from "effect"
import type { Known, Needs } from "../ledger/Batch.ts"
import type { EventLogUnavailable, LogRecord } from "../messaging/EventLog.ts"
import type { ShardId, ShardMap } from "../sharding/ShardMap.ts"
import type { ShardUnavailable } from "../sharding/Shards.ts"
import { eventsOf, needsOf, type Rebuilt, Replay } from "./Replay.ts"

export class Shadow extends Context.Service<Shadow, {
  readonly shard: ShardId
  readonly map: ShardMap
  /** The position of the last event it has; 0 where it has none. */
  readonly end: Effect.Effect<bigint, ShardUnavailable>
  /** What is known there, and the open instructions on everything that is asked about, in the order in which they were given. */
  readonly read: (needs: Needs) => Effect.Effect<Known, ShardUnavailable>
  /** Writes it all, or nothing. */
  readonly write: (rebuilt: Rebuilt) => Effect.Effect<void, ShardUnavailable>
}>()("counterpoise/domain/replay/Shadow") {}

/** A shard's own events in the order of their positions, each once. */
export interface OwnEvents<E = never> {
  /** Some more of them, and none when there are no more. */
  readonly next: Effect.Effect<ReadonlyArray<LogRecord>, E | ShardUnavailable | EventLogUnavailable>
}

/** Replays events into the shadow, and answers how many there were; `told` hears of each stretch that was written. */
export const replay = Effect.fn("replay")(function*<E = never>(
  events: OwnEvents<E>,
  told: (progress: { readonly events: number; readonly position: bigint }) => Effect.Effect<void>
) {
  const shadow = yield* Shadow
  const { map, shard } = shadow
  let count = 0
  let stretch = yield* events.next
  while (stretch.length > 0) {
    // The next stretch is read while this one is written.
    const reading = yield* Effect.forkChild(events.next)
    const decoded = yield* Effect.fromResult(eventsOf(shard, stretch))
    const replay = new Replay(shard, map, yield* shadow.read(needsOf(decoded, map, shard)))
    for (const [index, event] of decoded.entries()) {
      const record = stretch[index]
      if (record !== undefined) yield* Effect.fromResult(replay.take(record, event))
    }
    yield* shadow.write(replay.rebuilt)
    count += stretch.length
    yield* told({ events: count, position: stretch.at(-1)?.position ?? 0n })
    stretch = yield* Fiber.join(reading)
  }
  return count
})
