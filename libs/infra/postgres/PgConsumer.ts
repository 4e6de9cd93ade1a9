/**
 * A consumer's own database: `Consumer.transact`, inside which its worker has its state; and `Parked`, for people.
 *
 * Whoever works as the consumer touches only messages of keys whose first message has no trouble; people only those of keys
 * whose first has one. So neither needs to know what the other is doing.
 */
import type { PgClient } from "@effect/sql-pg"
import { Context, Duration, Effect, flow, Layer, Option, type Redacted, Schema } from "effect"
import {
  Consumer,
  type ConsumerLease,
  ConsumerState,
  ConsumerUnavailable,
  type Parking,
  StaleConsumer
} from "#domain/messaging/Consumer.ts"
import {
  named,
  NotParked,
  Parked,
  type ParkedMessage,
  type ParkedRetry,
  type Trouble
} from "#domain/messaging/Parked.ts"
import { int4s, int8s, texts } from "./Columns.ts"
import { verifyConsumer, verifySchema } from "./Migrations.ts"
import * as PgPlaces from "./PgPlaces.ts"
import { connect, explained, inTime, transaction } from "./Postgres.ts"
import { millis } from "./Rows.ts"

export interface Options {
  readonly url: Redacted.Redacted<string>
  /** Whose database it must be. */
  readonly consumer: string
  /** Names this process in the lease: unique for its life. */
  readonly holder: string
  readonly timeToLive: Duration.Duration
  /** `counterpoise_consumer` unless given; the login must be a member of it. */
  readonly role?: string
}

const TroubleClass = Schema.Literals(["undecodable", "refused", "failing"])

const messageRows = Schema.decodeUnknownSync(Schema.Array(Schema.Struct({
  number: Schema.BigInt,
  source_shard: Schema.Int,
  position: Schema.BigInt,
  partition: Schema.Int,
  key: Schema.String,
  type: Schema.String,
  subject: Schema.String,
  payload: Schema.String,
  request_id: Schema.NullOr(Schema.String),
  traceparent: Schema.NullOr(Schema.String),
  occurred_at_millis: Schema.Finite,
  parked_at_millis: Schema.Finite,
  status: Schema.Literals(["waiting", "delivered", "discarded"]),
  trouble: Schema.NullOr(TroubleClass),
  detail: Schema.NullOr(Schema.String),
  tries: Schema.Int,
  discarded_by: Schema.NullOr(Schema.String),
  discarded_because: Schema.NullOr(Schema.String)
})))

const messageColumns = `number, source_shard, position, partition, key, type, subject, payload, request_id, traceparent,
  ${millis("occurred_at")} AS occurred_at_millis, ${millis("parked_at")} AS parked_at_millis,
  status, trouble, detail, tries, discarded_by, discarded_because`

const messageOf = (row: ReturnType<typeof messageRows>[number]): ParkedMessage => ({
  number: row.number,
  source: row.source_shard,
  position: row.position,
  partition: row.partition,
  key: row.key,
  type: row.type,
  subject: row.subject,
  payload: row.payload,
  requestId: row.request_id,
  traceparent: row.traceparent,
  occurredAtMillis: row.occurred_at_millis,
  parkedAtMillis: row.parked_at_millis,
  status: row.status,
  trouble: row.trouble === null ? null : { class: row.trouble, detail: row.detail ?? "", tries: row.tries },
  discarded: row.discarded_by === null ? null : { name: row.discarded_by, reason: row.discarded_because ?? "" }
})

const retryRows = Schema.decodeUnknownSync(Schema.Array(Schema.Struct({
  actor: Schema.String,
  reason: Schema.String,
  trouble: TroubleClass,
  detail: Schema.String,
  tries: Schema.Int,
  at_millis: Schema.Finite
})))

