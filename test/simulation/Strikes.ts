/** What strikes a simulated platform, each at its time, and in whatever company. */
import { Effect } from "effect"
import * as MemoryEventLog from "#infra/memory/MemoryEventLog.ts"
import type { Plan, Strike } from "./Plan.ts"
import type { Process, Surroundings } from "./Processes.ts"

const numbered = <A>(of: ReadonlyArray<A>, number: number): A | undefined => of[number % of.length]

/** Strikes as planned. Each strike is over after a while, or when everything is healed from outside. */
export const strike = Effect.fnUntraced(function*(
  surroundings: Surroundings,
  processes: ReadonlyArray<Process>,
  plan: Plan,
  struck: () => void
) {
  const { clocks, down, machines: { shards }, slow, virtual } = surroundings

  /** Does something to a process at once; or, where it is to be, at the worst moment of those that come soon. */
  const atItsMoment = ({ isAtWorst }: Strike, victim: Process, what: () => void): Effect.Effect<void> =>
    isAtWorst
      ? Effect.callback<void>((resume) => {
        victim.whenAtWork(() => {
          what()
          resume(Effect.void)
        })
        return Effect.sync(() => victim.whenAtWork(undefined))
      }).pipe(Effect.timeoutOption(500), Effect.asVoid)
      : Effect.sync(what)

  const one = (planned: Strike): Effect.Effect<void> => {
    const { byMillis, does, lastingMillis } = planned
    const victim = numbered(processes, planned.victim)
    const shard = numbered(shards, planned.shard)
    if (victim === undefined || shard === undefined) return Effect.void
    const { id } = shard
    const said = (what: string) => virtual.tell(() => `${what}, for ${lastingMillis} ms`)
    const after = (then: Effect.Effect<void>) => Effect.delay(then, lastingMillis)
    switch (does) {
      case "kill":
        return Effect.andThen(
          atItsMoment(planned, victim, () => {
            said(`${victim.name} is killed`)
            victim.kill()
          }),
          after(victim.start)
        )
      case "freeze":
        return Effect.andThen(
          atItsMoment(planned, victim, () => {
            said(`${victim.name} is stopped`)
            victim.freeze()
          }),
          after(Effect.sync(() => victim.thaw()))
        )
      case "cut":
        said(`${victim.name} is cut off from shard ${id}`)
        victim.cutOff(id)
        return after(Effect.sync(() => victim.reconnect()))
      case "clock":
        said(`the clock of ${victim.name} jumps by ${byMillis} ms`)
        victim.clockIsOffMillis = byMillis
        return after(Effect.sync(() => {
          victim.clockIsOffMillis = 0
        }))
      case "crash":
        said(`the server of shard ${id} is killed`)
        shard.crash()
        down.add(id)
        return after(Effect.sync(() => down.delete(id)))
      case "slow":
        said(`shard ${id} is slow, by up to ${byMillis} ms`)
        slow.set(id, byMillis)
        return after(Effect.sync(() => slow.delete(id)))
      case "shard's clock":
        said(`the clock of shard ${id} jumps by ${byMillis} ms`)
        clocks.set(id, byMillis)
        return after(Effect.sync(() => clocks.delete(id)))
      case "lose the log":
        virtual.tell(() => "the event log is lost, and all are started anew over an empty one")
        for (const process of processes) process.kill()
        return Effect.andThen(
          Effect.map(MemoryEventLog.makeLog(plan), (log) => {
            surroundings.machines = { ...surroundings.machines, log }
          }),
          Effect.forEach(processes, ({ start }) => start, { discard: true })
        )
    }
  }

  let nowMillis = 0
  for (const planned of plan.strikes) {
    yield* Effect.sleep(planned.atMillis - nowMillis)
    nowMillis = planned.atMillis
    struck()
    // What is struck goes on being so while the next strikes.
    yield* Effect.forkDetach(one(planned))
  }
})
