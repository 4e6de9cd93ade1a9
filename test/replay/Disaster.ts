/**
 * The drill: a shard is backed up, works on, is destroyed and restored from that backup. It must notice, take nothing, catch up
 * from the event log, and be what it was.
 */
import { Duration, Effect, Layer } from "effect"
import { isBehind } from "#domain/sharding/Shards.ts"
import { Intake } from "#domain/transfer/Intake.ts"
import { random } from "#infra/Entropy.ts"
import * as PgEventLog from "#infra/postgres/PgEventLog.ts"
import * as PgIntake from "#infra/postgres/PgIntake.ts"
import * as PgLeases from "#infra/postgres/PgLeases.ts"
import * as PgShardLog from "#infra/postgres/PgShardLog.ts"
import * as PgShards from "#infra/postgres/PgShards.ts"
import { catchUp } from "#infra/postgres/PgCatchUp.ts"
import { ofTables } from "#infra/postgres/PgDigests.ts"
import { connect } from "#infra/postgres/Postgres.ts"
import { ShardDatabases } from "#infra/postgres/ShardDatabases.ts"
import { everybodyWorks, intentOf, nameOn, open } from "../ledger/World.ts"
import { TestPostgres, type TestShards } from "../support/TestPostgres.ts"
import { urlOf } from "./Replaying.ts"

/** The role of nobody in particular: what each role may do is the business of the grants' own test. */
export const on = (shards: TestShards) =>
  Layer.mergeAll(
    PgIntake.layer(),
    PgShards.layer,
    PgShardLog.layer,
    PgLeases.layer({ holder: crypto.randomUUID(), timeToLive: Duration.seconds(2) })
  ).pipe(Layer.provideMerge(ShardDatabases.layer({ ...shards, role: "postgres", maxConnections: 8 })))

/** Two shards over an event log in PostgreSQL, and accounts on both with money for a while. */
export const platform = Effect.gen(function*() {
  const postgres = yield* TestPostgres
  const shards = yield* postgres.freshShards(2, { partitions: 8 })
  const log = PgEventLog.layer({ url: yield* postgres.freshLog })
  const accounts = yield* Effect.provide(
    Effect.gen(function*() {
      const banks = yield* Effect.forEach([0, 1], (shard) => open(nameOn(shard, `bank${shard}`), "external"))
      const customers = yield* Effect.forEach(
        Array.from({ length: 20 }, (_, index) => index),
        (index) => open(nameOn(index % 2, `customer${index}`))
      )
      return { banks, customers }
    }),
    on(shards),
    { local: true }
  )
  return { shards, log, accounts }
})

type Platform = Effect.Success<typeof platform>

const endings = ["committed", "rejected", "cancelled"]

/** Everything that was asked for has ended, and is in the event log. */
const isQuiet = (shards: TestShards) =>
  Effect.forEach(shards.urls, (url) =>
    Effect.scoped(Effect.flatMap(
      connect({ url, maxConnections: 1 }),
      (sql) =>
        sql<{ readonly quiet: boolean }>`
          SELECT NOT EXISTS (SELECT FROM transfer WHERE status <> ALL(${endings}))
            AND (SELECT max(position) FROM event) <= (SELECT max(position) FROM relay_cursor) AS quiet`
    ))).pipe(Effect.map((answers) => answers.flat().every(({ quiet }) => quiet)))

/** Asks for so many transfers, a third of them deposits, and lets everybody work until all have ended and are published. */
export const load = ({ accounts, log, shards }: Platform, on_: TestShards, transfers: number) => {
  const pick = <A>(from: ReadonlyArray<A>) => Effect.fromNullishOr(from[Math.floor(random() * from.length)])
  return Effect.gen(function*() {
    const intake = yield* Intake
    const wishes = yield* Effect.forEach(Array.from({ length: transfers }), (_, index) =>
      Effect.gen(function*() {
        const source = yield* pick(index % 3 === 0 ? accounts.banks : accounts.customers)
        const destination = yield* pick(accounts.customers.filter((id) => id !== source))
        return intentOf(source, destination, String(1 + Math.floor(random() * 50)))
      }))
    yield* intake.requestAll(wishes)
    yield* Effect.raceFirst(
      everybodyWorks,
      Effect.repeat(Effect.delay(isQuiet(on_), "100 millis"), { until: (quiet) => quiet })
    )
  }).pipe(
    Effect.provide(Layer.merge(on(on_), log), { local: true }),
    Effect.as(shards),
    Effect.orDie
  )
}

export const digestsOf = (shards: TestShards, shard: number) =>
  Effect.scoped(Effect.flatMap(
    connect({ url: urlOf(shards, shard), maxConnections: 1 }),
    (sql) => ofTables(sql, 1_000_000_000n)
  ))

/** Shard 0 as it was when it was backed up, beside what the others have become. */
export const restored = (shards: TestShards, backup: TestShards): TestShards => ({
  map: shards.map,
  urls: [urlOf(backup, 0), ...shards.urls.slice(1)]
})

export const recover = (
  { log }: Platform,
  shards: TestShards,
  acceptLoss: string | null = null
) =>
  Effect.provide(
    catchUp({ shard: 0, map: shards.map, urls: shards.urls, acceptLoss, told: () => Effect.void }),
    log,
    { local: true }
  )

/** Asks for a transfer that leaves an account of shard 0. */
export const ask = ({ accounts }: Platform, shards: TestShards) =>
  Effect.gen(function*() {
    const source = yield* Effect.fromNullishOr(accounts.banks[0])
    const destination = yield* Effect.fromNullishOr(accounts.customers[0])
    return yield* Intake.use((intake) => intake.request(intentOf(source, destination, "1")))
  }).pipe(Effect.provide(on(shards), { local: true }))

/** Is what is asked of shard 0 refused, because it lost data? */
export const isRefused = (platform: Platform, shards: TestShards) =>
  ask(platform, shards).pipe(
    Effect.as(false),
    Effect.catch((error) => Effect.succeed(error._tag === "ShardUnavailable" && isBehind(error)))
  )
