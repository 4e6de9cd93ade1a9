/**
 * The event log in PostgreSQL: the embedded default, enough for one machine.
 *
 * Appends are exactly once by construction: one statement checks the writer's epoch, leaves out what the log already has,
 * draws dense offsets and moves the writer's position. Offsets are drawn under a lock that is held until the commit, so
 * a partition's end is all a reader has to look at.
 *
 * One loop per process looks for all of its readers. It is told when to: by appends of its own process directly, by those
 * of others through NOTIFY. Notifying transactions commit one after the other, which is why the shards' writers never
 * notify; here it is one per batch of a relay. Polling alone would cost more: 25 ms apart, 3 % of a core.
 */
import { Deferred, type Duration, Effect, Latch, Layer, Queue, type Redacted, Schedule, Semaphore } from "effect"
import { SqlError } from "effect/sql"
import {
  AppendAmbiguous,
  type Bounds,
  type Delivered,
  EventLog,
  EventLogUnavailable,
  type LogRecord,
  OffsetOutOfRange,
  WriterFenced
} from "#domain/messaging/EventLog.ts"
import type { ShardId } from "#domain/sharding/ShardMap.ts"
import { int4s, int8s, texts } from "./Columns.ts"
import { verifySchema } from "./Migrations.ts"
import { connect, inTime, isTransient, listen, sqlState } from "./Postgres.ts"
import { millis } from "./Rows.ts"

export interface Options {
  readonly url: Redacted.Redacted<string>
  readonly maxConnections?: number
  /** How long an answer is waited for: 20 seconds unless given. */
  readonly patience?: Duration.Input
}

/** Where appends are announced; the payload says which process appended, as that one knows already. */
const channel = "event_log"

/** How long the next look for events waits while appends are announced: a net for what should not happen. */
const listeningPauseMillis = 500

/** And while they are not, because the connection is lost: after there were events, and at most, while there are none. */
const busyPauseMillis = 2
const idlePauseMillis = 25

interface HeadRow {
  readonly partition: number
  readonly next_offset: bigint
}

interface EventRow {
  readonly partition: number
  readonly offset: bigint
  readonly source_shard: number
  readonly position: bigint
  readonly key: string
  readonly type: string
  readonly subject: string
  readonly payload: string
  readonly traceparent: string | null
  readonly request_id: string | null
  readonly occurred_at_millis: number
}

const deliveredOf = (row: EventRow): Delivered => ({
  partition: row.partition,
  offset: row.offset,
  source: row.source_shard,
  position: row.position,
  key: row.key,
  type: row.type,
  subject: row.subject,
  payload: row.payload,
  occurredAtMillis: row.occurred_at_millis,
  traceparent: row.traceparent,
  requestId: row.request_id
})

/** What passes is reported as such, and so is no answer in time; anything else is a mistake in this file, and a defect. */
const unavailable = (operation: string) => (error: SqlError.SqlError) =>
  isTransient(error) ? Effect.fail(EventLogUnavailable.make({ operation, cause: error })) : Effect.die(error)

/**
 * Of a statement that is a transaction by itself, an error from the server means that it was rolled back. Only where the
 * server did not answer, or was going away, may it have been committed all the same.
 */
const appendFailed = (error: SqlError.SqlError): Effect.Effect<never, AppendAmbiguous | EventLogUnavailable> => {
  const state = sqlState(error)
  return state === undefined || state.startsWith("08") || state.startsWith("57P")
    ? Effect.fail(AppendAmbiguous.make({ cause: error }))
    : unavailable("append")(error)
}

/** A stretch of one partition: so many records from an offset. */
interface Stretch {
  readonly partition: number
  readonly from: bigint
  readonly count: number
}

/** Shares out `most` among partitions, in turn: each gets at most an equal part of what those before it left. */
const shareOut = (stretches: ReadonlyArray<Stretch>, most: number): ReadonlyArray<Stretch> => {
  let left = most
  return stretches.flatMap(({ partition, from, count }, index) => {
    const share = Math.min(count, Math.ceil(left / (stretches.length - index)))
    left -= share
    return share === 0 ? [] : [{ partition, from, count: share }]
  })
}

/** A reader that has nothing to read, until one of its partitions ends above its next offset. */
interface Waiter {
  readonly next: ReadonlyMap<number, bigint>
  readonly news: Deferred.Deferred<void, EventLogUnavailable>
}

