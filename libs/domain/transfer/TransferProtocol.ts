/**
 * The transfer protocol, pure: what a shard knows and a message in, changes out. DESIGN §4 is its specification, and
 * docs/transfer-states.md draws it.
 *
 * Three rules carry all of the safety. A hold is released only after the destination ruled REFUSED, or was never asked.
 * Every step is guarded by the state it needs, so a message may come twice, late or in another order. The credit is the
 * last step that can be refused; the commit after it cannot fail.
 */
import { Result, Schema } from "effect"
import { type Account, AccountNotFound, AccountNotOpen } from "../account/Account.ts"
import * as ClearingAccount from "../account/ClearingAccount.ts"
import * as Balance from "../ledger/Balance.ts"
import {
  answering,
  type Change,
  type Decision,
  nothing,
  type ProtocolViolation,
  type ShardView,
  violation
} from "../ledger/Decision.ts"
import { type Reason, reasonOf } from "../ledger/Instruction.ts"
import type { HoldRecord, JournalStep } from "../ledger/Journal.ts"
import { format } from "../money/Currency.ts"
import type { ShardId } from "../sharding/ShardMap.ts"
import type { Transfer, TransferStatus, Verdict } from "./Transfer.ts"
import { type Terms, termsOf, type TransferEvent } from "./TransferEvent.ts"

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

/** The transfer to be reversed did not bring money from where it is to go back to, to where it is to come from. */
export class NotReversible extends Schema.TaggedError<NotReversible>()("NotReversible", {
  transfer: Schema.String,
  found: Schema.String
}) {
  readonly code = "not_reversible"
  override get message() {
    return `${this.transfer} cannot be reversed by this: ${this.found}`
  }
}

/** More would come back than went. */
export class ReversalExceedsTransfer extends Schema.TaggedError<ReversalExceedsTransfer>()("ReversalExceedsTransfer", {
  transfer: Schema.String,
  left: Schema.String,
  asked: Schema.String
}) {
  readonly code = "reversal_exceeds_transfer"
  override get message() {
    return `${this.left} of ${this.transfer} can still be reversed, ${this.asked} were asked`
  }
}

/** Why a transfer is rejected, or refused by its destination. */
export type Refusal =
  | AccountNotFound
  | AccountNotOpen
  | CurrencyMismatch
  | NotReversible
  | ReversalExceedsTransfer
  | Balance.InsufficientFunds
  | Balance.CeilingExceeded

/** The transfer is not authorized, so it can be neither captured nor voided: what it is instead is in the code. */
export class NotAuthorized extends Schema.TaggedError<NotAuthorized>()("NotAuthorized", {
  transfer: Schema.String,
  status: Schema.String,
  code: Schema.Literals([
    "already_captured",
    "already_voided",
    "authorization_expired",
    "not_authorized",
    "transfer_cancelled",
    "transfer_rejected"
  ])
}) {
  override get message() {
    return `${this.transfer} is ${this.status}, not authorized`
  }
}

/** More is to be captured than was authorized. */
export class CaptureExceedsAuthorization
  extends Schema.TaggedError<CaptureExceedsAuthorization>()("CaptureExceedsAuthorization", {
    transfer: Schema.String,
    authorized: Schema.String,
    asked: Schema.String
  })
{
  readonly code = "capture_exceeds_authorization"
  override get message() {
    return `${this.authorized} of ${this.transfer} are authorized, ${this.asked} were to be captured`
  }
}

/** Decides what a message of a transfer changes on the shard that `view` shows. */
export const decide = (view: ShardView, event: TransferEvent, from: ShardId): Decision => {
  switch (event.type) {
    case "transfer.requested":
      return bySource(view, event, (transfer) => transfer.status === "requested" ? request(view, transfer) : [])
    case "transfer.capture_requested":
      return instructed(
        view,
        event,
        (transfer) => capture(view, transfer, event.captured ?? transfer.terms.amount)
      )
    case "transfer.void_requested":
      return instructed(view, event, (transfer) => Result.succeed(cancel(transfer, voided)))
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
      return nothing
  }
}

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

/** A client's instruction is followed while the transfer is authorized, and refused with what it is when it is not. */
const instructed = (
  view: ShardView,
  event: Extract<TransferEvent, { readonly type: "transfer.capture_requested" | "transfer.void_requested" }>,
  follow: (transfer: Transfer) => Result.Result<ReadonlyArray<Change>, CaptureExceedsAuthorization>
): Decision => {
  const transfer = view.transfer(event.transfer)
  if (transfer === undefined) return Result.fail(violation(event, "its source's shard does not know it"))
  return answering(
    view,
    event,
    (): Result.Result<ReadonlyArray<Change>, CaptureExceedsAuthorization | NotAuthorized> =>
      transfer.status === "authorized" ? follow(transfer) : Result.fail(notAuthorized(transfer, transfer.status))
  )
}

const notAuthorized = ({ capture, reason, terms }: Transfer, status: Exclude<TransferStatus, "authorized">) => {
  const codeOf = (): NotAuthorized["code"] => {
    switch (status) {
      case "requested":
        return "not_authorized"
      case "held":
      case "committed":
        return capture === "manual" ? "already_captured" : "not_authorized"
      case "rejected":
        return "transfer_rejected"
      case "cancelled":
        return reason?.code === voided.code
          ? "already_voided"
          : reason?.code === expired.code
          ? "authorization_expired"
          : "transfer_cancelled"
    }
  }
  return NotAuthorized.make({ transfer: terms.transfer, status, code: codeOf() })
}

