/**
 * The race that creates money, where it is done badly: the source gives up on a transfer while its credit is under way.
 * Every order in which its letters can arrive, twice too, and its recalls and expiries come between, is made by the model
 * (test/domain/Orders.ts) and tried on two shards on PostgreSQL: each order on a transfer of its own, all of them a step at
 * a time, so that hundreds share a turn. A letter is delivered as the shard wrote it, and only once it has.
 */
import { expect, layer as suite } from "@effect/vitest"
import { Duration, Effect } from "effect"
import type { AccountId } from "#domain/account/Account.ts"
import type { Message } from "#domain/ledger/Decision.ts"
import type { LedgerEvent } from "#domain/ledger/LedgerEvent.ts"
import { ShardLog } from "#domain/messaging/ShardLog.ts"
import { Checks, violationsOf } from "#domain/reconciliation/Checks.ts"
import { type InstructionEvent, Intake } from "#domain/transfer/Intake.ts"
import { inAnyOrder } from "../domain/Network.ts"
import { type Order, ordersOf, type Step } from "../domain/Orders.ts"
import * as Scenario from "../domain/Scenario.ts"
import { layer } from "../laws/PostgresWorld.ts"
import {
  accountNow,
  endOfLog,
  eventOf,
  funded,
  inOneProcess,
  instructionId,
  know,
  loggedAfter,
  opened,
  origin,
  request,
  shards,
  terms,
  transfer,
  turn
} from "../laws/World.ts"

const { alice, bob, captures, expires, recalls, scenario } = Scenario
const amount = 70n
const wish = { source: alice, destination: bob, amount }
const willing = [{ id: alice, funds: 100n }, { id: bob }]
const unwilling = [{ id: alice, funds: 100n }, { id: bob, more: { ceiling: 0n } }]
const automatic = "automatic" as const
const manual = "manual" as const

/** What is raced, and what it may come to. */
const races = [
  {
    name: "one recall, and any two letters come again",
    capture: automatic,
    ceiling: null,
    endings: ["cancelled", "committed"],
    orders: () =>
      ordersOf(
        scenario({ name: "race", accounts: willing, wishes: [wish], actors: (of) => [recalls(of, 1)] }),
        inAnyOrder({ each: 2, repeats: 2 })
      )
  },
  {
    name: "two recalls, and any letter comes again",
    capture: automatic,
    ceiling: null,
    endings: ["cancelled", "committed"],
    orders: () =>
      ordersOf(
        scenario({ name: "race", accounts: willing, wishes: [wish], actors: (of) => [recalls(of, 2)] }),
        inAnyOrder({ each: 2, repeats: 1 })
      )
  },
  {
    name: "a destination that refuses, a recall, and any letter comes again",
    capture: automatic,
    ceiling: 0n,
    endings: ["cancelled"],
    orders: () =>
      ordersOf(
        scenario({ name: "race", accounts: unwilling, wishes: [wish], actors: (of) => [recalls(of, 1)] }),
        inAnyOrder({ each: 2, repeats: 1 })
      )
  },
  {
    name: "a capture of a part, an expiry and a recall",
    capture: manual,
    ceiling: null,
    endings: ["cancelled", "committed"],
    orders: () =>
      ordersOf(
        scenario({
          name: "race",
          accounts: willing,
          wishes: [{ ...wish, capture: manual }],
          actors: (of) => [recalls(of, 1), expires(of, 1), captures(of, 30n)]
        }),
        inAnyOrder({ each: 2, repeats: 0 })
      )
  }
]

/** A transfer that goes through one order: what has become of it, and what was written of it. */
interface Runner {
  readonly order: Order
  readonly of: ReturnType<typeof terms>
  readonly told: Array<LedgerEvent>
}

/** The model's event, as it is of this transfer. */
const its = ({ of: { destination, source, transfer }, told }: Runner, event: LedgerEvent): LedgerEvent => {
  if ("account" in event) throw new Error(`${event.type} is not of a transfer`)
  const mine = { ...event, transfer, source, destination }
  if (!("instruction" in mine)) return mine
  const known = told.find((other) => other.type === mine.type)
  return { ...mine, instruction: known !== undefined && "instruction" in known ? known.instruction : instructionId() }
}

const sameAs = (event: LedgerEvent) => (other: LedgerEvent): boolean =>
  JSON.stringify(plainly(event)) === JSON.stringify(plainly(other))

/** But for what the model and the shards say in other words, and for the keys that the model does not know. */
const plainly = (event: LedgerEvent) => {
  const { askedWith: _, expiresIn: __, reason, ...rest } = {
    askedWith: undefined,
    expiresIn: undefined,
    reason: { code: "" },
    ...event
  }
  return Object.entries({ ...rest, code: reason.code }).map(([name, value]) => `${name} ${value}`).toSorted()
}

