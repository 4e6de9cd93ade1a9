/**
 * Everything that stands in a shard's event log, and how it travels. An event's key is the account that acts next (DESIGN:
 * the transfer protocol); an event on which nobody acts is keyed by the account it is about, a transfer's by its source.
 */
import { Schema } from "effect"
import type { AccountId } from "../account/Account.ts"
import { AccountEvent } from "../account/AccountEvent.ts"
import { TransferEvent } from "../transfer/TransferEvent.ts"

export const LedgerEvent = Schema.Union([...TransferEvent.members, ...AccountEvent.members])
export type LedgerEvent = typeof LedgerEvent.Type

/** The wire form: JSON with amounts as strings. */
export const LedgerEventJson = Schema.fromJsonString(LedgerEvent)

/** The account that acts next on an event, and so the key under which it travels. */
export const keyOf = (event: LedgerEvent): AccountId => {
  if ("account" in event) return event.account
  return event.type === "transfer.held" || event.type === "transfer.recalled" ? event.destination : event.source
}

/** The transfer or account that an event is about. */
export const subjectOf = (event: LedgerEvent): string => "account" in event ? event.account : event.transfer
