/**
 * The HTTP edge: the routes on the ports, and the server under them.
 */
import { NodeHttpServer } from "@effect/platform-node"
import { ByteSize, Layer } from "effect"
import { HttpIncomingMessage, HttpRouter, type HttpServerError } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import type { Queries } from "#domain/ledger/Queries.ts"
import type { PublicKey } from "#domain/sealing/Receipt.ts"
import type { Seals } from "#domain/sealing/Seals.ts"
import type { ShardMap } from "#domain/sharding/ShardMap.ts"
import type { Intake } from "#domain/transfer/Intake.ts"
import { CounterpoiseApi } from "./contract/CounterpoiseApi.ts"
import * as AccountHandlers from "./handlers/AccountHandlers.ts"
import * as LedgerHandlers from "./handlers/LedgerHandlers.ts"
import * as Pages from "./handlers/Pages.ts"
import * as ReceiptHandlers from "./handlers/ReceiptHandlers.ts"
import * as StatementHandlers from "./handlers/StatementHandlers.ts"
import * as SystemHandlers from "./handlers/SystemHandlers.ts"
import * as TransferHandlers from "./handlers/TransferHandlers.ts"
import { maximumBytes } from "./http/Body.ts"
import * as Edge from "./http/Edge.ts"
import * as Guards from "./http/Guards.ts"
import type { Rate } from "./http/RateLimit.ts"
import * as RouteTable from "./http/RouteTable.ts"
import * as Server from "./http/Server.ts"
import type { Readiness } from "./Readiness.ts"

export interface Options {
  /** The client's name by its key. */
  readonly apiKeys: ReadonlyMap<string, string>
  /** How much each client may ask for; as much as it likes unless given. */
  readonly rate?: Rate | null
  /** Which partition lives on which shard. */
  readonly shardMap: ShardMap
  /** Whose seals are trusted. */
  readonly sealKeys?: ReadonlyArray<PublicKey>
  readonly build?: SystemHandlers.Build
}

const routes = RouteTable.make([
  ...Object.values(CounterpoiseApi.groups).flatMap((group) =>
    Object.values(group.endpoints).map(({ method, path }) => ({ method, path }))
  ),
  ...Pages.routes
])

/** All routes, on whatever router serves them. */
export const layer = (options: Options) =>
  Layer.mergeAll(
    HttpApiBuilder.layer(CounterpoiseApi).pipe(
      Layer.provide([
        AccountHandlers.layer(options.shardMap),
        TransferHandlers.layer(options.shardMap),
        StatementHandlers.layer,
        LedgerHandlers.layer,
        ReceiptHandlers.layer(options.shardMap, options.sealKeys ?? []),
        SystemHandlers.layer(options.build ?? { version: "0.0.0", commit: null })
      ]),
      Layer.provide([Guards.authorization(options.apiKeys, options.rate ?? null), Guards.validation])
    ),
    Pages.layer,
    Edge.layer(routes)
  )

/** The API, served: it listens when the layer is built, and `Listening` says where. */
export const serve = (
  options: Options & Server.Options
): Layer.Layer<Server.Listening, HttpServerError.ServeError, Intake | Queries | Readiness | Seals> =>
  HttpRouter.serve(layer(options), {
    // Paths mean what they say: no second spelling of a route.
    routerConfig: {
      ignoreTrailingSlash: false,
      ignoreDuplicateSlashes: false,
      caseSensitive: true,
      maxParamLength: 256
    },
    disableLogger: true,
    disableListenLog: true
  }).pipe(
    Layer.provideMerge(Server.layer(options)),
    Layer.provide(NodeHttpServer.layerHttpServices),
    Layer.provide(Layer.succeed(HttpIncomingMessage.MaxBodySize, ByteSize.fromInputUnsafe(maximumBytes)))
  )
