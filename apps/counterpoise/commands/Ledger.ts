import { Console, Effect, Layer, Option, Stream } from "effect"
import { Command, Flag } from "effect/cli"
import { type JournalKey, Journals, type WrittenJournal } from "#domain/audit/Journals.ts"
import { Queries, type TrialBalance } from "#domain/ledger/Queries.ts"
import type { ShardId } from "#domain/sharding/ShardMap.ts"
import type { ShardUnavailable } from "#domain/sharding/Shards.ts"
import * as PgJournals from "#infra/postgres/PgJournals.ts"
import { ShardDatabases } from "#infra/postgres/ShardDatabases.ts"
import { Found, NotFound } from "../ExitCode.ts"
import * as Output from "../Output.ts"
import { pages } from "../Paging.ts"
import * as Platform from "../Platform.ts"
import * as Progress from "../Progress.ts"
import { verify } from "./Verify.ts"

const sumsOf = (sums: ReadonlyArray<TrialBalance>): Output.Row => {
  const currency = sums[0]?.currency
  if (currency === undefined) return {}
  const total = (of: (sum: TrialBalance) => bigint) =>
    Output.money(sums.reduce((all, sum) => all + of(sum), 0n), currency)
  return {
    shard: sums.length === 1 ? sums[0]?.shard ?? null : "all",
    currency,
    debits: total(({ debits }) => debits),
    credits: total(({ credits }) => credits),
    held: total(({ held }) => held),
    in_flight: total(({ clearingFrom, clearingTo }) => -clearingTo - clearingFrom),
    balances: sums.every(({ credits, debits }) => debits === credits) ? "yes" : "no"
  }
}

/** `counterpoise ledger trial-balance` */
const trialBalance = Command.make(
  "trial-balance",
  {},
  Effect.fnUntraced(function*() {
    const sums = yield* Queries.use(({ trialBalance }) => trialBalance)
    const byCurrency = Map.groupBy(sums, ({ currency }) => currency)
    yield* Output.list(
      [...byCurrency.values()].flatMap((shards) => [
        ...shards.map((one) => ({ ...sumsOf([one]), shard: one.shard })),
        { ...sumsOf(shards), shard: "all" }
      ]),
      { none: "the books are empty" }
    )
    const wrong = sums.filter(({ credits, debits }) => credits !== debits)
    if (wrong.length > 0) {
      return yield* Found.make({
        what: wrong.map(({ currency, shard }) => `shard ${shard} does not balance in ${currency}`).join("; ")
      })
    }
  })
).pipe(
  Command.provide(Platform.books),
  Command.withDescription(
    [
      "Debits and credits of all accounts, by shard and currency; what is held of them, and what is in flight between shards:",
      "credited on one and not yet committed on the other. On a single shard, in flight is what it owes the others and is owed.",
      "Exit code 6: a shard does not balance."
    ].join("\n")
  ),
  Command.withShortDescription("Do the books balance?"),
  Command.withExamples([{ command: "counterpoise ledger trial-balance -o json", description: "For a script" }])
)

const isAtHome = (shard: Option.Option<number>, shards: ReadonlyArray<ShardId>) =>
  Option.match(shard, {
    onNone: () => Effect.succeed(shards),
    onSome: (one) => shards.includes(one) ? Effect.succeed([one]) : Effect.fail(NotFound.make({ what: `shard ${one}` }))
  })

const lineOf = (shard: ShardId, { entries, leg, step }: WrittenJournal): ReadonlyArray<Output.Row> =>
  entries.map((entry) => ({
    shard,
    transfer: entry.transfer,
    leg,
    step,
    account: entry.account,
    sequence: entry.sequence,
    direction: entry.direction,
    amount: String(entry.amount),
    currency: entry.currency,
    posted: String(entry.posted),
    created_at: Output.time(entry.createdAtMillis)
  }))

/** As RFC 4180 has it. No id holds what would have to be quoted, but who can say what will be written by hand? */
const csv = (values: ReadonlyArray<Output.Value>): string =>
  values.map((value) => {
    const text = value === null ? "" : String(value)
    return /[",\r\n]/.test(text) ? `"${text.replaceAll("\"", "\"\"")}"` : text
  }).join(",")

/** `counterpoise ledger export` */
const exportAll = Command.make(
  "export",
  { shard: Flag.Int("shard").pipe(Flag.withDescription("That shard only"), Flag.optional) },
  Effect.fnUntraced(function*({ shard }) {
    const { after, about } = yield* Journals
    const wanted = yield* isAtHome(shard, (yield* ShardDatabases).shards)
    const whole = 2 * (yield* Effect.forEach(wanted, about)).reduce((sum, each) => sum + each, 0)
    const progress = yield* Progress.make
    let done = 0
    const rows = Stream.fromIterable(wanted).pipe(
      Stream.flatMap((one) =>
        pages<WrittenJournal, JournalKey | null, ShardUnavailable, never>(
          null,
          (key, most) =>
            Effect.map(after(one, key, most), (journals) => ({
              rows: journals,
              next: journals.length < most ? null : journals.at(-1) ?? null
            }))
        ).pipe(Stream.map((journal) => lineOf(one, journal)))
      ),
      Stream.flattenIterable,
      Stream.tap(() => progress.told(Progress.bar(++done, whole)))
    )
    if ((yield* Output.Format) === "table") {
      let first = true
      yield* Stream.runForEachArray(rows, (chunk) => {
        const head = first ? [csv(Object.keys(chunk[0]))] : []
        first = false
        return Console.log([...head, ...chunk.map((row) => csv(Object.values(row)))].join("\n"))
      })
    } else yield* Output.stream(rows)
    yield* progress.end
  })
).pipe(
  Command.provide(Layer.provideMerge(PgJournals.layer, Platform.shards)),
  Command.withDescription(
    [
      "Every entry of the books, both halves of each journal after each other, in the order of the transfers on each shard: as",
      "CSV, or with -o ndjson as a JSON object a line. `posted` is credits − debits of the account after the entry.",
      "",
      "It is read a page at a time while payments go on: what is written meanwhile may be among it or not."
    ].join("\n")
  ),
  Command.withShortDescription("Every entry, as CSV or JSON"),
  Command.withExamples([
    { command: "counterpoise ledger export > entries.csv", description: "Everything, with a bar of how far it is" },
    { command: "counterpoise ledger export --shard 0 -o ndjson | gzip > shard-0.ndjson.gz", description: "One shard" }
  ])
)

export const ledger = Command.make("ledger").pipe(
  Command.withDescription("The books as a whole"),
  Command.withSubcommands([trialBalance, verify, exportAll])
)
