/** What strikes a simulated platform from time to time, in whatever company. */
import { Effect } from "effect"
import * as MemoryEventLog from "#infra/memory/MemoryEventLog.ts"
import type { Options, Strike } from "./Options.ts"
import type { Process, Surroundings } from "./Processes.ts"

/** Strikes for ever, now here and now there; each strike is over after a while, or when it is healed from outside. */
export const strike = Effect.fnUntraced(function*(
  surroundings: Surroundings,
  processes: ReadonlyArray<Process>,
  { strikeEveryMillis, strikes, ...options }: Options,
  struck: () => void
): Effect.fn.Return<never> {
  if (strikes.length === 0) return yield* Effect.never
  const chance = surroundings.chance.for("strikes")
  const { down, machines: { shards } } = surroundings

  /** Does something to a process at once; or, half of the time, at the worst moment of those that come soon. */
  const atSomeMoment = (victim: Process, what: () => void): Effect.Effect<void> =>
    chance.happens(0.5)
      ? Effect.sync(what)
      : Effect.callback<void>((resume) => {
        victim.whenAtWork(() => {
          what()
          resume(Effect.void)
        })
        return Effect.sync(() => victim.whenAtWork(undefined))
      }).pipe(Effect.timeoutOption(500), Effect.asVoid)

  const one = (what: Strike): Effect.Effect<void> => {
    const lastingMillis = chance.magnitude(1, 10_000)
    const victim = chance.any(processes)
    const shard = chance.any(shards)
    if (victim === undefined || shard === undefined) return Effect.void
    switch (what) {
      case "kill":
        return atSomeMoment(victim, () => victim.kill()).pipe(
          Effect.andThen(Effect.sleep(lastingMillis)),
          Effect.andThen(victim.start)
        )
      case "freeze":
        return atSomeMoment(victim, () => victim.freeze()).pipe(
          // Most dangerous is who sleeps for longer than its lease, and for less than its transactions.
          Effect.andThen(Effect.sleep(chance.happens(0.5) ? lastingMillis : 2_000 + chance.below(8_000))),
          Effect.andThen(Effect.sync(() => victim.thaw()))
        )
      case "cut":
        victim.cutOff(shard.id)
        return Effect.andThen(Effect.sleep(lastingMillis), Effect.sync(() => victim.reconnect()))
      case "crash":
        shard.crash()
        down.add(shard.id)
        return Effect.andThen(Effect.sleep(lastingMillis / 2), Effect.sync(() => down.delete(shard.id)))
      case "lose the log":
        for (const process of processes) process.kill()
        return Effect.andThen(
          Effect.map(MemoryEventLog.makeLog(options), (log) => {
            surroundings.machines = { ...surroundings.machines, log }
          }),
          Effect.forEach(processes, ({ start }) => start, { discard: true })
        )
    }
  }

  return yield* Effect.forever(Effect.gen(function*() {
    yield* Effect.sleep(chance.magnitude(1, strikeEveryMillis))
    const what = chance.any(strikes)
    if (what === undefined) return
    struck()
    // What is struck goes on being so while the next strikes.
    yield* Effect.forkDetach(one(what))
  }))
})
