/**
 * A consumer's own database in memory, for tests and simulations. Several services over one {@link Database} are several
 * processes that want to be the same consumer.
 */
import { Clock, Context, Duration, Effect, Layer, Option, Semaphore } from "effect"
import { Consumer, type ConsumerLease, ConsumerState, StaleConsumer } from "#domain/messaging/Consumer.ts"
import type { Place } from "#domain/messaging/ConsumerPositions.ts"
import { type Actor, named, NotParked, Parked, type ParkedMessage, type ParkedRetry } from "#domain/messaging/Parked.ts"

/** Replaced as a whole by every transaction that succeeds. */
interface Content {
  readonly lease: { readonly holder: number; readonly epoch: bigint; readonly expiresAtMillis: number }
  readonly places: ReadonlyMap<number, { readonly log: string; readonly place: Place }>
  /** In the order of their numbers. */
  readonly messages: ReadonlyArray<ParkedMessage>
  readonly retries: ReadonlyArray<ParkedRetry & { readonly number: bigint }>
}

/** What outlives the processes that use it. */
export interface Database {
  readonly consumer: string
  readonly oneAtATime: Semaphore.Semaphore
  holders: number
  content: Content
}

/** An empty database of a consumer. */
export const makeDatabase = (consumer: string): Effect.Effect<Database> =>
  Effect.map(Semaphore.make(1), (oneAtATime) => ({
    consumer,
    oneAtATime,
    holders: 0,
    content: {
      lease: { holder: 0, epoch: 0n, expiresAtMillis: 0 },
      places: new Map(),
      messages: [],
      retries: []
    }
  }))

