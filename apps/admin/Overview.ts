/**
 * What operators see of the platform at once. Each part is asked by itself, so that what is down takes only its own answer
 * with it.
 */
import { Context, Duration, Effect, Layer, Result } from "effect"
import { Queries, type TrialBalance } from "#domain/ledger/Queries.ts"
import { lookBackMillis, type Unfinished, UnfinishedCounts } from "#domain/operations/Unfinished.ts"
import { type Break, Breaks } from "#domain/reconciliation/Breaks.ts"
import { type Patience, type SilentTransfer, SilentTransfers } from "#domain/reconciliation/SilentTransfers.ts"
import { type Pulse, Pulses } from "#domain/sharding/Pulse.ts"
import { partitionsOf, type ShardId, type ShardMap } from "#domain/sharding/ShardMap.ts"
import { EventLogAtHand } from "./EventLogAtHand.ts"

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

export interface Seen {
  readonly shards: ReadonlyArray<ShardSeen>
  /** Null while a shard does not answer: the others alone would not add up. */
  readonly sums: ReadonlyArray<TrialBalance> | null
}

/** How many breaks of a shard are counted: where there are so many, their number says no more. */
const mostBreaks = 1_000

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
        const { lag } = yield* EventLogAtHand

        /** The answer, or null where there is none in time. */
        const ifItAnswers = <A, E>(asked: Effect.Effect<A, E>) =>
          Effect.map(Effect.result(Effect.timeout(asked, patienceWithAShard)), (answer) =>
            Result.isSuccess(answer) ? answer.success : null)

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
        return Overview.of({
          shards,
          everything: Effect.all({ shards, sums: ifItAnswers(queries.trialBalance) }, { concurrency: 2 })
        })
      })
    )
}
