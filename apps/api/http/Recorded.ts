/**
 * What the intake said, counted by what the idempotency key meant.
 */
import { Effect, Metric } from "effect"
import type { ShardUnavailable } from "#domain/sharding/Shards.ts"
import type { AccountExists, IdempotencyKeyReused, Overloaded } from "#domain/transfer/Intake.ts"
import * as Metrics from "./Metrics.ts"
import { ofPort, type Refusal } from "./Refusal.ts"

/** A request that was recorded: for the first time, or before. */
export const counted = (replayed: boolean): Effect.Effect<void> =>
  Metric.update(replayed ? Metrics.idempotency.replay : Metrics.idempotency.first, 1)

/** A request that was not recorded. */
export const notRecorded = (
  error: IdempotencyKeyReused | AccountExists | Overloaded | ShardUnavailable
): Effect.Effect<never, Refusal> =>
  error._tag === "IdempotencyKeyReused"
    ? Effect.andThen(Metric.update(Metrics.idempotency.mismatch, 1), Effect.fail(ofPort(error)))
    : Effect.fail(ofPort(error))
