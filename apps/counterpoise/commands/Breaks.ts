import { Effect, Option, Stream } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { type Break, BreakStatus, type BreakWithHistory, Severity } from "../../admin/contract/Breaks.ts"
import { Admin, ask } from "../Admin.ts"
import * as Deciding from "../Deciding.ts"
import * as Output from "../Output.ts"
import { asked, limit } from "../Paging.ts"

const breakId = Argument.String("break").pipe(Argument.withDescription("The break's id, brk_…"))

const rowOf = (found: typeof Break.Type): Output.Row => ({
  id: found.id,
  severity: found.severity,
  status: found.status,
  invariant: found.invariant,
  subject: found.subject,
  shard: found.shard,
  since: found.created_at,
  last_seen: found.seen_at,
  times: found.times_seen,
  detail: found.detail
})

/** `counterpoise breaks list` */
const list = Command.make(
  "list",
  {
    status: Flag.Literals("status", [...BreakStatus.literals, "any"]).pipe(
      Flag.withDefault("open" as const),
      Flag.withDescription("Only those in that status; any for all")
    ),
    severity: Flag.Literals("severity", Severity.literals).pipe(
      Flag.withDescription("Only those of that severity"),
      Flag.optional
    ),
    limit
  },
  Effect.fnUntraced(function*({ limit, severity, status }) {
    const filter = {
      ...(status === "any" ? {} : { status }),
      ...(Option.isNone(severity) ? {} : { severity: severity.value })
    }
    const rows = asked(limit, (page) => ask((client) => client.breaks.list({ query: { ...filter, ...page } })))
    yield* Output.stream(Stream.map(rows, rowOf), "no breaks")
  })
).pipe(
  Command.provide(Admin.layer),
  Command.withDescription(
    "The disagreements that the reconciler found, those that are open unless told otherwise. docs/runbook.md has a section for each kind."
  ),
  Command.withShortDescription("What the checks found"),
  Command.withExamples([
    { command: "counterpoise breaks list", description: "What is open" },
    {
      command: "counterpoise breaks list --status any --severity critical -o json",
      description: "Everything about money"
    }
  ])
)

const happened = ({ history }: typeof BreakWithHistory.Type): ReadonlyArray<Output.Row> =>
  history.map(({ actor, created_at, detail, evidence, reason, request_id, what }) => ({
    at: created_at,
    what,
    by: actor,
    reason,
    request_id,
    detail,
    evidence: Output.several(
      evidence,
      evidence.map(({ says, shard }) => `shard ${shard}: ${JSON.stringify(says)}`).join("\n      ")
    )
  }))

/** `counterpoise breaks show` */
const show = Command.make(
  "show",
  { id: breakId },
  Effect.fnUntraced(function*({ id }) {
    const found = yield* ask((client) => client.breaks.get({ params: { id } }))
    if ((yield* Output.Format) !== "table") return yield* Output.value(found)
    yield* Output.one(rowOf(found))
    yield* Output.list(happened(found), { below: ["evidence"] })
  })
).pipe(
  Command.provide(Admin.layer),
  Command.withDescription(
    "A break with its history, and what every shard had on record of its subject when it was opened: both sides, next to each other."
  ),
  Command.withShortDescription("One break, with the evidence of both sides"),
  Command.withExamples([{ command: "counterpoise breaks show brk_0_17", description: "By its id" }])
)

/** `counterpoise breaks resolve` */
const resolve = Command.make(
  "resolve",
  { id: breakId, ...Deciding.flags },
  Effect.fnUntraced(function*({ id, ...decision }) {
    const payload = Deciding.payloadOf(decision)
    yield* Deciding.tell(yield* ask((client) => client.breaks.resolve({ params: { id }, payload })))
  })
).pipe(
  Command.provide(Admin.layer),
  Command.withDescription(
    "Takes note that you explained it. It changes no money: what is wrong stays wrong, and when it changes, the break is open again. " +
      "Exit codes: 3, there is no such break; 4, it is closed."
  ),
  Command.withShortDescription("Says that a break is explained"),
  Command.withExamples([
    {
      command: "counterpoise breaks resolve brk_0_17 --reason \"restored from backup, see incident 12\"",
      description: "With the reason, which is kept"
    }
  ])
)

export const breaks = Command.make("breaks").pipe(
  Command.withDescription("The disagreements that the reconciler found"),
  Command.withSubcommands([list, show, resolve])
)
