/**
 * Waiting for what a worker will do: all who wait on one shard share one query, so a thousand long polls cost as much as
 * one. Writers never notify (it serialises their commits); this looks often while somebody waits, and not at all otherwise.
 */
import type { PgClient } from "@effect/sql-pg"
import { Deferred, Duration, Effect, Latch } from "effect"
import type { SqlError } from "effect/sql"
import type { ShardId } from "#domain/sharding/ShardMap.ts"
import type { ShardDatabases } from "./ShardDatabases.ts"

const shortest = 2
const longest = 50

/**
 * Answers a way to wait for an id: it ends when `happened` names the id among those that are waited for, and never for an
 * id that does not exist.
 */
export const make = Effect.fnUntraced(function*(
  databases: ShardDatabases["Service"],
  happened: (
    sql: PgClient.PgClient,
    ids: ReadonlyArray<string>
  ) => Effect.Effect<ReadonlyArray<{ readonly id: string }>, SqlError.SqlError>
) {
  const watches = yield* Effect.forEach(
    databases.shards,
    Effect.fnUntraced(function*(shard) {
      const waiting = new Map<string, { readonly done: Deferred.Deferred<void>; readonly waiters: number }>()
      const somebodyWaits = yield* Latch.make()

      const look = databases.on(shard, (sql) => happened(sql, [...waiting.keys()]))

      let pause = shortest
      yield* somebodyWaits.await.pipe(
        Effect.andThen(look),
        Effect.map((found) => {
          for (const { id } of found) {
            const watched = waiting.get(id)
            waiting.delete(id)
            if (watched !== undefined) Deferred.doneUnsafe(watched.done, Effect.void)
          }
          if (waiting.size === 0) somebodyWaits.closeUnsafe()
          pause = found.length > 0 ? shortest : Math.min(longest, pause * 1.5)
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

  return (shard: ShardId, id: string): Effect.Effect<void> => watches[shard]?.(id) ?? Effect.never
})
