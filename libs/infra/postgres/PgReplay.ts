/**
 * A shard replayed into a shadow, and held against it: its books, as they are at one instant, must be what its events up to
 * that instant come to.
 */
import type { PgClient } from "@effect/sql-pg"
import { Clock, Effect, Redacted, Schedule, Schema } from "effect"
import { EventLog } from "#domain/messaging/EventLog.ts"
import { ShardLog } from "#domain/messaging/ShardLog.ts"
import { fromEventLog, fromShardLog } from "#domain/replay/OwnEvents.ts"
import { type OwnEvents, replay, Shadow } from "#domain/replay/Shadow.ts"
import type { ShardId, ShardMap } from "#domain/sharding/ShardMap.ts"
import { type AccountDifference, differencesOf, ofTables, type TableDigest } from "./PgDigests.ts"
import { migrateShard } from "./Migrations.ts"
import { connect, transaction } from "./Postgres.ts"
import * as PgShadow from "./PgShadow.ts"
import { whatItMeans } from "./ShardDatabases.ts"

/** The database given as a shadow has something in it. Nothing was changed. */
export class ShadowNotEmpty extends Schema.TaggedError<ShadowNotEmpty>()("ShadowNotEmpty", { shard: Schema.Int }) {
  override get message() {
    return `the shadow of shard ${this.shard} is not empty: give it a database of its own`
  }
}

/** The event log does not have all that the shard has carried there, or its relay does not work. */
export class NotCarried extends Schema.TaggedError<NotCarried>()("NotCarried", {
  shard: Schema.Int,
  carried: Schema.BigInt,
  wanted: Schema.BigInt
}) {
  override get message() {
    return `shard ${this.shard} has events up to position ${this.wanted}, and only those up to ${this.carried} are in the ` +
      "event log: let its relay work"
  }
}

export interface ReplayOptions<E, R> {
  readonly shard: ShardId
  readonly map: ShardMap
  /** All of the shard's events that count, once it is known which do: {@link fromLog} or {@link fromEventLogOf}. */
  readonly events: (shard: ShardId, upTo: bigint) => Effect.Effect<OwnEvents, E, R>
  readonly live: Redacted.Redacted<string>
  /** An empty database of a shard's schema, by the address of its owner. */
  readonly shadow: Redacted.Redacted<string>
  readonly told: (
    progress: { readonly events: number; readonly position: bigint; readonly of: bigint }
  ) => Effect.Effect<void>
}

export interface ReplayReport {
  readonly shard: ShardId
  readonly events: number
  /** The instant: the position of the last event that counted. */
  readonly upTo: bigint
  readonly seconds: number
  readonly tables: ReadonlyArray<TableDigest & { readonly live: string; readonly liveRows: number }>
  /** The accounts that differ; the first hundred. */
  readonly differences: ReadonlyArray<AccountDifference>
}

/** Did the replay come to the same books? */
export const isEqual = ({ tables }: ReplayReport) => tables.every(({ digest, live }) => digest === live)

const mostDifferences = 100

/** What the replay writes, each after those that refer to it. */
const written = [
  "journal",
  "hold",
  "balance",
  "account",
  "event",
  "idempotency_key",
  "instruction",
  "transfer",
  "verdict"
]

/**
 * Nobody needs a shadow after a crash: its tables are written without a write-ahead log. Every constraint and trigger stays.
 */
const withoutWal = (shadow: PgClient.PgClient) =>
  Effect.forEach(written, (table) => shadow`ALTER TABLE ${shadow(table)} SET UNLOGGED`.unprepared, { discard: true })