const stateOf = (sql: PgClient.PgClient, consumer: string) => {
  const meaning = flow(inTime(), explained((cause) => ConsumerUnavailable.make({ consumer, cause })))

  const load = Effect.fnUntraced(function*(log: string, partitions: ReadonlyArray<number>) {
    const places = yield* PgPlaces.load(sql, log, partitions)
    const parked = yield* sql<
      { readonly key: string }
    >`SELECT DISTINCT key FROM parked_message WHERE status = 'waiting'`
    return { places, parked: new Set(parked.map(({ key }) => key)) }
  })

  const advance = Effect.fnUntraced(function*(log: string, moves: ReadonlyArray<PgPlaces.Move>) {
    if (moves.length === 0) return
    if (!(yield* PgPlaces.advance(sql, log, moves, sql`true`))) return yield* StaleConsumer.make({ consumer })
  })

  const park = (parking: ReadonlyArray<Parking>) => {
    const records = parking.map(({ record }) => record)
    const troubles = parking.map(({ trouble }) => trouble)
    return sql`
      INSERT INTO parked_message (
        source_shard, position, partition, key, type, subject, payload, request_id, traceparent, occurred_at,
        trouble, detail, tries
      )
      SELECT source_shard, position, partition, key, type, subject, payload, request_id, traceparent,
        to_timestamp(occurred_at_millis / 1000.0), trouble, detail, tries
      FROM unnest(
        ${int4s(records.map(({ source }) => source))}::int4[],
        ${int8s(records.map(({ position }) => position))}::int8[],
        ${int4s(records.map(({ partition }) => partition))}::int4[],
        ${texts(records.map(({ key }) => key))}::text[],
        ${texts(records.map(({ type }) => type))}::text[],
        ${texts(records.map(({ subject }) => subject))}::text[],
        ${texts(records.map(({ payload }) => payload))}::text[],
        ${texts(records.map(({ requestId }) => requestId))}::text[],
        ${texts(records.map(({ traceparent }) => traceparent))}::text[],
        ${int8s(records.map(({ occurredAtMillis }) => BigInt(occurredAtMillis)))}::int8[],
        ${texts(troubles.map((trouble) => trouble?.class ?? null))}::text[],
        ${texts(troubles.map((trouble) => trouble?.detail ?? null))}::text[],
        ${int4s(troubles.map((trouble) => trouble?.tries ?? 0))}::int4[]
      ) WITH ORDINALITY AS record (
        source_shard, position, partition, key, type, subject, payload, request_id, traceparent, occurred_at_millis,
        trouble, detail, tries, place
      )
      -- numbers are drawn in this order
      ORDER BY place
      ON CONFLICT ON CONSTRAINT a_message_is_parked_once DO NOTHING`
  }

  const waiting = Effect.fnUntraced(function*(keys: ReadonlyArray<string>, most: number) {
    const rows = yield* sql`
      SELECT message.*
      FROM unnest(${texts(keys)}::text[]) AS wanted (wanted_key)
      CROSS JOIN LATERAL (
        SELECT ${sql.literal(messageColumns)} FROM parked_message
        WHERE key = wanted_key AND status = 'waiting'
        ORDER BY number
        LIMIT ${most}
      ) AS message
      ORDER BY number`
    return Map.groupBy(messageRows(rows).map(messageOf), ({ key }) => key)
  })

  const delivered = (numbers: ReadonlyArray<bigint>) =>
    sql`
      UPDATE parked_message SET status = 'delivered', ended_at = clock_timestamp()
      WHERE number = ANY(${int8s(numbers)}::int8[]) AND status = 'waiting'`

  const troubled = (troubles: ReadonlyArray<{ readonly number: bigint; readonly trouble: Trouble }>) =>
    sql`
      UPDATE parked_message AS message
      SET trouble = trouble.class, detail = trouble.detail, tries = trouble.tries
      FROM unnest(
        ${int8s(troubles.map(({ number }) => number))}::int8[],
        ${texts(troubles.map(({ trouble }) => trouble.class))}::text[],
        ${texts(troubles.map(({ trouble }) => trouble.detail))}::text[],
        ${int4s(troubles.map(({ trouble }) => trouble.tries))}::int4[]
      ) AS trouble (number, class, detail, tries)
      WHERE message.number = trouble.number AND status = 'waiting'`

  return ConsumerState.of({
    load: (log, partitions) => meaning(load(log, partitions)),
    advance: (log, moves) => meaning(advance(log, moves)),
    park: (parking) => parking.length === 0 ? Effect.void : meaning(Effect.asVoid(park(parking))),
    waiting: (keys, most) => keys.length === 0 ? Effect.succeed(new Map()) : meaning(waiting(keys, most)),
    delivered: (numbers) => numbers.length === 0 ? Effect.void : meaning(Effect.asVoid(delivered(numbers))),
    troubled: (troubles) => troubles.length === 0 ? Effect.void : meaning(Effect.asVoid(troubled(troubles)))
  })
}

