/**
 * Who operates: a bearer key of the operators' own stands for one of them, by name. That name is the actor of everything
 * that is done with it.
 */
import { Context } from "effect"
import { HttpApiMiddleware, HttpApiSecurity } from "effect/http-api"

/** The operator behind the request's key. */
export class CurrentOperator extends Context.Service<CurrentOperator, { readonly name: string }>()(
  "counterpoise/admin/contract/CurrentOperator"
) {}

export class OperatorAuthorization
  extends HttpApiMiddleware.Service<OperatorAuthorization, { provides: CurrentOperator }>()(
    "counterpoise/admin/contract/OperatorAuthorization",
    { requiredForClient: true, security: { bearer: HttpApiSecurity.bearer } }
  )
{}
