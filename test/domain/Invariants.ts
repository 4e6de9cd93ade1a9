/**
 * The invariants of DESIGN §8, as functions over the shards of a model. Each has a name that is a sentence; what breaks
 * one is reported by that name.
 */
import { Result } from "effect"
import type { Account } from "#domain/account/Account.ts"
import type { Changes } from "#domain/ledger/Batch.ts"
import * as Balance from "#domain/ledger/Balance.ts"
import { subjectOf } from "#domain/ledger/LedgerEvent.ts"
import { type ShardId, shardOfAccount } from "#domain/sharding/ShardMap.ts"
import { ended, type Transfer, type TransferStatus, type Verdict } from "#domain/transfer/Transfer.ts"
import type { Terms } from "#domain/transfer/TransferEvent.ts"
import { nameOf } from "./Network.ts"
import type { Shard } from "./ShardModel.ts"

export const invariants = [
  "a journal is one DEBIT and one CREDIT of the same amount, in one currency",
  "a shard sums to zero per currency",
  "posted is the sum of the entries",
  "entries are numbered 1..n, each with the balance after it",
  "held is the sum of the open holds, and never negative",
  "no account crosses its floor or its ceiling",
  "nothing is credited to an account that cannot take it",
  "clearing accounts together are what is in flight",
  "money is neither created nor destroyed",
  "committed means CREDITED, and what ended otherwise was never credited",
  "a hold is released only after REFUSED, or when the destination was never asked",
  "what may still be taken is held",
  "no more moves than was asked for",
  "a verdict is final",
  "a transfer only goes forward, and its terms never change",
  "a step is posted once",
  "every journal has its event, and no event is told without what it says",
  "never more comes back than went",
  "a reversal goes the way of its transfer back",
  "what a failed reversal took is free again",
  "an instruction is answered once, and its answer never changes",
  "a capture or void is done if and only if it decided the transfer",
  "an account's status changes only by an instruction that was done, with its fact",
  "nothing new leaves an account that is not open",
  "a closed account holds nothing, and nothing ever reaches or leaves it",
  "no message is one that cannot be",
  "the worker changes only what it has read",
  "a decision that was not committed changed nothing",
  "every transfer ends",
  "every instruction that was delivered is answered",
  "nothing is held at rest",
  "nothing is in flight at rest",
  "from everywhere, plain delivery comes to rest"
] as const
export type Invariant = (typeof invariants)[number]

export interface Broken {
  readonly invariant: Invariant
  readonly detail: string
}

type Report = (invariant: Invariant, detail: string) => void

/** What can be held by one shard on its own, whatever the others have lost. */
export const ofOneShard: ReadonlySet<Invariant> = new Set<Invariant>([
  "a journal is one DEBIT and one CREDIT of the same amount, in one currency",
  "a shard sums to zero per currency",
  "posted is the sum of the entries",
  "entries are numbered 1..n, each with the balance after it",
  "held is the sum of the open holds, and never negative",
  "no account crosses its floor or its ceiling",
  "nothing is credited to an account that cannot take it",
  "what may still be taken is held",
  "a transfer only goes forward, and its terms never change",
  "a step is posted once",
  "every journal has its event, and no event is told without what it says",
  "never more comes back than went",
  "a reversal goes the way of its transfer back",
  "what a failed reversal took is free again",
  "an instruction is answered once, and its answer never changes",
  "a capture or void is done if and only if it decided the transfer",
  "an account's status changes only by an instruction that was done, with its fact",
  "nothing new leaves an account that is not open",
  "a closed account holds nothing, and nothing ever reaches or leaves it",
  "the worker changes only what it has read",
  "a decision that was not committed changed nothing"
])

const collect = (look: (report: Report) => void): ReadonlyArray<Broken> => {
  const broken: Array<Broken> = []
  look((invariant, detail) => broken.push({ invariant, detail }))
  return broken
}

// of a state ─────────────────────────────────────────────────────────────────────────────────────────────────────────

