/**
 * Who asks: a bearer key, known to the platform by its digest, stands for a client.
 */
import { Context } from "effect"
import { HttpApiMiddleware, HttpApiSecurity } from "effect/http-api"

/** The client behind the request's key. */
export class CurrentClient extends Context.Service<CurrentClient, { readonly name: string }>()(
  "counterpoise/api/contract/CurrentClient"
) {}

export class Authorization extends HttpApiMiddleware.Service<Authorization, { provides: CurrentClient }>()(
  "counterpoise/api/contract/Authorization",
  { requiredForClient: true, security: { bearer: HttpApiSecurity.bearer } }
) {}
