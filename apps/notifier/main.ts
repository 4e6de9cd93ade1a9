/** The notifier as a process of its own. */
import { Effect, Layer } from "effect"
import { Parked } from "#domain/messaging/Parked.ts"
import * as Processes from "#infra/Processes.ts"
import { main } from "#infra/Program.ts"
import * as Health from "#infra/telemetry/Health.ts"
import { layer, settings, work } from "./run.ts"

/** Not the receiver: that it can be reached is not this process's job. */
const dependencies = Effect.all([
  Parked.use((parked) =>
    Health.ask("notifier's database", parked.list({ status: "waiting", key: null, after: 0n, most: 1 }))
  ),
  Health.askEventLog
])

main(
  "notifier",
  Effect.andThen(
    // What is wrong with the configuration is said before anything is opened.
    settings,
    work.pipe(
      Effect.provide(
        Health.serving(dependencies).pipe(Layer.provideMerge(layer), Layer.provideMerge(Processes.eventLog))
      )
    )
  )
)