/** What must be so on each shard by itself. */
const ofShard = (shard: Shard, report: Report): void => {
  const totals = new Map<string, bigint>()
  const entries = new Map<
    string,
    Array<{ readonly sequence: bigint; readonly posted: bigint; readonly change: bigint }>
  >()
  const steps = new Set<string>()
  for (const journal of shard.journals) {
    const [debited, credited] = [shard.accounts.get(journal.debit), shard.accounts.get(journal.credit)]
    if (
      journal.debit === journal.credit || journal.amount <= 0n ||
      debited?.currency !== journal.currency || credited?.currency !== journal.currency
    ) {
      report(
        "a journal is one DEBIT and one CREDIT of the same amount, in one currency",
        `${journal.amount} ${journal.currency} from ${journal.debit} to ${journal.credit}`
      )
    }
    const step = `${journal.step} of ${journal.transfer}`
    if (steps.has(step)) report("a step is posted once", step)
    steps.add(step)
    const add = (account: string, sequence: bigint, posted: bigint, change: bigint) => {
      const lines = entries.get(account)
      if (lines === undefined) entries.set(account, [{ sequence, posted, change }])
      else lines.push({ sequence, posted, change })
    }
    add(journal.debit, journal.debitSequence, journal.debitPosted, -journal.amount)
    add(journal.credit, journal.creditSequence, journal.creditPosted, journal.amount)
  }

  const open = new Map<string, bigint>()
  for (const { account, amount, change } of shard.holds) {
    open.set(account, (open.get(account) ?? 0n) + (change === "placed" ? amount : -amount))
  }

  for (const account of shard.accounts.values()) {
    const { balance, currency, id } = account
    totals.set(currency, (totals.get(currency) ?? 0n) + balance.posted)
    let [sequence, sum] = [0n, 0n]
    for (const line of entries.get(id) ?? []) {
      sequence += 1n
      sum += line.change
      if (line.sequence !== sequence || line.posted !== sum) {
        report(
          "entries are numbered 1..n, each with the balance after it",
          `${id} #${line.sequence} says ${line.posted}, is #${sequence} with ${sum}`
        )
      }
    }
    if (balance.sequence !== sequence) {
      report("entries are numbered 1..n, each with the balance after it", `${id} ends at ${balance.sequence}`)
    }
    if (balance.posted !== sum) report("posted is the sum of the entries", `${id} has ${balance.posted}, not ${sum}`)
    const held = open.get(id) ?? 0n
    if (balance.held !== held || held < 0n) {
      report("held is the sum of the open holds, and never negative", `${id} has ${balance.held}, holds are ${held}`)
    }
    if (account.status === "closed" && (balance.posted !== 0n || balance.held !== 0n)) {
      report(
        "a closed account holds nothing, and nothing ever reaches or leaves it",
        `${id} is closed with ${balance.posted}, ${balance.held} held`
      )
    }
    if (!isWithin(account)) {
      report("no account crosses its floor or its ceiling", `${id} has ${balance.posted}, ${balance.held} held`)
    }
  }
  for (const [currency, total] of totals) {
    if (total !== 0n) report("a shard sums to zero per currency", `shard ${shard.id} to ${total} ${currency}`)
  }
  ofReversals(shard, report)
  ofInstructions(shard, report)
}

/** Does a transfer take of what another credited? It does from when its money is reserved until it has failed. */
const takesBack = ({ status }: Transfer): boolean =>
  status === "authorized" || status === "held" || status === "committed"

/** What came back of a transfer, or is on its way back. */
const backOf = (shard: Shard, transfer: string): bigint => {
  let back = 0n
  for (const reversal of shard.transfers.values()) {
    if (reversal.reverses === transfer && takesBack(reversal)) back += reversal.moving
  }
  return back
}

const wentOf = (shard: Shard, transfer: string): bigint => {
  const verdict = shard.verdicts.get(transfer)
  return verdict?.ruling === "CREDITED" ? verdict.terms.amount : 0n
}

