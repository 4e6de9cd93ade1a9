/**
 * After the last round each shard's books are made again from its events alone: from its own log, and from the event log, as far
 * as that was carried. Whatever struck meanwhile, they must be the same.
 */
import { Cause, Effect, Exit, Layer, Redacted, Schedule } from "effect"
import { even } from "#domain/sharding/ShardMap.ts"
import { fromEventLogOf, fromLog, isEqual, replayShard, shadowBeside } from "#infra/postgres/PgReplay.ts"
import * as PgShardLog from "#infra/postgres/PgShardLog.ts"
import { ShardDatabases } from "#infra/postgres/ShardDatabases.ts"
import { partitions, type Rig } from "./Rig.ts"

export interface ReplayedShard {
  readonly shard: number
  /** `its own log`, or what the event log is kept in. */
  readonly from: string
  readonly events: number
  readonly eventsPerSecond: number
  /** What is not the same, in words; nothing where all is. */
  readonly differences: ReadonlyArray<string>
}

export const replayAll = Effect.fnUntraced(function*({ eventLog, log, shardUrls }: Rig) {
  const map = even(shardUrls.length, partitions)
  const urls = shardUrls.map((url) => Redacted.make(url))
  const shardLogs = PgShardLog.layer.pipe(
    Layer.provideMerge(ShardDatabases.layer({ urls, map, role: "counterpoise_auditor", maxConnections: 2 }))
  )
  const replayed = Effect.fnUntraced(function*(from: string, shard: number, live: Redacted.Redacted<string>) {
    const shadow = yield* shadowBeside(live, { name: "chaos_shadow", shard, partitions, keep: false })
    const options = { shard, map, live, shadow, told: () => Effect.void }
    return yield* from === eventLog
      ? replayShard({ ...options, events: fromEventLogOf(map) })
      : replayShard({ ...options, events: fromLog })
  }, (replaying) =>
    Effect.scoped(replaying).pipe(
      // Fair weather, on a machine that has much to do: only what came of the events is a finding at once.
      Effect.retry({ while: ({ _tag }) => _tag !== "Diverged", times: 3, schedule: Schedule.spaced("1 second") })
    ))

  return yield* Effect.forEach(
    ["its own log", eventLog],
    (from) =>
      Effect.forEach(
        urls,
        (live, shard) =>
          Effect.map(Effect.exit(replayed(from, shard, live)), (exit): ReplayedShard => {
            if (Exit.isFailure(exit)) {
              return { shard, from, events: 0, eventsPerSecond: 0, differences: [String(Cause.squash(exit.cause))] }
            }
            const { differences, events, seconds, tables } = exit.value
            return {
              shard,
              from,
              events,
              eventsPerSecond: Math.round(events / Math.max(seconds, 0.001)),
              differences: isEqual(exit.value) ? [] : [
                ...tables.filter(({ digest, live }) => digest !== live).map(({ table }) => `table ${table}`),
                ...differences.map(({ account }) => `account ${account}`)
              ]
            }
          })
      )
  ).pipe(Effect.map((both) => both.flat()), Effect.provide(Layer.merge(shardLogs, log), { local: true }))
})
