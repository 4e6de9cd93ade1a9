/**
 * The ledger worker: the one writer of a shard's books. A batch of messages in, decided in memory in their order, one
 * transaction on the shard, messages out.
 *
 * Exactly once: the worker's place in the log moves in the same transaction as the effects, by compare-and-set. What is
 * delivered again is below the place, or not above the highest position seen of its source shard.
 */
import { Clock, Effect, LogLevel, Metric, Result, Schedule } from "effect"
import { Batch, needsOf } from "#domain/ledger/Batch.ts"
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

const mostPerBatch = 1_000

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
  const places = new Map(loaded.map((place) => [place.partition, place]))
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

  const step = Effect.fnUntraced(function*(records: ReadonlyArray<Delivered>) {
    const begun = yield* Clock.currentTimeMillis
    const moves = new Map<number, Place>()
    const messages: Array<{ readonly record: Delivered; readonly message: Message }> = []
    for (const record of records) {
      if (isBehindStop(record)) continue
      const place = moves.get(record.partition) ?? places.get(record.partition)
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
      moves.set(record.partition, {
        partition: record.partition,
        next: record.offset + 1n,
        seen: isNew ? new Map(place.seen).set(record.source, record.position) : place.seen
      })
    }

    const decided = yield* shards.transact(
      shard,
      Effect.gen(function*() {
        const ledger = yield* Ledger
        const positions = yield* ConsumerPositions
        const known = yield* ledger.read(needsOf(messages.map(({ message }) => message), shard, isHome))
        const batch = new Batch(shard, isHome, known)
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
          return was === undefined || was.next === now.next ? [] : [{ was, now }]
        })
        yield* positions.advance(log.identity, lease.epoch, advanced)
        yield* ledger.write(batch.changes)
        return batch.changes
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

    for (const [partition, place] of moves) places.set(partition, place)
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
    yield* Metrics.batchWritten(shard, messages.length, decided, (yield* Clock.currentTimeMillis) - begun)
  })

  return yield* reader.take(mostPerBatch).pipe(
    Effect.flatMap(step),
    Effect.forever
  )
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
