/**
 * The process itself: alive, ready, measured, named.
 */
import { Effect } from "effect"
import { HttpServerResponse } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import { PrometheusMetrics } from "effect/observability"
import { CounterpoiseApi } from "../contract/CounterpoiseApi.ts"
import { Ready } from "../contract/System.ts"
import * as Answer from "../http/Answer.ts"
import * as Metrics from "../http/Metrics.ts"
import { answered, Refusal } from "../http/Refusal.ts"
import { Readiness } from "../Readiness.ts"

/** What is running. */
export interface Build {
  readonly version: string
  readonly commit: string | null
}

export const layer = (build: Build) =>
  HttpApiBuilder.group(
    CounterpoiseApi,
    "system",
    Effect.fn(function*(handlers) {
      const readiness = yield* Readiness
      const readProcess = yield* Metrics.watchProcess
      return handlers
        .handle("live", () => Effect.succeed({ status: "live" as const }))
        .handle(
          "ready",
          Effect.fnUntraced(function*() {
            const checks = yield* readiness.verdicts
            const failing = checks.filter(({ healthy }) => !healthy)
            if (failing.length > 0) {
              return yield* new Refusal({
                code: "not_ready",
                detail: `not healthy: ${failing.map(({ name }) => name).join(", ")}`,
                errors: failing.map(({ name }) => ({
                  pointer: `check:${name}`,
                  code: "unhealthy",
                  message: "failed, or did not answer in time"
                }))
              })
            }
            return Answer.json(Ready, { status: "ready", checks })
          }, answered)
        )
        .handle(
          "metrics",
          Effect.fnUntraced(function*() {
            yield* readProcess
            return HttpServerResponse.text(yield* PrometheusMetrics.format(), {
              contentType: "text/plain; version=0.0.4; charset=utf-8"
            })
          })
        )
        .handle("version", () => Effect.succeed({ name: "counterpoise" as const, ...build }))
    })
  )
