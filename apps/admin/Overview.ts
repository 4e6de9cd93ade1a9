/**
 * What operators see of the platform at once. Each part is asked by itself, so that what is down takes only its own answer
 * with it.
 */
import { Context, Duration, Effect, Layer, Result } from "effect"
import { Queries, type TrialBalance } from "#domain/ledger/Queries.ts"
import { Parked, type ParkedMessage } from "#domain/messaging/Parked.ts"
import { lookBackMillis, type Unfinished, UnfinishedCounts } from "#domain/operations/Unfinished.ts"
import { type Break, Breaks } from "#domain/reconciliation/Breaks.ts"
import { type Patience, type SilentTransfer, SilentTransfers } from "#domain/reconciliation/SilentTransfers.ts"
import { isHeld, type Pulse, Pulses, type WorkedPartition } from "#domain/sharding/Pulse.ts"
import { partitionsOf, type ShardId, type ShardMap } from "#domain/sharding/ShardMap.ts"
import { EventLogAtHand, type Unread } from "./EventLogAtHand.ts"

/** A shard as it is found. */
export interface ShardSeen {
  readonly shard: ShardId
  readonly partitions: number
  /** Null where it does not answer. */
  readonly pulse: Pulse | null
  readonly unfinished: Unfinished | null
  readonly lag: number | null
  readonly silent: ReadonlyArray<SilentTransfer>
  /** Those that are open, the first of them. */
  readonly breaks: ReadonlyArray<Break>
}

/** A partition whose worker is there, and does not go on. */
export interface Stopped extends Unread {
  readonly shard: ShardId
}

export interface Seen {
  readonly shards: ReadonlyArray<ShardSeen>
  readonly stopped: ReadonlyArray<Stopped>
  /** Null while a shard does not answer: the others alone would not add up. */
  readonly sums: ReadonlyArray<TrialBalance> | null
  /** The messages that wait, the first of them; null while the notifier's database does not answer. */
  readonly parked: ReadonlyArray<ParkedMessage> | null
}

/** How many breaks of a shard are counted: where there are so many, their number says no more. */
const mostBreaks = 1_000

/** How many parked messages are counted. */
const mostParked = 1_000

/** An event that is not read for longer, while somebody works, waits in vain. */
const longestUnreadMillis = 30_000

/** Longer than a batch takes that is worked on. */
const secondLook = Duration.seconds(2)

/** How many silent transfers of a shard are named. */
const mostSilent = 20

/** Longer than a shard in health needs, and shorter than a person waits. */
const patienceWithAShard = Duration.seconds(3)

export class Overview extends Context.Service<Overview, {
  readonly shards: Effect.Effect<ReadonlyArray<ShardSeen>>
  readonly everything: Effect.Effect<Seen>
}>()("counterpoise/admin/Overview") {
  static readonly layer = (map: ShardMap, patience: Patience) =>
    Layer.effect(
      Overview,
      Effect.gen(function*() {
        const queries = yield* Queries
        const breaks = yield* Breaks
        const pulses = yield* Pulses
        const { of: unfinishedOf } = yield* UnfinishedCounts
        const silent = yield* SilentTransfers
        const { lag, unread } = yield* EventLogAtHand
        const parked = yield* Parked

        /** The answer, or null where there is none in time. */
        const ifItAnswers = <A, E>(asked: Effect.Effect<A, E>) =>
          Effect.map(Effect.result(Effect.timeout(asked, patienceWithAShard)), (answer) =>
            Result.isSuccess(answer) ? answer.success : null)

        /** Where the worker of a shard is, in all of its partitions. */
        const placesOf = ({ shard, worked }: Pulse): ReadonlyArray<WorkedPartition> => {
          const places = new Map(worked.map((place) => [place.partition, place]))
          return partitionsOf(map, shard).map((partition) =>
            places.get(partition) ?? { partition, log: "", next: 0n }
          )
        }

        /**
         * Partitions whose worker is there, has had the time, and does not read on. No shard keeps this: a worker says it in its
         * log and its metrics, and here it is seen from outside, whatever the cause. Who is only behind moves between two looks.
         */
        const stoppedOn = Effect.fnUntraced(function*(pulse: Pulse) {
          const places = placesOf(pulse)
          const old = (yield* unread(places)).filter(({ record }) =>
            record === null || pulse.atMillis - record.occurredAtMillis > longestUnreadMillis
          )
          const works = pulse.leases.some((lease) => lease.role === "ledger" && isHeld(pulse, lease))
          if (old.length === 0 || !works) return []
          yield* Effect.sleep(secondLook)
          const later = yield* ifItAnswers(pulses.of(pulse.shard))
          if (later === null) return []
          const next = (of: ReadonlyArray<WorkedPartition>, partition: number) =>
            of.find((place) => place.partition === partition)?.next
          const placesNow = placesOf(later)
          return old.filter(({ partition }) => next(places, partition) === next(placesNow, partition))
            .map((unread): Stopped => ({ ...unread, shard: pulse.shard }))
        })

        const see = Effect.fnUntraced(function*(shard: ShardId) {
          const partitions = partitionsOf(map, shard).length
          const pulse = yield* ifItAnswers(pulses.of(shard))
          if (pulse === null) {
            return { shard, partitions, pulse, unfinished: null, lag: null, silent: [], breaks: [] }
          }
          const since = pulse.atMillis - lookBackMillis
          return {
            shard,
            partitions,
            pulse,
            unfinished: yield* ifItAnswers(unfinishedOf(shard)),
            lag: yield* lag(pulse.worked),
            breaks: (yield* ifItAnswers(breaks.list(shard, { status: "open", severity: null }, 0n, mostBreaks))) ?? [],
            silent: (yield* ifItAnswers(silent.find(shard, patience, since, mostSilent))) ?? []
          }
        })

        const shards = Effect.forEach([...new Set(map.homes)], see, { concurrency: 8 })
        const stopped = (seen: ReadonlyArray<ShardSeen>) =>
          Effect.map(
            Effect.forEach(seen, ({ pulse }) => pulse === null ? Effect.succeed([]) : stoppedOn(pulse), {
              concurrency: 8
            }),
            (found) => found.flat()
          )
        return Overview.of({
          shards,
          everything: Effect.gen(function*() {
            const seen = yield* Effect.all({
              shards,
              sums: ifItAnswers(queries.trialBalance),
              parked: ifItAnswers(parked.list({ status: "waiting", key: null, after: 0n, most: mostParked }))
            }, { concurrency: 3 })
            return { ...seen, stopped: yield* stopped(seen.shards) }
          })
        })
      })
    )
}
