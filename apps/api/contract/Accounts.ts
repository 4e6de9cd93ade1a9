/**
 * Accounts, as they are opened and seen from outside.
 */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import { AccountKind, AccountStatus, Side } from "#domain/account/Account.ts"
import * as Problems from "#infra/http/Problems.ts"
import { Validation } from "#infra/http/Validation.ts"
import {
  AccountIdText,
  CurrencyCode,
  IdempotencyKey,
  IfMatch,
  Instant,
  Limit,
  Metadata,
  Minor,
  NoMembers,
  page,
  PageCursor,
  PageLimit,
  parameter,
  PreferAnswer,
  SequenceNumber,
  Time
} from "#infra/http/Values.ts"
import { Authorization } from "./Authorization.ts"

const balance = {
  posted: Minor.annotate({ description: "The sum of the account's entries, in minor units" }),
  held: Minor.annotate({ description: "The sum of its open holds: reserved for transfers on their way" }),
  available: Minor.annotate({
    description:
      "What may leave the account, above its floor: posted less held on a credit-normal account; posted on a debit-normal one, which holds only add to"
  }),
  currency: Schema.String,
  version: Schema.Int.annotate({ description: "Counts the changes of this balance" }),
  sequence: Schema.Int.annotate({ description: "The number of the account's last entry" })
}

/** Sums seen from the account's normal side: money in makes a customer's wallet grow. */
export const Balance = Schema.Struct(balance).annotate({ identifier: "Balance" })

export const BalanceAsOf = Schema.Struct({
  posted: balance.posted,
  currency: balance.currency,
  sequence: balance.sequence.annotate({ description: "The number of the entry after which this was the balance" }),
  created_at: Schema.NullOr(Time).annotate({
    description: "When that entry was written; null before the first one, when the balance was 0"
  })
}).annotate({ identifier: "BalanceAsOf" })

/** Of which moment a balance is asked for. */
const AsOf = Schema.Struct({
  sequence: parameter(SequenceNumber, "The balance after the entry of this number; 0 is before the first"),
  at: parameter(Instant, "The balance at this time: after the last entry that was written then or before")
}).check(
  Schema.makeFilter(({ at, sequence }) =>
    at === undefined || sequence === undefined || { path: ["at"], issue: "goes without sequence" }
  )
)

export const Account = Schema.Struct({
  id: Schema.String,
  object: Schema.Literal("account"),
  kind: AccountKind,
  normal_side: Side.annotate({ description: "The side on which the account grows" }),
  currency: Schema.String,
  status: AccountStatus,
  floor: Schema.NullOr(Minor).annotate({ description: "The least that may be available; null is unlimited" }),
  ceiling: Schema.NullOr(Minor).annotate({ description: "The most that may be posted; null is unlimited" }),
  balance: Balance,
  metadata: Schema.Record(Schema.String, Schema.String),
  created_at: Time
}).annotate({ identifier: "Account" })

export const Entry = Schema.Struct({
  id: Schema.String,
  object: Schema.Literal("entry"),
  account: Schema.String,
  sequence: Schema.Int.annotate({ description: "Entries of an account are numbered 1..n without a gap" }),
  transfer: Schema.String,
  direction: Schema.Literals(["DEBIT", "CREDIT"]),
  amount: Minor,
  currency: Schema.String,
  posted: Minor.annotate({ description: "The account's posted balance after this entry, from its normal side" }),
  created_at: Time
}).annotate({ identifier: "Entry" })

export const AccountList = page(Account).annotate({ identifier: "AccountList" })
export const EntryList = page(Entry).annotate({ identifier: "EntryList" })

/** Clearing accounts are opened by the ledger alone. */
const OpenableKind = Schema.Literals(["customer", "external", "house"])

export const OpenAccount = Schema.Struct({
  id: Schema.optionalKey(AccountIdText).annotate({ description: "The client's own id; drawn when it is absent" }),
  currency: CurrencyCode,
  kind: Schema.optionalKey(OpenableKind).annotate({ description: "customer unless given" }),
  normal_side: Schema.optionalKey(Side).annotate({
    description: "credit for customers and the house, debit for external accounts, unless given"
  }),
  floor: Schema.optionalKey(Limit).annotate({
    description:
      "The least that may be available; null is unlimited. \"0\" for customers, null for others, unless given"
  }),
  ceiling: Schema.optionalKey(Limit).annotate({
    description: "The most that may be posted; null is unlimited, and so unless given"
  }),
  metadata: Schema.optionalKey(Metadata)
}).check(
  // An account begins at zero, so zero lies within its limits.
  Schema.makeFilter((account) =>
    account.floor === undefined || account.floor === null || account.floor <= 0n || {
      path: ["floor"],
      issue: "must not be above 0, where the account begins"
    }
  ),
  Schema.makeFilter((account) =>
    account.ceiling === undefined || account.ceiling === null || account.ceiling >= 0n || {
      path: ["ceiling"],
      issue: "must not be below 0, where the account begins"
    }
  )
).annotate({ identifier: "OpenAccount" })