const consumerOf = (sql: PgClient.PgClient, { consumer, holder, timeToLive }: Options) => {
  const meaning = flow(inTime(), explained((cause) => ConsumerUnavailable.make({ consumer, cause })))
  const stale = StaleConsumer.make({ consumer })
  const seconds = Duration.toSeconds(timeToLive)
  const state = stateOf(sql, consumer)

  /** The lease is locked until the commit: who takes it over waits, and finds all of this transaction done. */
  const transact = <A, E, R>(lease: ConsumerLease, work: Effect.Effect<A, E, R>) =>
    sql`SELECT 1 FROM lease WHERE epoch = ${lease.epoch} FOR SHARE`.pipe(
      Effect.flatMap((rows) => rows.length === 1 ? Effect.void : Effect.fail(stale)),
      Effect.andThen(Effect.provideContext(work, Context.make(ConsumerState, state))),
      (all) => transaction(sql, all),
      meaning
    )

  return Consumer.of({
    name: consumer,
    timeToLive,

    acquire: meaning(
      sql<{ readonly epoch: bigint }>`
        INSERT INTO lease (holder, epoch, expires_at)
        VALUES (${holder}, 1, clock_timestamp() + make_interval(secs => ${seconds}))
        ON CONFLICT (only_row) DO UPDATE
          SET holder = excluded.holder, epoch = lease.epoch + 1, expires_at = excluded.expires_at
          WHERE lease.expires_at <= clock_timestamp()
        RETURNING epoch`.pipe(Effect.map((rows) => Option.fromNullishOr(rows[0])))
    ),

    renew: ({ epoch }) =>
      meaning(
        sql`
          UPDATE lease SET expires_at = clock_timestamp() + make_interval(secs => ${seconds})
          WHERE epoch = ${epoch} AND holder = ${holder}
          RETURNING 1`.pipe(Effect.flatMap((rows) => rows.length === 1 ? Effect.void : Effect.fail(stale)))
      ),

    release: ({ epoch }) =>
      meaning(Effect.asVoid(
        sql`UPDATE lease SET expires_at = clock_timestamp() WHERE epoch = ${epoch} AND holder = ${holder}`
      )),

    // The one cast: that ConsumerState is provided is seen by the compiler only for R as it stands.
    transact: transact as <A, E, R>(
      lease: ConsumerLease,
      work: Effect.Effect<A, E, R>
    ) => Effect.Effect<A, E | StaleConsumer | ConsumerUnavailable, Exclude<R, ConsumerState>>
  })
}

