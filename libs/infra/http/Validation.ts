/**
 * The middleware of a contract that turns requests which do not decode into problems.
 */
import { Effect, Layer } from "effect"
import { HttpServerRequest } from "effect/http"
import { HttpApiError, HttpApiMiddleware } from "effect/http-api"
import { CurrentRequest, printable } from "./CurrentRequest.ts"
import { refusalOf } from "./Issues.ts"
import { Refusal, response } from "./Refusal.ts"

/** It has nothing to say to clients. */
export class Validation extends HttpApiMiddleware.Service<Validation>()("counterpoise/infra/http/Validation") {}

const refused = (refusal: Refusal) => Effect.map(CurrentRequest, (request) => response(refusal, request))

const sources = { Params: "path:", Headers: "header:", Query: "query:", Payload: "" } as const

const unknownParameter = (name: string): Refusal => {
  const pointer = `query:${printable(name)}`
  const message = "is not a parameter of this operation"
  return new Refusal({
    code: "unknown_parameter",
    detail: `${pointer} ${message}`,
    errors: [{ pointer, code: "unknown_parameter", message }]
  })
}

/** Refuses what does not decode, and query parameters where none are known. */
export const layer: Layer.Layer<Validation> = Layer.succeed(
  Validation,
  Validation.of((handled, { endpoint }) => {
    const decoded = Effect.catch(handled, (error) => {
      if (!HttpApiError.HttpApiSchemaError.is(error)) return Effect.fail(error)
      const { cause, kind } = error
      // An answer of ours that does not encode is a mistake of ours.
      return kind === "Body" || kind === "ResponseHeaders"
        ? Effect.die(error)
        : refused(refusalOf(cause.issue, sources[kind]))
    })
    // Where an operation knows no query parameters, any is one too many.
    return endpoint.query === undefined
      ? Effect.flatMap(HttpServerRequest.ParsedSearchParams, (parameters) => {
        for (const name in parameters) return refused(unknownParameter(name))
        return decoded
      })
      : decoded
  })
)
