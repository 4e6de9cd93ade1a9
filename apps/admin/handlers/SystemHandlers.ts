/**
 * The process itself: alive, ready, measured, named.
 */
import { Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import * as SystemAnswers from "#infra/http/SystemAnswers.ts"
import { AdminApi } from "../contract/AdminApi.ts"

export const layer = (build: SystemAnswers.Build) =>
  HttpApiBuilder.group(
    AdminApi,
    "system",
    Effect.fn(function*(handlers) {
      return handlers.handleAll(yield* SystemAnswers.make(build))
    })
  )