/** The services by which one process sees a database. */
export const over = (database: Database, timeToLive: Duration.Duration) => {
  const { consumer, oneAtATime } = database
  const holder = ++database.holders
  const stale = StaleConsumer.make({ consumer })

  const change = (by: Partial<Content>) => {
    database.content = { ...database.content, ...by }
  }

  /** What `work` changed stays if it succeeds, and is undone if it does not. */
  const transaction = <A, E, R>(work: Effect.Effect<A, E, R>) =>
    Effect.suspend(() => {
      const before = database.content
      return Effect.onError(work, () =>
        Effect.sync(() => {
          database.content = before
        }))
    }).pipe(oneAtATime.withPermits(1))

  const waitingOf = (key: string) =>
    database.content.messages.filter((message) => message.key === key && message.status === "waiting")

  /** Changes those messages that wait and are meant; answers the numbers of those that were changed. */
  const changeMessages = (
    numbers: ReadonlyArray<bigint>,
    by: (message: ParkedMessage) => ParkedMessage | undefined
  ) => {
    const changed = new Set<bigint>()
    const messages = database.content.messages.map((message) => {
      if (message.status !== "waiting" || !numbers.includes(message.number)) return message
      const now = by(message)
      if (now !== undefined) changed.add(message.number)
      return now ?? message
    })
    change({ messages })
    return changed
  }

  const state = ConsumerState.of({
    load: (log, partitions) =>
      Effect.sync(() => {
        const places = new Map(database.content.places)
        for (const partition of partitions) {
          const known = places.get(partition)
          if (known?.log === log) continue
          places.set(partition, { log, place: { partition, next: 0n, seen: known?.place.seen ?? new Map() } })
        }
        change({ places })
        return {
          places: partitions.flatMap((partition) => places.get(partition)?.place ?? []),
          parked: new Set(
            database.content.messages.filter(({ status }) => status === "waiting").map(({ key }) => key)
          )
        }
      }),

    advance: (log, moves) =>
      Effect.suspend(() => {
        const places = new Map(database.content.places)
        for (const { now, was } of moves) {
          const known = places.get(now.partition)
          if (known?.log !== log || known.place.next !== was.next) return Effect.fail(stale)
          places.set(now.partition, { log, place: now })
        }
        change({ places })
        return Effect.void
      }),

    park: (parking) =>
      Effect.map(Clock.currentTimeMillis, (parkedAtMillis) => {
        const messages = [...database.content.messages]
        for (const { record, trouble } of parking) {
          if (messages.some(({ position, source }) => position === record.position && source === record.source)) {
            continue
          }
          messages.push({
            partition: record.partition,
            source: record.source,
            position: record.position,
            key: record.key,
            type: record.type,
            subject: record.subject,
            payload: record.payload,
            occurredAtMillis: record.occurredAtMillis,
            traceparent: record.traceparent,
            requestId: record.requestId,
            number: BigInt(messages.length + 1),
            status: "waiting",
            trouble,
            parkedAtMillis,
            discarded: null
          })
        }
        change({ messages })
      }),

    waiting: (keys, most) =>
      Effect.sync(() =>
        new Map(
          keys.map((key) => [key, waitingOf(key).slice(0, most)] as const).filter(([, waiting]) => waiting.length > 0)
        )
      ),

    delivered: (numbers) =>
      Effect.sync(() => {
        changeMessages(numbers, (message) => ({ ...message, status: "delivered" }))
      }),

    troubled: (troubles) =>
      Effect.sync(() => {
        const byNumber = new Map(troubles.map(({ number, trouble }) => [number, trouble]))
        changeMessages([...byNumber.keys()], (message) => ({
          ...message,
          trouble: byNumber.get(message.number) ?? null
        }))
      })
  })

  const transact = <A, E, R>(lease: ConsumerLease, work: Effect.Effect<A, E, R>) =>
    Effect.suspend(() => database.content.lease.epoch === lease.epoch ? Effect.void : Effect.fail(stale)).pipe(
      Effect.andThen(Effect.provideContext(work, Context.make(ConsumerState, state))),
      transaction
    )

  const expiry = Effect.map(Clock.currentTimeMillis, (now) => ({ now, later: now + Duration.toMillis(timeToLive) }))
  const isOurs = ({ epoch }: ConsumerLease) =>
    database.content.lease.epoch === epoch && database.content.lease.holder === holder

  const asConsumer = Consumer.of({
    name: consumer,
    timeToLive,
    acquire: Effect.map(expiry, ({ later, now }) => {
      const { lease } = database.content
      if (lease.expiresAtMillis > now) return Option.none()
      change({ lease: { holder, epoch: lease.epoch + 1n, expiresAtMillis: later } })
      return Option.some({ epoch: lease.epoch + 1n })
    }).pipe(transaction),
    renew: (lease) =>
      Effect.flatMap(expiry, ({ later }) => {
        if (!isOurs(lease)) return Effect.fail(stale)
        change({ lease: { ...database.content.lease, expiresAtMillis: later } })
        return Effect.void
      }).pipe(transaction),
    release: (lease) =>
      Effect.map(expiry, ({ now }) => {
        if (isOurs(lease)) change({ lease: { ...database.content.lease, expiresAtMillis: now } })
      }).pipe(transaction),
    // The one cast: that ConsumerState is provided is seen by the compiler only for R as it stands.
    transact: transact as <A, E, R>(
      lease: ConsumerLease,
      work: Effect.Effect<A, E, R>
    ) => Effect.Effect<A, E | StaleConsumer, Exclude<R, ConsumerState>>
  })

  const decide = (
    numbers: ReadonlyArray<bigint>,
    by: Actor,
    decision: (message: ParkedMessage, atMillis: number) => ParkedMessage | undefined
  ) =>
    named(by).pipe(
      Effect.andThen(Clock.currentTimeMillis),
      Effect.flatMap((atMillis) => {
        const changed = changeMessages(numbers, (message) => decision(message, atMillis))
        const others = numbers.filter((number) => !changed.has(number))
        return others.length === 0 ? Effect.void : Effect.fail(NotParked.make({ numbers: others }))
      }),
      transaction
    )

  const asParked = Parked.of({
    list: ({ after, key, most, status }) =>
      Effect.sync(() =>
        database.content.messages.filter((message) =>
          message.status === status && message.number > after && (key === null || message.key === key)
        ).slice(0, most)
      ),
    show: (number) =>
      Effect.sync(() =>
        Option.map(
          Option.fromNullishOr(database.content.messages.find((message) => message.number === number)),
          (message) => ({
            message,
            retries: database.content.retries.filter((retry) => retry.number === number).map((
              { atMillis, name, reason, trouble }
            ) => ({ name, reason, trouble, atMillis }))
          })
        )
      ),
    retry: (numbers, by) =>
      decide(numbers, by, (message, atMillis) => {
        if (message.trouble === null) return undefined
        const retry = { ...by, number: message.number, trouble: message.trouble, atMillis }
        change({ retries: [...database.content.retries, retry] })
        return { ...message, trouble: null }
      }),
    discard: (numbers, by) =>
      decide(numbers, by, (message) => {
        const [first] = waitingOf(message.key)
        return first?.trouble === null ? undefined : { ...message, status: "discarded", discarded: by }
      })
  })

  return Context.make(Consumer, asConsumer).pipe(Context.add(Parked, asParked))
}

/** A consumer with a database of its own. */
export const layer = (consumer: string, timeToLive: Duration.Duration = Duration.seconds(5)) =>
  Layer.effectContext(Effect.map(makeDatabase(consumer), (database) => over(database, timeToLive)))
