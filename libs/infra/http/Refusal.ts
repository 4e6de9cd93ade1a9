/**
 * A request that is not done: a problem on its way to being an answer.
 */
import { Data, Effect } from "effect"
import { HttpServerResponse } from "effect/http"
import { isBehind, type ShardUnavailable } from "#domain/sharding/Shards.ts"
import type { AccountExists, IdempotencyKeyReused, Overloaded, RevisionMismatch } from "#domain/transfer/Intake.ts"
import { type Code, contentType, type FieldError, type Problem, registry } from "./Problems.ts"
import { CurrentRequest, type RequestFacts } from "./CurrentRequest.ts"

export class Refusal extends Data.TaggedError("Refusal")<{
  readonly code: Code
  /** What went wrong this time; the explanation of the code where there is nothing to add. */
  readonly detail?: string
  readonly errors?: ReadonlyArray<FieldError>
  readonly resource?: string
  readonly resourceStatus?: string
  readonly headers?: Readonly<Record<string, string>>
}> {}

/** Seconds after which a client may try again what was refused for want of capacity or of a shard. */
const retryAfterSeconds = "1"

/** The problem that a refusal is, for this request. */
export const problemOf = (refusal: Refusal, request: RequestFacts): Problem => {
  const kind = registry[refusal.code]
  return {
    type: `/problems/${refusal.code}`,
    code: refusal.code,
    title: kind.title,
    status: kind.status,
    detail: refusal.detail ?? kind.explanation,
    instance: request.instance,
    request_id: request.requestId,
    retryable: kind.retryable,
    errors: refusal.errors ?? [],
    ...(refusal.resource === undefined ? {} : { resource: refusal.resource }),
    ...(refusal.resourceStatus === undefined ? {} : { resource_status: refusal.resourceStatus })
  }
}

/** The answer to a request that is refused. */
export const response = (refusal: Refusal, request: RequestFacts): HttpServerResponse.HttpServerResponse => {
  const { status } = registry[refusal.code]
  return HttpServerResponse.text(JSON.stringify(problemOf(refusal, request)), {
    status,
    contentType,
    headers: { ...(status === 503 ? { "retry-after": retryAfterSeconds } : {}), ...refusal.headers }
  })
}

/** Answers the refusals of a handler with their problems. */
export const answered = <A, R>(
  handled: Effect.Effect<A, Refusal, R>
): Effect.Effect<A | HttpServerResponse.HttpServerResponse, never, R> =>
  Effect.catch(handled, (refusal) => Effect.map(CurrentRequest, (request) => response(refusal, request)))

/** What the ports refuse, as the outside sees it. */
export const ofPort = (
  error: IdempotencyKeyReused | AccountExists | RevisionMismatch | Overloaded | ShardUnavailable
): Refusal => {
  switch (error._tag) {
    case "IdempotencyKeyReused":
      return new Refusal({ code: error.code, detail: error.message, resource: error.resource })
    case "AccountExists":
    case "RevisionMismatch":
      return new Refusal({ code: error.code, detail: error.message, resource: error.account })
    case "Overloaded":
      return new Refusal({ code: error.code, detail: error.message })
    case "ShardUnavailable":
      // The cause is the operators' business, not the client's.
      return isBehind(error)
        ? new Refusal({ code: "shard_recovering", detail: `shard ${error.shard} is being restored` })
        : new Refusal({ code: "shard_unavailable", detail: `shard ${error.shard} does not answer` })
  }
}
