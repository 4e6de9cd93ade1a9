/** Are a shard's books what its own log says? They are made again from its events alone, and compared row by row. */
import { Result } from "effect"
import type { Account } from "#domain/account/Account.ts"
import type { HoldRecord, Journal } from "#domain/ledger/Journal.ts"
import { eventsOf, Replay } from "#domain/replay/Replay.ts"
import type { Transfer, Verdict } from "#domain/transfer/Transfer.ts"
import type { MemoryShard } from "#infra/memory/MemoryShard.ts"

export const replayed = (shard: MemoryShard): ReadonlyArray<string> => {
  const replay = new Replay(shard.id, shard.map, {
    accounts: new Map(),
    transfers: new Map(),
    verdicts: new Map(),
    instructions: new Map(),
    reversed: new Map()
  })
  const events = eventsOf(shard.id, shard.events)
  if (Result.isFailure(events)) return [events.failure.message]
  for (const [index, record] of shard.events.entries()) {
    const event = events.success[index]
    const taken = event === undefined ? Result.void : replay.take(record, event)
    if (Result.isFailure(taken)) return [taken.failure.message]
  }
  const { holds, journals, opened, requested, verdicts } = replay.rebuilt
  const accounts = [...shard.accounts.rows.keys()].flatMap((id) => shard.accountRecord(id)?.account ?? [])
  const differing = (what: string, live: ReadonlyArray<string>, again: ReadonlyArray<string>) => {
    const [here, there] = [new Set(live), new Set(again)]
    const more = live.find((row) => !there.has(row))
    const less = again.find((row) => !here.has(row))
    return more === undefined && less === undefined
      ? []
      : [`replayed, shard ${shard.id} has other ${what}: ${less ?? "none"}, live ${more ?? "none"}`]
  }
  return [
    ...differing("accounts", accounts.map(accountSays), opened.map(({ it }) => accountSays(it))),
    ...differing(
      "transfers",
      [...shard.transfers.rows.values()].map(({ transfer }) => transferSays(transfer)),
      requested.map(({ it }) => transferSays(it))
    ),
    ...differing(
      "verdicts",
      [...shard.verdicts.rows.values()].map(verdictSays),
      verdicts.map(({ it }) => verdictSays(it))
    ),
    ...differing(
      "journals",
      [...shard.journals.rows.values()].map(journalSays),
      journals.map(({ it }) => journalSays(it))
    ),
    ...differing("holds", [...shard.holds.rows.values()].map(holdSays), holds.map(({ it }) => holdSays(it)))
  ]
}

const accountSays = ({ balance: { held, posted, sequence }, id, status }: Account) =>
  `${id} ${status} with ${posted}, ${held} held, #${sequence}`

const transferSays = ({ moving, reason, status, terms }: Transfer) =>
  `${terms.transfer} ${status} ${moving} ${reason?.code ?? ""}`

const verdictSays = ({ from, reason, ruling, terms }: Verdict) =>
  `${terms.transfer} ${ruling} ${terms.amount} from ${from} ${reason?.code ?? ""}`

const journalSays = (journal: Journal) =>
  `${journal.transfer} ${journal.step} ${journal.amount} from ${journal.debit} #${journal.debitSequence} ` +
  `${journal.debitPosted} to ${journal.credit} #${journal.creditSequence} ${journal.creditPosted}`

const holdSays = ({ account, amount, change, transfer }: HoldRecord) => `${transfer} ${change} ${amount} of ${account}`
