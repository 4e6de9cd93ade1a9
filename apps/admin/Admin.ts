/**
 * The operators' API: the routes on the ports, and the server under them.
 */
import { Effect, Layer } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import type { ShardMap } from "#domain/sharding/ShardMap.ts"
import * as BearerKeys from "#infra/http/BearerKeys.ts"
import * as Edge from "#infra/http/Edge.ts"
import * as Pages from "#infra/http/Pages.ts"
import * as RouteTable from "#infra/http/RouteTable.ts"
import * as Server from "#infra/http/Server.ts"
import type * as SystemAnswers from "#infra/http/SystemAnswers.ts"
import * as Validation from "#infra/http/Validation.ts"
import { AdminApi } from "./contract/AdminApi.ts"
import { text } from "./contract/OpenApiDocument.ts"
import { CurrentOperator, OperatorAuthorization } from "./contract/Operators.ts"
import * as AdjustmentHandlers from "./handlers/AdjustmentHandlers.ts"
import * as AuditHandlers from "./handlers/AuditHandlers.ts"
import * as BreakHandlers from "./handlers/BreakHandlers.ts"
import * as ShardHandlers from "./handlers/ShardHandlers.ts"
import * as StatusHandlers from "./handlers/StatusHandlers.ts"
import * as TransferHandlers from "./handlers/TransferHandlers.ts"
import * as ParkedHandlers from "./handlers/ParkedHandlers.ts"
import * as SystemHandlers from "./handlers/SystemHandlers.ts"

export interface Options extends Server.Options {
  /** The operator's name by its key. */
  readonly keys: ReadonlyMap<string, string>
  readonly build: SystemAnswers.Build
  /** Which partition lives on which shard. */
  readonly map: ShardMap
}

const authorization = (keys: ReadonlyMap<string, string>) => {
  const nameOf = BearerKeys.holders(keys)
  return Layer.succeed(
    OperatorAuthorization,
    OperatorAuthorization.of({
      bearer: (handled, { credential }) => {
        const name = nameOf(credential)
        return name === undefined
          ? BearerKeys.unauthenticated
          : Effect.provideService(handled, CurrentOperator, { name })
      }
    })
  )
}

const routes = RouteTable.make([...RouteTable.of(AdminApi), ...Pages.routes])

const shardsOf = ({ homes }: ShardMap) => [...new Set(homes)].toSorted((one, other) => one - other)

const layer = ({ build, keys, map }: Options) =>
  Layer.mergeAll(
    HttpApiBuilder.layer(AdminApi).pipe(
      Layer.provide([
        StatusHandlers.layer,
        ShardHandlers.layer(shardsOf(map)),
        BreakHandlers.layer(shardsOf(map)),
        TransferHandlers.layer(map),
        AdjustmentHandlers.layer(map, shardsOf(map)),
        ParkedHandlers.layer,
        AuditHandlers.layer(shardsOf(map)),
        SystemHandlers.layer(build)
      ]),
      Layer.provide([authorization(keys), Validation.layer])
    ),
    Pages.layer(AdminApi, { document: text }),
    Edge.layer(routes)
  )

/** The operators' API, served: it listens when the layer is built, and `Listening` says where. */
export const serve = (options: Options) => Server.serve(layer(options), options)
