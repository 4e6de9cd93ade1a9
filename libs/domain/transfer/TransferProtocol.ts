/**
 * The transfer protocol, pure: what a shard knows and a message in, changes out. DESIGN §4 is its specification, and
 * docs/transfer-states.md draws it.
 *
 * Three rules carry all of the safety. A hold is released only after the destination ruled REFUSED, or was never asked.
 * Every step is guarded by the state it needs, so a message may come twice, late or in another order. The credit is the
 * last step that can be refused; the commit after it cannot fail.
 */
import { Result, Schema } from "effect"
import type { Account } from "../account/Account.ts"
import * as ClearingAccount from "../account/ClearingAccount.ts"
import * as Balance from "../ledger/Balance.ts"
import type { HoldRecord, JournalStep, Posting } from "../ledger/Journal.ts"
import type { ShardId } from "../sharding/ShardMap.ts"
import type { Transfer, Verdict } from "./Transfer.ts"
import { type LedgerEvent, type Reason, type Terms, termsOf, type TransferEvent } from "./TransferEvent.ts"

/** What a shard knows while it decides. */
export interface ShardView {
  readonly shard: ShardId
  /** Is this account at home on this shard? */
  readonly isHome: (account: string) => boolean
  readonly transfer: (id: string) => Transfer | undefined
  readonly verdict: (id: string) => Verdict | undefined
  readonly account: (id: string) => Account | undefined
}

/** The request that something began with: what follows from it carries the same. */
export interface Origin {
  readonly requestId: string | null
  /** W3C trace context. */
  readonly traceparent: string | null
}

/** An event, the shard in whose log it was written, and the request it began with. */
export interface Message {
  readonly event: LedgerEvent
  readonly from: ShardId
  readonly origin: Origin
}

/** One thing that a decision changes on its shard. All changes of a batch are written in one transaction. */
export type Change =
  | { readonly _tag: "Moved"; readonly transfer: Transfer }
  | { readonly _tag: "Held"; readonly record: HoldRecord }
  | { readonly _tag: "Posted"; readonly posting: Posting }
  | { readonly _tag: "Ruled"; readonly verdict: Verdict }
  | { readonly _tag: "Announced"; readonly event: TransferEvent }

export type Decision = Result.Result<ReadonlyArray<Change>, ProtocolViolation>

/**
 * A message that cannot be, if every shard still has what it once wrote: a shard lost data, or was written to by something
 * else. Whoever reads it must stop and say so; to go on would be to guess.
 */
export class ProtocolViolation extends Schema.TaggedError<ProtocolViolation>()("ProtocolViolation", {
  event: Schema.String,
  transfer: Schema.String,
  found: Schema.String
}) {
  override get message() {
    return `${this.event} of ${this.transfer} cannot be: ${this.found}`
  }
}

/** The account named does not exist on the shard that would be its home. */
export class AccountNotFound extends Schema.TaggedError<AccountNotFound>()("AccountNotFound", {
  account: Schema.String
}) {
  readonly code = "account_not_found"
  override get message() {
    return `there is no account ${this.account}`
  }
}

/** The account is frozen or closed. */
export class AccountNotOpen extends Schema.TaggedError<AccountNotOpen>()("AccountNotOpen", {
  account: Schema.String,
  status: Schema.Literals(["frozen", "closed"])
}) {
  get code() {
    return `account_${this.status}` as const
  }
  override get message() {
    return `${this.account} is ${this.status}`
  }
}

/** The account holds another currency than the transfer's. */
export class CurrencyMismatch extends Schema.TaggedError<CurrencyMismatch>()("CurrencyMismatch", {
  account: Schema.String,
  holds: Schema.String,
  asked: Schema.String
}) {
  readonly code = "currency_mismatch"
  override get message() {
    return `${this.account} holds ${this.holds}, not ${this.asked}`
  }
}

export type Refusal =
  | AccountNotFound
  | AccountNotOpen
  | CurrencyMismatch
  | Balance.InsufficientFunds
  | Balance.CeilingExceeded

/** The events on which a partition acts. All others are facts for the world, and pass by without being decoded. */
export const acting: ReadonlySet<string> = new Set<LedgerEvent["type"]>([
  "transfer.requested",
  "transfer.held",
  "transfer.credited",
  "transfer.refused",
  "transfer.recalled",
  "transfer.capture_requested",
  "transfer.void_requested",
  "transfer.expiry_due"
])