const ofReversals = (shard: Shard, report: Report): void => {
  for (const reversal of shard.transfers.values()) {
    const { reverses, terms } = reversal
    if (reverses === null || !takesBack(reversal)) continue
    const [back, went] = [backOf(shard, reverses), wentOf(shard, reverses)]
    if (back > went) report("never more comes back than went", `${back} of the ${went} of ${nameOf(reverses)}`)
    const there = shard.verdicts.get(reverses)?.terms
    if (
      there?.source !== terms.destination || there.destination !== terms.source || there.currency !== terms.currency
    ) {
      report(
        "a reversal goes the way of its transfer back",
        `${nameOf(terms.transfer)} goes from ${terms.source} to ${terms.destination}, ` +
          `${nameOf(reverses)} went from ${there?.source} to ${there?.destination}`
      )
    }
  }
}

/** What decided a transfer that waited for its client: a capture, a void, or neither. */
const decidedBy = ({ capture, moving, reason, status }: Transfer): string => {
  if (capture === "automatic" || status === "requested" || status === "authorized" || status === "rejected") return ""
  if (status === "cancelled" && reason?.code === "expired") return ""
  return status === "cancelled" && reason?.code === "voided" ? "void" : `capture ${moving}`
}

const ofInstructions = (shard: Shard, report: Report): void => {
  for (const transfer of shard.transfers.values()) {
    const { terms } = transfer
    const done: Array<string> = []
    for (const { amount, asks, status, subject } of shard.instructions.values()) {
      if (subject !== terms.transfer || status !== "done") continue
      done.push(asks === "capture" ? `capture ${amount ?? terms.amount}` : asks)
    }
    if (done.join() !== decidedBy(transfer)) {
      report(
        "a capture or void is done if and only if it decided the transfer",
        `${nameOf(terms.transfer)} was decided by "${decidedBy(transfer)}", done were "${done.join()}"`
      )
    }
  }
}

/** Whatever the open holds do: all of them may be settled, or none. */
export const isWithin = ({ balance, ceiling, floor, normalSide }: Account): boolean =>
  [balance.posted, balance.posted - balance.held].every((posted) => {
    const owned = normalSide === "credit" ? posted : -posted
    return (floor === null || owned >= floor) && (ceiling === null || owned <= ceiling)
  })

const openHold = (shard: Shard, transfer: string): bigint => {
  let open = 0n
  for (const hold of shard.holds) {
    if (hold.transfer === transfer) open += hold.change === "placed" ? hold.amount : -hold.amount
  }
  return open
}

/** What must still be held for a transfer in a state: exactly what may yet be debited for it. */
export const mustHold = ({ moving, status, terms }: Transfer): bigint =>
  status === "authorized" ? terms.amount : status === "held" ? moving : 0n

interface Known {
  readonly terms: Terms
  readonly source: Shard
  readonly destination: Shard
  readonly transfer: Transfer
  readonly verdict: Verdict | undefined
}

const known = (shards: ReadonlyArray<Shard>, transfers: ReadonlyArray<Terms>): ReadonlyArray<Known> =>
  transfers.flatMap((terms) => {
    const source = shards.find(({ map, id }) => shardOfAccount(map, terms.source) === id)
    const destination = shards.find(({ map, id }) => shardOfAccount(map, terms.destination) === id)
    const transfer = source?.transfers.get(terms.transfer)
    return source === undefined || destination === undefined || transfer === undefined
      ? []
      : [{ terms, source, destination, transfer, verdict: destination.verdicts.get(terms.transfer) }]
  })

const inFlight = (shards: ReadonlyArray<Shard>, transfers: ReadonlyArray<Terms>): bigint =>
  known(shards, transfers).reduce(
    (sum, { transfer, verdict }) =>
      verdict?.ruling === "CREDITED" && transfer.status !== "committed" ? sum + verdict.terms.amount : sum,
    0n
  )

const sumOf = (shards: ReadonlyArray<Shard>, which: (account: Account) => boolean): bigint =>
  shards.reduce((sum, { accounts }) => {
    for (const account of accounts.values()) if (which(account)) sum += account.balance.posted
    return sum
  }, 0n)

/** What all of a platform's customers have, in minor units of any currency. */
export const wealth = (shards: ReadonlyArray<Shard>): bigint => sumOf(shards, ({ kind }) => kind === "customer")

