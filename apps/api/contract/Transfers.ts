/**
 * Transfers, as they are asked for and followed from outside.
 */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import { TransferStatus } from "#domain/transfer/Transfer.ts"
import { Capture } from "#domain/transfer/TransferEvent.ts"
import { TransferId } from "#domain/transfer/TransferId.ts"
import * as Problems from "#infra/http/Problems.ts"
import { Validation } from "#infra/http/Validation.ts"
import {
  AccountIdText,
  AmountText,
  CurrencyCode,
  Description,
  IdempotencyKey,
  IdempotencyKeyText,
  Instant,
  Metadata,
  Minor,
  NoMembers,
  page,
  PageCursor,
  PageLimit,
  parameter,
  Prefer,
  PreferAnswer,
  problemAnnotation,
  Reference,
  Time
} from "#infra/http/Values.ts"
import { Authorization } from "./Authorization.ts"
import { Failure } from "./Failures.ts"

export const Transfer = Schema.Struct({
  id: Schema.String,
  object: Schema.Literal("transfer"),
  status: TransferStatus.annotate({
    description: "requested, authorized and held are on their way; committed, rejected and cancelled are for ever"
  }),
  status_changed_at: Time,
  source: Schema.String,
  destination: Schema.String,
  amount: Minor,
  currency: Schema.String,
  capture: Capture,
  captured_amount: Schema.NullOr(Minor).annotate({ description: "The part of the amount that was captured" }),
  expires_at: Schema.NullOr(Time).annotate({ description: "When an authorization that was not captured ends" }),
  reverses: Schema.NullOr(Schema.String).annotate({ description: "The transfer whose money this one brings back" }),
  reference: Schema.NullOr(Schema.String),
  description: Schema.NullOr(Schema.String),
  metadata: Schema.Record(Schema.String, Schema.String),
  failure: Schema.optionalKey(Failure).annotate({ description: "Only where the transfer was rejected or cancelled" }),
  created_at: Time
}).annotate({ identifier: "Transfer" })

export const TimelineStep = Schema.Struct({
  id: Schema.String,
  object: Schema.Literal("timeline_step"),
  event: Schema.String.annotate({ description: "The event's name, such as transfer.held" }),
  shard: Schema.Int,
  position: Schema.Int.annotate({ description: "The event's place in the log of its shard" }),
  request_id: Schema.NullOr(Schema.String),
  failure: Schema.optionalKey(Failure),
  created_at: Time
}).annotate({ identifier: "TimelineStep" })

export const TransferList = page(Transfer).annotate({ identifier: "TransferList" })
export const Timeline = page(TimelineStep).annotate({ identifier: "Timeline" })

/** How long an authorization lasts when its client does not say: 7 days. */
export const defaultExpirySeconds = 7 * 24 * 60 * 60

/** The members of a request for a transfer. */
const Asked = Schema.Struct({
  source: AccountIdText,
  destination: AccountIdText,
  amount: AmountText,
  currency: CurrencyCode,
  capture: Schema.optionalKey(Capture).annotate({
    description: "automatic moves the money at once; manual holds it until it is captured, voided or expired. " +
      "automatic unless given"
  }),
  expires_in: Schema.optionalKey(
    Schema.Int.check(
      Schema.isBetween({ minimum: 1, maximum: 30 * 24 * 60 * 60 }, { message: "must be between 1 and 2592000 seconds" })
    )
  ).annotate({ description: "Seconds after which a manual transfer that was not captured ends; 7 days unless given" }),
  reverses: Schema.optionalKey(TransferId).annotate({
    description:
      "A committed transfer from this destination to this source, whose money this one brings back, in whole or in part"
  }),
  reference: Schema.optionalKey(Reference),
  description: Schema.optionalKey(Description),
  metadata: Schema.optionalKey(Metadata)
})

/** What must be true of the members together. */
const rules = [
  Schema.makeFilter((transfer: typeof Asked.Type) =>
    transfer.source !== transfer.destination || {
      path: ["destination"],
      issue: "must be another account than the source"
    }, { [problemAnnotation]: "same_account" satisfies Problems.Code }),
  Schema.makeFilter((transfer: typeof Asked.Type) =>
    transfer.expires_in === undefined || transfer.capture === "manual" || {
      path: ["expires_in"],
      issue: "goes with capture manual only"
    }
  ),
  Schema.makeFilter((transfer: typeof Asked.Type) =>
    transfer.reverses === undefined || transfer.capture !== "manual" || {
      path: ["capture"],
      issue: "must be automatic where a transfer is reversed"
    }
  )
] as const

export const RequestTransfer = Asked.check(...rules).annotate({ identifier: "RequestTransfer" })

/** How much a request for many transfers may hold. */
export const mostTransfers = { items: 10_000, bytes: 4 * 1024 * 1024 }