/** Decides what a message changes on the shard that `view` shows. An empty array means: seen before, or not for us. */
export const decide = (view: ShardView, { event, from }: Pick<Message, "event" | "from">): Decision => {
  switch (event.type) {
    case "transfer.requested":
      return bySource(view, event, (transfer) => transfer.status === "requested" ? request(view, transfer) : [])
    case "transfer.capture_requested":
      return bySource(
        view,
        event,
        (transfer) =>
          transfer.status === "authorized" ? capture(view, transfer, event.captured ?? transfer.terms.amount) : []
      )
    case "transfer.void_requested":
      return bySource(view, event, (transfer) => transfer.status === "authorized" ? cancel(transfer, voided) : [])
    case "transfer.expiry_due":
      return bySource(view, event, (transfer) => transfer.status === "authorized" ? cancel(transfer, expired) : [])
    case "transfer.held":
      return contradicted(view, event) ?? Result.succeed(credit(view, event, from))
    case "transfer.recalled":
      return contradicted(view, event) ?? Result.succeed(recall(view, event, event.reason, from))
    case "transfer.credited":
      return bySource(view, event, (transfer) => {
        if (transfer.status === "committed") return []
        if (transfer.status !== "held") return violation(event, `it is ${transfer.status}`)
        return event.amount === transfer.moving
          ? commit(view, transfer, from)
          : violation(event, `${event.amount} were credited, ${transfer.moving} are held`)
      })
    case "transfer.refused":
      return bySource(view, event, (transfer) =>
        transfer.status === "held"
          ? cancel(transfer, event.reason)
          : transfer.status === "cancelled"
          ? []
          : violation(event, `it is ${transfer.status}`))
    case "transfer.authorized":
    case "transfer.committed":
    case "transfer.rejected":
    case "transfer.cancelled":
    case "account.opened":
      return nothing
  }
}

const nothing: Decision = Result.succeed([])
const voided: Reason = { code: "voided", detail: "the client voided the authorization" }
const expired: Reason = { code: "expired", detail: "the authorization was not captured in time" }

const bySource = (
  view: ShardView,
  event: TransferEvent,
  step: (transfer: Transfer) => ReadonlyArray<Change> | ProtocolViolation
): Decision => {
  const transfer = view.transfer(event.transfer)
  if (transfer === undefined) return Result.fail(violation(event, "its source's shard does not know it"))
  const changes = step(transfer)
  return "_tag" in changes ? Result.fail(changes) : Result.succeed(changes)
}

const violation = (event: TransferEvent, found: string) =>
  ProtocolViolation.make({ event: event.type, transfer: event.transfer, found })

// @source ────────────────────────────────────────────────────────────────────────────────────────────────────────────

const request = (view: ShardView, transfer: Transfer): ReadonlyArray<Change> => {
  const { terms } = transfer
  const refused = Result.flatMap(usable(view, terms.source, terms), (source) => Balance.mayDebit(source, terms.amount))
  if (Result.isFailure(refused)) return reject(transfer, reasonOf(refused.failure))
  if (transfer.capture === "manual") {
    return [
      hold(terms, "placed"),
      { _tag: "Moved", transfer: { ...transfer, status: "authorized" } },
      announce("transfer.authorized", terms)
    ]
  }
  if (view.isHome(terms.destination)) return settleHere(view, transfer)
  return [
    hold(terms, "placed"),
    { _tag: "Moved", transfer: { ...transfer, status: "held" } },
    announce("transfer.held", terms)
  ]
}

/** Goes on with the captured part of an authorized transfer; what is not captured is available again at once. */
const capture = (view: ShardView, transfer: Transfer, captured: Terms["amount"]): ReadonlyArray<Change> => {
  if (captured > transfer.terms.amount) return []
  const moving = { ...transfer, moving: captured }
  const left = transfer.terms.amount - captured
  const released: ReadonlyArray<Change> = left === 0n
    ? []
    : [{ _tag: "Held", record: holdRecord(transfer.terms, "released", left) }]
  if (view.isHome(transfer.terms.destination)) return [...released, ...settleHere(view, moving)]
  return [
    ...released,
    { _tag: "Moved", transfer: { ...moving, status: "held" } },
    announce("transfer.held", movingTerms(moving))
  ]
}

/** Source and destination live here: one journal, a verdict, one fact, and no hold but that of an authorization. */
const settleHere = (view: ShardView, transfer: Transfer): ReadonlyArray<Change> => {
  const terms = movingTerms(transfer)
  const refused = creditable(view, terms)
  if (Result.isFailure(refused)) {
    const reason = reasonOf(refused.failure)
    return transfer.status === "authorized" ? cancel(transfer, reason) : reject(transfer, reason)
  }
  return [
    ...(transfer.status === "authorized" ? [hold(terms, "settled")] : []),
    post(terms, "direct", terms.source, terms.destination),
    { _tag: "Ruled", verdict: { terms, from: view.shard, ruling: "CREDITED", reason: null } },
    { _tag: "Moved", transfer: { ...transfer, status: "committed" } },
    announce("transfer.committed", terms)
  ]
}

