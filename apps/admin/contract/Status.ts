/**
 * The four answers that somebody wants who was woken up: is the money right, is it moving, what is stuck, and what may I
 * press.
 */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, OpenApi } from "effect/http-api"
import * as Problems from "#infra/http/Problems.ts"
import { Validation } from "#infra/http/Validation.ts"
import { Minor, Time } from "#infra/http/Values.ts"
import { OperatorAuthorization } from "./Operators.ts"
import { Shard } from "./Shards.ts"

const Verdict = Schema.NullOr(Schema.Boolean)
const Because = Schema.Array(Schema.String).annotate({ description: "Why not, in sentences; empty where all is well" })

export const Status = Schema.Struct({
  id: Schema.Literal("status"),
  object: Schema.Literal("status"),
  created_at: Time,
  money: Schema.Struct({
    right: Verdict.annotate({ description: "Null while a shard does not answer, and nothing wrong is known" }),
    because: Because,
    breaks: Schema.Struct({ critical: Schema.Int, warning: Schema.Int }).annotate({
      description: "How many breaks are open. One that is critical says that the money is not right"
    }),
    currencies: Schema.Array(Schema.Struct({
      currency: Schema.String,
      debits: Minor,
      credits: Minor,
      balances: Schema.Boolean,
      held: Minor,
      in_flight: Minor
    }))
  }),
  moving: Schema.Struct({
    well: Schema.Boolean,
    because: Because,
    shards: Schema.Array(Shard)
  }),
  stuck: Schema.Struct({
    nothing: Schema.Boolean.annotate({ description: "Is nothing stuck?" }),
    transfers: Schema.Array(Schema.Struct({
      transfer: Schema.String,
      shard: Schema.Int,
      status: Schema.String,
      open_since: Time
    })).annotate({ description: "Those that got no answer for longer than they should, at most 20 for each shard" }),
    partitions: Schema.Array(Schema.Struct({
      shard: Schema.Int,
      partition: Schema.Int,
      offset: Schema.Finite.annotate({ description: "Where its worker stands in the event log" }),
      type: Schema.NullOr(Schema.String).annotate({
        description: "The event that it stands before; null where the event log does not have that offset"
      }),
      subject: Schema.NullOr(Schema.String),
      waiting_since: Schema.NullOr(Time)
    })).annotate({
      description: "Partitions that have stopped: somebody works on them, and did not go on from there for 30 seconds"
    }),
    parked: Schema.NullOr(Schema.Struct({
      waiting: Schema.Int.annotate({ description: "How many messages are parked and wait; counted up to 1,000" }),
      troubled: Schema.Int.annotate({ description: "How many of them wait for a person, and not only behind another" })
    })).annotate({ description: "The notifier's; null while its database does not answer" })
  }),
  suggestions: Schema.Array(Schema.Struct({
    because: Schema.String,
    command: Schema.String.annotate({
      description: "A line for the operators' command; it changes no balance by itself"
    })
  }))
}).annotate({ identifier: "Status" })

export const StatusGroup = HttpApiGroup.make("status").add(
  HttpApiEndpoint.get("get", "/status", {
    success: Status,
    error: Problems.schemasOf(...Problems.operated)
  }).annotateMerge(OpenApi.annotations({
    summary: "Get the status",
    description:
      "Is the money right, is it moving, what is stuck, and what may I press. Answers though shards are down, and says which."
  }))
).middleware(Validation).middleware(OperatorAuthorization).prefix("/admin/v1").annotateMerge(
  OpenApi.annotations({ title: "Status", description: "The platform as a whole." })
)
