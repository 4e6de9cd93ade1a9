/**
 * What the intake said, counted by what the idempotency key meant.
 */
import { Array, Effect, Metric, type Result } from "effect"
import type { ShardUnavailable } from "#domain/sharding/Shards.ts"
import type { AccountExists, IdempotencyKeyReused, Overloaded } from "#domain/transfer/Intake.ts"
import * as Metrics from "#infra/http/Metrics.ts"
import { ofPort, type Refusal } from "#infra/http/Refusal.ts"

/** A request that was recorded: for the first time, or before. */
export const counted = (replayed: boolean): Effect.Effect<void> =>
  Metric.update(replayed ? Metrics.idempotency.replay : Metrics.idempotency.first, 1)

/** Many at once. */
export const countedAll = (
  outcomes: ReadonlyArray<Result.Result<{ readonly replayed: boolean }, { readonly refusal: Refusal }>>
): Effect.Effect<void> => {
  const recorded = Array.getSuccesses(outcomes)
  const replays = recorded.filter(({ replayed }) => replayed).length
  const mismatches =
    Array.getFailures(outcomes).filter(({ refusal }) => refusal.code === "idempotency_key_reused").length
  return Effect.all([
    Metric.update(Metrics.idempotency.first, recorded.length - replays),
    Metric.update(Metrics.idempotency.replay, replays),
    Metric.update(Metrics.idempotency.mismatch, mismatches)
  ], { discard: true })
}

/** A request that was not recorded. */
export const notRecorded = (
  error: IdempotencyKeyReused | AccountExists | Overloaded | ShardUnavailable
): Effect.Effect<never, Refusal> =>
  error._tag === "IdempotencyKeyReused"
    ? Effect.andThen(Metric.update(Metrics.idempotency.mismatch, 1), Effect.fail(ofPort(error)))
    : Effect.fail(ofPort(error))
