/**
 * What clients may ask of an account, pure: freeze, unfreeze and close. The worker decides, in the order of the account's
 * messages, so nothing can move between the question and the answer.
 *
 * A frozen account neither sends nor takes what is new; what was held or credited before goes on to its end. A closed one is
 * empty for ever: what is still on its way to it is refused, and goes back.
 */
import { Result, Schema } from "effect"
import { answering, type Change, type Decision, nothing, type ShardView, violation } from "../ledger/Decision.ts"
import { type Account, AccountNotOpen, type AccountStatus } from "./Account.ts"
import type { AccountEvent } from "./AccountEvent.ts"

/** The account is open: there is nothing to unfreeze. */
export class AccountNotFrozen extends Schema.TaggedError<AccountNotFrozen>()("AccountNotFrozen", {
  account: Schema.String
}) {
  readonly code = "account_not_frozen"
  override get message() {
    return `${this.account} is open`
  }
}

/** The account has money in it, owes some, or has some held: it cannot be closed. */
export class AccountNotEmpty extends Schema.TaggedError<AccountNotEmpty>()("AccountNotEmpty", {
  account: Schema.String
}) {
  readonly code = "account_not_empty"
  override get message() {
    return `${this.account} is not empty: it closes with nothing posted and nothing held`
  }
}

/** Decides what a message of an account changes on the shard that `view` shows. */
export const decide = (view: ShardView, event: AccountEvent): Decision => {
  switch (event.type) {
    case "account.freeze_requested":
      return instructed(view, event, freeze)
    case "account.unfreeze_requested":
      return instructed(view, event, unfreeze)
    case "account.close_requested":
      return instructed(view, event, close)
    case "account.opened":
    case "account.frozen":
    case "account.unfrozen":
    case "account.closed":
      return nothing
  }
}

type Instructed = Extract<AccountEvent, { readonly instruction: unknown }>
type Followed = Result.Result<AccountStatus, AccountNotOpen | AccountNotFrozen | AccountNotEmpty>

const instructed = (view: ShardView, event: Instructed, follow: (account: Account) => Followed): Decision => {
  const account = view.account(event.account)
  if (account === undefined) return Result.fail(violation(event, "its shard does not know it"))
  return answering(view, event, () =>
    Result.map(follow(account), (status): ReadonlyArray<Change> => [
      { _tag: "StatusChanged", account: account.id, status },
      { _tag: "Announced", event: { type: factOf[status], account: event.account } }
    ]))
}

const factOf = { open: "account.unfrozen", frozen: "account.frozen", closed: "account.closed" } as const

const freeze = ({ id, status }: Account): Followed =>
  status === "open" ? Result.succeed("frozen") : Result.fail(AccountNotOpen.make({ account: id, status }))

const unfreeze = ({ id, status }: Account): Followed => {
  switch (status) {
    case "frozen":
      return Result.succeed("open")
    case "open":
      return Result.fail(AccountNotFrozen.make({ account: id }))
    case "closed":
      return Result.fail(AccountNotOpen.make({ account: id, status }))
  }
}

/** A frozen account may be closed as well. */
const close = ({ balance, id, status }: Account): Followed => {
  if (status === "closed") return Result.fail(AccountNotOpen.make({ account: id, status }))
  return balance.posted === 0n && balance.held === 0n
    ? Result.succeed("closed")
    : Result.fail(AccountNotEmpty.make({ account: id }))
}
