/** The simulator: it finds nothing where nothing is wrong, runs again bit by bit, and finds what is planted. */
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { Socket } from "node:net"
import { bugs, canBePlanted } from "./Bugs.ts"
import { Chance } from "./Chance.ts"
import { withoutTheRealWorld } from "./Guard.ts"
import { healthy, type Plan } from "./Plan.ts"
import { regressions } from "./Regressions.ts"
import { planOf, run } from "./Run.ts"
import { shrink } from "./Shrink.ts"
import { Stuck, Virtual } from "./Virtual.ts"
import { runAll } from "./Workers.ts"

const virtual = (seed: number, interruption = 0) =>
  new Virtual({ chance: new Chance(seed), interruption, beginsAtMillis: 0, mostSteps: 100_000 })

const easilyFound: ReadonlyArray<keyof typeof bugs> = [
  "a hold is released because it is old",
  "the relay moves its cursor before the log has acknowledged"
]

describe("the simulator", () => {
  it("finds nothing wrong with the platform, whatever strikes it", () => {
    for (let seed = 1; seed <= 20; seed++) expect([seed, run(planOf(seed)).wrong]).toEqual([seed, []])
  })

  it("runs a seed again bit by bit, and another seed otherwise", () => {
    const [once, again, other] = [run(planOf(7)), run(planOf(7)), run(planOf(8))]
    expect(again).toEqual(once)
    expect(other.trace).not.toBe(once.trace)
  })

  it("goes on finding nothing in what once went wrong", () => {
    expect(regressions.length).toBeGreaterThan(0)
    for (const { found, plan } of regressions) expect([found, run(plan).wrong]).toEqual([found, []])
  })

  it("finds bugs that are planted, in processes of their own", { timeout: 120_000 }, async () => {
    for (const bug of easilyFound) {
      const lines = await runAll(
        { from: 1, count: 60, processes: 1, bug },
        (so) => so.some(({ wrong }) => wrong.length > 0)
      )
      expect([bug, lines.some(({ wrong }) => wrong.length > 0)]).toEqual([bug, true])
    }
  })

  it("looks at the books after every commit: what rights itself before the end is found there, and nowhere else", async () => {
    const bug = "what is held is not written into the balance, but summed where the worker reads"
    const lines = await runAll(
      { from: 1, count: 10, processes: 1, bug },
      (so) => so.some(({ wrong }) => wrong.length > 0)
    )
    const wrong = lines.flatMap(({ wrong }) => wrong)
    expect(wrong.length).toBeGreaterThan(0)
    for (const each of wrong) expect(each).toMatch(/^after a commit at .* held, #\d+; by its entries and holds /)
  })

  it("leaves out of a plan whatever it fails without", () => {
    const plan = { ...planOf(2), strikes: planOf(2).strikes.map((strike, index) => ({ ...strike, shard: index })) }
    const needs = ({ rates, strikes, wishes }: Plan) =>
      wishes.some(({ number }) => number === 3) && strikes.some(({ shard }) => shard === 7) && rates.appendLate > 0
    const failing = { ...plan, rates: { ...plan.rates, appendLate: 0.1, commitLost: 0.1 } }
    expect(needs(failing)).toBe(true)
    const smallest = shrink(failing, needs)
    expect(smallest).toMatchObject({ wishes: [{ number: 3 }], strikes: [{ shard: 7 }], processes: 1, latencyMillis: 0 })
    expect(smallest.rates).toEqual({ ...healthy, appendLate: 0.1 })
  })

  it("can plant each of its bugs: the text that it replaces is there", () => {
    expect(Object.keys(bugs).length).toBeGreaterThanOrEqual(15)
    for (const name of Object.keys(bugs)) expect([name, canBePlanted(name)]).toEqual([name, true])
  })

  it("lets time pass only when nobody has anything to do", () => {
    const order: Array<string> = []
    const world = virtual(1)
    world.run(Effect.all([
      Effect.andThen(Effect.sleep("1 hour"), Effect.sync(() => order.push("late"))),
      Effect.andThen(Effect.sleep("1 minute"), Effect.sync(() => order.push("early")))
    ], { concurrency: 2 }))
    expect(order).toEqual(["early", "late"])
    expect(world.nowMillis).toBe(3_600_000)
  })

  it("draws who goes on: every order comes up", () => {
    const orders = new Set<string>()
    for (let seed = 0; seed < 40; seed++) {
      let order = ""
      const step = (name: string) => Effect.andThen(Effect.yieldNow, Effect.sync(() => order += name))
      virtual(seed).run(Effect.forEach(["a", "b", "c"], step, { concurrency: "unbounded" }))
      orders.add(order)
    }
    expect(orders.size).toBe(6)
  })

  it("says so when nothing is left that could happen", () => {
    expect(() => virtual(1).run(Effect.never)).toThrow(Stuck)
  })

  it("lets nobody in touch real time, chance or sockets, and gives them back afterwards", () => {
    const touches: ReadonlyArray<() => unknown> = [
      () => Date.now(),
      () => new Date(),
      // @effect-diagnostics-next-line globalRandom:off
      () => Math.random(),
      () => performance.now(),
      () => setTimeout(() => {}, 0),
      () => crypto.randomUUID(),
      () => new Socket().connect(1)
    ]
    for (const touch of touches) expect(() => withoutTheRealWorld(touch)).toThrow("a simulated run used")
    expect(Date.now()).toBeGreaterThan(0)
    expect(new Date(0).getTime()).toBe(0)
  })
})
