/**
 * Journals: exactly one DEBIT and one CREDIT entry of the same amount, written together. Nothing else writes entries.
 *
 * There is one `amount` and there are two accounts, so a journal that does not balance cannot be written down.
 */
import type { Currency } from "../money/Currency.ts"

/**
 * Which step of a transfer a journal is: `direct` moves the money within one shard; across shards `credit` is the
 * destination's half and `commit` the source's.
 */
export type JournalStep = "direct" | "credit" | "commit"

/** What is to be posted. */
export interface Posting {
  readonly transfer: string
  readonly step: JournalStep
  readonly debit: string
  readonly credit: string
  readonly amount: bigint
  readonly currency: Currency
}

/** A posting with both entries numbered, and the balance (credits − debits) of each account after it. */
export interface Journal extends Posting {
  readonly debitSequence: bigint
  readonly debitPosted: bigint
  readonly creditSequence: bigint
  readonly creditPosted: bigint
}

/**
 * A memo of a hold: placed, or ended in whole or in part by being released or settled (turned into a debit). A hold's
 * records are numbered from 1, by what they are: so nobody can write one of them twice, nor end a hold in two ways.
 */
export interface HoldRecord {
  readonly transfer: string
  readonly number: number
  readonly account: string
  readonly change: "placed" | "released" | "settled"
  readonly amount: bigint
}