/** What must be so in every state. */
export const ofState = (
  shards: ReadonlyArray<Shard>,
  transfers: ReadonlyArray<Terms>,
  wealthAtFirst: bigint
): ReadonlyArray<Broken> =>
  collect((report) => {
    for (const shard of shards) ofShard(shard, report)

    for (const { source, terms, transfer, verdict } of known(shards, transfers)) {
      const name = nameOf(terms.transfer)
      const { status } = transfer
      const credited = verdict?.ruling === "CREDITED"
      if (status === "committed" ? !credited : credited && status !== "held") {
        report(
          "committed means CREDITED, and what ended otherwise was never credited",
          `${name} is ${status}, its verdict ${verdict?.ruling ?? "not given"}`
        )
      }
      const open = openHold(source, terms.transfer)
      if (open !== mustHold(transfer)) {
        report("what may still be taken is held", `${open} are held for ${name}, which is ${status}`)
      }
      const moved = source.journals.concat(credited ? shards.flatMap(({ journals }) => journals) : [])
        .filter((journal) => journal.transfer === terms.transfer)
      if (
        transfer.moving > terms.amount || (credited && verdict.terms.amount !== transfer.moving) ||
        moved.some(({ amount }) => amount !== transfer.moving)
      ) {
        report("no more moves than was asked for", `${name}: ${transfer.moving} of ${terms.amount}`)
      }
    }

    const flying = inFlight(shards, transfers)
    const cleared = -sumOf(shards, ({ kind }) => kind === "clearing")
    if (cleared !== flying) {
      report("clearing accounts together are what is in flight", `they say ${cleared}, in flight are ${flying}`)
    }
    const now = wealth(shards) - flying
    if (now !== wealthAtFirst) {
      report("money is neither created nor destroyed", `there were ${wealthAtFirst}, are ${now}`)
    }
  })

/** What must be so where nothing is under way and nobody has anything left to ask. */
export const ofRest = (shards: ReadonlyArray<Shard>, transfers: ReadonlyArray<Terms>): ReadonlyArray<Broken> =>
  collect((report) => {
    for (const { terms, transfer } of known(shards, transfers)) {
      if (!ended.has(transfer.status)) {
        report("every transfer ends", `${nameOf(terms.transfer)} stays ${transfer.status}`)
      }
    }
    for (const { accounts } of shards) {
      for (const { balance, id } of accounts.values()) {
        if (balance.held !== 0n) report("nothing is held at rest", `${balance.held} of ${id}`)
      }
    }
    unanswered(shards, report)
    const flying = inFlight(shards, transfers)
    const cleared = sumOf(shards, ({ kind }) => kind === "clearing")
    if (flying !== 0n || cleared !== 0n) report("nothing is in flight at rest", `${flying}, by clearing ${cleared}`)
  })

/** What must be so where nothing is on its way and nothing was lost, whoever could still ask something. */
export const ofQuiet = (shards: ReadonlyArray<Shard>, transfers: ReadonlyArray<Terms>): ReadonlyArray<Broken> =>
  collect((report) => {
    // Nobody was ever needed for what was on its way, only for an authorization that nobody captures.
    for (const { terms, transfer: { status } } of known(shards, transfers)) {
      if (status !== "authorized" && !ended.has(status)) {
        report("every transfer ends", `${nameOf(terms.transfer)} stays ${status}`)
      }
    }
    unanswered(shards, report)
  })

const unanswered = (shards: ReadonlyArray<Shard>, report: Report): void => {
  for (const { instructions } of shards) {
    for (const { asks, status, subject } of instructions.values()) {
      if (status === "open") {
        report("every instruction that was delivered is answered", `to ${asks} ${subject} got no answer`)
      }
    }
  }
}

// of a step ──────────────────────────────────────────────────────────────────────────────────────────────────────────

const order: ReadonlyMap<TransferStatus, ReadonlySet<TransferStatus>> = new Map([
  ["requested", new Set<TransferStatus>(["requested", "authorized", "held", "committed", "rejected"])],
  ["authorized", new Set<TransferStatus>(["authorized", "held", "committed", "cancelled"])],
  ["held", new Set<TransferStatus>(["held", "committed", "cancelled"])],
  ["committed", new Set<TransferStatus>(["committed"])],
  ["rejected", new Set<TransferStatus>(["rejected"])],
  ["cancelled", new Set<TransferStatus>(["cancelled"])]
])

