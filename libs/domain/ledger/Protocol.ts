/**
 * What a shard decides on each message: those of transfers and those of accounts.
 */
import * as AccountProtocol from "../account/AccountProtocol.ts"
import * as TransferProtocol from "../transfer/TransferProtocol.ts"
import type { Decision, Message, ShardView } from "./Decision.ts"
import type { LedgerEvent } from "./LedgerEvent.ts"

/** The events on which a partition acts. All others are facts for the world, and pass by without being decoded. */
export const acting: ReadonlySet<string> = new Set<LedgerEvent["type"]>([
  "transfer.requested",
  "transfer.held",
  "transfer.credited",
  "transfer.refused",
  "transfer.recalled",
  "transfer.capture_requested",
  "transfer.void_requested",
  "transfer.expiry_due",
  "account.freeze_requested",
  "account.unfreeze_requested",
  "account.close_requested"
])

/** Decides what a message changes on the shard that `view` shows. An empty array means: seen before, or not for us. */
export const decide = (view: ShardView, { event, from }: Pick<Message, "event" | "from">): Decision =>
  "account" in event ? AccountProtocol.decide(view, event) : TransferProtocol.decide(view, event, from)
