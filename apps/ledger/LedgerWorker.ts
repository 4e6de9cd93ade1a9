/**
 * The ledger worker: the one writer of a shard's books. A batch of messages in, decided in memory in their order, one
 * transaction on the shard, messages out.
 *
 * Exactly once: the worker's place in the log moves in the same transaction as the effects, by compare-and-set. What is
 * delivered again is below the place, or not above the highest position seen of its source shard.
 */
import { Clock, Context, Effect, Fiber, LogLevel, Metric, Result, Schedule } from "effect"
import { Batch, type Known, type Needs, needsOf, overlaid } from "#domain/ledger/Batch.ts"
import type { Message } from "#domain/ledger/Decision.ts"
import { Ledger } from "#domain/ledger/Ledger.ts"
import { fromJson, type LedgerEvent } from "#domain/ledger/LedgerEvent.ts"
import { acting } from "#domain/ledger/Protocol.ts"
import { ConsumerPositions, type Place } from "#domain/messaging/ConsumerPositions.ts"
import { type Delivered, EventLog } from "#domain/messaging/EventLog.ts"
import { type Lease, Leases, whileHolding } from "#domain/sharding/Leases.ts"
import { partitionsOf, type ShardId, shardOfAccount } from "#domain/sharding/ShardMap.ts"
import { Shards } from "#domain/sharding/Shards.ts"
import * as Metrics from "#infra/telemetry/Metrics.ts"

/** How many messages are decided in one transaction, at most. */
export const BatchSize = Context.Reference("counterpoise/apps/ledger/BatchSize", { defaultValue: () => 1_000 })

/** Records that were taken from the log, in their order, and what they come to. */
interface Taken {
  readonly records: ReadonlyArray<Delivered>
  /** Those that are to be decided. */
  readonly messages: ReadonlyArray<{ readonly record: Delivered; readonly message: Message }>
  /** Where each of their partitions is when they are settled. */
  readonly moves: Map<number, Place>
  readonly needs: Needs
  /** What was read for them already. */
  readonly known: Known | undefined
}

/** Works a shard for as long as this process holds its lease. */
export const ledgerWorker = (shard: ShardId) => whileHolding(shard, "ledger", work)

