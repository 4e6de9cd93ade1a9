import { Effect, Layer } from "effect"
import * as MemoryEventLog from "#infra/memory/MemoryEventLog.ts"
import { eventLogLaws, EventLogs } from "../laws/EventLogLaws.ts"

eventLogLaws(
  "the event log in memory",
  { denseOffsets: true, atomicAppends: true, fencesWriters: true, durable: false },
  Layer.succeed(EventLogs, {
    fresh: Effect.map(MemoryEventLog.makeLog, (log) => Effect.sync(() => MemoryEventLog.over(log)))
  })
)
