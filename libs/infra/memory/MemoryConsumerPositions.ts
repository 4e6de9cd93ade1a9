/** The ledger worker's places, in the shard in memory that they guard. */
import { Effect } from "effect"
import { ConsumerPositions, type Place, StaleOwner } from "#domain/messaging/ConsumerPositions.ts"
import type { MemoryShard } from "./MemoryShard.ts"
import type { MemoryTransaction } from "./MemoryTransaction.ts"

export const make = (transaction: MemoryTransaction, shard: MemoryShard) =>
  ConsumerPositions.of({
    // Claims the places, as it may write them: so it waits for whoever is moving them, and sees where they came to.
    load: (log, partitions) =>
      Effect.gen(function*() {
        yield* transaction.arrival
        yield* transaction.claim(() => shard.places.claim(transaction, partitions))
        return yield* transaction.statement(() =>
          partitions.map((partition): Place => {
            const { places } = shard
            const found = places.get(transaction, partition)
            if (found?.log === log) return { partition, next: found.next, seen: found.seen }
            const seen: Place["seen"] = found?.seen ?? new Map()
            places.put(transaction, partition, { log, next: 0n, seen })
            return { partition, next: 0n, seen }
          })
        )
      }),

    advance: (log, epoch, moves) =>
      Effect.gen(function*() {
        if (moves.length === 0) return
        const { leases, places } = shard
        yield* transaction.arrival
        yield* transaction.claim(() => places.claim(transaction, moves.map(({ now }) => now.partition)))
        const isStale = leases.get(transaction, "ledger")?.epoch !== epoch || moves.some(({ now, was }) => {
          const found = places.get(transaction, now.partition)
          return found?.log !== log || found.next !== was.next
        })
        if (isStale) return yield* StaleOwner.make({ shard: shard.id })
        for (const { now } of moves) {
          places.put(transaction, now.partition, { log, next: now.next, seen: now.seen })
        }
      })
  })
