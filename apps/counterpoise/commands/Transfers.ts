import { Effect, Option, Stream } from "effect"
import { Command, Flag } from "effect/cli"
import { AccountId } from "#domain/account/Account.ts"
import { Queries, type TransferPage } from "#domain/ledger/Queries.ts"
import type { TransferRecord } from "#domain/transfer/Intake.ts"
import { TransferStatus } from "#domain/transfer/Transfer.ts"
import { TransferId } from "#domain/transfer/TransferId.ts"
import { NotFound } from "../ExitCode.ts"
import * as Output from "../Output.ts"
import { limit, pages, time } from "../Paging.ts"
import * as Platform from "../Platform.ts"
import { recall, requeue } from "./Asking.ts"
import { timeline, transferId } from "./Timeline.ts"

const rowOf = ({ createdAtMillis, reason, status, terms }: TransferRecord): Output.Row => ({
  id: terms.transfer,
  status,
  amount: Output.money(terms.amount, terms.currency),
  currency: terms.currency,
  source: terms.source,
  destination: terms.destination,
  created_at: Output.time(createdAtMillis),
  reason: reason?.code ?? null
})

/** `counterpoise transfers get` */
const get = Command.make(
  "get",
  { id: transferId },
  Effect.fnUntraced(function*({ id }) {
    const found = yield* Queries.use(({ transfer }) => transfer(id))
    if (Option.isNone(found)) return yield* NotFound.make({ what: `transfer ${id}` })
    const record = found.value
    const { terms } = record
    yield* Output.one({
      ...rowOf(record),
      reason: record.reason === null
        ? null
        : Output.several(record.reason, `${record.reason.code}: ${record.reason.detail}`),
      capture: record.capture,
      captured: record.captured === null ? null : Output.money(record.captured, terms.currency),
      expires_at: Output.time(record.expiresAtMillis),
      reverses: record.reverses,
      status_changed_at: Output.time(record.statusChangedAtMillis),
      reference: record.reference,
      description: record.description,
      metadata: Output.several(record.metadata, JSON.stringify(record.metadata))
    })
  })
).pipe(
  Command.provide(Platform.books),
  Command.withDescription(
    "A transfer as it is now. Exit code 3: there is none. `transfers timeline` tells how it came to that."
  ),
  Command.withShortDescription("One transfer"),
  Command.withExamples([{ command: "counterpoise transfers get trf_01KB…", description: "By its id" }])
)

/** `counterpoise transfers list` */
const list = Command.make(
  "list",
  {
    status: Flag.Literals("status", TransferStatus.literals).pipe(
      Flag.withDescription("Of that status only"),
      Flag.optional
    ),
    source: Flag.String("source").pipe(
      Flag.withSchema(AccountId),
      Flag.withDescription("From that account only, which is quick: one shard is asked"),
      Flag.optional
    ),
    reverses: Flag.String("reverses").pipe(
      Flag.withSchema(TransferId),
      Flag.withDescription("Those that bring back the money of that transfer"),
      Flag.optional
    ),
    from: time("from", "Asked for from that time on"),
    before: time("before", "Asked for before that time"),
    limit
  },
  Effect.fnUntraced(function*({ before, from, limit, reverses, source, status }) {
    const queries = yield* Queries
    const filter = {
      source: Option.getOrNull(source),
      status: Option.getOrNull(status),
      reverses: Option.getOrNull(reverses),
      fromMillis: Option.getOrNull(from),
      beforeMillis: Option.getOrNull(before)
    }
    const page = (below: TransferId | null, most: number) =>
      Effect.map(queries.transfers(filter, below, most), ({ next, records }: TransferPage) => ({ rows: records, next }))
    const rows = pages<TransferRecord, TransferId | null, Effect.Error<ReturnType<typeof page>>, never>(null, page)
    yield* Output.stream(rows.pipe(Stream.take(limit), Stream.map(rowOf)), "no such transfers")
  })
).pipe(
  Command.provide(Platform.books),
  Command.withDescription(
    "Transfers of all shards, newest first. No index knows the status: to find few of one among many takes a while, unless a " +
      "source or a time is given."
  ),
  Command.withShortDescription("Transfers, newest first"),
  Command.withExamples([
    {
      command: "counterpoise transfers list --status held --from 2026-11-21T09:00:00Z",
      description: "What is on its way"
    },
    { command: "counterpoise transfers list --source anna -o json", description: "What anna paid" }
  ])
)

export const transfers = Command.make("transfers").pipe(
  Command.withDescription("What clients asked to be moved, and what became of it"),
  Command.withSubcommands([list, get, timeline, recall, requeue])
)
