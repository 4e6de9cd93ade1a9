/** The API process: serves the contract over the shards it reaches. It is ready without the event log. */
import { Duration, Effect, Layer, Option } from "effect"
import { Readiness } from "#infra/http/Readiness.ts"
import * as CrashPoints from "#infra/CrashPoints.ts"
import * as PgIntake from "#infra/postgres/PgIntake.ts"
import * as PgQueries from "#infra/postgres/PgQueries.ts"
import * as PgSeals from "#infra/postgres/PgSeals.ts"
import { ShardDatabases } from "#infra/postgres/ShardDatabases.ts"
import * as Processes from "#infra/Processes.ts"
import * as Settings from "#infra/Settings.ts"
import { publicKeyOf } from "#infra/Signatures.ts"
import manifest from "../../package.json" with { type: "json" }
import { serve } from "./Api.ts"

/** The API can work while any shard answers: accounts of a shard that is down get their 503 one by one. */
const readiness = Layer.unwrap(ShardDatabases.use(({ on, shards }) =>
  Effect.succeed(Readiness.layer([{
    name: "shards",
    run: Effect.raceAll(shards.map((shard) => on(shard, (sql) => Effect.asVoid(sql`SELECT 1`))))
  }]))
))

const server = Layer.unwrap(Effect.gen(function*() {
  const { host, keys, port, requestsPerSecond, transfersAtOnce } = yield* Settings.read(Settings.api)
  const { publicKeys } = yield* Settings.read(Settings.seals)
  const { map } = yield* ShardDatabases
  return serve({
    apiKeys: keys,
    rate: Option.getOrNull(Option.map(requestsPerSecond, (requests) => ({ requests, window: Duration.seconds(1) }))),
    mostAtOnce: transfersAtOnce,
    shardMap: map,
    sealKeys: Option.getOrElse(publicKeys, () => []).map(publicKeyOf),
    host,
    port,
    stepAround: false,
    build: { version: manifest.version, commit: null }
  })
}))

/** Serves until it is interrupted. */
export const run = Layer.launch(
  server.pipe(
    Layer.provide([CrashPoints.around("api", PgIntake.layer()), PgQueries.layer, PgSeals.layer, readiness]),
    Layer.provide(Processes.shardDatabases("api", 8))
  )
)
