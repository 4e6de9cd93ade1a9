/**
 * Accounts: one currency, one owner, one home partition, and the limits that hold on what is available in them.
 */
import { Schema } from "effect"
import type { Currency } from "../money/Currency.ts"

/** Ids that clients may choose; `clearing:` is the platform's own. */
export const AccountId = Schema.String.check(
  Schema.isPattern(/^[A-Za-z0-9][A-Za-z0-9_.:@-]{0,63}$/, {
    message: "must be 1 to 64 letters, digits or one of _ . : @ - and begin with a letter or digit"
  }),
  Schema.makeFilter((id) => !id.startsWith("clearing:") || "must not begin with clearing:, which is the platform's own")
).pipe(Schema.brand("AccountId"))
export type AccountId = typeof AccountId.Type

/**
 * Who stands behind an account: a customer; the outside world (a bank, a card scheme); another shard; or the house
 * itself (fees, suspense).
 */
export const AccountKind = Schema.Literals(["customer", "external", "clearing", "house"])
export type AccountKind = typeof AccountKind.Type

/** The side on which an account grows. A customer's wallet is credit-normal: money in makes it grow. */
export const Side = Schema.Literals(["debit", "credit"])
export type Side = typeof Side.Type

export const AccountStatus = Schema.Literals(["open", "frozen", "closed"])
export type AccountStatus = typeof AccountStatus.Type

/** An account as the ledger sees it, with its balance. */
export interface Account {
  readonly id: string
  readonly kind: AccountKind
  readonly normalSide: Side
  readonly currency: Currency
  readonly status: AccountStatus
  /** The least that may be available, in minor units; `null` is unlimited. */
  readonly floor: bigint | null
  /** The most that may be available, in minor units; `null` is unlimited. */
  readonly ceiling: bigint | null
  readonly balance: Balance
}

/** The materialised sums of an account. They hold nothing that can't be recomputed from entries and holds. */
export interface Balance {
  /** Σ credits − Σ debits of the account's entries, in minor units, whatever its normal side. */
  readonly posted: bigint
  /** Σ of the open holds. */
  readonly held: bigint
  /** Counts the writes of this row; the compare-and-set of the ledger worker. */
  readonly version: bigint
  /** The number of the account's last entry: entries are numbered 1..n without a gap. */
  readonly sequence: bigint
}

export const emptyBalance: Balance = { posted: 0n, held: 0n, version: 0n, sequence: 0n }

/** The normal side and floor that a kind of account has when its opener does not say. */
export const defaultsOf = (kind: AccountKind): { readonly normalSide: Side; readonly floor: bigint | null } => {
  switch (kind) {
    case "customer":
      return { normalSide: "credit", floor: 0n }
    case "house":
      return { normalSide: "credit", floor: null }
    case "external":
      return { normalSide: "debit", floor: null }
    case "clearing":
      return { normalSide: "credit", floor: null }
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
