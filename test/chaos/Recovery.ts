/** How long it takes until what a process did is done again, after it was killed: by itself, started anew, or by another. */
import { Effect, Schedule } from "effect"
import { asking } from "../support/Databases.ts"
import type { Kind } from "./Faults.ts"
import type { Rig, Role } from "./Rig.ts"

export interface Recovery {
  readonly role: Role
  /** Null where it took longer than anybody waits. */
  readonly millis: number | null
}

const mostMillis = 60_000

/** Kills the process of a role that does the most, and waits until it is done again; `told` hears how long that took. */
export const recovery = (role: Role, told: (recovery: Recovery) => void): Kind => (rig) => ({
  kind: `recovery of ${role}`,
  target: role,
  strike: Effect.gen(function*() {
    const epochs = yield* Effect.promise(() => leasesOf(rig, role))
    const busiest = busiestOf(rig, role, epochs)
    const killedAt = Date.now()
    yield* Effect.sync(() => process.kill(busiest.pid, "SIGKILL"))
    yield* Effect.tryPromise(() =>
      role === "api" ? isReady(busiest.door) : isDoneAgain(rig, role, busiest.shards, epochs, killedAt)
    ).pipe(
      Effect.filterOrFail((done) => done, () => "not yet"),
      Effect.retry(Schedule.upTo(Schedule.spaced("50 millis"), { duration: mostMillis })),
      Effect.match({
        onFailure: () => told({ role, millis: null }),
        onSuccess: () => told({ role, millis: Date.now() - killedAt })
      })
    )
    // As it was before: the next one is killed in health.
    yield* Effect.sleep("5 seconds")
  })
})

const isReady = async (door: string | undefined): Promise<boolean> => {
  const { ok } = await fetch(`http://${door}/readyz`, { signal: AbortSignal.timeout(2_000) })
  return ok
}

interface LeaseRow {
  readonly holder: string
  readonly epoch: string
  readonly stands: boolean
}

/** Who holds the lease of a role, by shard. */
const leasesOf = (rig: Rig, role: Role): Promise<ReadonlyArray<LeaseRow | undefined>> =>
  Promise.all(rig.shardUrls.map((url) =>
    asking(url, (sql) =>
      Effect.map(
        sql<LeaseRow>`
          SELECT holder, epoch::text, expires_at > clock_timestamp() AS stands FROM lease WHERE role = ${role}`,
        ([row]) => row
      ))
  ))

/** The process that holds the most leases; of APIs, which hold none, the first. */
const busiestOf = (rig: Rig, role: Role, leases: ReadonlyArray<LeaseRow | undefined>) => {
  const [busiest] = rig.workers.filter((worker) => worker.role === role).map((worker, index) => ({
    pid: worker.pid(),
    door: rig.doors[index]?.address,
    shards: leases.flatMap((lease, shard) => lease?.holder.split(":")[1] === String(worker.pid()) ? [shard] : [])
  })).toSorted((a, b) => b.shards.length - a.shards.length)
  if (busiest === undefined) throw new Error(`there is no ${role}`)
  return busiest
}

/** Have the shards that it had another epoch, and has a transfer that was asked for since then ended there? */
const isDoneAgain = async (
  rig: Rig,
  role: Role,
  shards: ReadonlyArray<number>,
  before: ReadonlyArray<LeaseRow | undefined>,
  killedAt: number
): Promise<boolean> => {
  const now = await leasesOf(rig, role)
  if (shards.some((shard) => now[shard]?.stands !== true || now[shard]?.epoch === before[shard]?.epoch)) return false
  if (role === "reconciler") return true
  const ended = await Promise.all(shards.map((shard) =>
    asking(rig.shardUrls[shard] ?? "", (sql) =>
      sql`
        SELECT 1 FROM transfer
        WHERE created_at > to_timestamp(${killedAt}::float8 / 1000) AND status IN ('committed', 'rejected', 'cancelled')
        LIMIT 1`)
  ))
  return ended.every((rows) => rows.length > 0)
}
