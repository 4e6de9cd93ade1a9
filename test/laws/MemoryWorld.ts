/** The world of the laws in memory. */
import { Duration, Effect, Layer } from "effect"
import * as MemoryBreaks from "#infra/memory/MemoryBreaks.ts"
import * as MemoryChecks from "#infra/memory/MemoryChecks.ts"
import * as MemoryDatabases from "#infra/memory/MemoryDatabases.ts"
import * as MemoryIntake from "#infra/memory/MemoryIntake.ts"
import * as MemoryLeases from "#infra/memory/MemoryLeases.ts"
import * as MemoryQueries from "#infra/memory/MemoryQueries.ts"
import * as MemoryShardLog from "#infra/memory/MemoryShardLog.ts"
import * as MemoryShards from "#infra/memory/MemoryShards.ts"
import * as MemorySilentTransfers from "#infra/memory/MemorySilentTransfers.ts"
import { ConstraintViolation } from "#infra/memory/MemoryTable.ts"
import { map, World } from "./World.ts"

export const layer = Layer.effect(
  World,
  Effect.gen(function*() {
    const shards = MemoryDatabases.emptyShards(map)
    const process = ({ leaseMillis = 60_000 } = {}) =>
      Layer.build(Layer.fresh(
        Layer.mergeAll(
          MemoryShards.layer,
          MemoryShardLog.layer,
          MemoryLeases.layer({ holder: crypto.randomUUID(), timeToLive: Duration.millis(leaseMillis) }),
          MemoryIntake.layer,
          MemorySilentTransfers.layer,
          MemoryQueries.layer,
          MemoryChecks.layer,
          MemoryBreaks.layer
        ).pipe(Layer.provide(MemoryDatabases.layer({ map, shards })))
      ))
    return {
      here: yield* process(),
      process,
      digest: (shard) => Effect.sync(() => JSON.stringify(shards[shard]?.state, plainly)),
      constraintOf: (defect) => defect instanceof ConstraintViolation ? defect.constraint : undefined
    }
  })
)

const plainly = (key: string, value: unknown): unknown =>
  key === "drawn" ? undefined : typeof value === "bigint" ? `${value}` : value instanceof Map ? [...value] : value
