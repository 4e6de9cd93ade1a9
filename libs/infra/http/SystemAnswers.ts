/**
 * The process itself: alive, ready, measured, named.
 */
import { Effect } from "effect"
import { HttpServerResponse } from "effect/http"
import { PrometheusMetrics } from "effect/observability"
import * as Answer from "./Answer.ts"
import * as Metrics from "./Metrics.ts"
import { Readiness } from "./Readiness.ts"
import { answered, Refusal } from "./Refusal.ts"
import { Ready } from "./System.ts"

/** What is running. */
export interface Build {
  readonly version: string
  readonly commit: string | null
}

/** The handlers of the system group, for whichever API it is a part of. */
export const make = Effect.fnUntraced(function*(build: Build) {
  const readiness = yield* Readiness
  const readProcess = yield* Metrics.watchProcess
  return {
    live: () => Effect.succeed({ status: "live" as const }),

    ready: Effect.fnUntraced(function*() {
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
    }, answered),

    metrics: Effect.fnUntraced(function*() {
      yield* readProcess
      return HttpServerResponse.text(yield* PrometheusMetrics.format(), {
        contentType: "text/plain; version=0.0.4; charset=utf-8"
      })
    }),

    version: () => Effect.succeed({ name: "counterpoise" as const, ...build })
  }
})
