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
      const waiting = new Map<string, Deferred.Deferred<void>>()
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
            const done = waiting.get(transfer_id)
            waiting.delete(transfer_id)
            if (done !== undefined) Deferred.doneUnsafe(done, Effect.void)
          }
          if (waiting.size === 0) somebodyWaits.closeUnsafe()
          pause = ended.length > 0 ? shortest : Math.min(longest, pause * 1.5)
        }),
        // A shard that is down keeps its waiters waiting; their own time limits end that.
        Effect.catchTag("ShardUnavailable", () => Effect.sync(() => pause = longest)),
        Effect.andThen(Effect.suspend(() => Effect.sleep(Duration.millis(pause)))),
        Effect.forever,
        Effect.forkScoped
      )

      return (id: string) =>
        Effect.suspend(() => {
          const done = waiting.get(id) ?? Deferred.makeUnsafe<void>()
          waiting.set(id, done)
          pause = shortest
          somebodyWaits.openUnsafe()
          return Deferred.await(done).pipe(
            // One may give up while another still waits for the same transfer: the next look finds out.
            Effect.onInterrupt(() => Effect.sync(() => waiting.delete(id)))
          )
        })
    })
  )

  return {
    await: (shard: ShardId, id: string): Effect.Effect<void> => watches[shard]?.(id) ?? Effect.never
  }
})
