/**
 * Adjustments: compensating transfers, for what no protocol decides. One operator proposes, another approves, and then it is
 * a transfer like any other: requested by the ordinary way, under a key that is made of the adjustment, so that approving it
 * twice moves money once.
 */
import { Context, type Effect, type Option, Schema } from "effect"
import type { AccountId } from "../account/Account.ts"
import type { Amount } from "../money/Amount.ts"
import type { Currency } from "../money/Currency.ts"
import type { ShardId } from "../sharding/ShardMap.ts"
import type { ShardUnavailable } from "../sharding/Shards.ts"
import type { IdempotencyKeyReused, Recorded, TransferIntent } from "../transfer/Intake.ts"
import type { TransferId } from "../transfer/TransferId.ts"
import type { Operation } from "./Operation.ts"

/** What is to be moved. */
export interface AdjustmentTerms {
  readonly source: AccountId
  readonly destination: AccountId
  readonly amount: Amount
  readonly currency: Currency
}

export interface Adjustment {
  /** The home of its source. */
  readonly shard: ShardId
  readonly number: bigint
  readonly terms: AdjustmentTerms
  readonly reason: string
  readonly proposedBy: string
  readonly proposedAtMillis: number
  readonly approved: { readonly by: string; readonly atMillis: number; readonly transfer: TransferId } | null
}

export const adjustmentId = ({ number, shard }: Pick<Adjustment, "shard" | "number">): string =>
  `adj_${shard}_${number}`

/** Where the adjustment of an id would be kept. */
export const placeOfAdjustment = (id: string): Pick<Adjustment, "shard" | "number"> | undefined => {
  const [, shard, number] = /^adj_(0|[1-9][0-9]{0,3})_([1-9][0-9]{0,17})$/.exec(id) ?? []
  return shard === undefined || number === undefined ? undefined : { shard: Number(shard), number: BigInt(number) }
}

/** No key of a client has a colon in its name, so nobody else asks under this one. */
export const clientOfAdjustments = "operators:adjustments"

/** The transfer that an approved adjustment is; the same however often it is approved. */
export const intentOfAdjustment = (
  adjustment: Adjustment & { readonly approved: NonNullable<Adjustment["approved"]> },
  requestId: string,
  fingerprint: string
): TransferIntent => {
  const id = adjustmentId(adjustment)
  return {
    request: { client: clientOfAdjustments, idempotencyKey: id, fingerprint, requestId, traceparent: null },
    terms: { transfer: adjustment.approved.transfer, ...adjustment.terms },
    capture: "automatic",
    expiresInSeconds: null,
    reverses: null,
    reference: id,
    description: adjustment.reason,
    metadata: { adjustment: id, proposed_by: adjustment.proposedBy, approved_by: adjustment.approved.by }
  }
}

/** There is no such adjustment. */
export class AdjustmentNotFound extends Schema.TaggedError<AdjustmentNotFound>()("AdjustmentNotFound", {
  id: Schema.String
}) {
  readonly code = "adjustment_not_found"
  override get message() {
    return `there is no adjustment ${this.id}`
  }
}

/** Nobody approves what they proposed. */
export class SameOperator extends Schema.TaggedError<SameOperator>()("SameOperator", {
  id: Schema.String,
  operator: Schema.String
}) {
  readonly code = "two_operators_needed"
  override get message() {
    return `${this.operator} proposed ${this.id}: another operator must approve it`
  }
}

export class Adjustments extends Context.Service<Adjustments, {
  /** Writes down what an operator proposes, once for each of their keys. */
  readonly propose: (
    terms: AdjustmentTerms,
    operation: Operation,
    key: { readonly idempotencyKey: string; readonly fingerprint: string }
  ) => Effect.Effect<Recorded<Adjustment>, IdempotencyKeyReused | ShardUnavailable>
  /**
   * Takes note that another operator agrees, and which transfer it is to be. One that was approved before stays as it is:
   * `replayed`, with the transfer that it was then.
   */
  readonly approve: (
    of: Pick<Adjustment, "shard" | "number">,
    operation: Operation,
    transfer: TransferId
  ) => Effect.Effect<
    Recorded<Adjustment & { readonly approved: NonNullable<Adjustment["approved"]> }>,
    AdjustmentNotFound | SameOperator | ShardUnavailable
  >
  readonly find: (
    of: Pick<Adjustment, "shard" | "number">
  ) => Effect.Effect<Option.Option<Adjustment>, ShardUnavailable>
  /** Adjustments of a shard in the order in which they were proposed; those that wait for approval, or all. */
  readonly list: (
    shard: ShardId,
    wanted: "proposed" | "approved" | null,
    after: bigint,
    most: number
  ) => Effect.Effect<ReadonlyArray<Adjustment>, ShardUnavailable>
}>()("counterpoise/domain/operations/Adjustments") {}
