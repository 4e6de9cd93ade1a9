/**
 * What is written down of an intent, wherever it is kept: the scope of its idempotency key, the event that tells of it, and
 * what it made as it is at first.
 */
import { type Account, emptyBalance } from "../account/Account.ts"
import type { Asks, Instruction } from "../ledger/Instruction.ts"
import { type LedgerEvent, subjectOf } from "../ledger/LedgerEvent.ts"
import type { AccountIntent, InstructionEvent, InstructionIntent, Request, TransferIntent } from "./Intake.ts"
import type { IdempotencyKey } from "./IdempotencyKey.ts"
import type { Transfer } from "./Transfer.ts"
import type { Terms } from "./TransferEvent.ts"

// A key's scope is what the request was routed by, so one shard can answer for it.
export const transferScope = ({ terms }: { readonly terms: Pick<Terms, "source"> }): string =>
  `transfer:${terms.source}`
export const accountScope = ({ account, named }: AccountIntent): string => named ? `account:${account.id}` : "account"
export const instructionScope = ({ event }: InstructionIntent): string => `${asksOf[event.type]}:${subjectOf(event)}`

const asksOf = {
  "transfer.capture_requested": "capture",
  "transfer.void_requested": "void",
  "account.freeze_requested": "freeze",
  "account.unfreeze_requested": "unfreeze",
  "account.close_requested": "close"
} as const satisfies Record<InstructionEvent["type"], Asks>

/** The key of a request, as it is kept. */
const keyOf = ({ client, fingerprint, idempotencyKey }: Request, scope: string): IdempotencyKey => ({
  client,
  scope,
  key: idempotencyKey,
  fingerprint
})

export const transferRequested = (intent: TransferIntent): LedgerEvent => ({
  type: "transfer.requested",
  ...intent.terms,
  capture: intent.capture,
  client: intent.request.client,
  ...(intent.reverses === null ? {} : { reverses: intent.reverses }),
  ...(intent.expiresInSeconds === null ? {} : { expiresIn: intent.expiresInSeconds }),
  askedWith: keyOf(intent.request, transferScope(intent))
})

export const instructionGiven = (intent: InstructionIntent): LedgerEvent => ({
  ...intent.event,
  askedWith: keyOf(intent.request, instructionScope(intent))
})

export const accountOpened = (intent: AccountIntent): LedgerEvent => ({
  ...opened(intent),
  askedWith: keyOf(intent.request, accountScope(intent))
})

const opened = ({ account }: AccountIntent) => ({
  type: "account.opened" as const,
  account: account.id,
  kind: account.kind,
  normalSide: account.normalSide,
  currency: account.currency,
  floor: account.floor,
  ceiling: account.ceiling
})

export const newTransfer = ({ capture, reverses, terms }: TransferIntent): Transfer => ({
  terms,
  capture,
  status: "requested",
  moving: terms.amount,
  reason: null,
  reverses
})

export const newAccount = ({ account }: AccountIntent): Account => ({
  ...account,
  status: "open",
  balance: emptyBalance
})

export const newInstruction = ({ event }: InstructionIntent): Instruction => ({
  id: event.instruction,
  asks: asksOf[event.type],
  subject: subjectOf(event),
  amount: event.type === "transfer.capture_requested" ? event.captured : null,
  status: "open",
  reason: null
})