const isInstruction = (event: LedgerEvent): event is InstructionEvent => "instruction" in event

/** What the shards wrote since they were last asked, told to those of whom it is. */
const listener = Effect.fnUntraced(function*(runners: ReadonlyMap<string, Runner>) {
  const ends = [...yield* Effect.forEach(shards, endOfLog)]
  return Effect.gen(function*() {
    for (const shard of shards) {
      const records = yield* loggedAfter(shard, ends[shard] ?? 0n, 10_000)
      for (const record of records) runners.get(record.subject)?.told.push(eventOf(record))
      ends[shard] = records.at(-1)?.position ?? ends[shard] ?? 0n
    }
  })
})

/** One step of everybody who has one left: those who ask do, and then each shard has a turn at what it is sent. */
const stepOfAll = Effect.fnUntraced(function*(steps: ReadonlyArray<readonly [Runner, Step]>) {
  const [log, intake] = [yield* ShardLog, yield* Intake]
  const asked = steps.flatMap(([runner, step]) =>
    step.does === "asks" ? step.events.map((event) => its(runner, event)) : []
  )
  yield* log.append(0, asked.filter((event) => !isInstruction(event)))
  yield* Effect.forEach(
    asked.filter(isInstruction),
    (event) => intake.instruct({ request: request(), event }),
    { concurrency: 6, discard: true }
  )
  for (const shard of shards) {
    const messages = steps.flatMap(([runner, step]): ReadonlyArray<Message> => {
      if (step.does !== "delivers" || step.letter.to !== shard) return []
      const event = its(runner, step.letter.event)
      const written = runner.told.find(sameAs(event))
      expect(written, `${event.type} is delivered, and was never written`).toBeDefined()
      return written === undefined ? [] : [{ event: written, from: step.letter.from, origin }]
    })
    if (messages.length > 0) yield* turn(shard, messages)
  }
})

const posted = (id: AccountId) => Effect.map(accountNow(id), ({ balance }) => balance)

suite(layer, { excludeTestServices: true, timeout: "2 minutes" })("no order creates or loses money", (it) => {
  for (const { capture, ceiling, endings, name, orders: ordersOfRace } of races) {
    it.effect(name, () =>
      inOneProcess(Effect.gen(function*() {
        const [intake, checks] = [yield* Intake, yield* Checks]
        const orders = ordersOfRace()
        const funds = amount * BigInt(orders.length)
        const source = yield* funded(0, funds)
        const destination = yield* opened(1, { ceiling })
        const runners = new Map(orders.map((order) => {
          const of = terms(source, destination, amount)
          return [of.transfer as string, { order, of, told: [] } satisfies Runner as Runner] as const
        }))
        const listen = yield* listener(runners)
        yield* intake.requestAll(Array.from(runners.values(), ({ of }) =>
          transfer(of, { capture, expiresInSeconds: capture === "manual" ? 600 : null })))
        yield* listen

        const longest = Math.max(...orders.map(({ steps }) =>
          steps.length
        ))
        for (let nth = 0; nth < longest; nth++) {
          const steps = Array.from(runners.values()).flatMap((runner) => {
            const step = runner.order.steps[nth]
            return step === undefined ? [] : [[runner, step] as const]
          })
          yield* stepOfAll(steps)
          yield* listen
          // What is reserved and what has moved is all there is, after every step.
          const [left, come] = [yield* posted(source), yield* posted(destination)]
          expect(left.held).toBeGreaterThanOrEqual(0n)
          expect(left.posted + come.posted).toBeGreaterThanOrEqual(funds)
          expect(left.posted + come.posted - left.held).toBeLessThanOrEqual(funds)
        }

        let moved = 0n
        const { transfers } = yield* know(0, { transfers: new Set(runners.keys()) })
        for (const [id, { order }] of runners) {
          const ended = transfers.get(id)
          expect(ended?.status).toBe(order.ending)
          if (ended?.status === "committed") moved += ended.moving
        }
        expect(yield* posted(source)).toMatchObject({ posted: funds - moved, held: 0n })
        expect(yield* posted(destination)).toMatchObject({ posted: moved, held: 0n })
        expect(violationsOf(yield* checks.run({ atRest: true, grace: Duration.hours(1) }))).toStrictEqual([])
        expect([...new Set(orders.map(({ ending }) => ending))].toSorted()).toStrictEqual(endings)
        yield* Effect.logInfo(`${orders.length} orders of up to ${longest} steps: ${name}`)
      })))
  }
})
