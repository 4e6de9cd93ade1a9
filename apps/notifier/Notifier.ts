/**
 * The notifier: tells a receiver every fact, at least once, and in order for each account.
 *
 * Many accounts are under way at once, each of them in order, and the place in the log moves only past what was delivered or
 * is parked with it. A message that the receiver will not have parks its account: the others go on, and nothing of that
 * account is told until a person has decided. A receiver that takes nothing at all parks nobody: it is waited for.
 */
import { Clock, Duration, Effect, FiberSet, Latch, Result } from "effect"
import {
  Consumer,
  type ConsumerLease,
  ConsumerState,
  ConsumerUnavailable,
  whileConsuming
} from "#domain/messaging/Consumer.ts"
import { type Delivered, EventLog } from "#domain/messaging/EventLog.ts"
import type { ParkedMessage, Trouble } from "#domain/messaging/Parked.ts"
import { Progress } from "#domain/messaging/Progress.ts"
import { isFact } from "#domain/notification/Notification.ts"
import * as Metrics from "#infra/telemetry/Metrics.ts"
import { deliverer, type DeliveryOptions, whereabouts } from "./Delivery.ts"

export interface NotifierOptions extends DeliveryOptions {
  /** Into how many partitions the accounts are cut. */
  readonly partitions: number
  /** How many keys may be parked: more is not poison, but something that is broken. */
  readonly mostParked: number
}

const mostPerTake = 500
/** How much is under way at most. */
const mostUnderWay = 1_000
/** And how much is not written, beside or behind something that is under way: after a crash it is delivered again. */
const mostUnwritten = 10_000
/** How many messages of a parked key are retried before that is written down. */
const mostPerRetry = 50
/** How long outcomes are gathered before they are written down: nobody waits for that, and a transaction for each is dear. */
const gatherFor = Duration.millis(20)
/** How often to look for what people have decided. */
const lookEvery = Duration.seconds(1)

const explanation = (trouble: Trouble) => ({ trouble: trouble.class, why: trouble.detail, tries: trouble.tries })

/** What a process shows that has not the lease, or gave it up. */
const idle: Metrics.NotifierState = { parkedKeys: 0, isStopped: false, partitionsStopped: 0, oldestPendingSeconds: 0 }

const nobody: ReadonlyMap<string, ReadonlyArray<ParkedMessage>> = new Map()

/** What has begun comes to its end, even when it is interrupted, so that it is known; but nothing is waited for for ever. */
const endingInTime = (consumer: string) => <A, E, R>(work: Effect.Effect<A, E, R>) =>
  work.pipe(
    Effect.interruptible,
    Effect.timeoutOrElse({
      duration: "10 seconds",
      orElse: () => Effect.fail(ConsumerUnavailable.make({ consumer, cause: "no answer in 10 seconds" }))
    }),
    Effect.uninterruptible
  )

/** Tells the facts for as long as this process holds the notifier's lease. */
export const notifier = (options: NotifierOptions) => whileConsuming((lease) => work(lease, options))

