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

/** Each thing the process depends on, asked now: why it cannot be used, or nothing. */
export const dependencies = Effect.gen(function*() {
  const databases = yield* ShardDatabases
  const log = yield* EventLog
  const shards = yield* Effect.forEach(databases.shards, (shard) =>
    databases.on(shard, (sql) => sql`SELECT 1`).pipe(
      Effect.timeout("2 seconds"),
      Effect.match({ onFailure: (error) => error.message, onSuccess: () => null }),
      Effect.map((why) => ({ name: `shard ${shard}`, why }))
    ), { concurrency: "unbounded" })
  const eventLog = yield* log.bounds([0]).pipe(
    Effect.timeout("2 seconds"),
    Effect.match({ onFailure: (error) => error.message, onSuccess: () => null }),
    Effect.map((why) => ({ name: "event log", why }))
  )
  return [...shards, eventLog]
})

/** Serves /livez, /readyz and /metrics where HEALTH_PORT says so, and nothing where it is not set. */
export const layer = Layer.unwrap(Effect.gen(function*() {
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
