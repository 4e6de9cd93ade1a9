/** The steps of a transfer in words, for a person who has not read the protocol. */
import type { LedgerEvent } from "#domain/ledger/LedgerEvent.ts"
import type { ToldStep } from "#domain/audit/Timeline.ts"
import { format } from "#domain/money/Currency.ts"

/** Who took a step. */
export const whoTook = ({ author, client, shard }: ToldStep): string =>
  author === "client" ? `client ${client ?? "unknown"}` : `${author} of shard ${shard}`

/** What a step did, in a sentence. */
export const whatWasDone = ({ event, type }: ToldStep): string =>
  event === null || !("amount" in event) ? `${type}, which this version does not understand` : sentences(event)

const sentences = (event: Extract<LedgerEvent, { readonly amount: unknown }>): string => {
  const money = format(event.amount, event.currency)
  switch (event.type) {
    case "transfer.requested":
      return `asked for ${money} from ${event.source} to ${event.destination}` +
        (event.capture === "manual" ? ", to be captured by hand" : "") +
        (event.reverses === undefined ? "" : `, to bring back ${event.reverses}`)
    case "transfer.authorized":
      return `${money} of ${event.source} held, until it is captured or voided`
    case "transfer.held":
      return `${money} of ${event.source} held; the destination is asked to credit it`
    case "transfer.credited":
      return `${money} credited to ${event.destination}: from here it cannot be refused`
    case "transfer.refused":
      return `the destination refuses it for ever: ${event.reason.detail}`
    case "transfer.recalled":
      return `no answer came (${event.reason.detail}): the destination is asked to rule`
    case "transfer.capture_requested":
      return `asked to capture ${event.captured === null ? "all of it" : format(event.captured, event.currency)}`
    case "transfer.void_requested":
      return "asked to void it"
    case "transfer.expiry_due":
      return "its time ran out: it is to be cancelled, if it was not captured"
    case "transfer.committed":
      return `${money} moved: it has ended`
    case "transfer.rejected":
      return `rejected, nothing was held: ${event.reason.detail}`
    case "transfer.cancelled":
      return `what was held is free again: ${event.reason.detail}`
  }
}