const sameTerms = (a: Terms, b: Terms) =>
  a.transfer === b.transfer && a.source === b.source && a.destination === b.destination && a.amount === b.amount &&
  a.currency === b.currency

/** What must be so of everything that one shard's worker wrote in one transaction. */
export const ofStep = (
  shards: ReadonlyArray<Shard>,
  where: ShardId,
  after: Shard,
  changes: Changes
): ReadonlyArray<Broken> =>
  collect((report) => {
    const before = shards[where]
    if (before === undefined) return

    for (const { transfer } of changes.transfers) {
      const was = before.transfers.get(transfer.terms.transfer)
      if (
        was === undefined || was.capture !== transfer.capture || !sameTerms(was.terms, transfer.terms) ||
        order.get(was.status)?.has(transfer.status) !== true ||
        (was.moving !== transfer.moving && was.status !== "authorized")
      ) {
        report(
          "a transfer only goes forward, and its terms never change",
          `${nameOf(transfer.terms.transfer)} from ${was?.status} to ${transfer.status}`
        )
      }
    }

    for (const verdict of changes.verdicts) {
      const was = before.verdicts.get(verdict.terms.transfer)
      if (was !== undefined) {
        report("a verdict is final", `${nameOf(verdict.terms.transfer)} was ${was.ruling}, now is ${verdict.ruling}`)
      }
    }

    for (const hold of changes.holds) {
      if (hold.change !== "released") continue
      const was = before.transfers.get(hold.transfer)
      const destination = was === undefined
        ? undefined
        : shards.find(({ map, id }) => shardOfAccount(map, was.terms.destination) === id)
      const ruling = destination?.verdicts.get(hold.transfer)?.ruling
      const neverAsked = was?.status === "authorized" && ruling !== "CREDITED"
      if (ruling !== "REFUSED" && !neverAsked) {
        report(
          "a hold is released only after REFUSED, or when the destination was never asked",
          `${nameOf(hold.transfer)} was ${was?.status}, its verdict ${ruling ?? "not given"}`
        )
      }
    }

    for (const { transfer } of changes.transfers) {
      const { reason, reverses, terms } = transfer
      if (reverses === null || reason?.code !== "reversal_exceeds_transfer") continue
      const left = wentOf(before, reverses) - backOf(before, reverses)
      if (terms.amount <= left) {
        report("what a failed reversal took is free again", `${left} of ${nameOf(reverses)} are left, not given back`)
      }
    }

    for (const { id, status } of changes.instructions) {
      const was = before.instructions.get(id)?.status
      if (was !== "open" || status === "open") {
        report("an instruction is answered once, and its answer never changes", `${id} was ${was}, now is ${status}`)
      }
    }

    ofAccounts(before, after, changes, report)

    for (const { amount, credit, currency, debit, step } of changes.journals) {
      const account = before.accounts.get(credit)
      if (step === "commit") continue
      if (
        account === undefined || account.status !== "open" || account.currency !== currency ||
        Result.isFailure(Balance.mayCredit(account, amount))
      ) {
        report("nothing is credited to an account that cannot take it", `${amount} from ${debit} to ${credit}`)
      }
    }

    for (const { event } of changes.events) {
      if ("account" in event) continue // ofAccounts looks at those
      const { transfer: id } = event
      const name = nameOf(id)
      const status = after.transfers.get(id)?.status
      const ruling = after.verdicts.get(id)?.ruling
      const journals = changes.journals.filter(({ transfer }) => transfer === id).map(({ step }) => step).join()
      const told = (() => {
        switch (event.type) {
          case "transfer.authorized":
            return status === "authorized" && journals === ""
          case "transfer.held":
            return status === "held" && journals === ""
          case "transfer.credited":
            return ruling === "CREDITED" && (journals === (before.verdicts.has(id) ? "" : "credit"))
          case "transfer.refused":
            return ruling === "REFUSED" && journals === ""
          case "transfer.committed":
            return status === "committed" && (journals === "commit" || journals === "direct")
          case "transfer.rejected":
            return status === "rejected" && journals === ""
          case "transfer.cancelled":
            return status === "cancelled" && journals === ""
          default:
            return false
        }
      })()
      if (!told) {
        report(
          "every journal has its event, and no event is told without what it says",
          `${event.type} of ${name}, which is ${status ?? ruling}, with journals ${journals}`
        )
      }
    }
    for (const { step, transfer } of changes.journals) {
      const wanted = step === "credit" ? "transfer.credited" : "transfer.committed"
      if (!changes.events.some(({ event }) => event.type === wanted && subjectOf(event) === transfer)) {
        report(
          "every journal has its event, and no event is told without what it says",
          `${step} of ${nameOf(transfer)} without ${wanted}`
        )
      }
    }
    for (const { transfer } of changes.transfers) {
      const id = transfer.terms.transfer
      if (
        !changes.events.some(({ event }) => subjectOf(event) === id && event.type === `transfer.${transfer.status}`)
      ) {
        report(
          "every journal has its event, and no event is told without what it says",
          `${nameOf(id)} became ${transfer.status} in silence`
        )
      }
    }
  })

