/** `npm run load`: by k6 where it is installed, by Node where not; what comes out must be the same. */
import { spawnSync } from "node:child_process"
import path from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { askedOf, dueAfter, profiles, scaled, secondsOf } from "../../load/Profiles.ts"
import { type Load, verdictOf } from "../../load/Report.ts"
import { Platform } from "../support/Platform.ts"

const profileOf = (name: string) => {
  const found = profiles[name]
  if (found === undefined) throw new Error(`there is no profile ${name}`)
  return found
}

const program = path.resolve(import.meta.dirname, "../../load/run.ts")

describe("a load", () => {
  let platform: Platform
  beforeAll(async () => {
    platform = await Platform.start()
  })
  afterAll(() => platform.destroy())

  const load = (...args: ReadonlyArray<string>) => {
    const { stderr, stdout } = spawnSync(process.execPath, [program, ...args], {
      env: { ...process.env, COUNTERPOISE_DATA: platform.dataDir },
      encoding: "utf8"
    })
    if (stdout === "") throw new Error(stderr)
    const found: Load & { readonly missed: ReadonlyArray<string> } = JSON.parse(stdout)
    return found
  }

  it("is in the books, transfer by transfer", () => {
    const found = load("smoke", "--seconds", "2", "--accounts", "6")
    // What is due in the last moment, k6 may ask for or not.
    expect(found.asked).toBeGreaterThan(35)
    const { asked } = found
    expect(found).toMatchObject({ accepted: asked, settled: asked, failed: 0, balances: true, inFlight: [] })
    expect(found.samples).toBeGreaterThan(6)
  })

  it("of requests that come three times over is in the books once", () => {
    const found = load("retry-storm", "--engine", "node", "--seconds", "1", "--rate", "0.3", "--accounts", "6")
    expect(found).toMatchObject({ asked: 90, accepted: 30, settled: 30, doubled: 0, failed: 0, balances: true })
  })
})

describe("what is due", () => {
  it("grows with the rate, and ends with the profile", () => {
    const steady = scaled(profileOf("smoke"), 0.5, 4)
    expect([0, 1, 2.5, 4].map((seconds) => dueAfter(steady, seconds))).toEqual([0, 10, 25, 40])
    const ramp = { ...steady, stages: [{ seconds: 10, perSecond: 100 }] }
    expect([5, 10, 20].map((seconds) => dueAfter(ramp, seconds))).toEqual([125, 500, 500])
  })

  it("is the same transfer for the same number, between two accounts", () => {
    const profile = { ...profileOf("hot-account"), accounts: 10 }
    const all = Array.from({ length: 1_000 }, (_, n) => askedOf(profile, "run", n))
    expect(all).toEqual(all.map((_, n) => askedOf(profile, "run", n)))
    expect(all.filter(({ body }) => body.source === body.destination)).toEqual([])
    const hot = all.filter(({ body }) => [body.source, body.destination].includes("load-run-0")).length
    expect(hot).toBeGreaterThan(750)
    expect(hot).toBeLessThan(900)
  })

  it("lasts as long as it is said to", () => {
    expect(secondsOf(profileOf("soak"))).toBe(3_600)
  })
})

describe("the verdict on a load", () => {
  const good: Load = {
    profile: "smoke",
    engine: "node",
    began: "",
    machine: { commit: "", cores: 2, cpu: "", memoryGiB: 1, node: "", loadBefore: 0 },
    bars: { acceptedP95Millis: 10, settledP95Millis: 20, failedShare: 0, droppedShare: 0.1 },
    seconds: 10,
    asked: 100,
    accepted: 100,
    refused: 0,
    failed: 0,
    doubled: 0,
    dropped: 0,
    acceptedMillis: { p50: 1, p95: 10, p99: 99, max: 99 },
    settledMillis: { p50: 1, p95: 20, p99: 99, max: 99 },
    samples: 10,
    settled: 100,
    balances: true,
    inFlight: [],
    prices: { currency: "USD", per_hour: { machine: 0.3, disk: 0.06 } }
  }

  it("says what a million would cost, at the rate that settled", () => {
    expect(verdictOf(good)).toEqual({ settledPerSecond: 10, costPerMillion: 10, missed: [] })
  })

  it.each<readonly [string, Partial<Load>]>([
    ["95 % are accepted within 10 ms", { acceptedMillis: { p50: 1, p95: 11, p99: 99, max: 99 } }],
    ["95 % are settled within 20 ms", { settledMillis: { p50: 1, p95: 21, p99: 99, max: 99 } }],
    ["at most 0 % are answered as they should not be", { failed: 1 }],
    ["at most 10 % are not asked in time", { dropped: 12 }],
    ["what is asked again under its key is one transfer", { doubled: 1 }],
    ["each transfer that was accepted is in the books, once", { settled: 99 }],
    ["each transfer that was accepted is in the books, once", { settled: 101 }],
    ["the books balance", { balances: false }],
    ["nothing is in flight in the end", { inFlight: ["5"] }]
  ])("is that it failed, where not: %s", (rule, change) => {
    expect(verdictOf({ ...good, ...change }).missed).toEqual([rule])
  })
})
