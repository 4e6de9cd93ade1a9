import { Effect, Layer } from "effect"
import { Argument, Command } from "effect/cli"
import { timelineOf, type ToldStep } from "#domain/audit/Timeline.ts"
import { type TracedEntry, Traces } from "#domain/audit/Trace.ts"
import { format } from "#domain/money/Currency.ts"
import { TransferId } from "#domain/transfer/TransferId.ts"
import * as PgTraces from "#infra/postgres/PgTraces.ts"
import { NotFound } from "../ExitCode.ts"
import * as Output from "../Output.ts"
import * as Platform from "../Platform.ts"
import { whatWasDone, whoTook } from "../Telling.ts"

/** The id of a transfer, which says on which shard it is at home. */
export const transferId = Argument.String("transfer").pipe(
  Argument.withDescription("The transfer's id, trf_…"),
  Argument.withSchema(TransferId)
)

/** `counterpoise transfers timeline <id>` */
export const timeline = Command.make(
  "timeline",
  { id: transferId },
  Effect.fnUntraced(function*({ id }) {
    const traces = yield* Traces.use(({ of }) => of(id))
    if (traces.length === 0) return yield* NotFound.make({ what: `transfer ${id} in any log` })
    const { steps, untold } = timelineOf(traces)
    yield* Output.list(steps.map(rowOf), { below: ["entries", "request"] })
    if (untold.length > 0) yield* Output.say(`no event tells of ${untold.map(entryInWords).join(", ")}`)
  })
).pipe(
  Command.provide(Layer.provide(PgTraces.layer, Platform.shards)),
  Command.withDescription(
    [
      "The story of a transfer, from the request to its end: each step with its event, the shard and the position where it",
      "stands, who took it, what it wrote to the books, and how long after the step before. A request shows its client, its",
      "idempotency key and the hash of what was asked.",
      "",
      "It is told from the logs and the entries alone, which nobody can change, as the auditor; it needs no other process."
    ].join("\n")
  ),
  Command.withShortDescription("The story of a transfer, from the request to its end"),
  Command.withExamples([
    { command: "counterpoise transfers timeline trf_01KB…", description: "For reading" },
    { command: "counterpoise transfers timeline trf_01KB… -o ndjson", description: "With everything that was recorded" }
  ])
)

const entryInWords = ({ account, amount, currency, direction, posted }: TracedEntry): string =>
  `${direction} ${account} ${format(amount, currency)} → ${format(posted, currency)}`

const rowOf = (step: ToldStep): Output.Row => ({
  at: Output.time(step.occurredAtMillis),
  after: step.sincePreviousMillis === null ? null : Output.duration(step.sincePreviousMillis),
  shard: step.shard,
  position: step.position,
  event: step.type,
  by: whoTook(step),
  what: whatWasDone(step),
  entries: Output.several(
    step.entries.map(({ account, amount, direction, posted, sequence }) => ({
      account,
      direction,
      amount: String(amount),
      balance_after: String(posted),
      sequence: String(sequence)
    })),
    step.entries.map(entryInWords).join("; ")
  ),
  request: step.author === "client" ? requestOf(step) : null
})

const requestOf = ({ key, requestId, traceparent }: ToldStep): Output.Shown =>
  Output.several(
    { request_id: requestId, traceparent, idempotency_key: key?.key ?? null, request_hash: key?.fingerprint ?? null },
    [
      requestId ?? "no request id",
      ...(key === null ? [] : [`key "${key.key}"`, `hash ${key.fingerprint.slice(0, 12)}…`])
    ].join(", ")
  )
