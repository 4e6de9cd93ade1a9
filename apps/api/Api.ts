/**
 * The HTTP edge: the routes on the ports, and the server under them.
 */
import { Layer } from "effect"
import type { HttpServerError } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import type { Queries } from "#domain/ledger/Queries.ts"
import type { PublicKey } from "#domain/sealing/Receipt.ts"
import type { Seals } from "#domain/sealing/Seals.ts"
import type { ShardMap } from "#domain/sharding/ShardMap.ts"
import type { Intake } from "#domain/transfer/Intake.ts"
import * as Edge from "#infra/http/Edge.ts"
import * as Pages from "#infra/http/Pages.ts"
import type { Readiness } from "#infra/http/Readiness.ts"
import * as RouteTable from "#infra/http/RouteTable.ts"
import * as Server from "#infra/http/Server.ts"
import type * as SystemAnswers from "#infra/http/SystemAnswers.ts"
import * as Validation from "#infra/http/Validation.ts"
import { CounterpoiseApi } from "./contract/CounterpoiseApi.ts"
import { failures } from "./contract/Failures.ts"
import { text } from "./contract/OpenApiDocument.ts"
import * as AccountHandlers from "./handlers/AccountHandlers.ts"
import * as LedgerHandlers from "./handlers/LedgerHandlers.ts"
import * as ReceiptHandlers from "./handlers/ReceiptHandlers.ts"
import * as StatementHandlers from "./handlers/StatementHandlers.ts"
import * as SystemHandlers from "./handlers/SystemHandlers.ts"
import * as TransferHandlers from "./handlers/TransferHandlers.ts"
import * as Guards from "./http/Guards.ts"
import type { Rate } from "./http/RateLimit.ts"

export interface Options {
  /** The client's name by its key. */
  readonly apiKeys: ReadonlyMap<string, string>
  /** How much each client may ask for; as much as it likes unless given. */
  readonly rate?: Rate | null
  /** How many transfers may be asked for at once, by all clients together; as many as they like unless given. */
  readonly mostAtOnce?: number
  /** Which partition lives on which shard. */
  readonly shardMap: ShardMap
  /** Whose seals are trusted. */
  readonly sealKeys?: ReadonlyArray<PublicKey>
  readonly build?: SystemAnswers.Build
}

const routes = RouteTable.make([...RouteTable.of(CounterpoiseApi), ...Pages.routes])

/** Wishes for transfers, one or many. A client that waits for an ending takes nothing meanwhile, and does not count. */
const asksForTransfers: Edge.Crowd["counts"] = ({ headers, method }, { template }) =>
  method === "POST" && headers["prefer"] === undefined &&
  (template === "/v1/transfers" || template === "/v1/transfers/batch")

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
      Layer.provide([Guards.authorization(options.apiKeys, options.rate ?? null), Validation.layer])
    ),
    Pages.layer(CounterpoiseApi, {
      document: text,
      appendix: {
        title: "Failures",
        introduction: "Why a transfer did not move money, as its failure says. The request itself was accepted.",
        codes: failures
      }
    }),
    Edge.layer(routes, { most: options.mostAtOnce ?? Infinity, counts: asksForTransfers })
  )

/** The API, served: it listens when the layer is built, and `Listening` says where. */
export const serve = (
  options: Options & Server.Options
): Layer.Layer<Server.Listening, HttpServerError.ServeError, Intake | Queries | Readiness | Seals> =>
  Server.serve(layer(options), options)
