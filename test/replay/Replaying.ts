/** Shards replayed, each into a shadow of its own. */
import { Effect, Layer, Redacted } from "effect"
import { EventLog, type LogRecord } from "#domain/messaging/EventLog.ts"
import { ShardLog } from "#domain/messaging/ShardLog.ts"
import type { OwnEvents } from "#domain/replay/Shadow.ts"
import type { ShardId } from "#domain/sharding/ShardMap.ts"
import * as MemoryEventLog from "#infra/memory/MemoryEventLog.ts"
import * as PgShardLog from "#infra/postgres/PgShardLog.ts"
import { fromEventLogOf, fromLog, replayShard } from "#infra/postgres/PgReplay.ts"
import { ShardDatabases } from "#infra/postgres/ShardDatabases.ts"
import { TestPostgres, type TestShards } from "../support/TestPostgres.ts"

export const urlOf = ({ urls }: TestShards, shard: number) => urls[shard] ?? Redacted.make("")

/** The same events, so many at a time. */
const cutInto = ({ next }: OwnEvents, most: number): OwnEvents => {
  let left: ReadonlyArray<LogRecord> = []
  return {
    next: Effect.gen(function*() {
      if (left.length === 0) left = yield* next
      const given = left.slice(0, most)
      left = left.slice(most)
      return given
    })
  }
}

/** Replays a shard from one of the logs, or from its own, a few events at a time. */
export const replayed = Effect.fnUntraced(
  function*(shards: TestShards, shard: number, from: "log" | "event log" | number) {
    const { map } = shards
    const shadows = yield* (yield* TestPostgres).freshShards(2, { partitions: map.partitions })
    const options = { shard, map, live: urlOf(shards, shard), shadow: urlOf(shadows, shard), told: () => Effect.void }
    if (from === "event log") return yield* replayShard({ ...options, events: fromEventLogOf(map) })
    const events = (of: ShardId, upTo: bigint) =>
      Effect.map(fromLog(of, upTo), (all) => from === "log" ? all : cutInto(all, from))
    return yield* replayShard({ ...options, events })
  }
)

/** The shards' own logs. */
export const shardLogsOf = (shards: TestShards) =>
  PgShardLog.layer.pipe(Layer.provideMerge(ShardDatabases.layer({ ...shards, role: "postgres" })))

/** The shards' logs, and an event log to carry them into. */
export const logsOf = (shards: TestShards) => Layer.merge(shardLogsOf(shards), Layer.fresh(MemoryEventLog.layer))

const carriedAtOnce = 5_000

/** Carries both shards' logs into the event log, as their relays would. */
export const carryAll = Effect.gen(function*() {
  const log = yield* EventLog
  const shardLog = yield* ShardLog
  const { on } = yield* ShardDatabases
  for (const shard of [0, 1]) {
    const writer = yield* log.writer(shard)
    let stretch = yield* shardLog.after(shard, 0n, carriedAtOnce)
    while (stretch.records.length > 0) {
      yield* writer.append(stretch.records)
      stretch = yield* shardLog.after(shard, stretch.upTo, carriedAtOnce)
    }
    yield* on(shard, (sql) =>
      sql`
        INSERT INTO relay_cursor (log, position) VALUES (${log.identity}, ${stretch.upTo})
        ON CONFLICT (log) DO UPDATE SET position = excluded.position`)
  }
}).pipe(Effect.scoped)
