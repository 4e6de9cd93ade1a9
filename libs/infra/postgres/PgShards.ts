/**
 * `Shards.transact` on PostgreSQL: the services that write money exist here, and only inside a transaction.
 */
import { Context, Effect, Layer } from "effect"
import { ConsumerPositions } from "#domain/messaging/ConsumerPositions.ts"
import { Ledger } from "#domain/ledger/Ledger.ts"
import { Shards, type ShardServices, type ShardUnavailable } from "#domain/sharding/Shards.ts"
import * as PgConsumerPositions from "./PgConsumerPositions.ts"
import * as PgLedger from "./PgLedger.ts"
import { transaction } from "./Postgres.ts"
import { ShardDatabases } from "./ShardDatabases.ts"

export const layer = Layer.effect(
  Shards,
  Effect.gen(function*() {
    const databases = yield* ShardDatabases
    const transact = <A, E, R>(shard: number, work: Effect.Effect<A, E, R>) =>
      databases.on(shard, (sql) => {
        const services = Context.make(Ledger, PgLedger.make(sql, databases.map, shard)).pipe(
          Context.add(ConsumerPositions, PgConsumerPositions.make(sql, shard))
        )
        return transaction(sql, Effect.provideContext(work, services))
      })
    return Shards.of({
      map: databases.map,
      // The one cast: that ShardServices are provided is seen by the compiler only for R as it stands, not for E | Unavailable
      transact: transact as <A, E, R>(
        shard: number,
        work: Effect.Effect<A, E, R>
      ) => Effect.Effect<A, E | ShardUnavailable, Exclude<R, ShardServices>>
    })
  })
)
