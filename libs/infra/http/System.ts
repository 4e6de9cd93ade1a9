/**
 * What operators and probes ask of the process itself. No key needed.
 */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import * as Problems from "./Problems.ts"

export const Live = Schema.Struct({ status: Schema.Literal("live") }).annotate({ identifier: "Live" })

export const Ready = Schema.Struct({
  status: Schema.Literal("ready"),
  checks: Schema.Array(Schema.Struct({ name: Schema.String, healthy: Schema.Boolean }))
}).annotate({ identifier: "Ready" })

export const Version = Schema.Struct({
  name: Schema.Literal("counterpoise"),
  version: Schema.String,
  commit: Schema.NullOr(Schema.String)
}).annotate({ identifier: "Version" })

export const SystemGroup = HttpApiGroup.make("system").add(
  HttpApiEndpoint.get("live", "/livez", { success: Live, error: Problems.schemasOf(...Problems.everywhere) })
    .annotateMerge(OpenApi.annotations({
      summary: "Is the process alive?",
      description: "Answers as long as the event loop turns; says nothing of what stands behind it."
    })),
  HttpApiEndpoint.get("ready", "/readyz", {
    success: Ready,
    error: Problems.schemasOf(...Problems.everywhere, "not_ready")
  }).annotateMerge(OpenApi.annotations({
    summary: "Can it do its job?",
    description: "Ready when the shards answer. The event broker does not matter here: wishes are recorded without it."
  })),
  HttpApiEndpoint.get("metrics", "/metrics", {
    success: Schema.String.pipe(HttpApiSchema.asText({ contentType: "text/plain; version=0.0.4; charset=utf-8" })),
    error: Problems.schemasOf(...Problems.everywhere)
  }).annotateMerge(OpenApi.annotations({ summary: "Metrics", description: "In the text format of Prometheus." })),
  HttpApiEndpoint.get("version", "/version", { success: Version, error: Problems.schemasOf(...Problems.everywhere) })
    .annotateMerge(OpenApi.annotations({ summary: "Version", description: "What is running." }))
).annotateMerge(OpenApi.annotations({ title: "System", description: "The process itself. No key needed." }))
