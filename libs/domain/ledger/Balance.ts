/**
 * The only arithmetic on balances, and the rules that guard it: what may be debited, credited and held.
 *
 * `posted` is kept as credits − debits. Limits are seen from the account's normal side, and always against the worst that
 * the open holds may still do: a hold is a debit that may or may not come. So on a credit-normal account it counts
 * against the floor, and on a debit-normal account against the ceiling.
 */
import { Result, Schema } from "effect"
import type { Account, Balance } from "../account/Account.ts"
import { format } from "../money/Currency.ts"

/** The account has less available than the debit needs. */
export class InsufficientFunds extends Schema.TaggedError<InsufficientFunds>()("InsufficientFunds", {
  account: Schema.String,
  available: Schema.String,
  needed: Schema.String
}) {
  readonly code = "insufficient_funds"
  override get message() {
    return `${this.account} has ${this.available} available above its floor, ${this.needed} needed`
  }
}

/** The account would go over the most that may be in it. */
export class CeilingExceeded extends Schema.TaggedError<CeilingExceeded>()("CeilingExceeded", {
  account: Schema.String,
  ceiling: Schema.String
}) {
  readonly code = "ceiling_exceeded"
  override get message() {
    return `${this.account} may not go over ${this.ceiling}`
  }
}

/** `posted` as the account's owner sees it: positive when it stands on its normal side. */
export const posted = (account: Account): bigint =>
  account.normalSide === "credit" ? account.balance.posted : -account.balance.posted

/** What may be taken from the normal side: posted − held; holds on a debit-normal account would add, so they don't count. */
export const available = (account: Account): bigint =>
  account.normalSide === "credit" ? account.balance.posted - account.balance.held : -account.balance.posted

/** May `amount` be debited from, or held on, this account? */
export const mayDebit = (
  account: Account,
  amount: bigint
): Result.Result<void, InsufficientFunds | CeilingExceeded> => {
  if (account.normalSide === "credit") {
    const left = available(account) - amount
    return account.floor === null || left >= account.floor
      ? Result.void
      : Result.fail(insufficient(account, amount))
  }
  const most = posted(account) + account.balance.held + amount
  return account.ceiling === null || most <= account.ceiling ? Result.void : Result.fail(exceeded(account))
}

/** May `amount` be credited to this account? */
export const mayCredit = (
  account: Account,
  amount: bigint
): Result.Result<void, InsufficientFunds | CeilingExceeded> => {
  if (account.normalSide === "credit") {
    const most = posted(account) + amount
    return account.ceiling === null || most <= account.ceiling ? Result.void : Result.fail(exceeded(account))
  }
  const left = available(account) - amount
  return account.floor === null || left >= account.floor ? Result.void : Result.fail(insufficient(account, amount))
}

const insufficient = (account: Account, needed: bigint) => {
  const floor = account.floor ?? 0n
  return InsufficientFunds.make({
    account: account.id,
    available: format(available(account) - floor, account.currency),
    needed: format(needed, account.currency)
  })
}

const exceeded = (account: Account) =>
  CeilingExceeded.make({ account: account.id, ceiling: format(account.ceiling ?? 0n, account.currency) })

/** The balance after one DEBIT entry. */
export const debit = (balance: Balance, amount: bigint): Balance => ({
  ...balance,
  posted: balance.posted - amount,
  sequence: balance.sequence + 1n
})

/** The balance after one CREDIT entry. */
export const credit = (balance: Balance, amount: bigint): Balance => ({
  ...balance,
  posted: balance.posted + amount,
  sequence: balance.sequence + 1n
})

/** The balance after a hold was placed (positive) or ended (negative). */
export const hold = (balance: Balance, change: bigint): Balance => ({ ...balance, held: balance.held + change })