export const DescribeAccount = Schema.Struct({ metadata: Metadata }).annotate({ identifier: "DescribeAccount" })

const path = { id: Schema.String }

const instruction = <const Name extends string>(name: Name, ...refusals: ReadonlyArray<Problems.Code>) =>
  HttpApiEndpoint.post(name, `/:id/${name}`, {
    params: path,
    headers: { "idempotency-key": IdempotencyKey, prefer: Schema.optionalKey(PreferAnswer) },
    payload: NoMembers,
    success: [
      Account.pipe(HttpApiSchema.status(200)).annotate({ description: "Done. The account as it is now." }),
      Account.pipe(HttpApiSchema.status(202)).annotate({
        description:
          "Recorded, and not answered in time. The account as it is; the same request with the same key learns " +
          "the answer."
      })
    ],
    error: Problems.schemasOf(...Problems.keyed, "account_not_found", ...refusals)
  })

export const AccountsGroup = HttpApiGroup.make("accounts").add(
  HttpApiEndpoint.post("open", "/", {
    headers: { "idempotency-key": IdempotencyKey },
    payload: OpenAccount,
    success: Account.pipe(HttpApiSchema.status(201)),
    error: Problems.schemasOf(...Problems.recorded, "account_exists")
  }).annotateMerge(OpenApi.annotations({
    summary: "Open an account",
    description:
      "Opens an account with a balance of zero. The same Idempotency-Key with the same body gets the first " +
      "answer again, with `Idempotent-Replayed: true`."
  })),
  HttpApiEndpoint.get("list", "/", {
    query: { limit: Schema.optionalKey(PageLimit), after: Schema.optionalKey(PageCursor) },
    success: AccountList,
    error: Problems.schemasOf(...Problems.sharded, "invalid_cursor")
  }).annotateMerge(OpenApi.annotations({
    summary: "List accounts",
    description: "Accounts of all shards, in ascending order of their ids."
  })),
  HttpApiEndpoint.get("get", "/:id", {
    params: path,
    success: Account,
    error: Problems.schemasOf(...Problems.sharded, "account_not_found")
  }).annotateMerge(OpenApi.annotations({
    summary: "Get an account",
    description:
      "The account with its balance, read from the shard that owns it. `ETag` names the revision of the account " +
      "itself, its status and metadata, for `If-Match`. It says nothing of the balance in it, so there is no `If-None-Match`."
  })),
  HttpApiEndpoint.patch("describe", "/:id", {
    params: path,
    headers: { "if-match": IfMatch },
    payload: DescribeAccount,
    success: Account,
    error: Problems.schemasOf(
      ...Problems.bodied,
      "account_not_found",
      "precondition_required",
      "revision_mismatch"
    )
  }).annotateMerge(OpenApi.annotations({
    summary: "Change the metadata of an account",
    description:
      "Replaces the metadata as a whole, if the account is still as it was when it was read: `If-Match` takes " +
      "the `ETag` of that answer. A change whose answer was lost is found by reading the account again."
  })),
  instruction("freeze", "account_frozen", "account_closed").annotateMerge(OpenApi.annotations({
    summary: "Freeze an account",
    description:
      "A frozen account neither sends nor takes what is new; what was held or credited before goes on to its " +
      "end. Transfers from it are rejected and transfers to it refused, with `account_frozen`. The body may be left out."
  })),
  instruction("unfreeze", "account_not_frozen", "account_closed").annotateMerge(OpenApi.annotations({
    summary: "Unfreeze an account",
    description: "Opens a frozen account again. The body may be left out."
  })),
  instruction("close", "account_closed", "account_not_empty").annotateMerge(OpenApi.annotations({
    summary: "Close an account",
    description:
      "Closes an account, open or frozen, in which nothing is posted and nothing held; for ever. What is still " +
      "on its way to it is refused, and goes back. The body may be left out."
  })),
  HttpApiEndpoint.get("balance", "/:id/balance", {
    params: path,
    query: AsOf,
    success: [Balance, BalanceAsOf],
    error: Problems.schemasOf(...Problems.sharded, "account_not_found", "entry_not_found")
  }).annotateMerge(OpenApi.annotations({
    summary: "Get the balance of an account",
    description: "What is posted, held and available at this moment, seen from the account's normal side. With " +
      "`sequence` or `at`: what was posted after that entry or at that time, from the entries alone. What was held then is " +
      "not told: holds are no entries. A time that has only just passed may still get entries: transactions take the " +
      "time at which they begin."
  })),
  HttpApiEndpoint.get("entries", "/:id/entries", {
    params: path,
    query: { limit: Schema.optionalKey(PageLimit), after: Schema.optionalKey(PageCursor) },
    success: EntryList,
    error: Problems.schemasOf(...Problems.sharded, "account_not_found", "invalid_cursor")
  }).annotateMerge(OpenApi.annotations({
    summary: "List the entries of an account",
    description: "The immutable lines that explain the balance, newest first."
  }))
).middleware(Validation).middleware(Authorization).prefix("/v1/accounts").annotateMerge(
  OpenApi.annotations({ title: "Accounts", description: "One currency, one owner, one balance that can be explained." })
)
