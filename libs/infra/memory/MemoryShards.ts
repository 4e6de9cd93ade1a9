/** `Shards.transact` in memory: the services that write money exist here, and only inside a transaction. */
import { Context, Effect, Layer } from "effect"
import { ConsumerPositions } from "#domain/messaging/ConsumerPositions.ts"
import { Ledger } from "#domain/ledger/Ledger.ts"
import { Shards, type ShardServices, type ShardUnavailable } from "#domain/sharding/Shards.ts"
import * as MemoryConsumerPositions from "./MemoryConsumerPositions.ts"
import { MemoryDatabases } from "./MemoryDatabases.ts"
import * as MemoryLedger from "./MemoryLedger.ts"

export const layer = Layer.effect(
  Shards,
  Effect.gen(function*() {
    const databases = yield* MemoryDatabases
    const transact = <A, E, R>(shard: number, work: Effect.Effect<A, E, R>) =>
      databases.transact(shard, (transaction, database) =>
        Effect.provideContext(
          work,
          Context.make(Ledger, MemoryLedger.make(transaction, database)).pipe(
            Context.add(ConsumerPositions, MemoryConsumerPositions.make(transaction, database))
          )
        ))
    return Shards.of({
      map: databases.map,
      // The one cast, as in PgShards: that ShardServices are provided is seen by the compiler only for R as it stands
      transact: transact as <A, E, R>(
        shard: number,
        work: Effect.Effect<A, E, R>
      ) => Effect.Effect<A, E | ShardUnavailable, Exclude<R, ShardServices>>
    })
  })
)
