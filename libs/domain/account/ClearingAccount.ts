/**
 * Clearing accounts: on each shard one per direction, other shard and currency. They stand for the other shard, so that
 * every shard balances to zero at every commit; all of them together show exactly what is in flight between shards.
 */
import type { Currency } from "../money/Currency.ts"
import type { ShardId } from "../sharding/ShardMap.ts"
import { type Account, emptyBalance } from "./Account.ts"

/** On `shard`, what it owes the shard `to`: credited when a transfer commits here. */
export const toShard = (shard: ShardId, to: ShardId, currency: Currency): string =>
  `clearing:${shard}:to:${to}:${currency}`

/** On `shard`, what it is owed by the shard `from`: debited when a transfer is credited here. */
export const fromShard = (shard: ShardId, from: ShardId, currency: Currency): string =>
  `clearing:${shard}:from:${from}:${currency}`

/** A clearing account as it is before its first entry; the ledger opens it when it is needed. */
export const opening = (id: string, currency: Currency): Account => ({
  id,
  kind: "clearing",
  normalSide: "credit",
  currency,
  status: "open",
  floor: null,
  ceiling: null,
  balance: emptyBalance
})
