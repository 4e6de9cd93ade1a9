/** docs/prometheus-rules.yml: the runbook's alerts, word for word, over metrics that are served under these names and labels. */
import { Effect, Metric } from "effect"
import { PrometheusMetrics } from "effect/observability"
import { beforeAll, describe, expect, it } from "vitest"
import * as HttpMetrics from "#infra/http/Metrics.ts"
import * as Metrics from "#infra/telemetry/Metrics.ts"
import { read } from "./Markdown.ts"

interface Alert {
  readonly title: string
  readonly condition: string
  readonly severity: string
  readonly section: string
}

const rules = [
  ...read("docs/prometheus-rules.yml").matchAll(
    / {6}- alert: (\w+)\n {8}expr: (.+)\n {8}labels:\n {10}severity: (page|ticket)\n {8}annotations:\n {10}summary: (.+)\n {10}runbook: docs\/runbook\.md#(.+)\n/g
  )
].map(([, name = "", condition = "", severity = "", title = "", section = ""]) => ({
  name,
  alert: { title, condition, severity, section } satisfies Alert
}))

const listed = [
  ...read("docs/runbook.md").matchAll(/^\| \[([^\]]+)\]\(#([^)]+)\) \| `([^`]+)`.* \| (page|ticket) \|$/gm)
].map(([, title = "", section = "", condition = "", severity = ""]): Alert => ({ title, condition, severity, section }))

/** What Prometheus would read, once everything has happened that is counted. */
const served = Effect.gen(function*() {
  const counted = [Metrics.lostRaces, Metrics.eventsPublished, HttpMetrics.idempotency.first]
  const shown = [
    Metrics.violations,
    Metrics.partitionsStopped,
    Metrics.sealingStopped,
    Metrics.parkedKeys,
    Metrics.notifierStopped,
    Metrics.notifierPartitionsStopped,
    Metrics.oldestPending
  ]
  for (const metric of counted) yield* Metric.update(metric, 1)
  for (const metric of shown) yield* Metric.update(metric, 1)
  yield* Metrics.checked("full", 0, 0)
  yield* Metric.update(HttpMetrics.durations("GET", "/readyz", 503), 0.001)
  return yield* PrometheusMetrics.format()
})

describe("the alerts for Prometheus", () => {
  let exposition = ""
  beforeAll(async () => {
    exposition = await Effect.runPromise(served)
  })

  it("are those of the runbook, in its order, with its conditions", () => {
    expect(rules.length).toBeGreaterThan(8)
    expect(rules.map(({ alert }) => alert)).toEqual(listed)
    expect(new Set(rules.map(({ name }) => name)).size).toBe(rules.length)
    // None was left out because it is written in another way.
    expect(read("docs/prometheus-rules.yml").split("- alert:").length - 1).toBe(rules.length)
  })

  it.each(rules)("$name looks at what is served, under the labels that it has", ({ alert: { condition } }) => {
    const selectors = [...condition.matchAll(/([a-z]+_[a-z_]+)(?:\{([^}]*)\})?/g)]
      .filter(([, name = ""]) => !/^(route|status_class|kind|outcome)$/.test(name))
    expect(selectors.length).toBeGreaterThan(0)
    for (const [, name = "", labels = ""] of selectors) {
      const series = exposition.split("\n").filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`))
      const wanted = labels === "" ? [] : labels.split(",")
      expect(series.filter((line) => wanted.every((label) => line.includes(label))), `${name}{${labels}}`).not.toEqual(
        []
      )
    }
  })
})
