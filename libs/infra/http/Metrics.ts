/**
 * What the API counts and times. Base units, few labels, never an id.
 */
import { Effect, Metric } from "effect"
import { monitorEventLoopDelay } from "node:perf_hooks"

const boundaries = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

// A metric keeps the key of its series only when its attributes are its own: given by `withAttributes` they cost 5 µs an
// update, as the key is put together again each time. So every series here is a metric of its own, made once.
const histogram = (attributes: Readonly<Record<string, string>>) =>
  Metric.histogram("http_server_request_duration_seconds", {
    description: "time from a request's headers to its answer",
    boundaries,
    attributes
  })

/** Requests that have begun and are not answered. */
export const active = Metric.gauge("http_server_active_requests", { description: "requests being answered" })

const series = new Map<string, ReturnType<typeof histogram>>()

/** The histogram of one kind of answer. */
export const durations = (method: string, route: string, status: number): ReturnType<typeof histogram> => {
  const statusClass = `${Math.floor(status / 100)}xx`
  const key = `${method} ${route} ${statusClass}`
  const known = series.get(key)
  if (known !== undefined) return known
  const fresh = histogram({ method, route, status_class: statusClass })
  series.set(key, fresh)
  return fresh
}

const idempotent = (outcome: string) =>
  Metric.counter("idempotency_requests_total", {
    description: "requests with an idempotency key, by what the key meant",
    incremental: true,
    attributes: { outcome }
  })

/** A key seen first, again with the same request, or again with another. */
export const idempotency = {
  first: idempotent("first"),
  replay: idempotent("replay"),
  mismatch: idempotent("mismatch")
}

const resident = Metric.gauge("process_resident_memory_bytes", { description: "memory of the process" })
const heapUsed = Metric.gauge("nodejs_heap_used_bytes", { description: "heap in use" })
const heapTotal = Metric.gauge("nodejs_heap_total_bytes", { description: "heap reserved" })
const cpu = Metric.gauge("process_cpu_seconds_total", { description: "user and system time of the process" })
const started = Metric.gauge("process_start_time_seconds", { description: "when the process began, since 1970" })
const delay = (quantile: string) =>
  Metric.gauge("nodejs_eventloop_delay_seconds", {
    description: "delay of the event loop since the last reading",
    attributes: { quantile }
  })
const delayAtMedian = delay("0.5")
const delayAt99 = delay("0.99")
const delayAtMost = delay("1")

const nanos = 1e-9

/** Begins to watch the process. The effect it gives takes a reading, and belongs before each scrape. */
export const watchProcess = Effect.acquireRelease(
  Effect.sync(() => {
    const histogram = monitorEventLoopDelay({ resolution: 10 })
    histogram.enable()
    return histogram
  }),
  (histogram) => Effect.sync(() => histogram.disable())
).pipe(Effect.map((histogram) =>
  Effect.gen(function*() {
    const memory = process.memoryUsage()
    const { system, user } = process.cpuUsage()
    yield* Metric.update(resident, memory.rss)
    yield* Metric.update(heapUsed, memory.heapUsed)
    yield* Metric.update(heapTotal, memory.heapTotal)
    yield* Metric.update(cpu, (user + system) / 1e6)
    yield* Metric.update(started, Math.round(Date.now() / 1000 - process.uptime()))
    yield* Metric.update(delayAtMedian, histogram.percentile(50) * nanos)
    yield* Metric.update(delayAt99, histogram.percentile(99) * nanos)
    yield* Metric.update(delayAtMost, histogram.max * nanos)
    histogram.reset()
  })
))