/** A transfer among many: what is asked of it alone, and its own idempotency key. */
export const TransferItem = Schema.Struct({
  idempotency_key: IdempotencyKeyText.annotate({
    description:
      "1 to 255 visible ASCII characters; as the Idempotency-Key of this transfer, if it were asked for alone"
  }),
  ...Asked.fields
}).check(...rules).annotate({ identifier: "TransferItem" })

const many = <Item extends Schema.Top>(item: Item) =>
  Schema.Struct({
    transfers: Schema.Array(item).check(
      Schema.isMinLength(1, { message: "must have at least 1 item" }),
      Schema.isMaxLength(mostTransfers.items, { message: `must have at most ${mostTransfers.items} items` })
    )
  })

export const RequestTransfers = many(TransferItem).annotate({ identifier: "RequestTransfers" })

/** A request for many transfers before any of them is looked at. */
export const Unread = many(Schema.Unknown)

/** What became of the request for each transfer, in the order in which they were asked for. */
export const RequestedTransfers = Schema.Struct({
  object: Schema.Literal("batch"),
  accepted: Schema.Int.annotate({ description: "How many are recorded, now or before: they have status 202" }),
  refused: Schema.Int.annotate({ description: "How many are not" }),
  data: Schema.Array(Schema.Union([
    Schema.Struct({
      idempotency_key: Schema.String,
      status: Schema.Literal(202),
      replayed: Schema.Boolean.annotate({ description: "Had it been recorded before?" }),
      transfer: Transfer
    }),
    Schema.Struct({
      idempotency_key: Schema.NullOr(Schema.String).annotate({ description: "null where what came is none" }),
      status: Schema.Int.annotate({ description: "The HTTP status of this transfer, if it had been asked for alone" }),
      problem: Problems.Problem
    })
  ]))
}).annotate({ identifier: "RequestedTransfers" })

export const CaptureTransfer = Schema.Struct({
  amount: Schema.optionalKey(AmountText).annotate({
    description: "The part that shall move, in minor units; all of it unless given. What is left is free again at once"
  })
}).annotate({ identifier: "CaptureTransfer" })

/** Which transfers are listed; or the one that an idempotency key made. */
export const ListTransfers = Schema.Struct({
  limit: Schema.optionalKey(PageLimit),
  after: Schema.optionalKey(PageCursor),
  source: parameter(AccountIdText, "Those from this account"),
  status: parameter(
    TransferStatus,
    "Those of this status. A page looks at so many transfers and no more: it may have fewer items than " +
      "`limit`, or none, and still a next one"
  ),
  reverses: parameter(TransferId, "The reversals of this transfer"),
  created_from: parameter(
    Instant,
    "Those asked for at this time or later: the time in their ids, a moment before `created_at`"
  ),
  created_to: parameter(Instant, "Those asked for before this time"),
  idempotency_key: parameter(
    IdempotencyKeyText,
    "The one transfer that this client asked for from `source` under this key; with `source` only"
  )
}).check(
  Schema.makeFilter(({ created_from: from, created_to: to }) =>
    from === undefined || to === undefined || from <= to || {
      path: ["created_to"],
      issue: "must not be before created_from"
    }
  ),
  Schema.makeFilter(({ idempotency_key: key, source, ...others }) =>
    key === undefined || source !== undefined && Object.keys(others).length === 0 || {
      path: ["idempotency_key"],
      issue: "goes with source, and with nothing else"
    }
  )
)

const path = { id: Schema.String }

/** What a transfer that waits for no instruction answers, by what became of it. */
const notWaiting = [
  "already_captured",
  "already_voided",
  "authorization_expired",
  "not_authorized",
  "transfer_cancelled",
  "transfer_rejected"
] as const satisfies ReadonlyArray<Problems.Code>

const instructed = [
  Transfer.pipe(HttpApiSchema.status(200)).annotate({ description: "Done. The transfer as it is now." }),
  Transfer.pipe(HttpApiSchema.status(202)).annotate({
    description:
      "Recorded, and not answered in time. The transfer as it is; the same request with the same key learns " +
      "the answer."
  })
] as const

const instructionHeaders = { "idempotency-key": IdempotencyKey, prefer: Schema.optionalKey(PreferAnswer) }

