/** Leases as rows of the shard that they are for; time is the shard's. */
import { Duration, Effect, Layer, Option } from "effect"
import { LeaseLost, Leases } from "#domain/sharding/Leases.ts"
import { examine } from "./PgRecovery.ts"
import { ShardDatabases } from "./ShardDatabases.ts"

export interface LeaseOptions {
  /** Names this process: unique for its life. */
  readonly holder: string
  readonly timeToLive: Duration.Duration
}

export const layer = ({ holder, timeToLive }: LeaseOptions) =>
  Layer.effect(
    Leases,
    Effect.gen(function*() {
      const databases = yield* ShardDatabases
      const seconds = Duration.toSeconds(timeToLive)
      return Leases.of({
        timeToLive,

        acquire: (shard, role) =>
          databases.on(shard, (sql) =>
            Effect.andThen(
              examine(sql, shard, []),
              sql<{ readonly epoch: bigint }>`
              INSERT INTO lease (role, holder, epoch, expires_at)
              VALUES (${role}, ${holder}, 1, clock_timestamp() + make_interval(secs => ${seconds}))
              ON CONFLICT (role) DO UPDATE
                SET holder = excluded.holder, epoch = lease.epoch + 1, expires_at = excluded.expires_at
                WHERE lease.expires_at <= clock_timestamp()
              RETURNING epoch`.pipe(
                Effect.map((rows) => Option.map(Option.fromNullishOr(rows[0]), ({ epoch }) => ({ shard, role, epoch })))
              )
            )),

        renew: ({ shard, role, epoch }) =>
          databases.on(shard, (sql) =>
            sql`
              UPDATE lease SET expires_at = clock_timestamp() + make_interval(secs => ${seconds})
              WHERE role = ${role} AND epoch = ${epoch} AND holder = ${holder}
              RETURNING 1`.pipe(
              Effect.flatMap((rows) => rows.length === 1 ? Effect.void : Effect.fail(LeaseLost.make({ shard, role })))
            )),

        examine: ({ shard }, seen) => databases.on(shard, (sql) => examine(sql, shard, [seen])),

        release: ({ shard, role, epoch }) =>
          databases.on(shard, (sql) =>
            Effect.asVoid(sql`
              UPDATE lease SET expires_at = clock_timestamp()
              WHERE role = ${role} AND epoch = ${epoch} AND holder = ${holder}`))
      })
    })
  )
