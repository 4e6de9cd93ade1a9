/**
 * Parked messages of the notifier: those that wait for a person.
 */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, OpenApi } from "effect/http-api"
import * as Problems from "#infra/http/Problems.ts"
import { Validation } from "#infra/http/Validation.ts"
import { page, PageCursor, PageLimit, parameter, Time } from "#infra/http/Values.ts"
import { Decision, Operation } from "./Operations.ts"
import { OperatorAuthorization } from "./Operators.ts"

export const ParkedStatus = Schema.Literals(["waiting", "delivered", "discarded"])

const Trouble = Schema.Struct({
  class: Schema.Literals(["undecodable", "refused", "failing"]),
  detail: Schema.String,
  tries: Schema.Int
})

const members = {
  id: Schema.String.annotate({ description: "Such as msg_17" }),
  object: Schema.Literal("parked_message"),
  status: ParkedStatus,
  key: Schema.String.annotate({ description: "The account that is parked with it" }),
  type: Schema.String,
  subject: Schema.String,
  shard: Schema.Int.annotate({ description: "The shard that wrote it" }),
  position: Schema.Number,
  trouble: Schema.NullOr(Trouble).annotate({
    description: "Null where it waits behind another of its account, or is being tried again"
  }),
  created_at: Time,
  discarded_by: Schema.NullOr(Schema.String),
  discarded_because: Schema.NullOr(Schema.String)
}

export const ParkedMessage = Schema.Struct(members).annotate({ identifier: "ParkedMessage" })

export const ParkedMessageWithRetries = Schema.Struct({
  ...members,
  payload: Schema.String.annotate({ description: "The text as it stood in the event log" }),
  retries: Schema.Array(Schema.Struct({
    actor: Schema.String,
    reason: Schema.String,
    trouble: Trouble.annotate({ description: "That it had until then" }),
    created_at: Time
  }))
}).annotate({ identifier: "ParkedMessageWithRetries" })

const ofOne = [...Problems.decided, "message_not_found", "message_not_waiting", "notifier_unavailable"] as const

export const ParkedGroup = HttpApiGroup.make("parked").add(
  HttpApiEndpoint.get("list", "/", {
    query: {
      status: parameter(ParkedStatus, "Only those in this status; waiting unless given"),
      key: parameter(Schema.String, "Only those of this account"),
      limit: Schema.optionalKey(PageLimit),
      after: Schema.optionalKey(PageCursor)
    },
    success: page(ParkedMessage).annotate({ identifier: "ParkedMessages" }),
    error: Problems.schemasOf(...Problems.operated, "invalid_cursor", "notifier_unavailable")
  }).annotateMerge(OpenApi.annotations({
    summary: "List parked messages",
    description:
      "In the order in which they were parked, which is the order of each account. None where no notifier runs."
  })),
  HttpApiEndpoint.get("get", "/:id", {
    params: { id: Schema.String },
    success: ParkedMessageWithRetries,
    error: Problems.schemasOf(...Problems.operated, "message_not_found", "notifier_unavailable")
  }).annotateMerge(OpenApi.annotations({
    summary: "Get a parked message",
    description: "With its text, and how often somebody had it tried again."
  })),
  HttpApiEndpoint.post("retry", "/:id/retry", {
    params: { id: Schema.String },
    payload: Decision,
    success: Operation,
    error: Problems.schemasOf(...ofOne)
  }).annotateMerge(OpenApi.annotations({
    summary: "Retry a parked message",
    description: "Has the notifier try it again; what waits behind it follows, in order, for as long as all goes well."
  })),
  HttpApiEndpoint.post("discard", "/:id/discard", {
    params: { id: Schema.String },
    payload: Decision,
    success: Operation,
    error: Problems.schemasOf(...ofOne)
  }).annotateMerge(OpenApi.annotations({
    summary: "Discard a parked message",
    description:
      "Gives it up, so that the next of its account may go. It stays where it is, marked with who decided it and why."
  }))
).middleware(Validation).middleware(OperatorAuthorization).prefix("/admin/v1/parked").annotateMerge(
  OpenApi.annotations({
    title: "Parked messages",
    description: "What waits for a person before it is told to the world."
  })
)
