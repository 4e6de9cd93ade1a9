/**
 * The load by Node, where k6 is missing. An open model as well: transfers are asked for when they are due, however long the
 * answers take, and their times count from when they were due.
 */
import { setTimeout as pause } from "node:timers/promises"
import type { Client } from "./Client.ts"
import { askedOf, askersOf, dueAfter, type Percentiles, type Profile, secondsOf, type Summary } from "./Profiles.ts"

export const percentiles = (values: ReadonlyArray<number>): Percentiles => {
  const sorted = values.toSorted((a, b) => a - b)
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0
  return { p50: at(0.5), p95: at(0.95), p99: at(0.99), max: at(1) }
}

export const generate = async (client: Client, profile: Profile, run: string): Promise<Summary> => {
  const counts = { asked: 0, accepted: 0, refused: 0, failed: 0, doubled: 0, dropped: 0 }
  const acceptedMillis: Array<number> = []
  const settledMillis: Array<number> = []
  const under = new Set<Promise<void>>()

  const once = async (n: number, due: number) => {
    const { body, key } = askedOf(profile, run, n)
    const answers = await Promise.all(Array.from({ length: profile.asks }, async () => {
      const answer = await client.post("/v1/transfers", body, key).catch(() => undefined)
      return { answer, at: performance.now() }
    }))
    counts.asked += answers.length
    const ids: Array<string> = []
    for (const { answer, at } of answers) {
      if (answer?.status === 202) {
        acceptedMillis.push(at - due)
        ids.push(String(answer.body["id"]))
      } else if (
        profile.mayRefuse && (answer?.status === 429 || answer?.status === 503) && answer.retryAfter !== null
      ) counts.refused++
      else counts.failed++
    }
    const [id] = ids
    if (id === undefined) return
    counts.accepted++
    if (ids.some((each) => each !== id)) counts.doubled++
    if (n % profile.sampled !== 0) return
    const found = await client.get(`/v1/transfers/${id}`, 30).catch(() => undefined)
    const status = found?.body["status"]
    if (status === "committed" || status === "rejected") settledMillis.push(performance.now() - due)
    else counts.failed++
  }

  const begun = performance.now()
  const seconds = secondsOf(profile)
  const most = askersOf(profile)
  for (let n = 0;;) {
    const passed = (performance.now() - begun) / 1000
    for (const due = dueAfter(profile, Math.min(passed, seconds)); n < due; n++) {
      if (under.size >= most) {
        counts.dropped++
        continue
      }
      const asking = once(n, performance.now())
      under.add(asking)
      void asking.finally(() => under.delete(asking))
    }
    if (passed >= seconds) break
    await pause(1)
  }
  await Promise.all(under)
  return {
    ...counts,
    acceptedMillis: percentiles(acceptedMillis),
    settledMillis: percentiles(settledMillis),
    samples: settledMillis.length
  }
}
