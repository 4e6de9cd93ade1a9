/**
 * Silent transfers and instructions: those that got no answer for longer than they should. What to do about them is
 * decided here, and it is always the same: ask again. Age alone proves nothing; the verdict decides.
 */
import { Context, type Duration, type Effect } from "effect"
import type { Instruction } from "../ledger/Instruction.ts"
import type { LedgerEvent } from "../ledger/LedgerEvent.ts"
import type { ShardId } from "../sharding/ShardMap.ts"
import type { ShardUnavailable } from "../sharding/Shards.ts"
import type { InstructionEvent } from "../transfer/Intake.ts"
import type { Transfer } from "../transfer/Transfer.ts"

export interface SilentTransfer {
  readonly transfer: Transfer
  readonly client: string
  /** Is it authorized, and past the time at which that ends? */
  readonly expired: boolean
  /** The later of the times at which it was made and at which its authorization ends, in milliseconds since 1970. */
  readonly openSinceMillis: number
}

export interface SilentInstruction {
  readonly instruction: Instruction
  /** The event that carries it, as it stands in its shard's own log. */
  readonly event: InstructionEvent
}

export interface Patience {
  /** How long a transfer may stay `requested`, and an instruction open. */
  readonly requested: Duration.Duration
  /** How long a transfer may stay `held` before its destination is asked to rule. */
  readonly held: Duration.Duration
}

export class SilentTransfers extends Context.Service<SilentTransfers, {
  /**
   * Transfers of a shard that have been silent for too long, the oldest first. Whoever looks may say since when there can
   * be any: what was made, and was to expire, before `sinceMillis` is known to have ended.
   */
  readonly find: (
    shard: ShardId,
    patience: Patience,
    sinceMillis: number,
    most: number
  ) => Effect.Effect<ReadonlyArray<SilentTransfer>, ShardUnavailable>
  /** Instructions of a shard that have been open for too long, the oldest first. */
  readonly findInstructions: (
    shard: ShardId,
    patience: Patience,
    most: number
  ) => Effect.Effect<ReadonlyArray<SilentInstruction>, ShardUnavailable>
}>()("counterpoise/domain/reconciliation/SilentTransfers") {}

/** What was silent, for those who remember what they asked about. */
export const idOf = (silent: SilentTransfer | SilentInstruction): string =>
  "event" in silent ? silent.instruction.id : silent.transfer.terms.transfer

/** The event that asks again; none where a transfer waits for its client, and where there is an answer. */
export const question = (silent: SilentTransfer | SilentInstruction): LedgerEvent | undefined => {
  if ("event" in silent) return silent.instruction.status === "open" ? silent.event : undefined
  const { client, expired, transfer } = silent
  const terms = { ...transfer.terms, amount: transfer.moving }
  switch (transfer.status) {
    case "requested":
      return {
        type: "transfer.requested",
        ...terms,
        capture: transfer.capture,
        client,
        ...(transfer.reverses === null ? {} : { reverses: transfer.reverses })
      }
    case "held":
      return {
        type: "transfer.recalled",
        ...terms,
        reason: { code: "timeout", detail: "the destination did not answer in time" }
      }
    case "authorized":
      return expired ? { type: "transfer.expiry_due", ...terms } : undefined
    case "committed":
    case "rejected":
    case "cancelled":
      return undefined
  }
}