const work = Effect.fnUntraced(function*(lease: ConsumerLease, options: NotifierOptions) {
  const log = yield* EventLog
  const consumer = yield* Consumer

  const partitions = Array.from({ length: options.partitions }, (_, partition) => partition)
  const loaded = yield* consumer.transact(lease, ConsumerState.use((state) => state.load(log.identity, partitions)))
  const bounds = yield* log.bounds(partitions)
  // A log never read is read from where it begins; a place that the log no longer has must fail, never be reset.
  const reader = yield* log.reader(
    new Map(
      loaded.places.map(({ next, partition }) => [partition, next === 0n ? bounds.get(partition)?.begin ?? 0n : next])
    )
  )

  const progress = new Progress(loaded.places, loaded.parked, options.mostParked)
  const isFull = () => progress.underWay >= mostUnderWay || progress.unwritten >= mostUnwritten
  /** Something has its outcome, and is to be written down. */
  const news = yield* Latch.make()
  /** It was written down: there may be room where there was none. */
  const written = yield* Latch.make()

  /** What became of retried messages, until it is written down. */
  let retried: { delivered: Array<bigint>; troubled: Array<{ number: bigint; trouble: Trouble }> } = {
    delivered: [],
    troubled: []
  }

  /**
   * One transaction: how far the log has come, what is parked with it, what became of what was retried. Of the keys it looks
   * at, it answers the first message; and the next ones to retry, if that one has no trouble.
   */
  const write = Effect.fnUntraced(function*(looked: ReadonlyArray<string>) {
    const advance = progress.advance()
    const { delivered, troubled } = retried
    retried = { delivered: [], troubled: [] }
    if (advance.moves.length + delivered.length + troubled.length + looked.length === 0) {
      return { first: nobody, due: nobody }
    }
    const answer = yield* consumer.transact(
      lease,
      Effect.gen(function*() {
        const state = yield* ConsumerState
        yield* state.advance(log.identity, advance.moves)
        yield* state.park(advance.parked)
        yield* state.delivered(delivered)
        yield* state.troubled(troubled)
        const first = yield* state.waiting(looked, 1)
        const released = [...first].filter(([, [message]]) => message?.trouble === null).map(([key]) => key)
        return { first, due: yield* state.waiting(released, mostPerRetry) }
      })
    )
    progress.written(advance)
    return answer
  }, endingInTime(consumer.name))

  // Whoever works next meets the same trouble, and shows it itself.
  yield* Effect.acquireRelease(Metrics.notifierState(idle), () => Metrics.notifierState(idle))
  // When this process is told to stop, these end in the opposite order: what is on its way arrives, nothing else sets out,
  // and what has its outcome need not be delivered again by the next.
  yield* Effect.addFinalizer(() => Effect.ignore(write([])))
  const fibers = yield* FiberSet.make<void, never>()
  const deliver = yield* deliverer(options, () => isFull() && progress.keysUnderWay === 1)

  // --- from the log -------------------------------------------------------------------------------------------------

  const waitUntil = Effect.fnUntraced(function*(holds: () => boolean) {
    while (!holds()) {
      written.closeUnsafe()
      yield* written.await
    }
  })

  /** How many keys are to be parked for which there is no room. */
  let turnedAway = 0
  const roomToPark = Effect.suspend(() => {
    turnedAway++
    news.openUnsafe()
    return waitUntil(() => progress.hasRoom)
  }).pipe(Effect.ensuring(Effect.sync(() => turnedAway--)))

  const busy = new Set<string>()
  const workKey = Effect.fnUntraced(function*(key: string) {
    for (let record = progress.next(key); record !== undefined; record = progress.next(key)) {
      const trouble = yield* deliver(record)
      if (trouble === null) progress.delivered(key)
      else {
        if (!progress.hasRoom) yield* roomToPark
        progress.park(key, trouble)
        yield* Effect.logError("key parked: a message waits for a person, and the others of its key behind it", {
          ...whereabouts(record),
          ...explanation(trouble)
        })
      }
      news.openUnsafe()
    }
    busy.delete(key)
  })

  let partitionsStopped = 0
  const take = Effect.fnUntraced(function*(record: Delivered) {
    const taken = progress.take(record, isFact(record.type))
    if (Result.isFailure(taken)) {
      yield* Effect.logError("partition stopped: a record cannot be read", {
        ...whereabouts(record),
        offset: record.offset,
        why: taken.failure.message
      })
      partitionsStopped++
    } else if (taken.success === "to deliver" && !busy.has(record.key)) {
      busy.add(record.key)
      yield* FiberSet.run(fibers, workKey(record.key))
    }
  })

  const intake = Effect.gen(function*() {
    yield* waitUntil(() => turnedAway === 0 && !isFull())
    const most = Math.min(mostPerTake, mostUnderWay - progress.underWay, mostUnwritten - progress.unwritten)
    const records = yield* reader.take(most)
    // It may have had to wait for these, and much can happen meanwhile.
    yield* waitUntil(() => turnedAway === 0)
    yield* Effect.forEach(records, take, { discard: true })
    news.openUnsafe()
  })

  // --- from the park ------------------------------------------------------------------------------------------------

  /** The keys of which messages are being retried; true when all of those have their outcome. */
  const retrying = new Map<string, boolean>()
  const retryKey = Effect.fnUntraced(function*(key: string, messages: ReadonlyArray<ParkedMessage>) {
    for (const message of messages) {
      const trouble = yield* deliver(message)
      if (trouble === null) retried.delivered.push(message.number)
      else {
        retried.troubled.push({ number: message.number, trouble })
        yield* Effect.logError("key stays parked: a retried message waits for a person again", {
          ...whereabouts(message),
          number: message.number,
          ...explanation(trouble)
        })
        break
      }
      news.openUnsafe()
    }
    retrying.set(key, true)
    news.openUnsafe()
  })

  // --- to the database ----------------------------------------------------------------------------------------------

  let isStopped = false
  let lookAtMillis = 0
  const desk = Effect.gen(function*() {
    yield* Effect.timeoutOption(news.await, lookEvery)
    yield* Effect.sleep(gatherFor)
    news.closeUnsafe()
    const now = yield* Clock.currentTimeMillis
    const looks = now >= lookAtMillis
    if (looks) lookAtMillis = now + Duration.toMillis(lookEvery)

    const ended = [...retrying].filter(([, hasEnded]) => hasEnded).map(([key]) => key)
    const looked = looks ? [...progress.parkedKeys].filter((key) => retrying.get(key) !== false) : ended
    const { due, first } = yield* write(looked)
    for (const key of ended) retrying.delete(key)
    for (const key of looked) {
      if (!first.has(key) && progress.free(key)) {
        yield* Effect.logInfo("key is free: nothing of it waits any more", { key })
      }
    }
    for (const [key, messages] of due) {
      retrying.set(key, false)
      yield* FiberSet.run(fibers, retryKey(key, messages))
    }
    written.openUnsafe()

    if (isStopped !== turnedAway > 0) {
      isStopped = !isStopped
      yield* isStopped
        ? Effect.logError("notifier stopped: more keys would be parked than may be; retry or discard their messages", {
          parkedKeys: progress.parkedKeys.size
        })
        : Effect.logInfo("notifier goes on", { parkedKeys: progress.parkedKeys.size })
    }
    yield* Metrics.notifierState({
      parkedKeys: progress.parkedKeys.size,
      isStopped,
      partitionsStopped,
      oldestPendingSeconds: Math.max(0, now - (progress.oldestMillis ?? now)) / 1000
    })
  })

  return yield* Effect.raceFirst(
    Effect.raceFirst(Effect.forever(intake), Effect.forever(desk)),
    Effect.andThen(FiberSet.join(fibers), Effect.never)
  )
}, Effect.scoped)
