import { describe, expect, it } from "vitest"
import { carriedOf } from "../../apps/admin/Diagnosis.ts"
import type { ShardSeen } from "../../apps/admin/Overview.ts"

const seen = (
  carried: ReadonlyArray<{ readonly log: string; readonly position: bigint; readonly at: number }>
): ShardSeen => ({
  shard: 0,
  partitions: 64,
  unfinished: null,
  lag: null,
  silent: [],
  breaks: [],
  pulse: {
    shard: 0,
    atMillis: 10_000,
    lastPosition: 900n,
    leases: [],
    worked: [],
    behind: null,
    sealed: null,
    carried: carried.map(({ at, log, position }) => ({
      log,
      position,
      movedAtMillis: at,
      waiting: 0,
      waitingSinceMillis: null
    }))
  }
})

describe("how far a shard's log was carried", () => {
  it("is told of the event log that it is carried into now, however far it had come in one that was lost", () => {
    const lost = { log: "lost", position: 800n, at: 1_000 }
    const refilled = { log: "refilled", position: 20n, at: 9_000 }
    expect(carriedOf(seen([lost, refilled]))?.log).toBe("refilled")
    expect(carriedOf(seen([refilled, lost]))?.log).toBe("refilled")
  })

  it("is not known where nobody has carried it yet", () => {
    expect(carriedOf(seen([]))).toBeNull()
  })
})
