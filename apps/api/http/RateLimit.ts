/**
 * How much one client may ask for: a bucket of tokens for each, kept by this process for itself. What is left is said in
 * every answer, in the fields of the IETF's draft (RateLimit header fields for HTTP).
 */
import { Duration, Effect, Metric } from "effect"
import { HttpServerResponse } from "effect/http"
import { RateLimiter } from "effect/persistence"
import { CurrentRequest } from "#infra/http/CurrentRequest.ts"
import { Refusal, response } from "#infra/http/Refusal.ts"

/** So many requests at once, and again as many in each window. */
export interface Rate {
  readonly requests: number
  readonly window: Duration.Duration
}

const decisions = (outcome: string) =>
  Metric.counter("rate_limit_decisions_total", {
    description: "requests of clients, by whether they were within their limit",
    incremental: true,
    attributes: { outcome }
  })
const allowed = decisions("allowed")
const refused = decisions("refused")

const seconds = (duration: Duration.Duration): number => Math.ceil(Duration.toSeconds(duration))

/** Answers a way to let a client's request through, or not. */
export const make = Effect.fnUntraced(function*({ requests, window }: Rate) {
  const limiter = yield* RateLimiter.make
  const policy = `"default";q=${requests};w=${seconds(window)}`
  const fields = (left: number, reset: Duration.Duration) => ({
    "ratelimit-policy": policy,
    "ratelimit": `"default";r=${left};t=${seconds(reset)}`
  })

  return <E, R>(client: string, handled: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>) =>
    limiter.consume({ algorithm: "token-bucket", limit: requests, window, key: client }).pipe(
      Effect.matchEffect({
        onSuccess: ({ remaining, resetAfter }) =>
          Effect.andThen(
            Metric.update(allowed, 1),
            Effect.map(handled, HttpServerResponse.setHeaders(fields(remaining, resetAfter)))
          ),
        onFailure: ({ reason }) => {
          if (reason._tag !== "RateLimitExceeded") return Effect.die(reason)
          const refusal = new Refusal({
            code: "rate_limited",
            detail: `${client} may make ${requests} requests every ${Duration.format(window)}`,
            headers: {
              ...fields(0, reason.retryAfter),
              "retry-after": String(Math.max(1, seconds(reason.retryAfter)))
            }
          })
          return Effect.andThen(
            Metric.update(refused, 1),
            Effect.map(CurrentRequest, (request) => response(refusal, request))
          )
        }
      })
    )
}, Effect.provide(RateLimiter.layerStoreMemory, { local: true }))
