/** Shards to measure on, with accounts that have money and as many entries as one likes. */
import { Effect } from "effect"
import { AccountId } from "#domain/account/Account.ts"
import { customersOf, fill } from "../test/checks/Filled.ts"
import { TestPostgres, type TestShards } from "../test/support/TestPostgres.ts"
import * as Progress from "./Progress.ts"

/** The accounts that money moves between, by shard. */
export type Parties = ReadonlyArray<ReadonlyArray<AccountId>>

export interface Filled {
  readonly shards: TestShards
  readonly parties: Parties
}

/** Two new shards, each with half of the accounts. */
export const filled = Effect.fnUntraced(function*(name: string, accounts: number, entries: number) {
  const shards = yield* (yield* TestPostgres).freshShards(2)
  const accountsPerShard = Math.ceil(accounts / 2)
  Progress.say(`filling ${name}`)
  yield* fill(shards, {
    accountsPerShard,
    entries,
    progress: (shard, done, of) => Progress.flash(`filling ${name}: shard ${shard}, statement ${done} of ${of}`)
  })
  const customers = customersOf(shards.map, accountsPerShard)
  // The first of each shard is the bank that gave the others their money.
  const parties = customers.map((here) => here.slice(1).map(({ id }) => AccountId.make(id)))
  return { shards, parties } satisfies Filled
})
