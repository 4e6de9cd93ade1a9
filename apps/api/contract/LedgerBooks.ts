/**
 * The books as a whole: whether they balance, and what is in flight.
 */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, OpenApi } from "effect/http-api"
import * as Problems from "#infra/http/Problems.ts"
import { Validation } from "#infra/http/Validation.ts"
import { Minor, Time } from "#infra/http/Values.ts"
import { Authorization } from "./Authorization.ts"

const sums = {
  debits: Minor,
  credits: Minor,
  balances: Schema.Boolean.annotate({ description: "Do debits and credits add up to the same?" }),
  held: Minor.annotate({
    description: "The sum of the open holds: reserved on source accounts for transfers that are authorized or held"
  })
}

export const TrialBalance = Schema.Struct({
  id: Schema.Literal("trial_balance"),
  object: Schema.Literal("trial_balance"),
  created_at: Time,
  balances: Schema.Boolean.annotate({ description: "Does every shard balance in every currency?" }),
  currencies: Schema.Array(Schema.Struct({
    currency: Schema.String,
    ...sums,
    in_flight: Minor.annotate({
      description:
        "Credited on one shard and not yet committed on the other. The shards are not read at one instant: " +
        "while money moves, this may be off by what moved in between. At rest it is 0."
    }),
    shards: Schema.Array(Schema.Struct({
      shard: Schema.Int,
      ...sums,
      clearing_to: Minor.annotate({ description: "Credits less debits of the clearing accounts towards other shards" }),
      clearing_from: Minor.annotate({ description: "Credits less debits of the clearing accounts from other shards" })
    }))
  }))
}).annotate({ identifier: "TrialBalance" })

export const LedgerGroup = HttpApiGroup.make("ledger").add(
  HttpApiEndpoint.get("trialBalance", "/trial-balance", {
    success: TrialBalance,
    error: Problems.schemasOf(...Problems.sharded)
  }).annotateMerge(OpenApi.annotations({
    summary: "Get the trial balance",
    description:
      "Per currency, for each shard and over all: the sums of the balances that stand in debit and of those in credit, " +
      "and whether they are equal; what is held, and what is in flight between shards. Each shard is read at one moment, " +
      "and balances at every moment."
  }))
).middleware(Validation).middleware(Authorization).prefix("/v1/ledger").annotateMerge(
  OpenApi.annotations({ title: "Ledger", description: "The books as a whole." })
)
