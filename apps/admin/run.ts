/** The operators' process: serves their API over the shards it reaches. It is ready without the event log. */
import { Effect, Layer, Option } from "effect"
import * as Readiness from "#infra/http/Readiness.ts"
import * as PgAdjustments from "#infra/postgres/PgAdjustments.ts"
import * as PgAudit from "#infra/postgres/PgAudit.ts"
import * as PgBreaks from "#infra/postgres/PgBreaks.ts"
import * as PgIntake from "#infra/postgres/PgIntake.ts"
import * as PgInterventions from "#infra/postgres/PgInterventions.ts"
import * as PgPulses from "#infra/postgres/PgPulses.ts"
import * as PgQueries from "#infra/postgres/PgQueries.ts"
import * as PgRepublishing from "#infra/postgres/PgRepublishing.ts"
import * as PgSilentTransfers from "#infra/postgres/PgSilentTransfers.ts"
import * as PgUnfinished from "#infra/postgres/PgUnfinished.ts"
import * as Processes from "#infra/Processes.ts"
import * as Settings from "#infra/Settings.ts"
import manifest from "../../package.json" with { type: "json" }
import { serve } from "./Admin.ts"
import { EventLogAtHand } from "./EventLogAtHand.ts"
import * as ParkedAtHand from "./ParkedAtHand.ts"
import { Overview } from "./Overview.ts"

/** What is read is read as the auditor, who can do nothing else. */
const reading = Layer.provide(
  Layer.mergeAll(PgQueries.layer, PgPulses.layer, PgSilentTransfers.layer, PgUnfinished.layer),
  Processes.shardDatabases("auditor")
)

/** What operators do is done as a role of their own, which can ask, and write down who asked; it cannot write money. */
const acting = Layer.provide(
  Layer.mergeAll(PgAdjustments.layer, PgAudit.layer, PgBreaks.layer, PgInterventions.layer, PgRepublishing.layer),
  Processes.shardDatabases("operator", 2)
)

/** The transfers of adjustments are requested in the ordinary way, by the role that requests transfers. */
const asking = Layer.provide(PgIntake.layer(), Processes.shardDatabases("api", 2))

/** Operators need their answers most when shards are down: that the process listens is all that it takes. */
const readiness = Readiness.Readiness.layer([])

const server = Layer.unwrap(Effect.gen(function*() {
  const { host, keys, port } = yield* Settings.read(Settings.admin)
  const { map } = Settings.shardMapOf(yield* Settings.read(Settings.shards))
  const { database } = yield* Settings.read(Settings.notifier)
  const parked = Option.match(database, {
    onNone: () => ParkedAtHand.none,
    onSome: (url) => ParkedAtHand.layer(Processes.consumer("notifier", url))
  })
  const patience = yield* Settings.read(Settings.patience)
  return serve({ keys, map, host, port, stepAround: false, build: { version: manifest.version, commit: null } }).pipe(
    Layer.provide(Overview.layer(map, patience)),
    Layer.provide([reading, acting, asking, parked, readiness, EventLogAtHand.layer(Processes.eventLog)])
  )
}))

/** Serves until it is interrupted. */
export const run = Layer.launch(server)
