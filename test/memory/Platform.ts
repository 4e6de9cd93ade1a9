/**
 * The whole platform in one process, over shards and an event log in memory: the relay, the ledger worker and the
 * reconciler as they are in apps, and the intake that clients ask through.
 */
import { type Duration, Effect, Layer, Schema } from "effect"
import type { Account } from "#domain/account/Account.ts"
import { LedgerEventJson } from "#domain/ledger/LedgerEvent.ts"
import { EventLog } from "#domain/messaging/EventLog.ts"
import { type ShardId, type ShardMap } from "#domain/sharding/ShardMap.ts"
import * as MemoryBreaks from "#infra/memory/MemoryBreaks.ts"
import * as MemoryChecks from "#infra/memory/MemoryChecks.ts"
import * as MemoryDatabases from "#infra/memory/MemoryDatabases.ts"
import * as MemoryEventLog from "#infra/memory/MemoryEventLog.ts"
import * as MemoryIntake from "#infra/memory/MemoryIntake.ts"
import * as MemoryLeases from "#infra/memory/MemoryLeases.ts"
import * as MemoryQueries from "#infra/memory/MemoryQueries.ts"
import type { MemoryShard } from "#infra/memory/MemoryShard.ts"
import * as MemoryShardLog from "#infra/memory/MemoryShardLog.ts"
import * as MemoryShards from "#infra/memory/MemoryShards.ts"
import * as MemorySilentTransfers from "#infra/memory/MemorySilentTransfers.ts"
import { ledgerWorker } from "../../apps/ledger/LedgerWorker.ts"
import { reconciler, type ReconcilerOptions } from "../../apps/reconciler/Reconciler.ts"
import { relay } from "../../apps/relay/Relay.ts"
import type * as ShardModel from "../domain/ShardModel.ts"

/** What lasts when processes end. */
export interface Machines {
  readonly map: ShardMap
  readonly shards: ReadonlyArray<MemoryShard>
  readonly log: MemoryEventLog.Log
}

export const machines = (map: ShardMap, options: MemoryEventLog.LogOptions = {}): Effect.Effect<Machines> =>
  Effect.map(MemoryEventLog.makeLog(options), (log) => ({ map, shards: MemoryDatabases.emptyShards(map), log }))

export interface ProcessOptions {
  readonly holder: string
  readonly leaseTime: Duration.Duration
  readonly faults?: MemoryDatabases.Faults
  readonly nowMillis?: (shard: ShardId) => number
}

/** All that a process may reach: each has connections, faults and a name of its own. */
export const process = ({ log, map, shards }: Machines, { holder, leaseTime, ...onTheWay }: ProcessOptions) =>
  Layer.fresh(
    Layer.mergeAll(
      MemoryShards.layer,
      MemoryShardLog.layer,
      MemoryIntake.layer,
      MemorySilentTransfers.layer,
      MemoryQueries.layer,
      MemoryBreaks.layer,
      MemoryChecks.layer,
      MemoryLeases.layer({ holder, timeToLive: leaseTime }),
      Layer.succeed(EventLog, MemoryEventLog.over(log))
    ).pipe(
      Layer.provide(MemoryDatabases.layer({ map, shards, ...onTheWay }))
    )
  )

/** Everything that works on the shards, for ever. */
export const everybodyWorks = ({ shards }: Machines, options: ReconcilerOptions) =>
  Effect.forEach(
    shards.map(({ id }) => id),
    (shard: ShardId) =>
      Effect.all([relay(shard), ledgerWorker(shard), reconciler(shard, options)], { concurrency: "unbounded" }),
    { concurrency: "unbounded", discard: true }
  )

const decode = Schema.decodeUnknownSync(LedgerEventJson)

/** A shard as the invariants of test/domain see it. */
export const asModel = ({ id, map, state }: MemoryShard): ShardModel.Shard => ({
  id,
  map,
  accounts: new Map(
    [...state.balances].flatMap(([account, balance]): ReadonlyArray<[string, Account]> => {
      const row = state.accounts.get(account)
      return row === undefined ? [] : [[account, { ...row.account, balance }]]
    })
  ),
  transfers: new Map([...state.transfers].map(([transfer, row]) => [transfer, row.transfer])),
  verdicts: state.verdicts,
  instructions: new Map([...state.instructions].map(([instruction, row]) => [instruction, row.instruction])),
  holds: [...state.holds.values()],
  journals: [...state.journals.values()],
  log: state.events.map(({ payload }) => decode(payload))
})
