/**
 * What operators did: who, what, why.
 */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, OpenApi } from "effect/http-api"
import * as Problems from "#infra/http/Problems.ts"
import { Validation } from "#infra/http/Validation.ts"
import { page, PageCursor, PageLimit, parameter, Time } from "#infra/http/Values.ts"
import { OperatorAuthorization } from "./Operators.ts"

export const AuditRecord = Schema.Struct({
  id: Schema.String.annotate({ description: "Such as act_0_17" }),
  object: Schema.Literal("audit_record"),
  shard: Schema.Int.annotate({ description: "Where it is kept" }),
  actor: Schema.String,
  request_id: Schema.String,
  action: Schema.String,
  subject: Schema.String,
  reason: Schema.String,
  outcome: Schema.Literals(["done", "refused"]),
  code: Schema.NullOr(Schema.String).annotate({ description: "Of the refusal" }),
  created_at: Time
}).annotate({ identifier: "AuditRecord" })

export const AuditGroup = HttpApiGroup.make("audit").add(
  HttpApiEndpoint.get("list", "/", {
    query: {
      actor: parameter(Schema.String, "Only what this operator did"),
      subject: parameter(Schema.String, "Only what was done to this"),
      limit: Schema.optionalKey(PageLimit),
      after: Schema.optionalKey(PageCursor)
    },
    success: page(AuditRecord).annotate({ identifier: "AuditRecords" }),
    error: Problems.schemasOf(...Problems.operated, "invalid_cursor")
  }).annotateMerge(OpenApi.annotations({
    summary: "List what operators did",
    description: "The newest first, over all shards. What was refused is there, too; a dry run is not."
  }))
).middleware(Validation).middleware(OperatorAuthorization).prefix("/admin/v1/audit").annotateMerge(
  OpenApi.annotations({ title: "Audit", description: "What operators did, and why. It is never changed." })
)
