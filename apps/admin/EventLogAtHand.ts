/**
 * The event log, if it can be asked. Operators need their answers most when parts are down: nothing here waits for it.
 */
import { Cause, Context, Effect, Layer, Option } from "effect"
import { type Delivered, EventLog } from "#domain/messaging/EventLog.ts"
import type { WorkedPartition } from "#domain/sharding/Pulse.ts"

/** A place of a worker, and the record that it has to read next; none where the log does not reach as far, or not so far back. */
export interface Unread {
  readonly partition: number
  readonly offset: bigint
  readonly record: Delivered | null
}

export class EventLogAtHand extends Context.Service<EventLogAtHand, {
  /** How many records are ahead of these places; null where the log cannot say. */
  readonly lag: (places: ReadonlyArray<WorkedPartition>) => Effect.Effect<number | null>
  /** What stands at each of these places and was not read yet; nothing where the log cannot say. */
  readonly unread: (places: ReadonlyArray<WorkedPartition>) => Effect.Effect<ReadonlyArray<Unread>>
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

        const unreadIn = Effect.fnUntraced(
          function*({ bounds, identity, reader }: EventLog["Service"], places: ReadonlyArray<WorkedPartition>) {
            const held = yield* bounds(places.map(({ partition }) => partition))
            const found: Array<Unread> = []
            const from = new Map<number, bigint>()
            for (const { log, next, partition } of places) {
              const { begin, end } = held.get(partition) ?? { begin: 0n, end: 0n }
              // Offsets of another log mean nothing in this one: it is read from its beginning.
              const offset = log === identity && next > 0n ? next : begin
              if (offset < begin || offset > end) found.push({ partition, offset, record: null })
              else if (offset < end) from.set(partition, offset)
            }
            if (from.size === 0) return found
            const { take } = yield* reader(from)
            const first = new Map<number, Delivered>()
            // The last offsets may be taken up by what is no record.
            yield* Effect.ignore(Effect.timeout(
              Effect.whileLoop({
                while: () => first.size < from.size,
                body: () => take(1_000),
                step: (records) => {
                  for (const record of records) {
                    if (!first.has(record.partition)) first.set(record.partition, record)
                  }
                }
              }),
              "500 millis"
            ))
            return [
              ...found,
              ...[...first].map(([partition, record]) => ({ partition, offset: from.get(partition) ?? 0n, record }))
            ]
          },
          Effect.scoped
        )

        /** What the log says in time; `otherwise` where it is not open, or does not answer. */
        const asked = <A, B, E>(otherwise: B, question: (log: EventLog["Service"]) => Effect.Effect<A, E>) =>
          Effect.suspend(() =>
            Option.isNone(open)
              ? Effect.succeed<A | B>(otherwise)
              : Effect.orElseSucceed(Effect.timeout(question(open.value), "2 seconds"), () => otherwise)
          )

        return EventLogAtHand.of({
          lag: (places) => asked(null, (log) => lagIn(log, places)),
          unread: (places) => asked([], (log) => unreadIn(log, places))
        })
      })
    )
}
