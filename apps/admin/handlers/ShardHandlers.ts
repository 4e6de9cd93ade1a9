/**
 * The shards, one by one.
 */
import { Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import * as Answer from "#infra/http/Answer.ts"
import { page } from "#infra/http/Values.ts"
import { AdminApi } from "../contract/AdminApi.ts"
import { Shard } from "../contract/Shards.ts"
import { Overview } from "../Overview.ts"
import * as Views from "./Views.ts"

const Shards = page(Shard)

export const layer = HttpApiBuilder.group(
  AdminApi,
  "shards",
  Effect.fn(function*(handlers) {
    const overview = yield* Overview
    return handlers.handle(
      "list",
      Effect.fnUntraced(function*() {
        const data = (yield* overview.shards).map(Views.shard)
        return Answer.json(Shards, { object: "list", data, has_more: false, next_cursor: null })
      })
    )
  })
)
