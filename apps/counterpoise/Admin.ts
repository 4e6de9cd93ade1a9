/** The operators' API, called by its contract: where it is, as whom, and what its refusals mean to a script. */
import { Context, Effect, Layer, Option, Predicate, Redacted, Schema } from "effect"
import { FetchHttpClient, HttpClient, HttpClientRequest } from "effect/http"
import { HttpApiClient, HttpApiMiddleware } from "effect/http-api"
import { Problem } from "#infra/http/Problems.ts"
import * as Settings from "#infra/Settings.ts"
import { AdminApi } from "../admin/contract/AdminApi.ts"
import { OperatorAuthorization } from "../admin/contract/Operators.ts"
import { type ExitCode, exitCodes } from "./ExitCode.ts"
import { Surroundings } from "./Platform.ts"

/** It answered that it does not do that. */
export class AdminRefused extends Schema.TaggedError<AdminRefused>()("AdminRefused", {
  status: Schema.Int,
  code: Schema.String,
  detail: Schema.String,
  request: Schema.String
}) {
  get exitCode(): ExitCode {
    return codeOfStatus(this.status)
  }
  override get message() {
    return `${this.detail} (${this.code}, request ${this.request})`
  }
}

/** It did not answer, or nobody said where it is. */
export class AdminUnreachable extends Schema.TaggedError<AdminUnreachable>()("AdminUnreachable", {
  url: Schema.String,
  why: Schema.String
}) {
  readonly exitCode = exitCodes.internal
  override get message() {
    return `the operators' API does not answer at ${this.url}: ${this.why}. \`counterpoise doctor\` says what else is wrong`
  }
}

const codeOfStatus = (status: number): ExitCode => {
  switch (status) {
    case 401:
    case 403:
      return exitCodes.notAllowed
    case 404:
      return exitCodes.notFound
    case 409:
    case 412:
    case 422:
    case 428:
      return exitCodes.conflict
    case 408:
    case 504:
      return exitCodes.timeout
    default:
      return status < 500 ? exitCodes.usage : exitCodes.internal
  }
}

const isProblem = Schema.is(Problem)

/** Longer than the API needs to say that a shard does not answer. */
const patience = "30 seconds"

export class Admin extends Context.Service<Admin, {
  readonly url: string
  readonly client: HttpApiClient.ForApi<typeof AdminApi>
}>()("counterpoise/apps/counterpoise/Admin") {
  static readonly layer = Layer.effect(
    Admin,
    Effect.gen(function*() {
      const { stackFile } = yield* Surroundings
      const { key, url } = yield* Settings.read(Settings.operator)
      if (Option.isNone(url) || Option.isNone(key)) {
        const missing = [...(Option.isNone(url) ? ["ADMIN_URL"] : []), ...(Option.isNone(key) ? ["ADMIN_KEY"] : [])]
        return yield* Settings.InvalidSettings.make({
          mistakes: missing.map((name) =>
            `${name}: this goes through the operators' API; there is no ${stackFile} either`
          )
        })
      }
      const client = yield* HttpApiClient.make(AdminApi, {
        transformClient: HttpClient.mapRequest(HttpClientRequest.prependUrl(url.value.replace(/\/$/, "")))
      }).pipe(
        Effect.provide(Layer.merge(
          FetchHttpClient.layer,
          HttpApiMiddleware.layerClient(
            OperatorAuthorization,
            ({ next, request }) => next(HttpClientRequest.bearerToken(request, Redacted.value(key.value)))
          )
        ))
      )
      return { url: url.value, client }
    })
  )
}

/** Asks the operators' API, and gives its refusals their exit codes. */
export const ask = Effect.fnUntraced(function*<A, E>(
  question: (client: HttpApiClient.ForApi<typeof AdminApi>) => Effect.Effect<A, E>
) {
  const { client, url } = yield* Admin
  return yield* question(client).pipe(
    Effect.mapError((error) =>
      isProblem(error)
        ? AdminRefused.make({
          status: error.status,
          code: error.code,
          detail: error.detail,
          request: error.request_id
        })
        : AdminUnreachable.make({
          url,
          why: Predicate.hasProperty(error, "message") ? String(error.message) : String(error)
        })
    ),
    Effect.timeout(patience)
  )
})
