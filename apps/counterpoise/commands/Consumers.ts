import { Effect, Layer } from "effect"
import { Command, Flag } from "effect/cli"
import { EventLog } from "#domain/messaging/EventLog.ts"
import { isHeld, Pulses } from "#domain/sharding/Pulse.ts"
import * as PgPulses from "#infra/postgres/PgPulses.ts"
import { ShardDatabases } from "#infra/postgres/ShardDatabases.ts"
import * as Processes from "#infra/Processes.ts"
import * as Output from "../Output.ts"
import * as Platform from "../Platform.ts"

/** `counterpoise consumers lag` */
const lag = Command.make(
  "lag",
  {
    partitions: Flag.Boolean("partitions").pipe(
      Flag.withDefault(false),
      Flag.withDescription("A line for each partition, instead of one for each worker")
    )
  },
  Effect.fnUntraced(function*({ partitions }) {
    const log = yield* EventLog
    const { map, shards } = yield* ShardDatabases
    const bounds = yield* log.bounds(map.homes.map((_, partition) => partition))
    const rows = yield* Effect.forEach(shards, (shard) =>
      Effect.map(Pulses.use(({ of }) => of(shard)), (pulse) => {
        const lease = pulse.leases.find(({ role }) => role === "ledger")
        const worker = lease !== undefined && isHeld(pulse, lease) ? "works" : "nobody"
        const places = new Map(
          pulse.worked.filter((place) => place.log === log.identity).map((place) => [place.partition, place])
        )
        return map.homes.flatMap((home, partition) => {
          if (home !== shard) return []
          const next = places.get(partition)?.next ?? 0n
          const end = bounds.get(partition)?.end ?? 0n
          return [{ consumer: `ledger of shard ${shard}`, worker, partition, next_offset: next, end, lag: end - next }]
        })
      }), { concurrency: 8 })
    yield* Output.list(
      partitions
        ? rows.flat()
        : rows.map((ofShard) => ({
          consumer: ofShard[0]?.consumer ?? null,
          worker: ofShard[0]?.worker ?? null,
          partitions: ofShard.length,
          behind: ofShard.filter(({ lag }) => lag > 0n).length,
          lag: ofShard.reduce((sum, { lag }) => sum + lag, 0n)
        }))
    )
  })
).pipe(
  Command.provide(Layer.merge(
    Layer.provideMerge(PgPulses.layer, Platform.shards),
    Layer.provide(Layer.fresh(Processes.reachableEventLog), Platform.ready)
  )),
  Command.withDescription(
    [
      "How many records of the event log each shard's ledger worker has still to read, in offsets of that log. In Kafka the ends of",
      "transactions take up offsets too: a lag of a few there, which does not grow, is none."
    ].join("\n")
  ),
  Command.withShortDescription("How far behind are the ledger workers?"),
  Command.withExamples([
    { command: "counterpoise consumers lag", description: "A line for each shard's worker" },
    { command: "counterpoise consumers lag --partitions -o json", description: "Each partition" }
  ])
)

export const consumers = Command.make("consumers").pipe(
  Command.withDescription("Who reads the event log"),
  Command.withSubcommands([lag])
)
