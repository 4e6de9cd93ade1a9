/**
 * Silent transfers: those that got no answer for longer than they should. What to do about them is decided here, and it is
 * always the same: ask again. Age alone proves nothing; the verdict decides.
 */
import { Context, type Duration, type Effect } from "effect"
import type { ShardId } from "../sharding/ShardMap.ts"
import type { ShardUnavailable } from "../sharding/Shards.ts"
import type { Transfer } from "../transfer/Transfer.ts"
import type { TransferEvent } from "../transfer/TransferEvent.ts"

export interface SilentTransfer {
  readonly transfer: Transfer
  readonly client: string
  /** Is it authorized, and past the time at which that ends? */
  readonly expired: boolean
  /** The later of the times at which it was made and at which its authorization ends, in milliseconds since 1970. */
  readonly openSinceMillis: number
}

export interface Patience {
  /** How long a transfer may stay `requested`. */
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
}>()("counterpoise/domain/reconciliation/SilentTransfers") {}

/** The event that asks again; none where the transfer waits for its client. */
export const question = ({ client, expired, transfer }: SilentTransfer): TransferEvent | undefined => {
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