const work = Effect.fnUntraced(function*(lease: Lease) {
  const leases = yield* Leases
  const log = yield* EventLog
  const shards = yield* Shards
  const { shard } = lease
  const isHome = (account: string) => shardOfAccount(shards.map, account) === shard
  const partitions = partitionsOf(shards.map, shard)

  yield* leases.examine(lease, { position: yield* log.frontier(shard), by: "the event log" })
  const loaded = yield* shards.transact(
    shard,
    ConsumerPositions.use((positions) => positions.load(log.identity, partitions))
  )
  const bounds = yield* log.bounds(partitions)
  /** Where the partitions are, as the shard says; and where they will be when all that was taken is settled. */
  const places = new Map(loaded.map((place) => [place.partition, place]))
  const taken = new Map(places)
  const most = yield* BatchSize
  // A log never read is read from where it begins; a place that the log no longer has must fail, never be reset.
  const reader = yield* log.reader(
    new Map(loaded.map(({ next, partition }) => [partition, next === 0n ? bounds.get(partition)?.begin ?? 0n : next]))
  )

  /**
   * The offsets at which partitions hold a message that cannot be processed. Balances stop there and say so; nothing is
   * skipped, and what came before it is done.
   */
  const stopped = new Map<number, bigint>()
  const isBehindStop = (record: Delivered) => record.offset >= (stopped.get(record.partition) ?? record.offset + 1n)
  const isBeyondStop = ({ next, partition }: Place) => next > (stopped.get(partition) ?? next)
  const stop = (record: Delivered, why: string) => {
    stopped.set(record.partition, record.offset)
    return Metrics.stopped(shard, stopped.size).pipe(Effect.andThen(
      Effect.logError("partition stopped: a message cannot be processed", {
        partition: record.partition,
        offset: record.offset,
        source: record.source,
        position: record.position,
        type: record.type,
        transferId: record.subject,
        why
      })
    ))
  }
  // Whoever works the shard next meets the same messages, and says so itself.
  yield* Effect.acquireRelease(Metrics.stopped(shard, 0), () => Metrics.stopped(shard, 0))

  /** What comes next, sorted: what is to be decided, and where that leaves the partitions. */
  const take = Effect.gen(function*() {
    const records = yield* reader.take(most)
    const moves = new Map<number, Place>()
    const messages: Array<{ readonly record: Delivered; readonly message: Message }> = []
    for (const record of records) {
      if (isBehindStop(record)) continue
      const place = taken.get(record.partition)
      if (place === undefined || record.offset < place.next) continue
      const isNew = record.position > (place.seen.get(record.source) ?? 0n)
      if (isNew && acting.has(record.type)) {
        const event = carriedBy(record)
        if (Result.isFailure(event)) {
          yield* stop(record, String(event.failure))
          continue
        }
        const origin = { requestId: record.requestId, traceparent: record.traceparent }
        messages.push({ record, message: { event: event.success, from: record.source, origin } })
      }
      const now = {
        partition: record.partition,
        next: record.offset + 1n,
        seen: isNew ? new Map(place.seen).set(record.source, record.position) : place.seen
      }
      moves.set(record.partition, now)
      taken.set(record.partition, now)
    }
    const needs = needsOf(messages.map(({ message }) => message), shard, isHome)
    return { records, messages, moves, needs, known: undefined } satisfies Taken
  })

  /** The same, and what it needs to know, read before its turn has come. What several rows come to is read in its turn. */
  const takeAndRead = Effect.gen(function*() {
    const next: Taken = yield* take
    const { needs } = next
    if (needs.reversed.size > 0) return next
    return { ...next, known: yield* shards.transact(shard, Ledger.use((ledger) => ledger.read(needs))) }
  })

  const settle = Effect.fnUntraced(function*({ known: readBefore, messages, moves, needs, records }: Taken) {
    const begun = yield* Clock.currentTimeMillis
    let known = readBefore
    const { advanced, batch } = yield* shards.transact(
      shard,
      Effect.gen(function*() {
        const ledger = yield* Ledger
        const positions = yield* ConsumerPositions
        const batch = new Batch(shard, isHome, known ?? (yield* ledger.read(needs)))
        // It serves once: who lost a race reads again.
        known = undefined
        for (const { message, record } of messages) {
          if (isBehindStop(record)) continue
          const taken = batch.take(message)
          if (Result.isFailure(taken)) {
            yield* stop(record, taken.failure.message)
            moves.set(record.partition, placeBefore(record, records, places))
          }
        }
        const advanced = [...moves.values()].flatMap((now) => {
          const was = places.get(now.partition)
          return was === undefined || was.next === now.next || isBeyondStop(now) ? [] : [{ was, now }]
        })
        yield* positions.advance(log.identity, lease.epoch, advanced)
        yield* ledger.write(batch.changes)
        return { advanced, batch }
      })
    ).pipe(
      // Somebody changed what was read: read it again and decide again. Any other failure ends this worker's turn, and
      // it begins anew from what the shard says: after a lost connection nobody knows whether the commit took place.
      Effect.tapErrorTag("LostRace", () => Metric.update(Metrics.lostRaces, 1)),
      Effect.retry({
        while: (error) => error._tag === "LostRace",
        times: 5,
        schedule: Schedule.jittered(Schedule.exponential("2 millis"))
      })
    )

    for (const { now } of advanced) places.set(now.partition, now)
    if (yield* logsEachMessage) {
      yield* Effect.forEach(messages, ({ message, record }) =>
        Effect.logDebug("decided", {
          type: record.type,
          transferId: record.subject,
          requestId: message.origin.requestId,
          partition: record.partition,
          source: record.source,
          position: record.position
        }), { discard: true })
    }
    yield* Metrics.batchWritten(shard, messages.length, batch.changes, (yield* Clock.currentTimeMillis) - begun)
    return batch
  })

  /**
   * Settles what was taken, and answers what comes next. Where a batch is full more is waiting: that is taken and read while
   * this one is written, and what this one changed is laid over it.
   */
  const step = Effect.fnUntraced(function*(now: Taken) {
    if (now.records.length < most) return yield* Effect.andThen(settle(now), take)
    const reading = yield* Effect.forkChild(takeAndRead)
    const batch = yield* Effect.onError(settle(now), () => Fiber.interrupt(reading))
    const next = yield* Fiber.join(reading)
    return next.known === undefined ? next : { ...next, known: overlaid(next.known, batch.after) }
  })

  let next: Taken = yield* take
  while (true) next = yield* step(next)
}, Effect.scoped)

/**
 * What a record carries, if it is what the record is said to be. Who may write which type of event is guarded where events
 * are written, by that type alone: another one in the payload would be a way around.
 */
const carriedBy = ({ payload, type }: Delivered): Result.Result<LedgerEvent, Error> =>
  Result.flatMap(fromJson(payload), (event) =>
    event.type === type
      ? Result.succeed(event)
      : Result.fail(new Error(`it is said to be ${type}, and is ${event.type}`)))

/** A line for each message, with its request and transfer, is for those who look for something: LOG_LEVEL=Debug. */
const logsEachMessage = LogLevel.isEnabled("Debug")

/** The place of a stopped partition: just before the record that cannot be processed. */
const placeBefore = (
  stopper: Delivered,
  records: ReadonlyArray<Delivered>,
  places: ReadonlyMap<number, Place>
): Place => {
  const seen = new Map(places.get(stopper.partition)?.seen)
  for (const record of records) {
    if (record.partition !== stopper.partition) continue
    if (record.offset === stopper.offset) break
    if (record.position > (seen.get(record.source) ?? 0n)) seen.set(record.source, record.position)
  }
  return { partition: stopper.partition, next: stopper.offset, seen }
}
