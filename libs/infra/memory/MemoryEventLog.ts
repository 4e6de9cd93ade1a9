/**
 * The event log in memory, for tests and simulations. It is lost with the process and otherwise keeps every law that the
 * lasting ones keep; several services over one {@link Log} are several processes on one log.
 */
import { Deferred, Effect, Layer } from "effect"
import {
  type Bounds,
  type Delivered,
  EventLog,
  EventLogUnavailable,
  type LogRecord,
  OffsetOutOfRange,
  WriterFenced
} from "#domain/messaging/EventLog.ts"
import type { ShardId } from "#domain/sharding/ShardMap.ts"

export interface LogOptions {
  /** Does a newer writer stop earlier ones of the same source? */
  readonly fencesWriters?: boolean
  /** Does it have what is appended again a second time? Readers drop that. */
  readonly keepsReplays?: boolean
}

/** What the log holds, and who waits for more. */
export interface Log {
  readonly identity: string
  readonly options: Required<LogOptions>
  readonly partitions: Map<number, Array<Delivered>>
  readonly writers: Map<ShardId, { epoch: number; position: bigint }>
  readonly waiting: Set<Deferred.Deferred<void, EventLogUnavailable>>
}

let made = 0

/** An empty log. */
export const makeLog = ({ fencesWriters = true, keepsReplays = false }: LogOptions = {}): Effect.Effect<Log> =>
  Effect.sync(() => ({
    identity: `memory:${++made}`,
    options: { fencesWriters, keepsReplays },
    partitions: new Map(),
    writers: new Map(),
    waiting: new Set()
  }))

/** The service by which one process sees a log. */
export const over = (log: Log): EventLog["Service"] => {
  const { fencesWriters, keepsReplays } = log.options
  const recordsOf = (partition: number): ReadonlyArray<Delivered> => log.partitions.get(partition) ?? []

  const append = (record: LogRecord) => {
    const records = log.partitions.get(record.partition) ?? []
    log.partitions.set(record.partition, records)
    records.push({ ...record, offset: BigInt(records.length) })
  }

  const writer = (source: ShardId) =>
    Effect.sync(() => {
      const state = log.writers.get(source) ?? { epoch: 0, position: -1n }
      log.writers.set(source, state)
      const epoch = ++state.epoch
      return {
        append: (records: ReadonlyArray<LogRecord>) =>
          Effect.suspend(() => {
            if (fencesWriters && state.epoch !== epoch) return Effect.fail(WriterFenced.make({ source }))
            for (const record of records) {
              if (!keepsReplays && record.position <= state.position) continue
              append(record)
              if (record.position > state.position) state.position = record.position
            }
            // Taken out before they are told: a reader whose partitions got nothing waits again at once.
            const woken = [...log.waiting]
            log.waiting.clear()
            for (const waiter of woken) Deferred.doneUnsafe(waiter, Effect.void)
            return Effect.void
          })
      }
    })

  const boundsOf = (partition: number): Bounds => ({ begin: 0n, end: BigInt(recordsOf(partition).length) })

  const reader = Effect.fnUntraced(function*(from: ReadonlyMap<number, bigint>) {
    const closed = EventLogUnavailable.make({ operation: "read", cause: new Error("the reader is closed") })
    const next = new Map<number, number>()
    for (const [partition, asked] of from) {
      const { begin, end } = boundsOf(partition)
      if (asked < begin || asked > end) return yield* OffsetOutOfRange.make({ partition, asked, begin, end })
      next.set(partition, Number(asked))
    }
    let isOpen = true
    let waiter: Deferred.Deferred<void, EventLogUnavailable> | undefined
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        isOpen = false
        if (waiter !== undefined) Deferred.doneUnsafe(waiter, Effect.fail(closed))
      })
    )

    const hasNews = () => [...next].some(([partition, place]) => place < recordsOf(partition).length)

    const wait = Effect.suspend(() => {
      if (hasNews()) return Effect.void
      const mine = Deferred.makeUnsafe<void, EventLogUnavailable>()
      waiter = mine
      log.waiting.add(mine)
      return Effect.ensuring(Deferred.await(mine), Effect.sync(() => log.waiting.delete(mine)))
    })

    /** Takes from each partition in turn an equal part of what is left to take; who was served goes to the end. */
    const takeNow = (most: number): ReadonlyArray<Delivered> => {
      const taken: Array<Delivered> = []
      const waiting = [...next].filter(([partition, place]) => place < recordsOf(partition).length)
      waiting.forEach(([partition, place], index) => {
        const share = Math.ceil((most - taken.length) / (waiting.length - index))
        const records = recordsOf(partition).slice(place, place + share)
        if (records.length === 0) return
        taken.push(...records)
        next.delete(partition)
        next.set(partition, place + records.length)
      })
      return taken
    }

    const take = (most: number): Effect.Effect<ReadonlyArray<Delivered>, EventLogUnavailable> =>
      Effect.suspend(() => {
        if (!isOpen) return Effect.fail(closed)
        const taken = takeNow(most)
        return taken.length > 0 ? Effect.succeed(taken) : Effect.andThen(wait, take(most))
      })

    const nextOf = (partition: number) => {
      const place = next.get(partition)
      return place === undefined ? undefined : BigInt(place)
    }

    return { take, next: nextOf }
  })

  return EventLog.of({
    identity: log.identity,
    capabilities: { denseOffsets: true, atomicAppends: true, fencesWriters, durable: false },
    writer,
    reader,
    frontier: (source) =>
      Effect.sync(() => {
        const position = log.writers.get(source)?.position ?? 0n
        return position < 0n ? 0n : position
      }),
    bounds: (partitions) =>
      Effect.sync(() => new Map(partitions.map((partition): [number, Bounds] => [partition, boundsOf(partition)])))
  })
}

/** A log of one's own. */
export const layer = Layer.effect(EventLog, Effect.map(makeLog(), over))
