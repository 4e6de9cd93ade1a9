/**
 * Transfers: the customer's wish to move an amount from a source account to a destination account, and its state.
 *
 * The state lives on the source's shard. What the destination's shard has to say is its verdict, given once and for ever.
 */
import { Schema } from "effect"
import type { ShardId } from "../sharding/ShardMap.ts"
import type { Reason } from "../ledger/Instruction.ts"
import type { Capture, Terms } from "./TransferEvent.ts"
import type { TransferId } from "./TransferId.ts"

export const TransferStatus = Schema.Literals([
  "requested",
  "authorized",
  "held",
  "committed",
  "rejected",
  "cancelled"
])
export type TransferStatus = typeof TransferStatus.Type

/** The states in which a transfer has ended; nothing leaves them. */
export const ended: ReadonlySet<TransferStatus> = new Set<TransferStatus>(["committed", "rejected", "cancelled"])

/** The states in which a transfer has ended without moving anything. */
export const failed: ReadonlySet<TransferStatus> = new Set<TransferStatus>(["rejected", "cancelled"])

/** A transfer as its source's shard knows it. */
export interface Transfer {
  /** What was asked for; `amount` never changes. */
  readonly terms: Terms
  readonly capture: Capture
  readonly status: TransferStatus
  /** What is to move: the amount, or the part of it that was captured. */
  readonly moving: Terms["amount"]
  readonly reason: Reason | null
  /** The transfer whose money this one brings back, in whole or in part. */
  readonly reverses: TransferId | null
}

/** What the destination's partition says of a transfer. */
export interface Verdict {
  readonly terms: Terms
  /** The shard of the transfer's source. */
  readonly from: ShardId
  readonly ruling: "CREDITED" | "REFUSED"
  readonly reason: Reason | null
}
