/**
 * Waiting for transfers to end: all who wait on one shard share one query, so a thousand long polls cost as much as one.
 * Writers never notify (it serialises their commits); this looks often while somebody waits, and not at all otherwise.
 */
import { Deferred, Duration, Effect, Latch } from "effect"
import type { ShardId } from "#domain/sharding/ShardMap.ts"
import { texts } from "./Columns.ts"
import type { ShardDatabases } from "./ShardDatabases.ts"

const shortest = 2
const longest = 50

/** Answers `await`, which ends when the transfer has ended; it never ends for a transfer that does not exist. */
export const make = Effect.fnUntraced(function*(databases: ShardDatabases["Service"]) {
  const watches = yield* Effect.forEach(
    databases.shards,
    Effect.fnUntraced(function*(shard) {
      const waiting = new Map<string, { readonly done: Deferred.Deferred<void>; readonly waiters: number }>()
      const somebodyWaits = yield* Latch.make()

      const look = databases.on(shard, (sql) =>
        sql<{ readonly transfer_id: string }>`
        SELECT transfer_id FROM transfer
        WHERE transfer_id = ANY(${texts([...waiting.keys()])}::text[])
          AND status IN ('committed', 'rejected', 'cancelled')`)

      let pause = shortest
      yield* somebodyWaits.await.pipe(
        Effect.andThen(look),
        Effect.map((ended) => {
          for (const { transfer_id } of ended) {
            const watched = waiting.get(transfer_id)
            waiting.delete(transfer_id)
            if (watched !== undefined) Deferred.doneUnsafe(watched.done, Effect.void)
          }
          if (waiting.size === 0) somebodyWaits.closeUnsafe()
          pause = ended.length > 0 ? shortest : Math.min(longest, pause * 1.5)
        }),
        // A shard that is down keeps its waiters waiting; their own time limits end that.
        Effect.catchTag("ShardUnavailable", () => Effect.sync(() => pause = longest)),
        // The more are waited for, the longer a look takes, and the more it pays to look once for many.
        Effect.andThen(Effect.suspend(() => Effect.sleep(Duration.millis(pause + waiting.size / 100)))),
        Effect.forever,
        Effect.forkScoped
      )

      const giveUp = (id: string) => {
        const watched = waiting.get(id)
        if (watched === undefined) return
        if (watched.waiters === 1) waiting.delete(id)
        else waiting.set(id, { ...watched, waiters: watched.waiters - 1 })
      }

      return (id: string) =>
        Effect.suspend(() => {
          const { done, waiters } = waiting.get(id) ?? { done: Deferred.makeUnsafe<void>(), waiters: 0 }
          waiting.set(id, { done, waiters: waiters + 1 })
          pause = shortest
          somebodyWaits.openUnsafe()
          return Deferred.await(done).pipe(Effect.onInterrupt(() => Effect.sync(() => giveUp(id))))
        })
    })
  )

  return {
    await: (shard: ShardId, id: string): Effect.Effect<void> => watches[shard]?.(id) ?? Effect.never
  }
})
