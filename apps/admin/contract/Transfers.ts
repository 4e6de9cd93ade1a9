/**
 * What an operator may ask of a transfer that got no answer.
 */
import { HttpApiEndpoint, HttpApiGroup, OpenApi } from "effect/http-api"
import { Schema } from "effect"
import * as Problems from "#infra/http/Problems.ts"
import { Validation } from "#infra/http/Validation.ts"
import { Decision, Operation } from "./Operations.ts"
import { OperatorAuthorization } from "./Operators.ts"

export const TransfersGroup = HttpApiGroup.make("transfers").add(
  HttpApiEndpoint.post("recall", "/:id/recall", {
    params: { id: Schema.String },
    payload: Decision,
    success: Operation,
    error: Problems.schemasOf(...Problems.decided, "transfer_not_found", "transfer_not_held")
  }).annotateMerge(OpenApi.annotations({
    summary: "Recall a transfer",
    description:
      "Asks the destination of a transfer that is held to rule: where it was credited it says so again, and the transfer is " +
      "committed; where it was not it is refused, and the money is free again. The verdict decides, never the question, so it " +
      "may be asked at any time, and twice."
  })),
  HttpApiEndpoint.post("requeue", "/:id/requeue", {
    params: { id: Schema.String },
    payload: Decision,
    success: Operation,
    error: Problems.schemasOf(...Problems.decided, "transfer_not_found", "transfer_not_waiting")
  }).annotateMerge(OpenApi.annotations({
    summary: "Requeue a transfer",
    description:
      "Asks the transfer's own shard again: about one that is requested and was not picked up, or one that is " +
      "authorized and past its time. What was done meanwhile is not done again."
  }))
).middleware(Validation).middleware(OperatorAuthorization).prefix("/admin/v1/transfers").annotateMerge(
  OpenApi.annotations({ title: "Transfers", description: "What may be asked of a transfer that got no answer." })
)
