/**
 * The parked messages of the notifier, where there is one: its database is opened when it is first asked for, and again
 * until it can be. Operators need the rest of their answers meanwhile.
 */
import { Context, Effect, Exit, Layer, Option, Scope } from "effect"
import { type Consumer, ConsumerUnavailable } from "#domain/messaging/Consumer.ts"
import { NotParked, Parked } from "#domain/messaging/Parked.ts"

const consumer = "notifier"

/** Without a notifier nothing is parked. */
export const none = Layer.succeed(Parked, {
  list: () => Effect.succeed([]),
  show: () => Effect.succeed(Option.none()),
  retry: (numbers) => Effect.fail(NotParked.make({ numbers })),
  discard: (numbers) => Effect.fail(NotParked.make({ numbers }))
})

/** @param database of the notifier, as its own process would open it */
export const layer = <E extends { readonly message: string }>(database: Layer.Layer<Consumer | Parked, E>) =>
  Layer.effect(
    Parked,
    Effect.gen(function*() {
      const scope = yield* Effect.scope
      let open = Option.none<Parked["Service"]>()
      const opened = Effect.gen(function*() {
        if (Option.isSome(open)) return open.value
        const own = yield* Scope.fork(scope)
        const context = yield* Layer.buildWithScope(database, own).pipe(
          Effect.onError((cause) => Scope.close(own, Exit.failCause(cause))),
          Effect.mapError((cause) => ConsumerUnavailable.make({ consumer, cause }))
        )
        const parked = Context.get(context, Parked)
        open = Option.some(parked)
        return parked
      })
      return Parked.of({
        list: (wanted) => Effect.flatMap(opened, (parked) => parked.list(wanted)),
        show: (number) => Effect.flatMap(opened, (parked) => parked.show(number)),
        retry: (numbers, by) => Effect.flatMap(opened, (parked) => parked.retry(numbers, by)),
        discard: (numbers, by) => Effect.flatMap(opened, (parked) => parked.discard(numbers, by))
      })
    })
  )