const becoming = {
  freeze: { status: "frozen", fact: "account.frozen" },
  unfreeze: { status: "open", fact: "account.unfrozen" },
  close: { status: "closed", fact: "account.closed" }
} as const

/** What a shard's worker wrote about its accounts in one transaction. */
const ofAccounts = (before: Shard, after: Shard, changes: Changes, report: Report): void => {
  const statusOf = (shard: Shard, id: string) => shard.accounts.get(id)?.status ?? "nowhere"
  const changed = Array.from(after.accounts.keys())
    .filter((id) => statusOf(before, id) !== "nowhere" && statusOf(before, id) !== statusOf(after, id))
    .map((id) => `${id} from ${statusOf(before, id)} to ${statusOf(after, id)}`)
  const written = changes.statuses.map(({ account, was }) => `${account.id} from ${was} to ${account.status}`)
  const done = changes.instructions.flatMap(({ asks, status, subject }) =>
    status !== "done" || asks === "capture" || asks === "void"
      ? []
      : [`${subject} from ${statusOf(before, subject)} to ${becoming[asks].status}`]
  )
  const told = changes.events.flatMap(({ event }) =>
    Object.values(becoming).flatMap(({ fact, status }) =>
      event.type === fact ? [`${event.account} from ${statusOf(before, event.account)} to ${status}`] : []
    )
  )
  const all = [changed, written, done, told].map((lines) => lines.toSorted().join(", "))
  if (new Set(all).size > 1) {
    report(
      "an account's status changes only by an instruction that was done, with its fact",
      `changed: ${all[0]}; written: ${all[1]}; done: ${all[2]}; told: ${all[3]}`
    )
  }

  const taken = [
    ...changes.holds.flatMap(({ account, amount, change }) => change === "placed" ? [{ account, amount }] : []),
    // Of an authorization, the money was reserved while the account was open.
    ...changes.journals.flatMap(({ amount, debit: account, step, transfer }) =>
      step === "direct" && before.transfers.get(transfer)?.status === "requested" ? [{ account, amount }] : []
    )
  ]
  for (const { account, amount } of taken) {
    if (statusOf(before, account) !== "open") {
      report("nothing new leaves an account that is not open", `${amount} of ${account}`)
    }
  }

  const touched = [
    ...changes.holds.map(({ account }) => account),
    ...changes.journals.flatMap(({ credit, debit }) => [credit, debit])
  ]
  for (const account of touched) {
    if (statusOf(before, account) === "closed") {
      report("a closed account holds nothing, and nothing ever reaches or leaves it", account)
    }
  }
  for (const { account, was } of changes.statuses) {
    if (was === "closed") {
      report("a closed account holds nothing, and nothing ever reaches or leaves it", `${account.id} is opened again`)
    }
  }
}