export const replayShard = Effect.fn("replayShard")(function*<E, R>(options: ReplayOptions<E, R>) {
  const { events: eventsUpTo, live, map, shadow, shard, told } = options
  const liveSql = yield* connect({
    url: live,
    role: "counterpoise_auditor",
    name: "counterpoise replay",
    maxConnections: 1
  })
  const besides = yield* connect({
    url: live,
    role: "counterpoise_auditor",
    name: "counterpoise replay",
    maxConnections: 1
  })
  const shadowSql = yield* connect({ url: shadow, name: "counterpoise replay", maxConnections: 2 })
  const books = PgShadow.make(shadowSql, map, shard)
  if ((yield* books.end) !== 0n) return yield* ShadowNotEmpty.make({ shard })
  yield* withoutWal(shadowSql)

  /** How many events there are up to a position, once every one of them is committed or will never exist. */
  const settledUpTo = (position: bigint) =>
    Effect.andThen(
      besides`SELECT event_barrier(${position - 1n})`,
      besides<{ readonly events: number }>`SELECT count(*)::int4 AS events FROM event WHERE position <= ${position}`
    ).pipe(Effect.map((rows) => rows[0]?.events ?? 0))

  const inSnapshot = Effect.gen(function*() {
    yield* liveSql`SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY`
    yield* liveSql`SELECT set_config('statement_timeout', '0', true),
      set_config('idle_in_transaction_session_timeout', '0', true)`
    const [instant] = yield* liveSql<{ readonly position: bigint; readonly events: number }>`
      SELECT coalesce(max(position), 0) AS position, count(*)::int4 AS events FROM event`
    const upTo = instant?.position ?? 0n
    // An event may be committed after one of a higher position: then this instant is none of the log's.
    if (upTo > 0n && (yield* settledUpTo(upTo)) !== instant?.events) return undefined
    const ours = yield* ofTables(liveSql, upTo)
    const begun = yield* Clock.currentTimeMillis
    const events = yield* replay(
      yield* eventsUpTo(shard, upTo),
      (progress) => told({ ...progress, of: upTo })
    ).pipe(Effect.provideService(Shadow, books))
    const seconds = ((yield* Clock.currentTimeMillis) - begun) / 1000
    yield* shadowSql`ANALYZE`.unprepared
    const theirs = new Map((yield* ofTables(shadowSql, upTo)).map((each) => [each.table, each]))
    const tables = ours.map((each) => ({
      ...(theirs.get(each.table) ?? each),
      live: each.digest,
      liveRows: each.rows
    }))
    const report: ReplayReport = { shard, events, upTo, seconds, tables, differences: [] }
    return isEqual(report)
      ? report
      : { ...report, differences: yield* differencesOf(liveSql, shadowSql, mostDifferences) }
  })

  while (true) {
    const report = yield* whatItMeans(shard, transaction(liveSql, inSnapshot))
    if (report !== undefined) return report
  }
}, Effect.scoped)

/**
 * An empty shadow beside a shard, on the same server, made by who the shard's address says; it goes with the scope unless it is
 * to be kept.
 */
export const shadowBeside = Effect.fn("shadowBeside")(function*(
  live: Redacted.Redacted<string>,
  { keep, name, partitions, shard }: {
    readonly name: string
    readonly shard: ShardId
    readonly partitions: number
    readonly keep: boolean
  }
) {
  const sql = yield* connect({ url: live, name: "counterpoise replay", maxConnections: 1 })
  const drop = sql`DROP DATABASE IF EXISTS ${sql(name)} WITH (FORCE)`.unprepared
  yield* Effect.acquireRelease(
    Effect.andThen(drop, sql`CREATE DATABASE ${sql(name)}`.unprepared),
    () => keep ? Effect.void : Effect.ignore(drop)
  )
  const url = Redacted.make(Object.assign(new URL(Redacted.value(live)), { pathname: `/${name}` }).href)
  yield* migrateShard(url, shard, partitions)
  return url
})

const upTo = ({ next }: OwnEvents, position: bigint): OwnEvents => ({
  next: Effect.map(next, (records) => records.filter((record) => record.position <= position))
})

/** A shard's events from its own log. */
export const fromLog = (shard: ShardId, position: bigint) =>
  Effect.map(fromShardLog(shard, 0n), (events) => upTo(events, position))

/** A shard's events from the event log, once its relay has carried them there. */
export const fromEventLogOf = (map: ShardMap) =>
  Effect.fnUntraced(function*(shard: ShardId, position: bigint) {
    const log = yield* EventLog
    const shardLog = yield* ShardLog
    yield* shardLog.cursor(shard, log.identity).pipe(
      Effect.flatMap((carried) =>
        carried >= position ? Effect.void : Effect.fail(NotCarried.make({ shard, carried, wanted: position }))
      ),
      Effect.retry({
        while: (error) => error._tag === "NotCarried",
        times: 300,
        schedule: Schedule.spaced("100 millis")
      })
    )
    return upTo(yield* fromEventLog(shard, 0n, map.partitions), position)
  })
