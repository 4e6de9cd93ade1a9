/**
 * Whether this process can do its job: named checks, each with a time-out and a result that is kept for a moment, so that
 * however often somebody asks, what stands behind is asked once.
 */
import { Context, type Duration, Effect, Layer } from "effect"

/** Something the API cannot do without. Succeeds when it is well; the message of its failure is for the operators. */
export interface Check {
  readonly name: string
  readonly run: Effect.Effect<void, { readonly message: string }>
}

export interface Verdict {
  readonly name: string
  readonly healthy: boolean
}

export class Readiness extends Context.Service<Readiness, {
  readonly verdicts: Effect.Effect<ReadonlyArray<Verdict>>
}>()("counterpoise/infra/http/Readiness") {
  /**
   * @param options.timeout how long a check may take; 1 second unless given
   * @param options.timeToLive how long its result is kept; 1 second unless given
   */
  static readonly layer = (
    checks: ReadonlyArray<Check>,
    options: { readonly timeout?: Duration.Input; readonly timeToLive?: Duration.Input } = {}
  ): Layer.Layer<Readiness> =>
    Layer.effect(
      Readiness,
      Effect.gen(function*() {
        const kept = yield* Effect.forEach(checks, ({ name, run }) =>
          run.pipe(
            Effect.timeoutOrElse({
              duration: options.timeout ?? "1 second",
              orElse: () => Effect.fail({ message: "no answer in time" })
            }),
            Effect.as(true),
            // A defect of a check is a failed check, too.
            Effect.catchCause((cause) => Effect.as(Effect.logWarning("not ready", { check: name }, cause), false)),
            Effect.map((healthy): Verdict => ({ name, healthy })),
            Effect.cachedWithTTL(options.timeToLive ?? "1 second")
          ))
        return Readiness.of({ verdicts: Effect.all(kept, { concurrency: "unbounded" }) })
      })
    )
}
