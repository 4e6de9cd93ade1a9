import { Effect, Option, Schema, Stream } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import type { Account, Side } from "#domain/account/Account.ts"
import { available, posted } from "#domain/ledger/Balance.ts"
import { type Entry, Queries } from "#domain/ledger/Queries.ts"
import type { ShardUnavailable } from "#domain/sharding/Shards.ts"
import type { AccountRecord } from "#domain/transfer/Intake.ts"
import { NotFound } from "../ExitCode.ts"
import * as Output from "../Output.ts"
import { limit, pages, time } from "../Paging.ts"
import * as Platform from "../Platform.ts"

const accountId = Argument.String("account").pipe(Argument.withDescription("The account's id"))

const known = (id: string) =>
  Queries.use(({ account }) => account(id)).pipe(
    Effect.flatMap(Effect.fromOption),
    Effect.catchTag("NoSuchElementError", () => Effect.fail(NotFound.make({ what: `account ${id}` })))
  )

const limited = (value: bigint | null, { currency }: Account) => value === null ? null : Output.money(value, currency)

const rowOf = ({ account }: AccountRecord): Output.Row => ({
  id: account.id,
  kind: account.kind,
  normal_side: account.normalSide,
  status: account.status,
  currency: account.currency,
  posted: Output.money(posted(account), account.currency),
  held: Output.money(account.balance.held, account.currency),
  available: Output.money(available(account), account.currency)
})

/** `counterpoise accounts list` */
const list = Command.make(
  "list",
  { limit },
  Effect.fnUntraced(function*({ limit }) {
    const queries = yield* Queries
    const accounts = pages<AccountRecord, string | null, ShardUnavailable, never>(
      null,
      (after, most) =>
        Effect.map(queries.accounts(after, most), (rows) => ({
          rows,
          next: rows.length < most ? null : rows.at(-1)?.account.id ?? null
        }))
    )
    yield* Output.stream(accounts.pipe(Stream.take(limit), Stream.map(rowOf)), "there are no accounts")
  })
).pipe(
  Command.provide(Platform.books),
  Command.withDescription(
    "The accounts of all shards in the order of their ids, with their balances. Clearing accounts are left out."
  ),
  Command.withShortDescription("All accounts, with their balances"),
  Command.withExamples([{
    command: "counterpoise accounts list --limit 1000000 -o ndjson",
    description: "All of them"
  }])
)

/** `counterpoise accounts get` */
const get = Command.make(
  "get",
  { id: accountId },
  Effect.fnUntraced(function*({ id }) {
    const record = yield* known(id)
    const { account, createdAtMillis, metadata, revision } = record
    yield* Output.one({
      ...rowOf(record),
      floor: limited(account.floor, account),
      ceiling: limited(account.ceiling, account),
      entries: account.balance.sequence,
      version: account.balance.version,
      revision,
      created_at: Output.time(createdAtMillis),
      metadata: Output.several(metadata, JSON.stringify(metadata))
    })
  })
).pipe(
  Command.provide(Platform.books),
  Command.withDescription("An account, with its limits and its balance as it is now. Exit code 3: there is none."),
  Command.withShortDescription("One account"),
  Command.withExamples([{ command: "counterpoise accounts get anna", description: "By its id" }])
)

const seenFrom = (side: Side, sum: bigint) => side === "credit" ? sum : -sum

/** `counterpoise accounts balance` */
const balance = Command.make(
  "balance",
  {
    id: accountId,
    at: time("at", "The balance before that time"),
    sequence: Flag.Int("sequence").pipe(
      Flag.withSchema(Schema.Int.check(Schema.isGreaterThan(0))),
      Flag.withDescription("The balance after the entry of that number"),
      Flag.optional
    )
  },
  Effect.fnUntraced(function*({ at, id, sequence }) {
    const { account } = yield* known(id)
    if (Option.isNone(at) && Option.isNone(sequence)) {
      return yield* Output.one({
        account: id,
        currency: account.currency,
        posted: Output.money(posted(account), account.currency),
        held: Output.money(account.balance.held, account.currency),
        available: Output.money(available(account), account.currency),
        sequence: account.balance.sequence,
        version: account.balance.version
      })
    }
    const queries = yield* Queries
    const entry = Option.isSome(sequence)
      ? yield* queries.entry(id, BigInt(sequence.value)).pipe(
        Effect.flatMap(Effect.fromOption),
        Effect.catchTag(
          "NoSuchElementError",
          () =>
            Effect.fail(NotFound.make({ what: `entry ${sequence.value} of ${id}: it has ${account.balance.sequence}` }))
        ),
        Effect.asSome
      )
      : yield* queries.lastEntryBefore(id, Option.getOrThrow(at))
    yield* Output.one({
      account: id,
      currency: account.currency,
      posted: Output.money(
        seenFrom(account.normalSide, Option.match(entry, { onNone: () => 0n, onSome: ({ posted }) => posted })),
        account.currency
      ),
      sequence: Option.match(entry, { onNone: () => 0n, onSome: ({ sequence }) => sequence }),
      entry_at: Option.match(entry, {
        onNone: () => null,
        onSome: ({ createdAtMillis }) => Output.time(createdAtMillis)
      })
    })
  })
).pipe(
  Command.provide(Platform.books),
  Command.withDescription(
    "The balance now, before a time, or after an entry; seen from the account's normal side. What it was is read from the " +
      "entries; holds are memos, and known for now only."
  ),
  Command.withShortDescription("The balance now, or as it was"),
  Command.withExamples([
    { command: "counterpoise accounts balance anna", description: "Now" },
    { command: "counterpoise accounts balance anna --at 2026-11-21T09:00:00Z", description: "As it was" }
  ])
)

/** `counterpoise accounts statement` */
const statement = Command.make(
  "statement",
  { id: accountId, from: time("from", "From that time on"), to: time("to", "Before that time") },
  Effect.fnUntraced(function*({ from, id, to }) {
    const { account } = yield* known(id)
    const queries = yield* Queries
    const before = (millis: number) =>
      Effect.map(
        queries.lastEntryBefore(id, millis),
        Option.match({ onNone: () => 0n, onSome: ({ sequence }) => sequence })
      )
    const begin = Option.isSome(from) ? yield* before(from.value) : 0n
    const end = Option.isSome(to) ? yield* before(to.value) : account.balance.sequence
    const entries = pages<Entry, bigint, ShardUnavailable, never>(
      begin,
      (after, most) =>
        Effect.map(queries.entriesAfter(id, after, end, most), (rows) => ({
          rows,
          next: rows.length < most ? null : rows.at(-1)?.sequence ?? null
        }))
    )
    yield* Output.stream(
      Stream.map(entries, (entry): Output.Row => ({
        sequence: entry.sequence,
        at: Output.time(entry.createdAtMillis),
        direction: entry.direction,
        amount: Output.money(entry.amount, entry.currency),
        balance: Output.money(seenFrom(account.normalSide, entry.posted), entry.currency),
        transfer: entry.transfer
      })),
      "no entries in that time"
    )
  })
).pipe(
  Command.provide(Platform.books),
  Command.withDescription("The entries of an account in a period, oldest first, each with the balance after it."),
  Command.withShortDescription("The entries of a period, with the balance after each"),
  Command.withExamples([
    { command: "counterpoise accounts statement anna --from 2026-11-01 --to 2026-12-01", description: "A month, UTC" },
    { command: "counterpoise accounts statement anna -o ndjson", description: "Everything, as it comes" }
  ])
)

export const accounts = Command.make("accounts").pipe(
  Command.withDescription("Accounts, and what is in them"),
  Command.withSubcommands([list, get, balance, statement])
)