const make = Effect.fnUntraced(function*(options: Options) {
  /** How everything here is asked: it ends in time, whatever becomes of the other side. */
  const asked = (operation: string) => <A, E>(statement: Effect.Effect<A, E | SqlError.SqlError>) =>
    statement.pipe(inTime(options.patience), Effect.catchIf(SqlError.isSqlError, unavailable(operation)))

  const database = { url: options.url, name: "counterpoise event log", maxConnections: options.maxConnections ?? 5 }
  const sql = yield* connect(database).pipe(Effect.catch(unavailable("open")))
  yield* verifySchema(sql, "log").pipe(asked("open"), Effect.catchTag("PlatformError", Effect.die))

  const identityNow = (operation: string) =>
    sql<{ readonly id: string; readonly chance: string }>`
      SELECT id, gen_random_uuid() AS chance FROM log_identity`.pipe(
      asked(operation),
      Effect.map((rows) => rows[0] ?? { id: "nobody", chance: "" })
    )

  const { id: identity, chance: self } = yield* identityNow("open")

  /** Refuses the database behind the address if it is another log than the one this process was started with. */
  const verify = (found: string, operation: string) =>
    found === identity ? Effect.void : Effect.fail(
      EventLogUnavailable.make({
        operation,
        cause: new Error(`the event log at this address is ${found} now, and was ${identity}: restart to read it anew`)
      })
    )

  const heads = new Map<number, bigint>()
  const waiters = new Set<Waiter>()
  const someoneWaits = yield* Latch.make()
  const announced = yield* Latch.make()

  const headOf = (partition: number) => heads.get(partition) ?? 0n

  const hasNews = ({ next }: Waiter) => {
    for (const [partition, offset] of next) if (headOf(partition) > offset) return true
    return false
  }

  /** Ends the wait of those concerned, and says whether there were any. */
  const endWaiting = (outcome: Effect.Effect<void, EventLogUnavailable>, concerns: (waiter: Waiter) => boolean) => {
    // Taken out first: who is woken may be back, waiting for the next record, before this loop ends.
    const ended = [...waiters].filter(concerns)
    for (const waiter of ended) waiters.delete(waiter)
    for (const { news } of ended) Deferred.doneUnsafe(news, outcome)
    return ended.length > 0
  }

  const giveUpWaiting = (error: EventLogUnavailable) => endWaiting(Effect.fail(error), () => true)

  /** Takes note of where partitions end, and wakes those to whom that is news. Says whether there was any such. */
  const learn = (rows: ReadonlyArray<HeadRow>): boolean => {
    for (const { partition, next_offset } of rows) {
      if (next_offset > headOf(partition)) heads.set(partition, next_offset)
    }
    return endWaiting(Effect.void, hasNews)
  }

  yield* Effect.addFinalizer(() =>
    Effect.sync(() => giveUpWaiting(EventLogUnavailable.make({ operation: "read", cause: new Error("it is closed") })))
  )

  const look = Effect.suspend(() => {
    const partitions = new Set<number>()
    for (const waiter of waiters) for (const partition of waiter.next.keys()) partitions.add(partition)
    return sql<{ readonly id: string; readonly partition: number | null; readonly next_offset: bigint }>`
      SELECT id, partition, next_offset
      FROM log_identity LEFT JOIN log_head ON partition = ANY(${int4s([...partitions])}::int4[])`
  }).pipe(
    asked("look for events"),
    Effect.tap((rows) => verify(rows[0]?.id ?? "nobody", "look for events")),
    Effect.map((rows) =>
      learn(rows.flatMap(({ partition, next_offset }) => partition === null ? [] : [{ partition, next_offset }]))
    )
  )

  let isListening = false
  yield* listen(database, channel).pipe(
    Effect.flatMap((announcements) => {
      isListening = true
      announced.openUnsafe()
      return Queue.take(announcements).pipe(
        Effect.map(({ payload }) => payload !== self && announced.openUnsafe()),
        Effect.forever
      )
    }),
    Effect.scoped,
    Effect.tapError((error) =>
      Effect.suspend(() => {
        isListening = false
        announced.openUnsafe()
        return Effect.logDebug("the event log is polled until its announcements can be heard again", error)
      })
    ),
    Effect.retry(Schedule.spaced("1 second")),
    Effect.forkScoped
  )

  let pollPauseMillis = busyPauseMillis
  const lookAndPause = announced.close.pipe(
    Effect.andThen(look),
    Effect.catchTag("EventLogUnavailable", (error) =>
      Effect.sync(() => {
        giveUpWaiting(error)
        return false
      })),
    Effect.flatMap((news) => {
      pollPauseMillis = news ? busyPauseMillis : Math.min(pollPauseMillis * 1.25, idlePauseMillis)
      return Effect.timeoutOption(announced.await, isListening ? listeningPauseMillis : pollPauseMillis)
    })
  )
  yield* Effect.suspend(() =>
    waiters.size === 0 ? Effect.andThen(someoneWaits.close, someoneWaits.await) : lookAndPause
  ).pipe(
    Effect.forever,
    // Nobody traces an idle loop.
    Effect.withTracerEnabled(false),
    Effect.forkScoped
  )

  const wait = (next: ReadonlyMap<number, bigint>) =>
    Effect.suspend(() => {
      const waiter: Waiter = { next, news: Deferred.makeUnsafe() }
      if (hasNews(waiter)) return Effect.void
      waiters.add(waiter)
      someoneWaits.openUnsafe()
      return Effect.ensuring(Deferred.await(waiter.news), Effect.sync(() => waiters.delete(waiter)))
    })

  const bounds = (partitions: ReadonlyArray<number>) =>
    sql<HeadRow & { readonly begin: bigint }>`
      SELECT
        wanted.partition,
        coalesce(next_offset, 0) AS next_offset,
        coalesce((SELECT min("offset") FROM event_log WHERE partition = wanted.partition), next_offset, 0) AS begin
      FROM unnest(${int4s(partitions)}::int4[]) AS wanted (partition)
      LEFT JOIN log_head ON log_head.partition = wanted.partition`.pipe(
      asked("say what it holds"),
      Effect.map((rows) => {
        learn(rows)
        return new Map(rows.map(({ partition, begin, next_offset }): [number, Bounds] => [
          partition,
          { begin, end: next_offset }
        ]))
      })
    )

  const frontier = (source: ShardId) =>
    sql<{ readonly position: bigint }>`
      SELECT greatest(position, 0) AS position FROM log_writer WHERE source_shard = ${source}`.pipe(
      asked("say how far it is"),
      Effect.map((rows) => rows[0]?.position ?? 0n)
    )

  const writer = Effect.fnUntraced(function*(source: ShardId) {
    yield* verify((yield* identityNow("open a writer")).id, "open a writer")
    // Waits for an append in flight, and is waited for by those to come: they find their epoch outdated.
    const [opened] = yield* sql<{ readonly epoch: bigint }>`
      INSERT INTO log_writer AS writer (source_shard, epoch, position, position_before)
      VALUES (${source}, 1, -1, -1)
      ON CONFLICT (source_shard) DO UPDATE SET epoch = writer.epoch + 1
      RETURNING epoch`.pipe(asked("open a writer"))
    const epoch = opened?.epoch ?? 0n
    const oneAtATime = yield* Semaphore.make(1)
    let broken: AppendAmbiguous | undefined

    const append = Effect.fnUntraced(function*(records: ReadonlyArray<LogRecord>) {
      if (broken !== undefined) return yield* broken
      const last = records.at(-1)
      if (last === undefined) return
      // Heads are locked in the order of partitions, so that writers of different shards never wait for each other in
      // a circle; the writer's own row is locked before all of them.
      const rows = yield* sql<HeadRow & { readonly is_ours: boolean }>`
        WITH writer AS (
          UPDATE log_writer
          SET position_before = position, position = greatest(position, ${last.position}::int8)
          WHERE source_shard = ${source} AND epoch = ${epoch}
          RETURNING position_before
        ), fresh AS (
          SELECT record.*
          FROM writer, unnest(
            ${int4s(records.map((record) => record.partition))}::int4[],
            ${int8s(records.map((record) => record.position))}::int8[],
            ${texts(records.map((record) => record.key))}::text[],
            ${texts(records.map((record) => record.type))}::text[],
            ${texts(records.map((record) => record.subject))}::text[],
            ${texts(records.map((record) => record.payload))}::text[],
            ${texts(records.map((record) => record.traceparent))}::text[],
            ${texts(records.map((record) => record.requestId))}::text[],
            ${int8s(records.map((record) => BigInt(record.occurredAtMillis)))}::int8[]
          ) AS record (partition, position, key, type, subject, payload, traceparent, request_id, occurred_at_millis)
          WHERE record.position > position_before
        ), counted AS (
          SELECT partition, count(*) AS records FROM fresh GROUP BY partition
        ), reserved AS (
          INSERT INTO log_head AS head (partition, next_offset)
          SELECT partition, records FROM counted ORDER BY partition
          ON CONFLICT (partition) DO UPDATE SET next_offset = head.next_offset + excluded.next_offset
          RETURNING partition, next_offset
        ), appended AS (
          INSERT INTO event_log (
            partition, "offset", source_shard, position, key, type, subject, payload, traceparent, request_id, occurred_at
          )
          SELECT
            partition,
            next_offset - records - 1 + row_number() OVER (PARTITION BY partition ORDER BY position),
            ${source}::int4, position, key, type, subject, payload::json, traceparent, request_id,
            to_timestamp(occurred_at_millis / 1000.0)
          FROM fresh JOIN counted USING (partition) JOIN reserved USING (partition)
        ), announced AS (
          SELECT pg_notify(${channel}, ${self}) FROM writer WHERE EXISTS (SELECT FROM reserved)
        )
        SELECT position_before IS NOT NULL AS is_ours, partition, next_offset
        FROM (VALUES (1)) AS answer
        LEFT JOIN writer ON true
        LEFT JOIN reserved ON true
        LEFT JOIN announced ON true`.pipe(
        inTime(options.patience),
        Effect.catch(appendFailed),
        Effect.tapError((error) =>
          Effect.sync(() => {
            if (error._tag === "AppendAmbiguous") broken = error
          })
        ),
        Effect.onInterrupt(() =>
          Effect.sync(() => {
            broken = AppendAmbiguous.make({ cause: new Error("an append was interrupted") })
          })
        )
      )
      if (rows[0]?.is_ours !== true) return yield* WriterFenced.make({ source })
      learn(rows.filter((row) => row.partition !== null))
    }, oneAtATime.withPermits(1))

    return { append }
  })

  const reader = Effect.fnUntraced(function*(from: ReadonlyMap<number, bigint>) {
    yield* verify((yield* identityNow("open a reader")).id, "open a reader")
    const next = new Map(from)
    for (const [partition, { begin, end }] of yield* bounds([...from.keys()])) {
      const asked = from.get(partition) ?? 0n
      if (asked < begin || asked > end) return yield* OffsetOutOfRange.make({ partition, asked, begin, end })
    }
    const closed = EventLogUnavailable.make({ operation: "read", cause: new Error("the reader is closed") })
    let isOpen = true
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        isOpen = false
        endWaiting(Effect.fail(closed), (waiter) => waiter.next === next)
      })
    )
    const stretches = () => {
      const found: Array<Stretch> = []
      for (const [partition, from] of next) {
        const head = headOf(partition)
        if (head > from) found.push({ partition, from, count: Number(head - from) })
      }
      return found
    }

    const read = (shares: ReadonlyArray<Stretch>) =>
      sql<EventRow>`
        SELECT
          partition, "offset", source_shard, position, key, type, subject, payload::text, traceparent, request_id,
          ${sql.literal(millis("occurred_at"))} AS occurred_at_millis
        FROM unnest(
          ${int4s(shares.map((share) => share.partition))}::int4[],
          ${int8s(shares.map((share) => share.from))}::int8[],
          ${int4s(shares.map((share) => share.count))}::int4[]
        ) AS share (of_partition, from_offset, records)
        CROSS JOIN LATERAL (
          -- The limit keeps the planner to the index, whatever it believes about a table that was empty a minute ago.
          SELECT * FROM event_log
          WHERE partition = of_partition AND "offset" >= from_offset
          ORDER BY "offset"
          LIMIT records
        ) AS event`.pipe(
        asked("read"),
        Effect.flatMap((rows) => {
          const reached = new Map<number, bigint>()
          for (const { partition, offset } of rows) {
            const expected = reached.get(partition) ?? next.get(partition)
            if (offset !== expected) return Effect.fail(skipped(partition, expected, offset))
            reached.set(partition, offset + 1n)
          }
          for (const { partition, from, count } of shares) {
            const end = from + BigInt(count)
            if ((reached.get(partition) ?? from) !== end) return Effect.fail(skipped(partition, end - 1n, undefined))
          }
          // Here the batch is taken: an interruption before this loses nothing. Who was served goes to the end of the
          // line, so that every partition comes first at times.
          for (const [partition, beyond] of reached) {
            next.delete(partition)
            next.set(partition, beyond)
          }
          return Effect.succeed(rows.map(deliveredOf))
        })
      )

    const take = (most: number): Effect.Effect<ReadonlyArray<Delivered>, EventLogUnavailable> =>
      Effect.suspend(() => {
        if (!isOpen) return Effect.fail(closed)
        const shares = shareOut(stretches(), most)
        return shares.length > 0 ? read(shares) : Effect.andThen(wait(next), take(most))
      })

    return { take, next: (partition: number) => next.get(partition) }
  })

  return EventLog.of({
    identity: `postgres:${identity}`,
    capabilities: { denseOffsets: true, atomicAppends: true, fencesWriters: true, durable: true },
    writer,
    reader,
    frontier,
    bounds
  })
})

/** Offsets are dense, so a record that is not there was removed: opening a reader anew will say what the log still holds. */
const skipped = (partition: number, expected: bigint | undefined, found: bigint | undefined) =>
  EventLogUnavailable.make({
    operation: "read",
    cause: new Error(`partition ${partition} has ${found ?? "nothing"} where offset ${expected} should be`)
  })

/** The log in a database that was migrated with `migrate(url, "log")`. */
export const layer = (options: Options) => Layer.effect(EventLog, make(options))
