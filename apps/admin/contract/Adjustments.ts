/**
 * Adjustments: compensating transfers that two operators make.
 */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, OpenApi } from "effect/http-api"
import * as Problems from "#infra/http/Problems.ts"
import { Validation } from "#infra/http/Validation.ts"
import {
  AccountIdText,
  AmountText,
  CurrencyCode,
  IdempotencyKey,
  Minor,
  page,
  PageCursor,
  PageLimit,
  parameter,
  Time
} from "#infra/http/Values.ts"
import { Decision, Operation } from "./Operations.ts"
import { OperatorAuthorization } from "./Operators.ts"

export const AdjustmentStatus = Schema.Literals(["proposed", "approved"])

export const ProposeAdjustment = Schema.Struct({
  source: AccountIdText,
  destination: AccountIdText,
  amount: AmountText,
  currency: CurrencyCode,
  ...Decision.fields
}).annotate({ identifier: "ProposeAdjustment" })

export const Adjustment = Schema.Struct({
  id: Schema.String.annotate({ description: "Such as adj_0_17" }),
  object: Schema.Literal("adjustment"),
  status: AdjustmentStatus,
  source: Schema.String,
  destination: Schema.String,
  amount: Minor,
  currency: Schema.String,
  reason: Schema.String,
  proposed_by: Schema.String,
  created_at: Time,
  approved_by: Schema.NullOr(Schema.String),
  approved_at: Schema.NullOr(Time),
  transfer: Schema.NullOr(Schema.String).annotate({ description: "The transfer that it became" }),
  transfer_status: Schema.NullOr(Schema.String).annotate({
    description: "Where that transfer is; null in a list, and until it was requested. To approve once more requests it"
  })
}).annotate({ identifier: "Adjustment" })

export const AdjustmentsGroup = HttpApiGroup.make("adjustments").add(
  HttpApiEndpoint.post("propose", "/", {
    headers: { "idempotency-key": IdempotencyKey },
    payload: ProposeAdjustment,
    success: Operation,
    error: Problems.schemasOf(
      ...Problems.decided,
      "idempotency_key_missing",
      "idempotency_key_invalid",
      "idempotency_key_reused",
      "same_account",
      "invalid_account_id",
      "unknown_currency",
      "amount_not_minor_units",
      "amount_not_positive",
      "amount_too_large",
      "account_not_found"
    )
  }).annotateMerge(OpenApi.annotations({
    summary: "Propose an adjustment",
    description:
      "Writes down a compensating transfer between two accounts, for another operator to approve. No money moves."
  })),
  HttpApiEndpoint.post("approve", "/:id/approve", {
    params: { id: Schema.String },
    payload: Decision,
    success: Operation,
    error: Problems.schemasOf(
      ...Problems.decided,
      "adjustment_not_found",
      "two_operators_needed",
      "overloaded"
    )
  }).annotateMerge(OpenApi.annotations({
    summary: "Approve an adjustment",
    description:
      "By another operator than the one who proposed it. The transfer is requested in the ordinary way, and may be " +
      "rejected like any other; its id is the operation's `resource`. To approve it twice is to approve it once."
  })),
  HttpApiEndpoint.get("list", "/", {
    query: {
      status: parameter(AdjustmentStatus, "Only those in this status"),
      limit: Schema.optionalKey(PageLimit),
      after: Schema.optionalKey(PageCursor)
    },
    success: page(Adjustment).annotate({ identifier: "Adjustments" }),
    error: Problems.schemasOf(...Problems.operated, "invalid_cursor")
  }).annotateMerge(OpenApi.annotations({
    summary: "List adjustments",
    description: "Shard by shard, in the order in which they were proposed."
  })),
  HttpApiEndpoint.get("get", "/:id", {
    params: { id: Schema.String },
    success: Adjustment,
    error: Problems.schemasOf(...Problems.operated, "adjustment_not_found")
  }).annotateMerge(OpenApi.annotations({
    summary: "Get an adjustment",
    description: "With the status of the transfer that it became."
  }))
).middleware(Validation).middleware(OperatorAuthorization).prefix("/admin/v1/adjustments").annotateMerge(
  OpenApi.annotations({ title: "Adjustments", description: "Compensating transfers that two operators make." })
)
