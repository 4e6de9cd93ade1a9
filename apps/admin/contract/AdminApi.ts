/**
 * The contract of the operators' API, without any implementation: the operators' command imports it, the server serves it,
 * tests hold it.
 */
import { HttpApi, OpenApi } from "effect/http-api"
import * as Documented from "#infra/http/Documented.ts"
import { SystemGroup } from "#infra/http/System.ts"
import { AdjustmentsGroup } from "./Adjustments.ts"
import { AuditGroup } from "./Audit.ts"
import { BreaksGroup } from "./Breaks.ts"
import { ShardsGroup } from "./Shards.ts"
import { ParkedGroup } from "./Parked.ts"
import { StatusGroup } from "./Status.ts"
import { TransfersGroup } from "./Transfers.ts"

export const AdminApi = HttpApi.make("counterpoise-admin")
  .add(StatusGroup)
  .add(ShardsGroup)
  .add(BreaksGroup)
  .add(TransfersGroup)
  .add(AdjustmentsGroup)
  .add(ParkedGroup)
  .add(AuditGroup)
  .add(SystemGroup)
  // All that is wrong is said at once, and what is not known is refused.
  .annotate(HttpApi.PayloadParseOptions, { errors: "all", onExcessProperty: "error" })
  .annotate(HttpApi.QueryParseOptions, { errors: "all", onExcessProperty: "error" })
  .annotateMerge(OpenApi.annotations({
    title: "Counterpoise for operators",
    version: "1.0.0",
    description:
      "What operators see and do, on a port of its own. It only asks: no request here writes a balance, an entry " +
      "or a verdict. Everything that is not a success is a problem (RFC 9457) with a stable `code`.",
    license: { name: "MIT" },
    transform: Documented.onceEach
  }))
