import { Effect, Layer } from "effect"
import * as MemoryEventLog from "#infra/memory/MemoryEventLog.ts"
import { eventLogLaws, EventLogs } from "../laws/EventLogLaws.ts"

const logs = (options: MemoryEventLog.LogOptions) =>
  Layer.succeed(EventLogs, {
    fresh: Effect.map(MemoryEventLog.makeLog(options), (log) => Effect.sync(() => MemoryEventLog.over(log)))
  })

eventLogLaws(
  "the event log in memory",
  { denseOffsets: true, atomicAppends: true, fencesWriters: true, durable: false },
  logs({})
)

eventLogLaws(
  "an event log in memory that promises no more than it must",
  { denseOffsets: true, atomicAppends: true, fencesWriters: false, durable: false },
  logs({ fencesWriters: false, keepsReplays: true })
)
