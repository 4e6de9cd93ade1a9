/** Crash points cost nothing where nobody asked for them: the ports are the very same. That each is reached, npm run chaos holds. */
import { ConfigProvider, Context, Duration, Effect, Layer, Option } from "effect"
import { describe, expect, it } from "vitest"
import { Leases } from "#domain/sharding/Leases.ts"
import * as CrashPoints from "#infra/CrashPoints.ts"

const leases = Leases.of({
  timeToLive: Duration.seconds(1),
  acquire: (shard, role) => Effect.succeed(Option.some({ shard, role, epoch: 1n })),
  renew: () => Effect.void,
  examine: () => Effect.void,
  release: () => Effect.void
})

const leasesWith = (env: Readonly<Record<string, string>>) =>
  Effect.scoped(Layer.build(CrashPoints.around("ledger", Layer.succeed(Leases, leases)))).pipe(
    Effect.map(Context.get(Leases)),
    Effect.provide(ConfigProvider.layer(ConfigProvider.fromEnv({ env }))),
    Effect.runPromise
  )

describe("crash points", () => {
  it("are not there unless they are asked for", async () => {
    expect(await leasesWith({})).toBe(leases)
  })

  it("let everybody pass before their time has come", async () => {
    const dressed = await leasesWith({ CRASH_AT: "ledger.after_lease:3" })
    expect(dressed).not.toBe(leases)
    const acquired = await Effect.runPromise(dressed.acquire(0, "ledger"))
    expect(acquired).toEqual(Option.some({ shard: 0, role: "ledger", epoch: 1n }))
  })

  it("must be named as they are", async () => {
    await expect(leasesWith({ CRASH_AT: "after a while" })).rejects.toThrow("CRASH_AT")
  })
})
