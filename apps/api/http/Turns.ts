/**
 * Work that would keep others waiting, done in turns: after each slice of it the event loop turns, and whoever else has
 * something to do gets to do it.
 */
import { Effect, Result } from "effect"

/** A few milliseconds of reading or writing transfers. */
const slice = 50

/** Works on one item after the other, until one fails. */
export const inTurns = Effect.fnUntraced(function*<A, B, E>(
  items: Iterable<A>,
  work: (item: A, index: number) => Result.Result<B, E>
): Effect.fn.Return<ReadonlyArray<B>, E> {
  const done: Array<B> = []
  for (const item of items) {
    if (done.length % slice === 0) yield* Effect.yieldNow
    const worked = work(item, done.length)
    if (Result.isFailure(worked)) return yield* Effect.fail(worked.failure)
    done.push(worked.success)
  }
  return done
})
