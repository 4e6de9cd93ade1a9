/**
 * The rows that the ledger reads by the thousand, by hand: a schema takes 3 µs for each, and this a sixth of that. What a
 * schema would look for is held by the tables' own constraints: their kinds, states and currencies, and that an amount is
 * one. All other reading of rows goes through {@link file://./Rows.ts}, whose columns these are.
 */
import type { Account } from "#domain/account/Account.ts"
import type { Amount } from "#domain/money/Amount.ts"
import type { Transfer, Verdict } from "#domain/transfer/Transfer.ts"
import type { Terms } from "#domain/transfer/TransferEvent.ts"

interface TermsColumns {
  readonly transfer_id: Terms["transfer"]
  readonly source: Terms["source"]
  readonly destination: Terms["destination"]
  readonly amount: string
  readonly currency: Terms["currency"]
}

interface ReasonColumns {
  readonly reason_code: string | null
  readonly reason_detail: string | null
}

export interface AccountGiven {
  readonly account_id: string
  readonly kind: Account["kind"]
  readonly normal_side: Account["normalSide"]
  readonly currency: Account["currency"]
  readonly status: Account["status"]
  readonly floor: string | null
  readonly ceiling: string | null
  readonly posted: string
  readonly held: string
  readonly version: bigint
  readonly sequence: bigint
}

export interface TransferGiven extends TermsColumns, ReasonColumns {
  readonly capture: Transfer["capture"]
  readonly moving: string
  readonly status: Transfer["status"]
  readonly reverses: Transfer["reverses"]
}

export interface VerdictGiven extends TermsColumns, ReasonColumns {
  readonly ruling: Verdict["ruling"]
  readonly from_shard: number
}

// The one cast: a column of the type `amount` holds nothing else.
const amountOf = (digits: string) => BigInt(digits) as Amount

const limitOf = (digits: string | null) => digits === null ? null : BigInt(digits)

const termsOf = (row: TermsColumns): Terms => ({
  transfer: row.transfer_id,
  source: row.source,
  destination: row.destination,
  amount: amountOf(row.amount),
  currency: row.currency
})

const reasonOf = ({ reason_code, reason_detail }: ReasonColumns) =>
  reason_code === null ? null : { code: reason_code, detail: reason_detail ?? "" }

export const accountOf = (row: AccountGiven): Account => ({
  id: row.account_id,
  kind: row.kind,
  normalSide: row.normal_side,
  currency: row.currency,
  status: row.status,
  floor: limitOf(row.floor),
  ceiling: limitOf(row.ceiling),
  balance: { posted: BigInt(row.posted), held: BigInt(row.held), version: row.version, sequence: row.sequence }
})

export const transferOf = (row: TransferGiven): Transfer => ({
  terms: termsOf(row),
  capture: row.capture,
  status: row.status,
  moving: amountOf(row.moving),
  reason: reasonOf(row),
  reverses: row.reverses
})

export const verdictOf = (row: VerdictGiven): Verdict => ({
  terms: termsOf(row),
  from: row.from_shard,
  ruling: row.ruling,
  reason: reasonOf(row)
})