// @source ────────────────────────────────────────────────────────────────────────────────────────────────────────────

const request = (view: ShardView, transfer: Transfer): ReadonlyArray<Change> => {
  const { terms } = transfer
  const refused = usable(view, terms.source, terms).pipe(
    Result.flatMap((source) => Result.map(reversible(view, transfer), () => source)),
    Result.flatMap((source): Result.Result<void, Refusal> => Balance.mayDebit(source, terms.amount))
  )
  if (Result.isFailure(refused)) return reject(transfer, reasonOf(refused.failure))
  if (transfer.capture === "manual") {
    return [
      placed(terms),
      { _tag: "Moved", transfer: { ...transfer, status: "authorized" } },
      announce("transfer.authorized", terms)
    ]
  }
  if (view.isHome(terms.destination)) return settleHere(view, transfer)
  return [
    placed(terms),
    { _tag: "Moved", transfer: { ...transfer, status: "held" } },
    announce("transfer.held", terms)
  ]
}

/** Goes on with the captured part of an authorized transfer; what is not captured is available again at once. */
const capture = (
  view: ShardView,
  transfer: Transfer,
  captured: Terms["amount"]
): Result.Result<ReadonlyArray<Change>, CaptureExceedsAuthorization> => {
  const { amount, currency } = transfer.terms
  if (captured > amount) {
    return Result.fail(CaptureExceedsAuthorization.make({
      transfer: transfer.terms.transfer,
      authorized: format(amount, currency),
      asked: format(captured, currency)
    }))
  }
  const moving = { ...transfer, moving: captured }
  const left = transfer.terms.amount - captured
  const released: ReadonlyArray<Change> = left === 0n
    ? []
    : [held(transfer.terms, 2, "released", left)]
  if (view.isHome(transfer.terms.destination)) return Result.succeed([...released, ...settleHere(view, moving)])
  return Result.succeed([
    ...released,
    { _tag: "Moved", transfer: { ...moving, status: "held" } },
    announce("transfer.held", movingTerms(moving))
  ])
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
    ...(transfer.status === "authorized" ? [ended(transfer, "settled")] : []),
    post(terms, "direct", terms.source, terms.destination),
    { _tag: "Ruled", verdict: { terms, from: view.shard, ruling: "CREDITED", reason: null } },
    { _tag: "Moved", transfer: { ...transfer, status: "committed" } },
    announce("transfer.committed", terms)
  ]
}

const commit = (view: ShardView, transfer: Transfer, creditedBy: ShardId): ReadonlyArray<Change> => {
  const terms = movingTerms(transfer)
  return [
    ended(transfer, "settled"),
    post(terms, "commit", terms.source, ClearingAccount.toShard(view.shard, creditedBy, terms.currency)),
    { _tag: "Moved", transfer: { ...transfer, status: "committed" } },
    announce("transfer.committed", terms)
  ]
}

/** Only from `held` after REFUSED, or from `authorized`, when the destination was never asked. */
const cancel = (transfer: Transfer, reason: Reason): ReadonlyArray<Change> => {
  const terms = movingTerms(transfer)
  return [
    ended(transfer, "released"),
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

/**
 * A reversal goes the way of its transfer back, and never brings back more than went. The verdict lives here, at the
 * source of the reversal; what ended otherwise than committed does not count, so it may be asked for again.
 */
const reversible = (
  view: ShardView,
  { reverses, terms }: Transfer
): Result.Result<void, NotReversible | ReversalExceedsTransfer> => {
  if (reverses === null) return Result.void
  const verdict = view.verdict(reverses)
  if (verdict?.ruling !== "CREDITED") {
    return Result.fail(NotReversible.make({ transfer: reverses, found: `it credited nothing to ${terms.source}` }))
  }
  const there = verdict.terms
  if (
    there.source !== terms.destination || there.destination !== terms.source || there.currency !== terms.currency
  ) {
    const found = `it moved ${there.currency} from ${there.source} to ${there.destination}`
    return Result.fail(NotReversible.make({ transfer: reverses, found }))
  }
  const left = there.amount - view.reversed(reverses)
  return terms.amount <= left ? Result.void : Result.fail(ReversalExceedsTransfer.make({
    transfer: reverses,
    left: format(left, terms.currency),
    asked: format(terms.amount, terms.currency)
  }))
}

// pieces ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

const movingTerms = (transfer: Transfer): Terms => ({ ...transfer.terms, amount: transfer.moving })

const held = (terms: Terms, number: number, change: HoldRecord["change"], amount: bigint): Change => ({
  _tag: "Held",
  record: { transfer: terms.transfer, number, account: terms.source, change, amount }
})

const placed = (terms: Terms): Change => held(terms, 1, "placed", terms.amount)

/** The end of a hold: its second record, or its third where a part was released when the rest was captured. */
const ended = ({ moving, terms }: Transfer, change: HoldRecord["change"]): Change =>
  held(terms, moving === terms.amount ? 2 : 3, change, moving)

const post = (terms: Terms, step: JournalStep, debit: string, credit: string): Change => ({
  _tag: "Posted",
  posting: { transfer: terms.transfer, step, debit, credit, amount: terms.amount, currency: terms.currency }
})

const announce = (
  type: "transfer.authorized" | "transfer.held" | "transfer.credited" | "transfer.committed",
  terms: Terms
): Change => ({ _tag: "Announced", event: { type, ...terms } })
