/**
 * The databases of all shards: a pool each, checked to be the shard it is taken for, and one meaning for their errors.
 */
import type { PgClient } from "@effect/sql-pg"
import { Context, Effect, Layer, Redacted, Schedule } from "effect"
import { SqlError } from "effect/sql"
import { type ShardId, type ShardMap } from "#domain/sharding/ShardMap.ts"
import { ShardUnavailable } from "#domain/sharding/Shards.ts"
import { verifyIdentity, verifySchema } from "./Migrations.ts"
import { connect, isTransient } from "./Postgres.ts"

export interface ShardDatabaseOptions {
  /** The databases' addresses, in the order of the shards' numbers. */
  readonly urls: ReadonlyArray<Redacted.Redacted<string>>
  readonly map: ShardMap
  /** The database role of this process: `counterpoise_api`, `…_relay`, `…_ledger`, `…_reconciler` or `…_auditor`. */
  readonly role: string
  readonly maxConnections?: number
}

export class ShardDatabases extends Context.Service<ShardDatabases, {
  readonly map: ShardMap
  readonly shards: ReadonlyArray<ShardId>
  /** Works on a shard's database. What may pass is ShardUnavailable; what can only be our mistake is a defect. */
  readonly on: <A, E, R>(
    shard: ShardId,
    work: (sql: PgClient.PgClient) => Effect.Effect<A, E | SqlError.SqlError, R>
  ) => Effect.Effect<A, Exclude<E, SqlError.SqlError> | ShardUnavailable, R>
}>()("counterpoise/infra/postgres/ShardDatabases") {
  static readonly layer = (options: ShardDatabaseOptions) =>
    Layer.effect(
      ShardDatabases,
      Effect.gen(function*() {
        const clients = yield* Effect.forEach(options.urls, (url, shard) =>
          connect({
            url,
            role: options.role,
            name: options.role,
            ...(options.maxConnections === undefined ? {} : { maxConnections: options.maxConnections })
          }).pipe(
            Effect.tap((sql) =>
              Effect.andThen(verifySchema(sql, "shard"), verifyIdentity(sql, shard, options.map.partitions)).pipe(
                // A shard that is only down is waited for; one that is not what it is taken for is not.
                Effect.tapError((error) => Effect.logWarning("shard not usable", { shard, why: explain(error) })),
                Effect.retry({
                  while: (error) => SqlError.isSqlError(error) && isTransient(error),
                  schedule: Schedule.spaced("1 second")
                })
              )
            )
          ))
        const client = (shard: ShardId): PgClient.PgClient => {
          const sql = clients[shard]
          if (sql === undefined) throw new RangeError(`there is no shard ${shard}`)
          return sql
        }
        return ShardDatabases.of({
          map: options.map,
          shards: clients.map((_, shard) => shard),
          on: (shard, work) => whatItMeans(shard, Effect.suspend(() => work(client(shard))))
        })
      })
    )
}

const explain = (error: { readonly message: string; readonly cause?: unknown }): string =>
  SqlError.isSqlError(error) && error.reason.cause instanceof Error ? error.reason.cause.message : error.message

/** What may pass becomes ShardUnavailable; what can only be our mistake, a defect. */
export const whatItMeans = <A, E, R>(shard: ShardId, work: Effect.Effect<A, E | SqlError.SqlError, R>) =>
  Effect.catchIf(
    work,
    (error): error is Extract<E | SqlError.SqlError, SqlError.SqlError> => SqlError.isSqlError(error),
    (error) => isTransient(error) ? Effect.fail(ShardUnavailable.make({ shard, cause: error })) : Effect.die(error)
  )