const parkedOf = (sql: PgClient.PgClient, consumer: string) => {
  const meaning = flow(inTime(), explained((cause) => ConsumerUnavailable.make({ consumer, cause })))

  /** All of the numbers, or none. */
  const all = (wanted: ReadonlyArray<bigint>, changed: ReadonlyArray<{ readonly number: bigint }>) => {
    const done = new Set(changed.map(({ number }) => number))
    const numbers = wanted.filter((number) => !done.has(number))
    return numbers.length === 0 ? Effect.void : Effect.fail(NotParked.make({ numbers }))
  }

  return Parked.of({
    list: ({ after, key, most, status }) =>
      meaning(
        sql`
          SELECT ${sql.literal(messageColumns)} FROM parked_message
          WHERE status = ${status} AND number > ${after} AND (${key}::text IS NULL OR key = ${key}::text)
          ORDER BY number
          LIMIT ${most}`.pipe(Effect.map((rows) => messageRows(rows).map(messageOf)))
      ),

    show: (number) =>
      meaning(Effect.gen(function*() {
        const [row] = messageRows(
          yield* sql`SELECT ${sql.literal(messageColumns)} FROM parked_message WHERE number = ${number}`
        )
        if (row === undefined) return Option.none()
        const retries = retryRows(
          yield* sql`
            SELECT actor, reason, trouble, detail, tries, ${sql.literal(millis("retried_at"))} AS at_millis
            FROM parked_retry WHERE message = ${number} ORDER BY retried_at`
        )
        return Option.some({
          message: messageOf(row),
          retries: retries.map(({ actor, at_millis, detail, reason, tries, trouble }): ParkedRetry => ({
            name: actor,
            reason,
            trouble: { class: trouble, detail, tries },
            atMillis: at_millis
          }))
        })
      })),

    retry: (numbers, by) =>
      named(by).pipe(
        Effect.andThen(sql<{ readonly number: bigint }>`
          WITH wanted AS (
            SELECT number, trouble, detail, tries FROM parked_message
            WHERE number = ANY(${int8s(numbers)}::int8[]) AND status = 'waiting' AND trouble IS NOT NULL
            ORDER BY number
            FOR UPDATE
          ), noted AS (
            INSERT INTO parked_retry (message, actor, reason, trouble, detail, tries)
            SELECT number, ${by.name}, ${by.reason}, trouble, detail, tries FROM wanted
          )
          UPDATE parked_message AS message SET trouble = NULL, detail = NULL, tries = 0
          FROM wanted
          WHERE message.number = wanted.number
          RETURNING message.number`),
        Effect.flatMap((changed) => all(numbers, changed)),
        (all) => transaction(sql, all),
        meaning
      ),

    discard: (numbers, by) =>
      named(by).pipe(
        // The first of each key is locked, so that nobody releases the key meanwhile.
        Effect.andThen(sql`
          SELECT first.number
          FROM (
            SELECT DISTINCT key AS wanted_key FROM parked_message
            WHERE number = ANY(${int8s(numbers)}::int8[]) AND status = 'waiting'
            ORDER BY key
          ) AS wanted
          CROSS JOIN LATERAL (
            SELECT number FROM parked_message
            WHERE key = wanted_key AND status = 'waiting'
            ORDER BY number
            LIMIT 1
            FOR UPDATE
          ) AS first`),
        Effect.andThen(sql<{ readonly number: bigint }>`
          UPDATE parked_message AS message
          SET status = 'discarded', ended_at = clock_timestamp(), discarded_by = ${by.name}, discarded_because = ${by.reason}
          WHERE number = ANY(${int8s(numbers)}::int8[]) AND status = 'waiting'
            AND (
              SELECT first.trouble FROM parked_message AS first
              WHERE first.key = message.key AND first.status = 'waiting'
              ORDER BY first.number
              LIMIT 1
            ) IS NOT NULL
          RETURNING number`),
        Effect.flatMap((changed) => all(numbers, changed)),
        (all) => transaction(sql, all),
        meaning
      )
  })
}

/** The database of a consumer, migrated with `migrateConsumer`. */
export const layer = (options: Options) =>
  Layer.effectContext(Effect.gen(function*() {
    const { consumer, role = "counterpoise_consumer", url } = options
    const sql = yield* connect({ url, role, name: `counterpoise ${consumer}`, maxConnections: 4 })
    yield* verifySchema(sql, "consumer").pipe(
      Effect.andThen(verifyConsumer(sql, consumer)),
      Effect.catchTag("PlatformError", Effect.die),
      explained((cause) => ConsumerUnavailable.make({ consumer, cause }))
    )
    return Context.make(Consumer, consumerOf(sql, options)).pipe(Context.add(Parked, parkedOf(sql, consumer)))
  }))
