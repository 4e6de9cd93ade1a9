/**
 * Receipts of transfers, and the public keys to verify them with.
 */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, OpenApi } from "effect/http-api"
import * as Problems from "#infra/http/Problems.ts"
import { Validation } from "#infra/http/Validation.ts"
import { Time } from "#infra/http/Values.ts"
import { Authorization } from "./Authorization.ts"

const Hex = Schema.String.annotate({ description: "Hexadecimal digits" })

const Leaf = Schema.Struct({
  shard: Schema.Int,
  block: Schema.Int,
  index: Schema.Int,
  path: Schema.Array(Hex)
}).annotate({ identifier: "Leaf" })

const ReceiptEvent = Schema.Struct({
  position: Schema.Int,
  occurred_at: Time,
  type: Schema.String,
  subject: Schema.String,
  request_id: Schema.NullOr(Schema.String),
  payload: Schema.String.annotate({ description: "The event's JSON as it was written, byte for byte" }),
  hidden: Hex,
  leaf: Leaf
}).annotate({ identifier: "ReceiptEvent" })

const ReceiptJournal = Schema.Struct({
  position: Schema.Int.annotate({ description: "Of the event that it was written with" }),
  created_at: Time,
  transfer: Schema.String,
  leg: Schema.String,
  step: Schema.String,
  amount: Schema.String,
  currency: Schema.String,
  debit: Schema.String,
  credit: Schema.String,
  hidden: Hex,
  leaf: Leaf
}).annotate({ identifier: "ReceiptJournal" })

const SealedBlock = Schema.Struct({
  shard: Schema.Int,
  number: Schema.Int,
  after: Schema.Int,
  up_to: Schema.Int,
  leaves: Schema.Int,
  root: Hex,
  list: Hex,
  previous: Hex,
  witness_shard: Schema.NullOr(Schema.Int),
  witness_number: Schema.NullOr(Schema.Int),
  witness_hash: Schema.NullOr(Hex),
  sealed_at: Time,
  key: Schema.String,
  signature: Hex
}).annotate({ identifier: "SealedBlock" })

const PublicKey = Schema.Struct({
  id: Schema.String,
  public_key: Schema.String.annotate({ description: "Ed25519; SPKI, DER, in base64" })
}).annotate({ identifier: "PublicKey" })

export const Receipt = Schema.Struct({
  id: Schema.String,
  object: Schema.Literal("receipt"),
  format: Schema.Literal("counterpoise receipt 1"),
  events: Schema.Array(ReceiptEvent),
  journals: Schema.Array(ReceiptJournal),
  blocks: Schema.Array(SealedBlock),
  keys: Schema.Array(PublicKey).annotate({
    description: "To look up, never to trust: a receipt cannot vouch for itself"
  })
}).annotate({ identifier: "Receipt" })

export const PublishedSeals = Schema.Struct({
  object: Schema.Literal("seals"),
  algorithm: Schema.Literal("Ed25519"),
  keys: Schema.Array(PublicKey),
  heads: Schema.Array(Schema.Struct({ shard: Schema.Int, number: Schema.Int, hash: Hex })).annotate({
    description: "The last sealed block of each shard that answers: who keeps them can show later that one was replaced"
  })
}).annotate({ identifier: "PublishedSeals" })

export const ReceiptsGroup = HttpApiGroup.make("receipts").add(
  HttpApiEndpoint.get("get", "/:id/receipt", {
    params: { id: Schema.String },
    success: Receipt,
    error: Problems.schemasOf(...Problems.sharded, "transfer_not_found", "not_sealed")
  }).annotateMerge(OpenApi.annotations({
    summary: "Get the receipt of a transfer",
    description:
      "Everything that was sealed of a transfer that has ended: its events and journals from both shards, and " +
      "what it takes to verify them offline, with the public keys and receipts/verify.mjs."
  }))
).middleware(Validation).middleware(Authorization).prefix("/v1/transfers").annotateMerge(
  OpenApi.annotations({ title: "Receipts", description: "What a customer can verify without trusting the platform." })
)

export const SealsGroup = HttpApiGroup.make("seals").add(
  HttpApiEndpoint.get("published", "/.well-known/counterpoise-seals.json", {
    success: PublishedSeals,
    error: Problems.schemasOf(...Problems.everywhere)
  }).annotateMerge(OpenApi.annotations({
    summary: "Get the public keys of the seals",
    description: "What receipts are verified with, and where the chains of sealed blocks end now."
  }))
).annotateMerge(OpenApi.annotations({ title: "Seals", description: "Public. No key needed." }))
