/**
 * The port to the books in which events are replayed: an empty copy of a shard, its shadow, that is held against the shard;
 * or a shard that was restored from an older backup and is to catch up. Nobody else writes there meanwhile.
 */
import { Context, Effect, Fiber } from "effect"
import { type Known, type Needs, overlaid } from "../ledger/Batch.ts"
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

const nothing: Known = {
  accounts: new Map(),
  transfers: new Map(),
  verdicts: new Map(),
  instructions: new Map(),
  reversed: new Map()
}

/** After so many decisions whatever else there is to do gets its turn: above all, the stretch before is being written. */
const decisionsInARow = 200

/**
 * Replays events into the shadow, and answers how many there were; `told` hears of each stretch that was written.
 *
 * Three stretches are under way at once: one is read, one is decided, one is written. So what the one before changed may not
 * be in the shadow yet, and is handed on.
 */
export const replay = Effect.fn("replay")(function*<E = never>(
  events: OwnEvents<E>,
  told: (progress: { readonly events: number; readonly position: bigint }) => Effect.Effect<void>
) {
  const shadow = yield* Shadow
  let count = 0
  let before = nothing
  let writing: Fiber.Fiber<void, ShardUnavailable> = yield* Effect.forkChild(Effect.void)
  let stretch = yield* events.next
  while (stretch.length > 0) {
    const reading = yield* Effect.forkChild(events.next)
    const decided = yield* Effect.exit(decideAgain(stretch, before))
    // What was right before it is written whatever comes of this one.
    yield* Fiber.join(writing)
    const replayed = yield* decided
    before = replayed.changed
    count += stretch.length
    const progress = { events: count, position: stretch.at(-1)?.position ?? 0n }
    writing = yield* Effect.forkChild(Effect.andThen(shadow.write(replayed.rebuilt), told(progress)))
    stretch = yield* Fiber.join(reading)
  }
  yield* Fiber.join(writing)
  return count
})

/** A stretch decided, over what the shadow knows and what the stretch before it changed. */
const decideAgain = Effect.fnUntraced(function*(stretch: ReadonlyArray<LogRecord>, before: Known) {
  const { map, read, shard } = yield* Shadow
  const events = yield* Effect.fromResult(eventsOf(shard, stretch))
  const needs = needsOf(events, map, shard)
  const handedOn = [...needs.transfers].flatMap((id) => before.transfers.get(id)?.reverses ?? [])
  const known = yield* read({
    ...needs,
    reversed: new Set([...needs.reversed, ...handedOn]),
    verdicts: new Set([...needs.verdicts, ...handedOn])
  })
  const replay = new Replay(shard, map, overlaid(known, before))
  for (const [index, event] of events.entries()) {
    const record = stretch[index]
    if (record !== undefined) yield* Effect.fromResult(replay.take(record, event))
    if (index % decisionsInARow === 0) yield* Effect.yieldNow
  }
  return replay
})