export const TransfersGroup = HttpApiGroup.make("transfers").add(
  HttpApiEndpoint.post("request", "/", {
    headers: { "idempotency-key": IdempotencyKey, prefer: Schema.optionalKey(Prefer) },
    payload: RequestTransfer,
    success: [
      Transfer.pipe(HttpApiSchema.status(202)).annotate({
        description: "Recorded: it is on disk and will end. `Location` is where it can be followed."
      }),
      Transfer.pipe(HttpApiSchema.status(200)).annotate({
        description: "Ended within the time that `Prefer: wait=N` allowed. `status` says how."
      })
    ],
    error: Problems.schemasOf(...Problems.recorded, "amount_not_positive", "same_account")
  }).annotateMerge(OpenApi.annotations({
    summary: "Request a transfer",
    description: "Records the wish to move an amount from one account to another. The HTTP status speaks of the " +
      "request; the transfer's `status` speaks of the money: a transfer without funds is accepted with 202 and then " +
      "rejected. The same Idempotency-Key with the same body gets the first answer again, with " +
      "`Idempotent-Replayed: true`; a key belongs to the client and the source account.\n\n" +
      "A transfer that names another one in `reverses` brings its money back: from that one's destination to its source, " +
      "whole or in as many parts as you like. Never more comes back than went, however many ask at once: what is too much " +
      "is rejected with `reversal_exceeds_transfer`, and what names no transfer that went the other way with " +
      "`not_reversible`. A reversal that fails gives its part back."
  })),
  HttpApiEndpoint.post("requestAll", "/batch", {
    payload: RequestTransfers,
    success: RequestedTransfers,
    error: Problems.schemasOf(...Problems.bodied, "overloaded")
  }).annotateMerge(OpenApi.annotations({
    summary: "Request many transfers",
    description:
      "Records up to 10,000 transfers from one body of at most 4 MiB, which is 419 bytes for each of so many. " +
      "Each has its own idempotency key in the body (there is none in the header), and its own answer: what is wrong with " +
      "one of them, or with its shard, does not touch the others. The answer is 200 whatever became of them; read `status` " +
      "of each. An item is the same request as if it were asked for alone under its key: it may be repeated in another " +
      "batch, or by `POST /v1/transfers`, and is recorded once. Two items with one key are one transfer. " +
      "`Prefer: wait` means nothing here. A body that is no JSON, or has too many items, is refused as a whole."
  })),
  HttpApiEndpoint.get("list", "/", {
    query: ListTransfers,
    success: TransferList,
    error: Problems.schemasOf(
      ...Problems.sharded,
      "invalid_cursor",
      "invalid_account_id",
      "idempotency_key_invalid"
    )
  }).annotateMerge(OpenApi.annotations({
    summary: "List transfers",
    description:
      "Transfers of all shards, newest first; or those from one account, of one status, of a time, or that " +
      "reverse another one. With `source` and `idempotency_key`: the transfer that this client's key made, if it made one."
  })),
  HttpApiEndpoint.get("get", "/:id", {
    params: path,
    headers: { prefer: Schema.optionalKey(Prefer) },
    success: Transfer,
    error: Problems.schemasOf(...Problems.sharded, "transfer_not_found")
  }).annotateMerge(OpenApi.annotations({
    summary: "Get a transfer",
    description: "With `Prefer: wait=N` the answer is held until the transfer has ended, or the time is up."
  })),
  HttpApiEndpoint.post("capture", "/:id/capture", {
    params: path,
    headers: instructionHeaders,
    payload: CaptureTransfer,
    success: instructed,
    error: Problems.schemasOf(
      ...Problems.keyed,
      "amount_not_minor_units",
      "amount_not_positive",
      "amount_too_large",
      "transfer_not_found",
      ...notWaiting,
      "capture_exceeds_authorization"
    )
  }).annotateMerge(OpenApi.annotations({
    summary: "Capture a transfer",
    description: "Lets an authorized transfer (`capture: \"manual\"`) move, all of it or a part. Once: what is not " +
      "captured is free again. The answer is the ledger's, in the order of the account's messages. A transfer to another " +
      "shard is `held` when its capture is done, and ends as any other. The body may be left out."
  })),
  HttpApiEndpoint.post("void", "/:id/void", {
    params: path,
    headers: instructionHeaders,
    payload: NoMembers,
    success: instructed,
    error: Problems.schemasOf(...Problems.keyed, "transfer_not_found", ...notWaiting)
  }).annotateMerge(OpenApi.annotations({
    summary: "Void a transfer",
    description:
      "Gives the money of an authorized transfer free again, instead of capturing it. The body may be left out."
  })),
  HttpApiEndpoint.get("timeline", "/:id/timeline", {
    params: path,
    success: Timeline,
    error: Problems.schemasOf(...Problems.sharded, "transfer_not_found")
  }).annotateMerge(OpenApi.annotations({
    summary: "Get the timeline of a transfer",
    description: "The events of the transfer from both of its shards, in the order of time."
  }))
).middleware(Validation).middleware(Authorization).prefix("/v1/transfers").annotateMerge(
  OpenApi.annotations({ title: "Transfers", description: "The wish to move an amount, and what became of it." })
)
