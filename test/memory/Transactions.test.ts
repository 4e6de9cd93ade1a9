/** What a transaction in memory must be for a simulator: it may be ended from outside, between any two of its operations. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Exit } from "effect"
import { even } from "#domain/sharding/ShardMap.ts"
import * as MemoryDatabases from "#infra/memory/MemoryDatabases.ts"
import { MemoryShard } from "#infra/memory/MemoryShard.ts"

const map = even(1, 8)

describe("a transaction that was ended from outside", () => {
  it.effect("claims nothing any more: whoever wants the row next gets it", () =>
    Effect.gen(function*() {
      const shard = new MemoryShard(0, map)
      const begin = () => shard.begin(() => 0, Effect.void)
      const [ended, next] = [begin(), begin()]
      yield* ended.arrival
      shard.crash()
      const claim = (transaction: typeof ended) =>
        Effect.exit(transaction.claim(() => shard.places.claim(transaction, [1])))
      expect(yield* claim(ended)).toMatchObject(Exit.fail({ _tag: "ShardUnavailable" }))
      expect(yield* claim(next)).toMatchObject(Exit.fail({ _tag: "ShardUnavailable" }))
      expect(yield* claim(begin())).toEqual(Exit.void)
    }))

  it.effect("does not say that it was committed", () =>
    Effect.gen(function*() {
      const shard = new MemoryShard(0, map)
      const transaction = shard.begin(() => 0, Effect.void)
      shard.crash()
      expect(yield* Effect.exit(transaction.commit)).toMatchObject(Exit.fail({ _tag: "ShardUnavailable" }))
    }))

  it.effect("learns that, and nothing else, when it goes on writing", () =>
    Effect.gen(function*() {
      const shard = new MemoryShard(0, map)
      const failure = MemoryDatabases.MemoryDatabases.use(({ transact }) =>
        transact(0, (transaction) =>
          Effect.gen(function*() {
            yield* transaction.claim(() => shard.cursors.claim(transaction, ["log"]))
            shard.crash()
            shard.cursors.put(transaction, "log", 1n)
          }))
      ).pipe(Effect.provide(MemoryDatabases.layer({ map, shards: [shard] })), Effect.flip)
      expect(yield* failure).toMatchObject({ _tag: "ShardUnavailable" })
      expect(shard.cursors.rows.size).toBe(0)
    }))
})
