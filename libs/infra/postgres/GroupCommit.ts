/**
 * Group commit: what comes in while one batch is on the wire is the next batch. A bounded queue and a few writers; no
 * timer, so a lone item is written at once and a crowd is written together.
 */
import { type Cause, Deferred, Effect, Exit, Fiber, Queue, type Scope } from "effect"

export interface GroupCommitOptions<A, B, E, F> {
  /** How many batches may be on the wire at once. */
  readonly writers: number
  readonly mostPerBatch: number
  /** How many items may wait; more are turned away. */
  readonly capacity: number
  /** Writes a batch, and answers each item in the items' order. When it fails, it fails for every item. */
  readonly write: (items: ReadonlyArray<A>) => Effect.Effect<ReadonlyArray<Exit.Exit<B, E>>, F>
}

/**
 * Answers a function that writes one item in company. Where the queue is full it answers `onFull`. Interrupting a caller
 * does not take back what it has handed in. Closing the scope writes what is queued, then ends.
 */
export const make = Effect.fnUntraced(function*<A, B, E, F, G>(
  options: GroupCommitOptions<A, B, E, F>,
  onFull: Effect.Effect<never, G>
): Effect.fn.Return<(item: A) => Effect.Effect<B, E | F | G>, never, Scope.Scope> {
  const queue = yield* Queue.dropping<{ readonly item: A; readonly done: Deferred.Deferred<B, E | F> }, Cause.Done>(
    options.capacity
  )
  const flush = Effect.fnUntraced(
    function*(batch: ReadonlyArray<{ readonly item: A; readonly done: Deferred.Deferred<B, E | F> }>) {
      const exit = yield* Effect.exit(options.write(batch.map(({ item }) => item)))
      for (const [index, { done }] of batch.entries()) {
        const answer: Exit.Exit<B, E | F> | undefined = Exit.isSuccess(exit)
          ? exit.value[index]
          : Exit.failCause(exit.cause)
        Deferred.doneUnsafe(done, answer ?? Exit.die(new Error("a batch was answered in part")))
      }
    }
  )
  const writer = Queue.takeBetween(queue, 1, options.mostPerBatch).pipe(
    Effect.flatMap((batch) => Effect.uninterruptible(flush(batch))),
    Effect.forever,
    Effect.catchTag("Done", () => Effect.void)
  )
  const writers = yield* Effect.forEach(Array.from({ length: options.writers }), () => Effect.forkDetach(writer))
  yield* Effect.addFinalizer(() =>
    Effect.andThen(Queue.end(queue), Effect.forEach(writers, Fiber.await, { discard: true }))
  )
  return (item) =>
    Effect.suspend((): Effect.Effect<B, E | F | G> => {
      const done = Deferred.makeUnsafe<B, E | F>()
      return Queue.offerUnsafe(queue, { item, done }) ? Deferred.await(done) : onFull
    })
})
