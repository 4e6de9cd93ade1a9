import { type Duration, Effect, Layer } from "effect"
import * as MemoryConsumer from "#infra/memory/MemoryConsumer.ts"
import { ConsumerDatabases, consumerLaws } from "../laws/ConsumerLaws.ts"

consumerLaws(
  "a consumer's database in memory",
  Layer.succeed(ConsumerDatabases, {
    fresh: Effect.map(
      MemoryConsumer.makeDatabase("test"),
      (database) => (timeToLive: Duration.Duration) => Effect.sync(() => MemoryConsumer.over(database, timeToLive))
    )
  })
)
