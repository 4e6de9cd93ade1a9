/**
 * The event log, if it can be asked. Operators need their answers most when parts are down: nothing here waits for it.
 */
import { Cause, Context, Effect, Layer, Option } from "effect"
import { EventLog } from "#domain/messaging/EventLog.ts"
import type { WorkedPartition } from "#domain/sharding/Pulse.ts"

export class EventLogAtHand extends Context.Service<EventLogAtHand, {
  /** How many records are ahead of these places; null where the log cannot say. */
  readonly lag: (places: ReadonlyArray<WorkedPartition>) => Effect.Effect<number | null>
}>()("counterpoise/admin/EventLogAtHand") {
  /** @param log opened in the background: it may take as long as it likes */
  static readonly layer = <E>(log: Layer.Layer<EventLog, E>) =>
    Layer.effect(
      EventLogAtHand,
      Effect.gen(function*() {
        const scope = yield* Effect.scope
        let open = Option.none<EventLog["Service"]>()
        yield* Layer.buildWithScope(log, scope).pipe(
          Effect.matchCauseEffect({
            onSuccess: (context) =>
              Effect.sync(() => {
                open = Option.some(Context.get(context, EventLog))
              }),
            onFailure: (cause) =>
              Cause.hasInterruptsOnly(cause)
                ? Effect.void
                : Effect.logWarning("the event log cannot be used: how far its readers are behind is not known", cause)
          }),
          Effect.forkIn(scope)
        )

        const lagIn = Effect.fnUntraced(
          function*({ bounds, identity }: EventLog["Service"], places: ReadonlyArray<WorkedPartition>) {
            const held = yield* bounds(places.map(({ partition }) => partition))
            return places.reduce((lag, { log, next, partition }) => {
              const { begin, end } = held.get(partition) ?? { begin: 0n, end: 0n }
              // Offsets of another log mean nothing in this one: it is read from its beginning.
              const from = log === identity ? next : begin
              return lag + Number(end > from ? end - from : 0n)
            }, 0)
          }
        )

        return EventLogAtHand.of({
          lag: (places) =>
            Effect.suspend(() =>
              Option.isNone(open)
                ? Effect.succeed(null)
                : Effect.orElseSucceed(Effect.timeout(lagIn(open.value, places), "2 seconds"), () => null)
            )
        })
      })
    )
}
