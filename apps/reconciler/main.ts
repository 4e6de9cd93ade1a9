/** The reconciler as a process of its own. */
import { Effect, Layer } from "effect"
import * as Processes from "#infra/Processes.ts"
import { main } from "#infra/Program.ts"
import * as Health from "#infra/telemetry/Health.ts"
import { layer, work } from "./run.ts"

main(
  "reconciler",
  work.pipe(Effect.provide(Health.layer.pipe(Layer.provideMerge(layer), Layer.provideMerge(Processes.eventLog))))
)
