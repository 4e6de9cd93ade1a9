/**
 * Rows as PostgreSQL gives them, decoded into the words of the domain. A row that does not decode is a defect.
 */
import { Schema, SchemaTransformation } from "effect"
import { type Account, AccountId, AccountKind, AccountStatus, Side } from "#domain/account/Account.ts"
import { Asks, type Instruction, InstructionId, InstructionStatus, type Reason } from "#domain/ledger/Instruction.ts"
import { Amount } from "#domain/money/Amount.ts"
import { Currency } from "#domain/money/Currency.ts"
import type { AccountRecord, TransferRecord } from "#domain/transfer/Intake.ts"
import { type Transfer, TransferStatus } from "#domain/transfer/Transfer.ts"
import { Capture, type Terms } from "#domain/transfer/TransferEvent.ts"
import { TransferId } from "#domain/transfer/TransferId.ts"

/** numeric(n, 0), which the driver gives as text. */
export const Numeric = Schema.String.pipe(Schema.decodeTo(Schema.BigInt, SchemaTransformation.bigintFromString))

export const Metadata = Schema.Record(Schema.String, Schema.String)

/**
 * Milliseconds since 1970, from a timestamptz: the fragment that a statement selects. By way of a double, which holds every
 * microsecond of the next two centuries: as a numeric it takes twice as long as all else that the relay reads of an event.
 */
export const millis = (column: string) => `floor(round(date_part('epoch', ${column}) * 1e6) / 1e3)`

const terms = {
  transfer_id: TransferId,
  source: AccountId,
  destination: AccountId,
  amount: Amount,
  currency: Currency
}

export const termsOf = (row: {
  readonly transfer_id: TransferId
  readonly source: AccountId
  readonly destination: AccountId
  readonly amount: Amount
  readonly currency: Currency
}): Terms => ({
  transfer: row.transfer_id,
  source: row.source,
  destination: row.destination,
  amount: row.amount,
  currency: row.currency
})

const reason = { reason_code: Schema.NullOr(Schema.String), reason_detail: Schema.NullOr(Schema.String) }

const reasonOf = (row: { readonly reason_code: string | null; readonly reason_detail: string | null }): Reason | null =>
  row.reason_code === null ? null : { code: row.reason_code, detail: row.reason_detail ?? "" }

export const AccountRow = Schema.Struct({
  account_id: Schema.String,
  kind: AccountKind,
  normal_side: Side,
  currency: Currency,
  status: AccountStatus,
  floor: Schema.NullOr(Numeric),
  ceiling: Schema.NullOr(Numeric),
  posted: Numeric,
  held: Numeric,
  version: Schema.BigInt,
  sequence: Schema.BigInt
})

export const accountOf = (row: typeof AccountRow.Type): Account => ({
  id: row.account_id,
  kind: row.kind,
  normalSide: row.normal_side,
  currency: row.currency,
  status: row.status,
  floor: row.floor,
  ceiling: row.ceiling,
  balance: { posted: row.posted, held: row.held, version: row.version, sequence: row.sequence }
})

/** The columns of {@link AccountRow}, of `account` joined with `balance`. */
export const accountColumns =
  "account_id, kind, normal_side, currency, status, floor, ceiling, posted, held, version, sequence"

export const AccountRecordRow = Schema.Struct({
  ...AccountRow.fields,
  metadata: Metadata,
  revision: Schema.BigInt,
  created_at_millis: Schema.Finite
})

export const accountRecordColumns = `${accountColumns}, metadata, revision, ${
  millis("created_at")
} AS created_at_millis`

export const accountRecordOf = (row: typeof AccountRecordRow.Type): AccountRecord => ({
  account: accountOf(row),
  metadata: row.metadata,
  revision: row.revision,
  createdAtMillis: row.created_at_millis
})

export const TransferRow = Schema.Struct({
  ...terms,
  capture: Capture,
  moving: Amount,
  status: TransferStatus,
  reverses: Schema.NullOr(TransferId),
  ...reason
})

export const transferOf = (row: typeof TransferRow.Type): Transfer => ({
  terms: termsOf(row),
  capture: row.capture,
  status: row.status,
  moving: row.moving,
  reason: reasonOf(row),
  reverses: row.reverses
})

export const transferColumns =
  "transfer_id, source, destination, amount, currency, capture, moving, status, reverses, reason_code, reason_detail"

export const TransferRecordRow = Schema.Struct({
  ...TransferRow.fields,
  reference: Schema.NullOr(Schema.String),
  description: Schema.NullOr(Schema.String),
  metadata: Metadata,
  expires_at_millis: Schema.NullOr(Schema.Finite),
  created_at_millis: Schema.Finite,
  status_changed_at_millis: Schema.Finite
})

export const transferRecordColumns = `${transferColumns}, reference, description, metadata,
  ${millis("expires_at")} AS expires_at_millis, ${millis("created_at")} AS created_at_millis,
  ${millis("status_changed_at")} AS status_changed_at_millis`

export const transferRecordOf = (row: typeof TransferRecordRow.Type): TransferRecord => ({
  terms: termsOf(row),
  capture: row.capture,
  status: row.status,
  captured: row.capture === "manual" && (row.status === "held" || row.status === "committed") ? row.moving : null,
  reason: reasonOf(row),
  reverses: row.reverses,
  reference: row.reference,
  description: row.description,
  metadata: row.metadata,
  expiresAtMillis: row.expires_at_millis,
  createdAtMillis: row.created_at_millis,
  statusChangedAtMillis: row.status_changed_at_millis
})

export const verdictColumns =
  "transfer_id, source, destination, amount, currency, reason_code, reason_detail, ruling, from_shard::int4"

export const InstructionRow = Schema.Struct({
  instruction_id: InstructionId,
  asks: Asks,
  subject: Schema.String,
  amount: Schema.NullOr(Numeric),
  status: InstructionStatus,
  ...reason
})

export const instructionOf = (row: typeof InstructionRow.Type): Instruction => ({
  id: row.instruction_id,
  asks: row.asks,
  subject: row.subject,
  amount: row.amount,
  status: row.status,
  reason: reasonOf(row)
})

export const instructionColumns = "instruction_id, asks, subject, amount, status, reason_code, reason_detail"
