/**
 * The operators' API listening on a free port, over real shards; and a client made from its contract, which decodes every
 * answer by it.
 */
import { Duration, Effect, Layer, type Scope } from "effect"
import { FetchHttpClient, HttpClient, HttpClientRequest } from "effect/http"
import { HttpApiClient, HttpApiMiddleware } from "effect/http-api"
import type { EventLog } from "#domain/messaging/EventLog.ts"
import type { Parked } from "#domain/messaging/Parked.ts"
import * as Readiness from "#infra/http/Readiness.ts"
import { Listening } from "#infra/http/Server.ts"
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
import { ShardDatabases } from "#infra/postgres/ShardDatabases.ts"
import * as ParkedAtHand from "../../apps/admin/ParkedAtHand.ts"
import { serve } from "../../apps/admin/Admin.ts"
import { AdminApi } from "../../apps/admin/contract/AdminApi.ts"
import { OperatorAuthorization } from "../../apps/admin/contract/Operators.ts"
import { EventLogAtHand } from "../../apps/admin/EventLogAtHand.ts"
import { Overview } from "../../apps/admin/Overview.ts"
import type { TestShards } from "../support/TestPostgres.ts"

/** The keys of two operators. */
export const keys = { ann: "cp_admin_key_of_ann", ben: "cp_admin_key_of_ben" }

/** Everything is silent at once. */
const impatient = { requested: Duration.zero, held: Duration.zero }

/** Serves the operators' API over shards; answers where. */
export const served = Effect.fnUntraced(function*(
  shards: TestShards,
  log: Layer.Layer<EventLog> = Layer.effectContext(Effect.never),
  parked: Layer.Layer<Parked> = ParkedAtHand.none
) {
  const reading = Layer.provide(
    Layer.mergeAll(PgQueries.layer, PgPulses.layer, PgSilentTransfers.layer, PgUnfinished.layer),
    ShardDatabases.layer({ ...shards, role: "counterpoise_auditor" })
  )
  const acting = Layer.provide(
    Layer.mergeAll(PgAdjustments.layer, PgAudit.layer, PgBreaks.layer, PgInterventions.layer, PgRepublishing.layer),
    ShardDatabases.layer({ ...shards, role: "counterpoise_operator" })
  )
  const asking = Layer.provide(PgIntake.layer(), ShardDatabases.layer({ ...shards, role: "counterpoise_api" }))
  const layer = serve({
    keys: new Map(Object.entries(keys).map(([name, key]) => [key, name])),
    host: "127.0.0.1",
    port: 0,
    map: shards.map,
    build: { version: "0.0.0", commit: null }
  }).pipe(
    Layer.provide(Overview.layer(shards.map, impatient)),
    Layer.provide([reading, acting, asking, parked, Readiness.Readiness.layer([]), EventLogAtHand.layer(log)])
  )
  const scope = yield* Effect.scope
  const context = yield* Effect.orDie(Layer.buildWithScope(Layer.fresh(layer), scope))
  return yield* Effect.provide(Listening, context)
})

/** A client of the operators' API, by the contract. */
export const clientOf = (url: string, key: string) =>
  HttpApiClient.make(AdminApi, {
    transformClient: HttpClient.mapRequest(HttpClientRequest.prependUrl(url))
  }).pipe(
    Effect.provide(
      Layer.merge(
        FetchHttpClient.layer,
        HttpApiMiddleware.layerClient(
          OperatorAuthorization,
          ({ next, request }) => next(HttpClientRequest.bearerToken(request, key))
        )
      )
    )
  )

export type Client = Effect.Success<ReturnType<typeof clientOf>>

/** Ann's client over shards. */
export const annOver = (
  shards: TestShards,
  log?: Layer.Layer<EventLog>
): Effect.Effect<Client, never, Scope.Scope> =>
  Effect.flatMap(served(shards, log), ({ url }) => clientOf(url, keys.ann))
