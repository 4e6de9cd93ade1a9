/**
 * The middleware that says who asks, and how much of it they may.
 */
import { Effect, Layer } from "effect"
import * as BearerKeys from "#infra/http/BearerKeys.ts"
import { Authorization, CurrentClient } from "../contract/Authorization.ts"
import * as RateLimit from "./RateLimit.ts"

/**
 * @param apiKeys the client's name by its key
 * @param rate how much a client may ask for; null is as much as it likes
 */
export const authorization = (
  apiKeys: ReadonlyMap<string, string>,
  rate: RateLimit.Rate | null
): Layer.Layer<Authorization> => {
  const nameOf = BearerKeys.holders(apiKeys)
  return Layer.effect(
    Authorization,
    Effect.gen(function*() {
      const limited = rate === null ? undefined : yield* RateLimit.make(rate)
      return Authorization.of({
        bearer: (handled, { credential }) => {
          const name = nameOf(credential)
          if (name === undefined) return BearerKeys.unauthenticated
          const known = Effect.provideService(handled, CurrentClient, { name })
          return limited === undefined ? known : limited(name, known)
        }
      })
    })
  )
}
