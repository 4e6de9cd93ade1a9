/** Two shards with real books and their own small world: accounts, wishes, a relay and workers, for tests to set going. */
import { Context, Duration, Effect, Layer, Option, Schema } from "effect"
import { AccountId, defaultsOf } from "#domain/account/Account.ts"
import { Queries } from "#domain/ledger/Queries.ts"
import { EventLog, type LogRecord } from "#domain/messaging/EventLog.ts"
import { ShardLog } from "#domain/messaging/ShardLog.ts"
import { Amount } from "#domain/money/Amount.ts"
import { Currency } from "#domain/money/Currency.ts"
import { partitionOf } from "#domain/sharding/Partition.ts"
import { Intake, type TransferIntent } from "#domain/transfer/Intake.ts"
import type { Capture } from "#domain/transfer/TransferEvent.ts"
import * as TransferId from "#domain/transfer/TransferId.ts"
import { random } from "#infra/Entropy.ts"
import * as MemoryEventLog from "#infra/memory/MemoryEventLog.ts"
import * as PgIntake from "#infra/postgres/PgIntake.ts"
import * as PgLeases from "#infra/postgres/PgLeases.ts"
import * as PgQueries from "#infra/postgres/PgQueries.ts"
import * as PgShardLog from "#infra/postgres/PgShardLog.ts"
import * as PgShards from "#infra/postgres/PgShards.ts"
import * as PgSilentTransfers from "#infra/postgres/PgSilentTransfers.ts"
import { connect } from "#infra/postgres/Postgres.ts"
import { ShardDatabases } from "#infra/postgres/ShardDatabases.ts"
import { ledgerWorker } from "../../apps/ledger/LedgerWorker.ts"
import { relay } from "../../apps/relay/Relay.ts"
import { TestPostgres, type TestShards } from "../support/TestPostgres.ts"

export const partitions = 8
const EUR = Schema.decodeSync(Currency)("EUR")
export const accountId = Schema.decodeSync(AccountId)
const amount = Schema.decodeSync(Amount)

/** The shards of a world, for those who check its books. */
export class World extends Context.Service<World, TestShards>()("counterpoise/test/World") {}

/** Two shards, and everything that works on them, but nothing running yet. */
export const world = Layer.unwrap(Effect.gen(function*() {
  const postgres = yield* TestPostgres
  const shards = yield* postgres.freshShards(2, { partitions })
  // One role for all: what each role may do is the business of the grants' own test.
  const databases = ShardDatabases.layer({ ...shards, role: "postgres", maxConnections: 8 })
  const leases = PgLeases.layer({ holder: crypto.randomUUID(), timeToLive: Duration.seconds(2) })
  return Layer.mergeAll(
    PgIntake.layer(),
    PgQueries.layer,
    PgShards.layer,
    PgShardLog.layer,
    PgSilentTransfers.layer,
    leases,
    Layer.fresh(MemoryEventLog.layer),
    Layer.succeed(World, shards)
  ).pipe(Layer.provideMerge(databases))
}))

let keys = 0
export const request = () => ({
  client: "test",
  idempotencyKey: `key-${++keys}`,
  fingerprint: "ab".repeat(32),
  requestId: "req_test",
  traceparent: null
})

/** A name that is at home on the wanted shard. */
export const nameOn = (shard: number, name: string) => {
  for (let number = 1;; number++) {
    const candidate = `${name}-${number}`
    if (Math.floor((partitionOf(candidate, partitions) * 2) / partitions) === shard) return accountId(candidate)
  }
}

export const open = Effect.fnUntraced(function*(id: AccountId, kind: "customer" | "external" = "customer") {
  const intake = yield* Intake
  yield* intake.open({
    request: request(),
    named: true,
    metadata: {},
    account: { id, kind, currency: EUR, ceiling: null, ...defaultsOf(kind) }
  })
  return id
})

/** A wish for a transfer, with a key of its own. */
export const intentOf = (
  source: AccountId,
  destination: AccountId,
  minor: string,
  capture: Capture = "automatic"
): TransferIntent => ({
  request: request(),
  terms: {
    transfer: TransferId.make(1_800_000_000_000 + ++keys, partitionOf(source, partitions), random),
    source,
    destination,
    amount: amount(minor),
    currency: EUR
  },
  capture,
  expiresInSeconds: capture === "manual" ? 60 : null,
  reverses: null,
  reference: null,
  description: null,
  metadata: {}
})

/** Asks for a transfer, and answers its terms. */
export const wish = (source: AccountId, destination: AccountId, minor: string, capture?: Capture) =>
  Effect.suspend(() => {
    const intent = intentOf(source, destination, minor, capture)
    return Effect.as(Intake.use((intake) => intake.request(intent)), intent.terms)
  })

/** Asks for a transfer, and answers its id. */
export const ask = (source: AccountId, destination: AccountId, minor: string) =>
  Effect.map(wish(source, destination, minor), ({ transfer }) => transfer)

export const ended = Effect.fnUntraced(function*(id: TransferId.TransferId) {
  const queries = yield* Queries
  return Option.getOrThrow(yield* queries.awaitEnd(id, 10_000))
})

export const postedOf = Effect.fnUntraced(function*(id: string) {
  const queries = yield* Queries
  const { balance } = Option.getOrThrow(yield* queries.account(id)).account
  return { posted: balance.posted, held: balance.held, sequence: balance.sequence }
})

export const everybodyWorks = Effect.forEach([0, 1], (shard) =>
  Effect.all([relay(shard), ledgerWorker(shard)], {
    concurrency: "unbounded"
  }), { concurrency: "unbounded", discard: true })

/** What a shard has logged so far. */
export const logOf = Effect.fnUntraced(function*(shard: number) {
  const log = yield* ShardLog
  return (yield* log.after(shard, 0n, 10_000)).records
})

export const publish = Effect.fnUntraced(function*(source: number, records: ReadonlyArray<LogRecord>) {
  const log = yield* EventLog
  const writer = yield* log.writer(source)
  yield* writer.append(records)
}, Effect.scoped)

/** Somebody else's connection to a shard. */
export const somebodyOn = Effect.fnUntraced(function*(shard: number) {
  const url = (yield* World).urls[shard]
  return url === undefined ? yield* Effect.die(new Error(`there is no shard ${shard}`)) : yield* connect({ url })
})
