/**
 * What every process answers about itself: /livez (the event loop turns), /readyz (its job can be done now), /metrics.
 */
import { NodeHttpServer } from "@effect/platform-node"
import { Effect, Layer, Option } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { PrometheusMetrics } from "effect/observability"
import { createServer } from "node:http"
import { EventLog } from "#domain/messaging/EventLog.ts"
import { ShardDatabases } from "../postgres/ShardDatabases.ts"
import * as Settings from "../Settings.ts"

/** Something that the process depends on: why it cannot be used, or nothing. */
export interface Dependency {
  readonly name: string
  readonly why: string | null
}

/** Asks a dependency whether it can be used now. */
export const ask = <E extends { readonly message: string }, R>(name: string, probe: Effect.Effect<unknown, E, R>) =>
  probe.pipe(
    Effect.timeout("2 seconds"),
    Effect.match({ onFailure: (error) => error.message, onSuccess: () => null }),
    Effect.map((why): Dependency => ({ name, why }))
  )

export const askEventLog = Effect.flatMap(EventLog, (log) => ask("event log", log.bounds([0])))

const askShards = ShardDatabases.use(({ on, shards }) =>
  Effect.forEach(shards, (shard) => ask(`shard ${shard}`, on(shard, (sql) => sql`SELECT 1`)), {
    concurrency: "unbounded"
  })
)

/**
 * Serves /livez, /readyz and /metrics where HEALTH_PORT says so, and nothing where it is not set.
 *
 * @param dependencies asked for each /readyz
 */
export const serving = <R>(dependencies: Effect.Effect<ReadonlyArray<Dependency>, never, R>) =>
  Layer.unwrap(Effect.gen(function*() {
    const { healthPort } = yield* Settings.read(Settings.health)
    if (Option.isNone(healthPort)) return Layer.empty
    const routes = Layer.mergeAll(
      HttpRouter.add("GET", "/livez", HttpServerResponse.text("alive\n")),
      HttpRouter.add(
        "GET",
        "/readyz",
        dependencies.pipe(Effect.flatMap((all) => {
          const ready = all.every(({ why }) => why === null)
          return HttpServerResponse.json({ ready, dependencies: all }, { status: ready ? 200 : 503 })
        }))
      ),
      PrometheusMetrics.layerHttp({ path: "/metrics" })
    )
    return HttpRouter.serve(routes, { disableLogger: true }).pipe(
      Layer.provide(NodeHttpServer.layer(createServer, { port: healthPort.value, host: "0.0.0.0" }))
    )
  }))

/** Of a process that works for the shards. */
export const layer = serving(
  Effect.map(Effect.all([askShards, askEventLog]), ([shards, eventLog]) => [...shards, eventLog])
)
