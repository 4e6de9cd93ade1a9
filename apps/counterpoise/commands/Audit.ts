import { Effect, Option, Stream } from "effect"
import { Command, Flag } from "effect/cli"
import type { AuditRecord } from "../../admin/contract/Audit.ts"
import { Admin, ask } from "../Admin.ts"
import * as Output from "../Output.ts"
import { asked, limit } from "../Paging.ts"

const rowOf = (record: typeof AuditRecord.Type): Output.Row => ({
  at: record.created_at,
  actor: record.actor,
  action: record.action,
  subject: record.subject,
  outcome: record.outcome,
  code: record.code,
  reason: record.reason,
  request_id: record.request_id,
  id: record.id
})

/** `counterpoise audit` */
export const audit = Command.make(
  "audit",
  {
    actor: Flag.String("actor").pipe(Flag.withDescription("Only what this operator did"), Flag.optional),
    subject: Flag.String("subject").pipe(Flag.withDescription("Only what was done to this"), Flag.optional),
    limit
  },
  Effect.fnUntraced(function*({ actor, limit, subject }) {
    const filter = {
      ...(Option.isNone(actor) ? {} : { actor: actor.value }),
      ...(Option.isNone(subject) ? {} : { subject: subject.value })
    }
    const rows = asked(limit, (page) => ask((client) => client.audit.list({ query: { ...filter, ...page } })))
    yield* Output.stream(Stream.map(rows, rowOf), "nobody did anything")
  })
).pipe(
  Command.provide(Admin.layer),
  Command.withDescription(
    "What operators did, to what, and why; the newest first. What was refused is there too, a dry run is not. It is never changed."
  ),
  Command.withShortDescription("What operators did, and why"),
  Command.withExamples([
    { command: "counterpoise audit", description: "The last fifty" },
    { command: "counterpoise audit --subject brk_0_17 -o json", description: "What was done about one break" }
  ])
)
