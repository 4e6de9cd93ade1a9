/**
 * What an operator may ask of a transfer that got no answer: what the reconciler asks by itself, only now. It is an event,
 * and nothing more; the shards decide, and what is asked twice is answered once.
 */
import { Context, type Effect, Result, Schema } from "effect"
import { Amount } from "../money/Amount.ts"
import type { ShardUnavailable } from "../sharding/Shards.ts"
import type { TransferRecord } from "../transfer/Intake.ts"
import { TransferStatus } from "../transfer/Transfer.ts"
import type { TransferEvent } from "../transfer/TransferEvent.ts"
import type { Operation } from "./Operation.ts"

/** Only of a transfer that is held can its destination be asked to rule. */
export class TransferNotHeld extends Schema.TaggedError<TransferNotHeld>()("TransferNotHeld", {
  transfer: Schema.String,
  status: TransferStatus
}) {
  readonly code = "transfer_not_held"
  override get message() {
    return `${this.transfer} is ${this.status}: only of a transfer that is held can its destination be asked to rule`
  }
}

/** The transfer does not wait for its own shard. */
export class TransferNotWaiting extends Schema.TaggedError<TransferNotWaiting>()("TransferNotWaiting", {
  transfer: Schema.String,
  status: TransferStatus
}) {
  readonly code = "transfer_not_waiting"
  override get message() {
    return `${this.transfer} is ${this.status}: asked again is one that is requested, or authorized and past its time`
  }
}

/** The event that asks the destination to rule. Where it has ruled, it says so again; where not, it refuses. */
export const recallOf = (
  { captured, status, terms }: TransferRecord,
  { name }: Pick<Operation, "name">
): Result.Result<TransferEvent, TransferNotHeld> =>
  status === "held"
    ? Result.succeed({
      type: "transfer.recalled",
      ...terms,
      amount: captured === null ? terms.amount : Amount.make(captured),
      reason: { code: "timeout", detail: `the destination did not answer, and was asked to rule by ${name}` }
    })
    : Result.fail(TransferNotHeld.make({ transfer: terms.transfer, status }))

/**
 * The event that asks the transfer's own shard again.
 *
 * @param requested the event that asked for it first
 */
export const requeueOf = (
  { expiresAtMillis, status, terms }: TransferRecord,
  requested: TransferEvent | undefined,
  nowMillis: number
): Result.Result<TransferEvent, TransferNotWaiting> => {
  if (status === "requested" && requested?.type === "transfer.requested") return Result.succeed(requested)
  if (status === "authorized" && expiresAtMillis !== null && expiresAtMillis <= nowMillis) {
    return Result.succeed({ type: "transfer.expiry_due", ...terms })
  }
  return Result.fail(TransferNotWaiting.make({ transfer: terms.transfer, status }))
}

export class Interventions extends Context.Service<Interventions, {
  /** Appends the event to the log of the source's shard, and keeps who asked and why, in one transaction. */
  readonly ask: (
    event: TransferEvent,
    operation: Operation,
    action: string
  ) => Effect.Effect<void, ShardUnavailable>
}>()("counterpoise/domain/operations/Interventions") {}
