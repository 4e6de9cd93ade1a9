/**
 * The load by k6. `npm run load -- <profile>` opens the accounts, starts this, and audits what came of it; the environment
 * says where to and which.
 */
import { check, sleep } from "k6"
import exec from "k6/execution"
import http from "k6/http"
import { Counter, Trend } from "k6/metrics"
import { askedOf, askersOf, type Percentiles, type Profile, type Summary } from "./Profiles.ts"

const given = (name: string): string => {
  const value = __ENV[name]
  if (value === undefined) throw new Error(`${name} is not set: start this by npm run load`)
  return value
}

const profile: Profile = JSON.parse(given("LOAD_PROFILE"))
const [api, key, run] = [given("LOAD_API"), given("LOAD_KEY"), given("LOAD_RUN")]

const asked = new Counter("asked")
const accepted = new Counter("accepted")
const refused = new Counter("refused")
const failed = new Counter("failed")
const doubled = new Counter("doubled")
const acceptedMillis = new Trend("accepted_millis", true)
const settledMillis = new Trend("settled_millis", true)

const { bars, stages } = profile

export const options = {
  scenarios: {
    transfers: {
      executor: "ramping-arrival-rate",
      startRate: 0,
      timeUnit: "1s",
      preAllocatedVUs: askersOf(profile),
      maxVUs: askersOf(profile),
      gracefulStop: "60s",
      stages: stages.map(({ perSecond, seconds }) => ({
        target: Math.round(perSecond),
        duration: `${Math.round(seconds * 1000)}ms`
      }))
    }
  },
  thresholds: {
    accepted_millis: [`p(95)<${bars.acceptedP95Millis}`],
    settled_millis: [`p(95)<${bars.settledP95Millis}`],
    failed: [`count<=${Math.floor(bars.failedShare * 1e6)}`],
    doubled: ["count==0"],
    checks: ["rate==1"]
  },
  summaryTrendStats: ["med", "p(95)", "p(99)", "max", "count"],
  noConnectionReuse: false,
  teardownTimeout: "120s"
}

const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" }
const expected = http.expectedStatuses(...(profile.mayRefuse ? [202, 429, 503] : [202]))
const idOf = (body: string | null): string => JSON.parse(body ?? "{}").id

export default () => {
  const n = exec.scenario.iterationInTest
  const { body, key } = askedOf(profile, run, n)
  const begun = Date.now()
  const request = {
    method: "POST",
    url: `${api}/v1/transfers`,
    body: JSON.stringify(body),
    params: {
      headers: { ...headers, "idempotency-key": key },
      tags: { name: "POST /v1/transfers" },
      responseCallback: expected
    }
  }
  const answers = http.batch(Array.from({ length: profile.asks }, () => request))
  asked.add(answers.length)
  const ids: Array<string> = []
  for (const { body, headers, status, timings } of answers) {
    if (status === 202) {
      acceptedMillis.add(timings.duration)
      ids.push(idOf(body))
    } else if (profile.mayRefuse && (status === 429 || status === 503) && headers["Retry-After"] !== undefined) {
      refused.add(1)
    } else failed.add(1)
  }
  const [id] = ids
  if (id === undefined) return
  accepted.add(1)
  if (ids.some((each) => each !== id)) doubled.add(1)
  if (n % profile.sampled !== 0) return
  const found = http.get(`${api}/v1/transfers/${id}`, {
    headers: { ...headers, prefer: "wait=30" },
    timeout: "40s",
    tags: { name: "GET /v1/transfers/{id}" }
  })
  const settled = check(found, { "a transfer ends": ({ body }) => /"status":"(committed|rejected)"/.test(body ?? "") })
  if (settled) settledMillis.add(Date.now() - begun)
}

/** Whoever runs k6 alone sees it here: a load test that does not look at the money shows nothing. */
export const teardown = () => {
  const begun = Date.now()
  for (;;) {
    const { body } = http.get(`${api}/v1/ledger/trial-balance`, {
      headers,
      tags: { name: "GET /v1/ledger/trial-balance" }
    })
    const books: {
      readonly balances: boolean
      readonly currencies: ReadonlyArray<{ readonly in_flight: string }>
    } = JSON.parse(body ?? "{}")
    const atRest = books.currencies.every(({ in_flight }) => in_flight === "0")
    if (atRest || Date.now() - begun > 60_000) {
      check(books, { "the books balance": ({ balances }) => balances, "nothing is in flight in the end": () => atRest })
      return
    }
    sleep(0.5)
  }
}

interface Found {
  readonly metrics: Readonly<Record<string, { readonly values: Readonly<Record<string, number>> } | undefined>>
}

export const handleSummary = ({ metrics }: Found) => {
  const count = (name: string) => metrics[name]?.values["count"] ?? 0
  const spread = (name: string): Percentiles => {
    const values = metrics[name]?.values ?? {}
    return { p50: values["med"] ?? 0, p95: values["p(95)"] ?? 0, p99: values["p(99)"] ?? 0, max: values["max"] ?? 0 }
  }
  const summary: Summary = {
    asked: count("asked"),
    accepted: count("accepted"),
    refused: count("refused"),
    failed: count("failed"),
    doubled: count("doubled"),
    dropped: count("dropped_iterations"),
    acceptedMillis: spread("accepted_millis"),
    settledMillis: spread("settled_millis"),
    samples: count("settled_millis")
  }
  return { [given("LOAD_SUMMARY")]: JSON.stringify(summary) }
}
