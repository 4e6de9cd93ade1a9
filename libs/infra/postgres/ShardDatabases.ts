/**
 * The databases of all shards: a pool each, checked to be the shard it is taken for, and one meaning for their errors.
 */
import type { PgClient } from "@effect/sql-pg"
import { Clock, Context, type Duration, Effect, Layer, type Redacted } from "effect"
import { SqlError } from "effect/sql"
import { type ShardId, type ShardMap } from "#domain/sharding/ShardMap.ts"
import { ShardBehind, ShardUnavailable } from "#domain/sharding/Shards.ts"
import { verifyIdentity, verifySchema } from "./Migrations.ts"
import { connect, explained, inTime, isTransient, lostData, sqlState } from "./Postgres.ts"
import { examine, seenByOthers } from "./PgRecovery.ts"

export interface ShardDatabaseOptions {
  /** The databases' addresses, in the order of the shards' numbers. */
  readonly urls: ReadonlyArray<Redacted.Redacted<string>>
  readonly map: ShardMap
  /** The database role of this process: `counterpoise_api`, `…_relay`, `…_ledger`, `…_reconciler` or `…_auditor`. */
  readonly role: string
  readonly maxConnections?: number
  /** How long an answer is waited for: 20 seconds unless given. */
  readonly patience?: Duration.Input
}

/** For those who let the server take ten minutes for a statement. */
export const longPatience: Duration.Input = "30 minutes"

export class ShardDatabases extends Context.Service<ShardDatabases, {
  readonly map: ShardMap
  readonly shards: ReadonlyArray<ShardId>
  /**
   * Works on a shard's database. What may pass is ShardUnavailable, and so is no answer within the time that `work` may take
   * as a whole; what can only be our mistake is a defect.
   */
  readonly on: <A, E, R>(
    shard: ShardId,
    work: (sql: PgClient.PgClient) => Effect.Effect<A, E | SqlError.SqlError, R>,
    most?: Duration.Input
  ) => Effect.Effect<A, Exclude<E, SqlError.SqlError> | ShardUnavailable, R>
}>()("counterpoise/infra/postgres/ShardDatabases") {
  static readonly layer = (options: ShardDatabaseOptions) =>
    Layer.effect(
      ShardDatabases,
      Effect.gen(function*() {
        const clients = yield* Effect.forEach(options.urls, (url) =>
          connect({
            url,
            role: options.role,
            name: options.role,
            ...(options.maxConnections === undefined ? {} : { maxConnections: options.maxConnections }),
            ...(options.patience === undefined ? {} : { patience: options.patience })
          }))
        const client = (shard: ShardId): PgClient.PgClient => {
          const sql = clients[shard]
          if (sql === undefined) throw new RangeError(`there is no shard ${shard}`)
          return sql
        }
        // Nothing is done on a shard before it was seen to be the one it is taken for. A shard that is not ends the
        // process; one that is only down is checked when it is back, and the others are worked meanwhile.
        const verified = new Set<ShardId>()
        // One that lost data is written down as such, and takes nothing from then on; it can still be read.
        // Who answers clients does not even read it: what it says is out of date.
        const behind = new Map<ShardId, { readonly error: ShardUnavailable; readonly untilMillis: number }>()
        const look = Effect.fnUntraced(function*(shard: ShardId) {
          if (onlyRead.has(options.role)) return
          const now = yield* Clock.currentTimeMillis
          const known = behind.get(shard)
          if (known !== undefined && now < known.untilMillis) return yield* known.error
          yield* seenByOthers(shard, clients).pipe(
            Effect.flatMap((seen) => examine(client(shard), shard, seen)),
            Effect.catchTag("ShardUnavailable", (error) => {
              if (!answersClients.has(options.role)) return Effect.void
              behind.set(shard, { error, untilMillis: now + looksAgainAfterMillis })
              return Effect.fail(error)
            })
          )
        })
        const verify = (shard: ShardId) =>
          Effect.suspend(() =>
            verified.has(shard)
              ? Effect.void
              : verifySchema(client(shard), "shard").pipe(
                Effect.andThen(verifyIdentity(client(shard), shard, options.map.partitions)),
                Effect.andThen(look(shard)),
                Effect.andThen(Effect.sync(() => verified.add(shard))),
                inTime(options.patience)
              )
          )
        yield* Effect.forEach(clients, (_, shard) =>
          Effect.catchIf(
            verify(shard),
            (error) => error._tag === "ShardUnavailable" || (SqlError.isSqlError(error) && isTransient(error)),
            (error) => Effect.logWarning("a shard does not answer", { shard, why: explain(error) })
          ), { concurrency: "unbounded", discard: true })

        return ShardDatabases.of({
          map: options.map,
          shards: clients.map((_, shard) => shard),
          on: (shard, work, most = options.patience) =>
            whatItMeans(
              shard,
              verify(shard).pipe(
                Effect.catchTags({ SchemaMismatch: Effect.die, WrongShard: Effect.die, PlatformError: Effect.die }),
                Effect.andThen(Effect.suspend(() => work(client(shard)))),
                inTime(most),
                // What answers next may be another server, with an older copy; or somebody else has found that this one is.
                Effect.tapError((error) =>
                  Effect.sync(() =>
                    SqlError.isSqlError(error) &&
                    (error.reason._tag === "ConnectionError" || sqlState(error) === lostData) && verified.delete(shard)
                  )
                )
              )
            )
        })
      })
    )
}

/** Who looks at shards, and leaves it to those who work on them to say that one lost data. */
const onlyRead: ReadonlySet<string> = new Set(["counterpoise_auditor", "counterpoise_operator"])

/** Who answers clients. */
const answersClients: ReadonlySet<string> = new Set(["counterpoise_api"])

/** How long a shard that is behind is left alone before it is asked again whether it has caught up. */
const looksAgainAfterMillis = 1_000

const explain = (error: { readonly message: string; readonly cause?: unknown }): string =>
  SqlError.isSqlError(error) && error.reason.cause instanceof Error ? error.reason.cause.message : error.message

/** What may pass becomes ShardUnavailable; what can only be our mistake, a defect. */
export const whatItMeans = <A, E, R>(shard: ShardId, work: Effect.Effect<A, E | SqlError.SqlError, R>) =>
  explained((error) => {
    const cause = sqlState(error) === lostData ? ShardBehind.make({ shard, found: "it waits to catch up" }) : error
    return ShardUnavailable.make({ shard, cause })
  })(work)
