/** The world of the laws on PostgreSQL. */
import { Duration, Effect, Layer, Predicate } from "effect"
import { SqlError } from "effect/sql"
import * as PgBreaks from "#infra/postgres/PgBreaks.ts"
import * as PgChecks from "#infra/postgres/PgChecks.ts"
import * as PgIntake from "#infra/postgres/PgIntake.ts"
import * as PgLeases from "#infra/postgres/PgLeases.ts"
import * as PgQueries from "#infra/postgres/PgQueries.ts"
import * as PgShardLog from "#infra/postgres/PgShardLog.ts"
import * as PgShards from "#infra/postgres/PgShards.ts"
import * as PgSilentTransfers from "#infra/postgres/PgSilentTransfers.ts"
import { connect } from "#infra/postgres/Postgres.ts"
import { ShardDatabases } from "#infra/postgres/ShardDatabases.ts"
import { TestPostgres } from "../support/TestPostgres.ts"
import { map, World } from "./World.ts"

export const layer = Layer.effect(
  World,
  Effect.gen(function*() {
    const postgres = yield* TestPostgres
    const shards = yield* postgres.freshShards(2, { partitions: map.partitions })
    const observers = yield* Effect.forEach(shards.urls, (url) => connect({ url, maxConnections: 1 }))
    const process = ({ leaseMillis = 60_000 } = {}) =>
      Effect.orDie(Layer.build(Layer.fresh(
        Layer.mergeAll(
          PgShards.layer,
          PgShardLog.layer,
          PgLeases.layer({ holder: crypto.randomUUID(), timeToLive: Duration.millis(leaseMillis) }),
          PgIntake.layer(),
          PgSilentTransfers.layer,
          PgQueries.layer,
          PgChecks.layer,
          PgBreaks.layer
        ).pipe(Layer.provide(ShardDatabases.layer({ ...shards, role: "postgres", maxConnections: 6 })))
      )))
    return {
      here: yield* process(),
      process,
      digest: (shard) =>
        Effect.gen(function*() {
          const sql = observers[shard]
          if (sql === undefined) return yield* Effect.die(new RangeError(`there is no shard ${shard}`))
          const tables = yield* sql<{ readonly name: string }>`
            SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public' ORDER BY 1`
          const digests = yield* Effect.forEach(tables, ({ name }) =>
            sql<{ readonly digest: string }>`
              SELECT md5(coalesce(string_agg(row::text, '\n' ORDER BY row::text), '')) AS digest FROM ${
              sql(name)
            } AS row`)
          return digests.map(([row]) => row?.digest).join()
        }).pipe(Effect.orDie),
      constraintOf: (defect) => {
        const cause = SqlError.isSqlError(defect) ? defect.reason.cause : undefined
        return Predicate.hasProperty(cause, "constraint") && typeof cause.constraint === "string"
          ? cause.constraint
          : undefined
      }
    }
  })
).pipe(Layer.provide(TestPostgres.layer))
