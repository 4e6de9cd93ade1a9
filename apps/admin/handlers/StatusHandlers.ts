/**
 * The platform as a whole.
 */
import { Clock, Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import * as Answer from "#infra/http/Answer.ts"
import { AdminApi } from "../contract/AdminApi.ts"
import { Status } from "../contract/Status.ts"
import { Overview } from "../Overview.ts"
import * as Views from "./Views.ts"

export const layer = HttpApiBuilder.group(
  AdminApi,
  "status",
  Effect.fn(function*(handlers) {
    const overview = yield* Overview
    return handlers.handle(
      "get",
      Effect.fnUntraced(function*() {
        const seen = yield* overview.everything
        return Answer.json(Status, Views.status(seen, yield* Clock.currentTimeMillis))
      })
    )
  })
)