const commit = (view: ShardView, transfer: Transfer, creditedBy: ShardId): ReadonlyArray<Change> => {
  const terms = movingTerms(transfer)
  return [
    hold(terms, "settled"),
    post(terms, "commit", terms.source, ClearingAccount.toShard(view.shard, creditedBy, terms.currency)),
    { _tag: "Moved", transfer: { ...transfer, status: "committed" } },
    announce("transfer.committed", terms)
  ]
}

/** Only from `held` after REFUSED, or from `authorized`, when the destination was never asked. */
const cancel = (transfer: Transfer, reason: Reason): ReadonlyArray<Change> => {
  const terms = movingTerms(transfer)
  return [
    hold(terms, "released"),
    { _tag: "Moved", transfer: { ...transfer, status: "cancelled", reason } },
    { _tag: "Announced", event: { type: "transfer.cancelled", ...terms, reason } }
  ]
}

const reject = (transfer: Transfer, reason: Reason): ReadonlyArray<Change> => [
  { _tag: "Moved", transfer: { ...transfer, status: "rejected", reason } },
  { _tag: "Announced", event: { type: "transfer.rejected", ...transfer.terms, reason } }
]

// @destination ───────────────────────────────────────────────────────────────────────────────────────────────────────

const credit = (view: ShardView, event: Terms, from: ShardId): ReadonlyArray<Change> => {
  const given = view.verdict(event.transfer)
  if (given !== undefined) return [sayAgain(given)]
  const terms = termsOf(event)
  const refused = creditable(view, terms)
  if (Result.isFailure(refused)) return refuse(terms, from, reasonOf(refused.failure))
  return [
    post(terms, "credit", ClearingAccount.fromShard(view.shard, from, terms.currency), terms.destination),
    { _tag: "Ruled", verdict: { terms, from, ruling: "CREDITED", reason: null } },
    announce("transfer.credited", terms)
  ]
}

const recall = (view: ShardView, event: Terms, reason: Reason, from: ShardId): ReadonlyArray<Change> => {
  const given = view.verdict(event.transfer)
  return given === undefined ? refuse(termsOf(event), from, reason) : [sayAgain(given)]
}

const refuse = (terms: Terms, from: ShardId, reason: Reason): ReadonlyArray<Change> => [
  { _tag: "Ruled", verdict: { terms, from, ruling: "REFUSED", reason } },
  { _tag: "Announced", event: { type: "transfer.refused", ...terms, reason } }
]

/** A verdict was given on another amount than is asked about now: one of the two shards lost what it once knew. */
const contradicted = (view: ShardView, event: TransferEvent): Decision | undefined => {
  const ruled = view.verdict(event.transfer)?.terms.amount
  return ruled === undefined || ruled === event.amount
    ? undefined
    : Result.fail(violation(event, `its verdict is on ${ruled}, not ${event.amount}`))
}

const sayAgain = (verdict: Verdict): Change => ({
  _tag: "Announced",
  event: verdict.reason === null
    ? { type: "transfer.credited", ...verdict.terms }
    : { type: "transfer.refused", ...verdict.terms, reason: verdict.reason }
})

// rules ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

const usable = (view: ShardView, id: string, terms: Terms): Result.Result<Account, Refusal> => {
  const account = view.account(id)
  if (account === undefined) return Result.fail(AccountNotFound.make({ account: id }))
  if (account.status !== "open") return Result.fail(AccountNotOpen.make({ account: id, status: account.status }))
  if (account.currency !== terms.currency) {
    return Result.fail(CurrencyMismatch.make({ account: id, holds: account.currency, asked: terms.currency }))
  }
  return Result.succeed(account)
}

const creditable = (view: ShardView, terms: Terms) =>
  Result.flatMap(usable(view, terms.destination, terms), (account) => Balance.mayCredit(account, terms.amount))

// pieces ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

const movingTerms = (transfer: Transfer): Terms => ({ ...transfer.terms, amount: transfer.moving })

const reasonOf = (refusal: Refusal): Reason => ({ code: refusal.code, detail: refusal.message })

const holdRecord = (terms: Terms, change: HoldRecord["change"], amount: bigint): HoldRecord => ({
  transfer: terms.transfer,
  account: terms.source,
  change,
  amount
})

const hold = (terms: Terms, change: HoldRecord["change"]): Change => ({
  _tag: "Held",
  record: holdRecord(terms, change, terms.amount)
})

const post = (terms: Terms, step: JournalStep, debit: string, credit: string): Change => ({
  _tag: "Posted",
  posting: { transfer: terms.transfer, step, debit, credit, amount: terms.amount, currency: terms.currency }
})

const announce = (
  type: "transfer.authorized" | "transfer.held" | "transfer.credited" | "transfer.committed",
  terms: Terms
): Change => ({ _tag: "Announced", event: { type, ...terms } })
