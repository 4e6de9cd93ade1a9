/**
 * Everything that stands in a shard's event log, and how it travels. An event's key is the account that acts next (DESIGN:
 * the transfer protocol); an event on which nobody acts is keyed by the account it is about, a transfer's by its source.
 */
import { Result, Schema } from "effect"
import type { AccountId } from "../account/Account.ts"
import { AccountEvent } from "../account/AccountEvent.ts"
import { TransferEvent } from "../transfer/TransferEvent.ts"
import { fromShortForm } from "./ShortForm.ts"

export const LedgerEvent = Schema.Union([...TransferEvent.members, ...AccountEvent.members])
export type LedgerEvent = typeof LedgerEvent.Type

/** The wire form: JSON with amounts as strings. */
export const LedgerEventJson = Schema.fromJsonString(LedgerEvent)

/**
 * An event in its wire form. By hand, for the ledger does nothing so often: {@link LedgerEventJson} says the same, and takes
 * four times as long. An event that has its type has nothing left to be checked.
 */
export const toJson = (event: LedgerEvent): string => {
  const members: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(event)) {
    members[name] = typeof value === "bigint" ? value.toString() : value
  }
  return JSON.stringify(members)
}

const decode = Schema.decodeUnknownResult(LedgerEvent)

/**
 * What comes from outside is checked by its schema; JSON is read beside it, in two thirds of the time. The events that there
 * are most of have a shorter way.
 */
export const fromJson = (json: string): Result.Result<LedgerEvent, Error> => {
  const read = fromShortForm(json)
  return read === undefined
    ? Result.flatMap(Result.try({ try: (): unknown => JSON.parse(json), catch: notJson }), decode)
    : Result.succeed(read)
}

const notJson = (error: unknown): Error => error instanceof Error ? error : new Error(String(error))

/** The account that acts next on an event, and so the key under which it travels. */
export const keyOf = (event: LedgerEvent): AccountId => {
  if ("account" in event) return event.account
  return event.type === "transfer.held" || event.type === "transfer.recalled" ? event.destination : event.source
}

/** The transfer or account that an event is about. */
export const subjectOf = (event: LedgerEvent): string => "account" in event ? event.account : event.transfer
