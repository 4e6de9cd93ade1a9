/**
 * Breaks: the disagreements that the reconciler found.
 */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, OpenApi } from "effect/http-api"
import * as Problems from "#infra/http/Problems.ts"
import { Validation } from "#infra/http/Validation.ts"
import { page, PageCursor, PageLimit, parameter, Time } from "#infra/http/Values.ts"
import { Decision, Operation } from "./Operations.ts"
import { OperatorAuthorization } from "./Operators.ts"

export const BreakStatus = Schema.Literals(["open", "resolved", "closed"])
export const Severity = Schema.Literals(["critical", "warning"])

const members = {
  id: Schema.String.annotate({ description: "Such as brk_0_17" }),
  object: Schema.Literal("break"),
  shard: Schema.Int,
  invariant: Schema.String.annotate({ description: "The name of the check, which is the invariant in words" }),
  severity: Severity.annotate({
    description: "`critical`: money is not where the books say. `warning`: it does not move"
  }),
  subject: Schema.String.annotate({ description: "The account, the transfer or the currency that it is about" }),
  detail: Schema.String.annotate({ description: "As it was last found" }),
  status: BreakStatus.annotate({
    description: "`open`; `resolved`: an operator explained it; `closed`: the check finds it no more"
  }),
  times_seen: Schema.Number,
  created_at: Time,
  seen_at: Time,
  closed_at: Schema.NullOr(Time)
}

export const Break = Schema.Struct(members).annotate({ identifier: "Break" })

export const BreakWithHistory = Schema.Struct({
  ...members,
  history: Schema.Array(Schema.Struct({
    what: Schema.Literals(["opened", "changed", "resolved", "reopened", "closed"]),
    detail: Schema.String,
    evidence: Schema.Array(Schema.Struct({ shard: Schema.Int, says: Schema.Unknown })).annotate({
      description: "What each shard had on record of the subject when it was opened"
    }),
    actor: Schema.NullOr(Schema.String),
    reason: Schema.NullOr(Schema.String),
    request_id: Schema.NullOr(Schema.String),
    created_at: Time
  }))
}).annotate({ identifier: "BreakWithHistory" })

export const BreaksGroup = HttpApiGroup.make("breaks").add(
  HttpApiEndpoint.get("list", "/", {
    query: {
      status: parameter(BreakStatus, "Only those in this status"),
      severity: parameter(Severity, "Only those of this severity"),
      limit: Schema.optionalKey(PageLimit),
      after: Schema.optionalKey(PageCursor)
    },
    success: page(Break).annotate({ identifier: "Breaks" }),
    error: Problems.schemasOf(...Problems.operated, "invalid_cursor")
  }).annotateMerge(OpenApi.annotations({
    summary: "List breaks",
    description: "Shard by shard, in the order in which they were opened."
  })),
  HttpApiEndpoint.get("get", "/:id", {
    params: { id: Schema.String },
    success: BreakWithHistory,
    error: Problems.schemasOf(...Problems.operated, "break_not_found")
  }).annotateMerge(OpenApi.annotations({
    summary: "Get a break",
    description:
      "With what every shard had on record of its subject when it was opened, and everything that happened since."
  })),
  HttpApiEndpoint.post("resolve", "/:id/resolve", {
    params: { id: Schema.String },
    payload: Decision,
    success: Operation,
    error: Problems.schemasOf(...Problems.decided, "break_not_found", "break_closed")
  }).annotateMerge(OpenApi.annotations({
    summary: "Resolve a break",
    description:
      "Takes note that somebody explained it. It changes no money: what is wrong stays wrong, and when it changes, the " +
      "break is open again. To resolve it twice is to resolve it once."
  }))
).middleware(Validation).middleware(OperatorAuthorization).prefix("/admin/v1/breaks").annotateMerge(
  OpenApi.annotations({ title: "Breaks", description: "The disagreements that the reconciler found." })
)
