/** The relay as a process of its own. */
import { Effect, Layer } from "effect"
import * as CrashPoints from "#infra/CrashPoints.ts"
import * as Processes from "#infra/Processes.ts"
import { main } from "#infra/Program.ts"
import * as Health from "#infra/telemetry/Health.ts"
import { layer, work } from "./run.ts"

main(
  "relay",
  work.pipe(
    Effect.provide(
      Health.layer.pipe(Layer.provideMerge(layer), Layer.provideMerge(CrashPoints.around("relay", Processes.eventLog)))
    )
  )
)
