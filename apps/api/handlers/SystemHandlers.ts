/**
 * The process itself: alive, ready, measured, named.
 */
import { Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import * as SystemAnswers from "#infra/http/SystemAnswers.ts"
import { CounterpoiseApi } from "../contract/CounterpoiseApi.ts"

export const layer = (build: SystemAnswers.Build) =>
  HttpApiBuilder.group(
    CounterpoiseApi,
    "system",
    Effect.fn(function*(handlers) {
      return handlers.handleAll(yield* SystemAnswers.make(build))
    })
  )
