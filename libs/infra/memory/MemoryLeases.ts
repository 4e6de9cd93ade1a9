/** Leases in memory, by the clocks of their shards. */
import { Duration, Effect, Layer, Option } from "effect"
import { LeaseLost, Leases } from "#domain/sharding/Leases.ts"
import { MemoryDatabases } from "./MemoryDatabases.ts"

export interface LeaseOptions {
  /** Names this process: unique for its life. */
  readonly holder: string
  readonly timeToLive: Duration.Duration
}

export const layer = ({ holder, timeToLive }: LeaseOptions) =>
  Layer.effect(
    Leases,
    Effect.gen(function*() {
      const databases = yield* MemoryDatabases
      const lasting = Duration.toMillis(timeToLive)
      return Leases.of({
        timeToLive,

        acquire: (shard, role) =>
          databases.transact(shard, (transaction, { leases }) =>
            Effect.gen(function*() {
              yield* transaction.arrival
              yield* transaction.claim(() => leases.claim(transaction, [role]))
              const now = transaction.nowMillis()
              const found = leases.get(transaction, role)
              if (found !== undefined && found.expiresAtMillis > now) return Option.none()
              const epoch = (found?.epoch ?? 0n) + 1n
              leases.put(transaction, role, { holder, epoch, expiresAtMillis: now + lasting })
              return Option.some({ shard, role, epoch })
            })),

        renew: ({ epoch, role, shard }) =>
          databases.transact(shard, (transaction, { leases }) =>
            Effect.gen(function*() {
              yield* transaction.arrival
              yield* transaction.claim(() => leases.claim(transaction, [role]))
              const found = leases.get(transaction, role)
              if (found?.epoch !== epoch || found.holder !== holder) return yield* LeaseLost.make({ shard, role })
              leases.put(transaction, role, { ...found, expiresAtMillis: transaction.nowMillis() + lasting })
            })),

        // Shards in memory are never restored.
        examine: () => Effect.void,

        release: ({ epoch, role, shard }) =>
          databases.transact(shard, (transaction, { leases }) =>
            Effect.gen(function*() {
              yield* transaction.arrival
              yield* transaction.claim(() => leases.claim(transaction, [role]))
              const found = leases.get(transaction, role)
              if (found?.epoch !== epoch || found.holder !== holder) return
              leases.put(transaction, role, { ...found, expiresAtMillis: transaction.nowMillis() })
            }))
      })
    })
  )
