import { Effect, Layer } from "effect"
import { Command } from "effect/cli"
import { isHeld, type Pulse, Pulses } from "#domain/sharding/Pulse.ts"
import { partitionsOf, type ShardId } from "#domain/sharding/ShardMap.ts"
import * as PgPulses from "#infra/postgres/PgPulses.ts"
import { ShardDatabases } from "#infra/postgres/ShardDatabases.ts"
import * as Settings from "#infra/Settings.ts"
import { hostOf } from "../doctor/Databases.ts"
import * as Output from "../Output.ts"
import * as Platform from "../Platform.ts"
import { recover } from "./Recover.ts"

const holderOf = (pulse: Pulse, role: string): string => {
  const lease = pulse.leases.find((each) => each.role === role)
  return lease === undefined
    ? "nobody yet"
    : isHeld(pulse, lease)
    ? lease.holder.replace(/:[0-9a-f-]{36}$/, "")
    : "nobody"
}

/** `counterpoise shards list` */
const list = Command.make(
  "list",
  {},
  Effect.fnUntraced(function*() {
    const { map, shards } = yield* ShardDatabases
    const pulses = yield* Pulses
    const { shardUrls } = yield* Settings.read(Settings.shards)
    const row = (shard: ShardId) => {
      const partitions = partitionsOf(map, shard)
      const own = { shard, address: hostOf(shardUrls[shard] ?? ""), partitions: ranges(partitions) }
      return pulses.of(shard).pipe(
        Effect.map((pulse) => ({
          ...own,
          answers: pulse.behind === null ? "yes" : "behind",
          last_position: pulse.lastPosition,
          ledger: holderOf(pulse, "ledger"),
          relay: holderOf(pulse, "relay"),
          reconciler: holderOf(pulse, "reconciler"),
          why: pulse.behind && `it lost data: ${pulse.behind.seenBy} has seen its log up to ${pulse.behind.seenTo}`
        })),
        Effect.catchTag("ShardUnavailable", ({ message }) =>
          Effect.succeed({
            ...own,
            answers: "no",
            last_position: null,
            ledger: null,
            relay: null,
            reconciler: null,
            why: message
          }))
      )
    }
    yield* Output.list(yield* Effect.forEach(shards, row, { concurrency: "unbounded" }))
  })
).pipe(
  Command.provide(Layer.provideMerge(PgPulses.layer, Platform.shards)),
  Command.withDescription(
    "Where each shard is, which partitions it is home to, whether it answers, and who works on it (the holders of its leases)."
  ),
  Command.withShortDescription("Where each shard is, and who works on it"),
  Command.withExamples([{ command: "counterpoise shards list", description: "A line for each shard" }])
)

/** `0-3,7` */
const ranges = (numbers: ReadonlyArray<number>): string => {
  const found: Array<[from: number, to: number]> = []
  for (const number of numbers) {
    const last = found.at(-1)
    if (last !== undefined && last[1] === number - 1) last[1] = number
    else found.push([number, number])
  }
  return found.map(([from, to]) => from === to ? `${from}` : `${from}-${to}`).join(",")
}

export const shards = Command.make("shards").pipe(
  Command.withDescription("The shards"),
  Command.withSubcommands([list, recover])
)
