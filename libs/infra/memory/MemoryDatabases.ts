/**
 * The databases of all shards in memory, as one process reaches them. Several services over the same {@link MemoryShard}s
 * are several processes, each with faults of its own on the way.
 */
import { Clock, Context, Effect, Exit, Layer } from "effect"
import type { ShardId, ShardMap } from "#domain/sharding/ShardMap.ts"
import type { ShardUnavailable } from "#domain/sharding/Shards.ts"
import { MemoryShard } from "./MemoryShard.ts"
import { type MemoryTransaction, unavailable } from "./MemoryTransaction.ts"

/** What becomes of a COMMIT: done, and said so; done, but the answer was lost; or lost itself on its way to the shard. */
export type Fate = "answered" | "answer lost" | "lost"

/** What stands between a process and the shards. In health it is nothing; its parts may be exchanged at any time. */
export interface Faults {
  /** Passed by every statement on its way to a shard: may take its time, and may say that the shard cannot be reached. */
  reach: (shard: ShardId) => Effect.Effect<void, ShardUnavailable>
  /** Passed by every COMMIT, with all that was written still unseen: may take its time too, and decides its fate. */
  commit: (transaction: MemoryTransaction) => Effect.Effect<Fate>
  /** The transactions that the process has open. Whoever breaks its connections ends them. */
  readonly open: Set<MemoryTransaction>
}

export const health = (): Faults => ({ reach: () => Effect.void, commit: () => answered, open: new Set() })

const answered = Effect.succeed<Fate>("answered")

export interface DatabasesOptions {
  readonly map: ShardMap
  readonly shards: ReadonlyArray<MemoryShard>
  readonly faults?: Faults
  /** The time by a shard's own clock; by the caller's, unless it has one. */
  readonly nowMillis?: (shard: ShardId) => number
}

export class MemoryDatabases extends Context.Service<MemoryDatabases, {
  readonly map: ShardMap
  readonly shards: ReadonlyArray<ShardId>
  /** The time, by a shard's own clock. */
  readonly nowMillis: (shard: ShardId) => Effect.Effect<number>
  /** Looks at what a shard has committed. */
  readonly look: <A>(shard: ShardId, at: (shard: MemoryShard) => A) => Effect.Effect<A, ShardUnavailable>
  /** The same, where looking takes time. */
  readonly watch: <A, E>(
    shard: ShardId,
    at: (shard: MemoryShard) => Effect.Effect<A, E>
  ) => Effect.Effect<A, E | ShardUnavailable>
  /** Works in one transaction on a shard: all that it writes is there in the end, or nothing of it. */
  readonly transact: <A, E, R>(
    shard: ShardId,
    work: (transaction: MemoryTransaction, shard: MemoryShard) => Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E | ShardUnavailable, R>
}>()("counterpoise/infra/memory/MemoryDatabases") {}

/** Empty shards for each of a map's numbers. */
export const emptyShards = (map: ShardMap): ReadonlyArray<MemoryShard> =>
  Array.from({ length: Math.max(...map.homes) + 1 }, (_, shard) => new MemoryShard(shard, map))

export const layer = ({ faults = health(), map, nowMillis, shards }: DatabasesOptions) => {
  const database = (shard: ShardId): MemoryShard => {
    const found = shards[shard]
    if (found === undefined) throw new RangeError(`there is no shard ${shard}`)
    return found
  }
  const reach = (shard: ShardId) => Effect.suspend(() => faults.reach(shard))

  const commit = (transaction: MemoryTransaction) =>
    Effect.flatMap(Effect.suspend(() => faults.commit(transaction)), (fate) => {
      if (fate === "lost") {
        transaction.rollBack()
        return Effect.fail(unavailable(transaction.shard, "the connection was lost before the commit"))
      }
      return fate === "answered"
        ? transaction.commit
        : Effect.andThen(
          transaction.commit,
          Effect.fail(unavailable(transaction.shard, "the connection was lost during the commit"))
        )
    })

  const transact = <A, E, R>(
    shard: ShardId,
    work: (transaction: MemoryTransaction, shard: MemoryShard) => Effect.Effect<A, E, R>
  ): Effect.Effect<A, E | ShardUnavailable, R> =>
    Clock.clockWith((clock) =>
      Effect.uninterruptibleMask((restore) => {
        const now = nowMillis === undefined ? () => clock.currentTimeMillisUnsafe() : () => nowMillis(shard)
        const transaction = database(shard).begin(now, reach(shard))
        faults.open.add(transaction)
        transaction.atEnd(() => faults.open.delete(transaction))
        return restore(work(transaction, database(shard))).pipe(
          Effect.exit,
          Effect.flatMap((exit): Effect.Effect<A, E | ShardUnavailable> => {
            if (Exit.isSuccess(exit)) return Effect.as(commit(transaction), exit.value)
            // Who goes on writing where its connection was broken meanwhile learns that, and nothing else.
            if (transaction.hasEnded && Exit.hasDies(exit)) {
              return Effect.fail(unavailable(shard, "the transaction was ended"))
            }
            transaction.rollBack()
            return exit
          })
        )
      })
    )

  return Layer.succeed(MemoryDatabases, {
    map,
    shards: shards.map(({ id }) => id),
    nowMillis: (shard) => nowMillis === undefined ? Clock.currentTimeMillis : Effect.sync(() => nowMillis(shard)),
    look: (shard, at) => Effect.map(reach(shard), () => at(database(shard))),
    watch: (shard, at) => Effect.flatMap(reach(shard), () => at(database(shard))),
    transact
  })
}
