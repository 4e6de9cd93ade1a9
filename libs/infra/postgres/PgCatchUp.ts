/**
 * A shard that was restored from an older copy catches up: what it wrote since then and has lost is in the event log, and is
 * applied again by position. What is nowhere stays lost, and is said; nothing is invented.
 */
import type { PgClient } from "@effect/sql-pg"
import { Clock, Effect, type Redacted, Schema } from "effect"
import { EventLog, type LogRecord } from "#domain/messaging/EventLog.ts"
import { fromEventLog } from "#domain/replay/OwnEvents.ts"
import { answerLost } from "#domain/replay/Replay.ts"
import { type OwnEvents, replay, Shadow } from "#domain/replay/Shadow.ts"
import type { ShardId, ShardMap } from "#domain/sharding/ShardMap.ts"
import { connect, transaction } from "./Postgres.ts"
import { examine, seenByOthers } from "./PgRecovery.ts"
import * as PgShadow from "./PgShadow.ts"
import { whatItMeans } from "./ShardDatabases.ts"

/** The copy has events that its shard never had: it was written to after it was restored. Nothing was changed. */
export class WrittenTo extends Schema.TaggedError<WrittenTo>()("WrittenTo", {
  shard: Schema.Int,
  position: Schema.BigInt
}) {
  override get message() {
    return `from position ${this.position} on, shard ${this.shard} is another than the event log knows: the copy was written to ` +
      "after it was restored. Restore it again, and let nobody work on it before it has caught up"
  }
}

/** Others have seen events of the shard that are nowhere. What could be applied is there; the shard still takes nothing. */
export class EventsMissing extends Schema.TaggedError<EventsMissing>()("EventsMissing", {
  shard: Schema.Int,
  caughtUpTo: Schema.BigInt,
  seen: Schema.BigInt
}) {
  override get message() {
    return `shard ${this.shard} has caught up to position ${this.caughtUpTo}, and others have seen ${this.seen}: what is between ` +
      "them is nowhere"
  }
}

export interface CatchUpOptions {
  readonly shard: ShardId
  readonly map: ShardMap
  /** The addresses of all shards, as their owner. */
  readonly urls: ReadonlyArray<Redacted.Redacted<string>>
  /** Why the shard shall go on although events of it are nowhere; null: it shall not. */
  readonly acceptLoss: string | null
  readonly told: (progress: { readonly events: number; readonly position: bigint }) => Effect.Effect<void>
}

export interface CaughtUp {
  /** Nobody has seen more of the shard than it has: there was nothing to do. */
  readonly wasBehind: boolean
  readonly from: bigint
  readonly to: bigint
  readonly events: number
  /** Instructions that may have been answered, and got an answer that says so. */
  readonly answersLost: number
  readonly seconds: number
}

export const catchUp = Effect.fn("catchUp")(function*({ acceptLoss, map, shard, told, urls }: CatchUpOptions) {
  const log = yield* EventLog
  const clients = yield* Effect.forEach(
    urls,
    (url) => connect({ url, name: "counterpoise recovery", maxConnections: 2 })
  )
  const sql = clients[shard]
  if (sql === undefined) return yield* Effect.die(new RangeError(`there is no shard ${shard}`))
  const begun = yield* Clock.currentTimeMillis
  const books = PgShadow.make(sql, map, shard)
  const from = yield* books.end
  const seen = [
    { position: yield* log.frontier(shard), by: "the event log" },
    ...(yield* whatItMeans(shard, seenByOthers(shard, clients)))
  ]
  const unharmed = yield* whatItMeans(shard, examine(sql, shard, seen)).pipe(
    Effect.as(true),
    Effect.catchTag("ShardUnavailable", () => Effect.succeed(false))
  )
  if (unharmed) return { wasBehind: false, from, to: from, events: 0, answersLost: 0, seconds: 0 } satisfies CaughtUp

  const own = yield* fromEventLog(shard, 0n, map.partitions)
  const events = yield* replay(newer(own, sql, shard, from), told).pipe(Effect.provideService(Shadow, books))
  const to = yield* books.end
  const furthest = seen.reduce((most, { position }) => position > most ? position : most, to)
  if (to < furthest && acceptLoss === null) {
    return yield* EventsMissing.make({ shard, caughtUpTo: to, seen: furthest })
  }
  const outcome = to < furthest
    ? `caught up to ${to} of ${furthest}; the rest is lost: ${acceptLoss}`
    : `caught up to ${to} with ${events} events`
  const answersLost = yield* whatItMeans(shard, transaction(sql, finish(sql, furthest, outcome)))
  const seconds = ((yield* Clock.currentTimeMillis) - begun) / 1000
  return { wasBehind: true, from, to, events, answersLost, seconds } satisfies CaughtUp
}, Effect.scoped)

/** The events that the copy lacks; those that it has must be the same as in the event log, as far as that goes back. */
const newer = (own: OwnEvents, sql: PgClient.PgClient, shard: ShardId, end: bigint): OwnEvents<WrittenTo> => {
  let checkedTo: bigint | undefined
  const next: OwnEvents<WrittenTo>["next"] = Effect.gen(function*() {
    const records = yield* own.next
    if (records.length === 0) return records
    const old = records.filter(({ position }) => position <= end)
    const last = old.at(-1)
    // Between the first event that the log still has and the last of the copy, both have the same.
    const upTo = old.length < records.length ? end : last?.position
    const after = checkedTo ?? (records[0]?.position ?? 1n) - 1n
    if (upTo !== undefined && after < end) {
      const here = yield* whatItMeans(
        shard,
        sql<{ readonly position: bigint; readonly payload: string }>`
          SELECT position, payload::text FROM event WHERE position > ${after} AND position <= ${upTo} ORDER BY position`
      )
      const position = firstDifference(old, here)
      if (position !== undefined) return yield* WrittenTo.make({ shard, position })
      checkedTo = upTo
    }
    return old.length === records.length ? yield* next : records.slice(old.length)
  })
  return { next }
}

const firstDifference = (
  there: ReadonlyArray<LogRecord>,
  here: ReadonlyArray<{ readonly position: bigint; readonly payload: string }>
): bigint | undefined => {
  for (let index = 0; index < Math.max(there.length, here.length); index++) {
    const [a, b] = [there[index], here[index]]
    if (a?.position !== b?.position || a?.payload !== b?.payload) {
      return a === undefined || (b !== undefined && b.position < a.position) ? b?.position : a.position
    }
  }
  return undefined
}

/**
 * The shard takes part again. What it writes gets positions that nobody has seen, and its leases get epochs that nobody holds.
 * An instruction whose answer is not in the log may have been answered: it is answered so that it is never followed late.
 */
const finish = Effect.fnUntraced(function*(sql: PgClient.PgClient, furthest: bigint, outcome: string) {
  yield* sql`SELECT setval('event_position_seq', greatest((SELECT last_value FROM event_position_seq), ${furthest}))`
  yield* sql`UPDATE lease SET epoch = epoch + 1000000, expires_at = now()`
  const answered = yield* sql`
    UPDATE instruction
    SET status = 'refused', reason_code = ${answerLost.code}, reason_detail = ${answerLost.detail}, answered_at = now()
    WHERE status = 'open'
    RETURNING 1`
  yield* sql`UPDATE recovery SET ended_at = now(), outcome = ${outcome} WHERE ended_at IS NULL`
  return answered.length
})
