/**
 * The middlewares of the contract: who asks, and whether what is asked can be read.
 */
import { Effect, Layer, Redacted } from "effect"
import { HttpServerRequest } from "effect/http"
import { HttpApiError } from "effect/http-api"
import { hash } from "node:crypto"
import { Authorization, CurrentClient, Validation } from "../contract/Authorization.ts"
import { CurrentRequest, printable } from "./CurrentRequest.ts"
import { refusalOf } from "./Issues.ts"
import * as RateLimit from "./RateLimit.ts"
import { Refusal, response } from "./Refusal.ts"

const digest = (key: string): string => hash("sha256", key, "hex")

const unauthenticated = new Refusal({
  code: "unauthenticated",
  headers: { "www-authenticate": "Bearer realm=\"counterpoise\"" }
})

const refused = (refusal: Refusal) => Effect.map(CurrentRequest, (request) => response(refusal, request))

/**
 * Keys are looked up by their SHA-256: how long that takes says nothing of how much of a key was right.
 *
 * @param apiKeys the client's name by its key
 * @param rate how much a client may ask for; null is as much as it likes
 */
export const authorization = (
  apiKeys: ReadonlyMap<string, string>,
  rate: RateLimit.Rate | null
): Layer.Layer<Authorization> => {
  const clients = new Map([...apiKeys].map(([key, name]) => [digest(key), { name }]))
  return Layer.effect(
    Authorization,
    Effect.gen(function*() {
      const limited = rate === null ? undefined : yield* RateLimit.make(rate)
      return Authorization.of({
        bearer: (handled, { credential }) => {
          const client = clients.get(digest(Redacted.value(credential)))
          if (client === undefined) return refused(unauthenticated)
          const known = Effect.provideService(handled, CurrentClient, client)
          return limited === undefined ? known : limited(client.name, known)
        }
      })
    })
  )
}

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
export const validation: Layer.Layer<Validation> = Layer.succeed(
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
