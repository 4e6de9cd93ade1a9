/**
 * The edge: what every request passes on its way in, and every answer on its way out.
 *
 * It names the request, answers what no route does (404, 405, OPTIONS), turns everything that fails into a problem, puts
 * the headers on, and times it. So no answer leaves that is not either a success of the contract or a problem.
 */
import { Cause, Clock, Context, Effect, LogLevel, References } from "effect"
import { HttpRouter, HttpServerError, HttpServerRequest, HttpServerResponse } from "effect/http"
import { maximumBytes } from "./Body.ts"
import { CurrentRequest, printable, type RequestFacts, requestIdOf, traceparentOf } from "./CurrentRequest.ts"
import * as Metrics from "./Metrics.ts"
import * as Refusal from "./Refusal.ts"
import { contentType } from "./Problems.ts"
import type { Route, RouteTable } from "./RouteTable.ts"

/** Headers of every answer. Money is never cached, and no answer is ever a page that runs something. */
const headers = {
  "cache-control": "no-store",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff"
}

const pathOf = (url: string): string => {
  const query = url.indexOf("?")
  return query === -1 ? url : url.slice(0, query)
}

const methodNotAllowed = (route: Route) =>
  new Refusal.Refusal({ code: "method_not_allowed", headers: { allow: route.allow } })

const routeNotFound = new Refusal.Refusal({ code: "route_not_found" })

const ending = new Refusal.Refusal({ code: "not_ready", detail: "the process is shutting down" })

/** Nobody waits for this answer any more; it is only counted. */
const abandoned = HttpServerResponse.empty({ status: 499 })

const isAbandoned = (cause: Cause.Cause<unknown>): boolean =>
  cause.reasons.some((reason) => reason._tag === "Interrupt" && reason.annotations.has(HttpServerError.ClientAbort.key))

const tooLarge = new Refusal.Refusal({
  code: "payload_too_large",
  detail: `the body is larger than ${maximumBytes} bytes`,
  // What was sent and not read would be taken for the next request.
  headers: { connection: "close" }
})

const refusalOf = (cause: Cause.Cause<unknown>): Refusal.Refusal => {
  if (Cause.hasInterruptsOnly(cause)) return ending
  const error = Cause.squash(cause)
  const reason = HttpServerError.isHttpServerError(error) ? error.reason : undefined
  if (reason?._tag === "RouteNotFound") return routeNotFound
  if (reason?._tag === "RequestParseError") {
    return reason.reason === "BodyTooLarge" ? tooLarge : new Refusal.Refusal({ code: "malformed_json" })
  }
  return new Refusal.Refusal({ code: "internal_error" })
}

const notJson = new Refusal.Refusal({
  code: "unsupported_media_type",
  detail: "the body must be application/json in UTF-8"
})

/** Where the contract decodes a body by itself, it says in plain text that it knows no such media type. */
const asProblem = (answer: HttpServerResponse.HttpServerResponse, facts: RequestFacts) =>
  answer.status === 415 && answer.headers["content-type"] !== contentType ? Refusal.response(notJson, facts) : answer

const overloaded = new Refusal.Refusal({
  code: "overloaded",
  detail: "more is asked at once than can be answered in time"
})

/** How many requests may be under way at once, of those that count; more are refused before they cost anything. */
export interface Crowd {
  readonly most: number
  readonly counts: (request: HttpServerRequest.HttpServerRequest, route: Route) => boolean
}

const nobody: Crowd = { most: Infinity, counts: () => false }

/** Lets so many through at once. */
const turnstile = ({ counts, most }: Crowd) => {
  let inside = 0
  const leave = Effect.sync(() => void inside--)
  return <E, R>(
    request: HttpServerRequest.HttpServerRequest,
    route: Route | undefined,
    facts: RequestFacts,
    answer: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>
  ) => {
    if (route === undefined || !counts(request, route)) return answer
    if (inside >= most) return Effect.succeed(Refusal.response(overloaded, facts))
    return Effect.suspend(() => {
      inside++
      return Effect.ensuring(answer, leave)
    })
  }
}

/**
 * Lives outside of all routes; `routes` are those that exist.
 *
 * Every request passes here, so it is written flat: one step in, one step out, and nothing is logged (or
 * put together to be logged) unless somebody listens.
 */
export const layer = (routes: RouteTable, crowd: Crowd = nobody) => {
  const through = turnstile(crowd)
  return HttpRouter.middleware(
    Effect.succeed((app) =>
      Effect.withFiber((fiber) => {
        const request = Context.getUnsafe(fiber.context, HttpServerRequest.HttpServerRequest)
        const clock = fiber.getRef(Clock.Clock)
        const startedAt = clock.currentTimeNanosUnsafe()
        const path = pathOf(request.url)
        const facts: RequestFacts = {
          requestId: requestIdOf(request.headers["x-request-id"], clock.currentTimeMillisUnsafe()),
          instance: printable(path),
          traceparent: traceparentOf(request.headers["traceparent"])
        }
        const route = routes.find(path)
        Metrics.active.modifyUnsafe(1, fiber.context)
        return Effect.flatMap(through(request, route, facts, answerOf(app, request, route, facts)), (answer) => {
          const nanos = Number(clock.currentTimeNanosUnsafe() - startedAt)
          const template = route?.template ?? "unmatched"
          const method = route?.methods.has(request.method) === true ? request.method : "other"
          Metrics.active.modifyUnsafe(-1, fiber.context)
          Metrics.durations(method, template, answer.status).updateUnsafe(nanos / 1e9, fiber.context)
          const complete = HttpServerResponse.setHeaders(answer, {
            ...headers,
            ...answer.headers,
            "x-request-id": facts.requestId
          })
          return LogLevel.isGreaterThan(fiber.getRef(References.MinimumLogLevel), "Debug")
            ? Effect.succeed(complete)
            : Effect.as(
              Effect.logDebug("answered", {
                request_id: facts.requestId,
                method,
                route: template,
                status: answer.status,
                millis: nanos / 1e6
              }),
              complete
            )
        })
      })
    ),
    { global: true }
  )
}

const answerOf = <E, R>(
  app: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>,
  request: HttpServerRequest.HttpServerRequest,
  route: Route | undefined,
  facts: RequestFacts
): Effect.Effect<HttpServerResponse.HttpServerResponse, E, R> => {
  if (route === undefined) return Effect.succeed(Refusal.response(routeNotFound, facts))
  if (request.method === "OPTIONS") {
    return Effect.succeed(HttpServerResponse.empty({ status: 204, headers: { allow: route.allow } }))
  }
  if (!route.methods.has(request.method)) return Effect.succeed(Refusal.response(methodNotAllowed(route), facts))
  return app.pipe(
    Effect.map((answer) => asProblem(answer, facts)),
    Effect.catchCause((cause) => {
      if (isAbandoned(cause)) return Effect.succeed(abandoned)
      const refusal = refusalOf(cause)
      return (refusal.code === "internal_error"
        ? Effect.logError("a request failed", { request_id: facts.requestId, route: route.template }, cause)
        : Effect.void).pipe(Effect.as(Refusal.response(refusal, facts)))
    }),
    Effect.provideService(CurrentRequest, facts)
  )
}
