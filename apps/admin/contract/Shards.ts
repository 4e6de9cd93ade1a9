/**
 * The shards, one by one: how far each has come, and who works for it; and that its events be carried again.
 */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, OpenApi } from "effect/http-api"
import * as Problems from "#infra/http/Problems.ts"
import { Validation } from "#infra/http/Validation.ts"
import { page, Time } from "#infra/http/Values.ts"
import { Decision, Operation } from "./Operations.ts"
import { OperatorAuthorization } from "./Operators.ts"

const Position = Schema.Number.annotate({ description: "A position in the shard's log; ascending, with gaps" })

export const Shard = Schema.Struct({
  id: Schema.String.annotate({ description: "Such as shard_0" }),
  object: Schema.Literal("shard"),
  shard: Schema.Int,
  partitions: Schema.Int.annotate({ description: "How many partitions are at home there" }),
  answers: Schema.Boolean.annotate({ description: "Does its database answer? If not, the rest is null" }),
  log_end: Schema.NullOr(Position),
  relay: Schema.NullOr(Schema.Struct({
    position: Position,
    waiting: Schema.Int.annotate({ description: "How many events wait to be carried; counted up to 100,000" }),
    waiting_since: Schema.NullOr(Time).annotate({ description: "When the first of them was written" }),
    moved_at: Time
  })).annotate({ description: "How far the shard's log was carried; null where it never was" }),
  consumer_lag: Schema.NullOr(Schema.Number).annotate({
    description:
      "How many records of the event log its worker has still to read; null where the event log does not answer"
  }),
  leases: Schema.NullOr(Schema.Array(Schema.Struct({
    role: Schema.String,
    holder: Schema.String,
    epoch: Schema.Number,
    expires_at: Time,
    held: Schema.Boolean.annotate({ description: "Has it not run out?" })
  }))),
  unfinished: Schema.NullOr(Schema.Struct({
    requested: Schema.Int,
    authorized: Schema.Int.annotate({ description: "These wait for their clients" }),
    held: Schema.Int,
    oldest_at: Schema.NullOr(Time).annotate({ description: "When the oldest was made that is requested or held" })
  })).annotate({ description: "Transfers of the last day that have not ended" }),
  open_instructions: Schema.NullOr(Schema.Int),
  sealed_up_to: Schema.NullOr(Position),
  behind: Schema.NullOr(Schema.Struct({
    log_end: Position,
    seen_to: Position,
    seen_by: Schema.String.annotate({ description: "Such as shard 1, or the event log" })
  })).annotate({
    description:
      "Where the shard lost data: others have seen more of its log than it has. What is read of it is out of date, and it takes " +
      "nothing before it has caught up"
  })
}).annotate({ identifier: "Shard" })

/** Numbers above this are not exact in JSON. */
const FromPosition = Schema.Int.check(
  Schema.isBetween({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }, { message: "must be a position: 1 or more" })
).annotate({ description: "The first position of the shard's log that is carried again" })

export const Republication = Schema.Struct({
  from: FromPosition,
  ...Decision.fields
}).annotate({ identifier: "Republication" })

export const ShardsGroup = HttpApiGroup.make("shards").add(
  HttpApiEndpoint.get("list", "/shards", {
    success: page(Shard).annotate({ identifier: "Shards" }),
    error: Problems.schemasOf(...Problems.operated)
  }).annotateMerge(OpenApi.annotations({
    summary: "List the shards",
    description: "All of them, those that do not answer too. Each is read at one moment."
  })),
  HttpApiEndpoint.post("republish", "/shards/:id/republish", {
    params: { id: Schema.String },
    payload: Republication,
    success: Operation,
    error: Problems.schemasOf(...Problems.decided, "shard_not_found", "position_not_carried")
  }).annotateMerge(OpenApi.annotations({
    summary: "Carry a shard's events again",
    description:
      "Sends the shard's relay back: its events from a position on are appended to the event log anew, in their order, and then " +
      "those that are new. Whoever works as the relay loses its lease and begins there. Readers drop what they have seen, so " +
      "no money moves twice. A dry run says how many events that are."
  }))
).middleware(Validation).middleware(OperatorAuthorization).prefix("/admin/v1").annotateMerge(
  OpenApi.annotations({ title: "Shards", description: "How far each shard has come, and who works for it." })
)
