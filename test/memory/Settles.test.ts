/** The whole platform over memory, in one process: it settles whatever is asked of it, and its books are right at the end. */
import { expect, it } from "@effect/vitest"
import { Duration, Effect, References, Schedule } from "effect"
import { type AccountId, defaultsOf } from "#domain/account/Account.ts"
import { Checks, violationsOf } from "#domain/reconciliation/Checks.ts"
import { shardOfAccount } from "#domain/sharding/ShardMap.ts"
import { Intake } from "#domain/transfer/Intake.ts"
import { ended } from "#domain/transfer/Transfer.ts"
import type { Terms } from "#domain/transfer/TransferEvent.ts"
import { chance } from "../domain/Arbitraries.ts"
import * as Invariants from "../domain/Invariants.ts"
import {
  account,
  amount,
  asked,
  instructionId,
  map,
  nameOn,
  request,
  shards as numbers,
  terms,
  transfer
} from "../laws/World.ts"
import { asModel, everybodyWorks, machines, process } from "./Platform.ts"

it.live("settles hundreds of transfers of every kind, and every invariant holds in the end", () =>
  Effect.gen(function*() {
    const draw = chance(20_261_121)
    const below = (most: number) => Math.floor(draw() * most)
    const one = <A>(of: ReadonlyArray<A>, otherwise: A): A => of[below(of.length)] ?? otherwise

    const world = yield* machines(map)
    const options = {
      patience: { requested: Duration.millis(200), held: Duration.millis(200) },
      every: Duration.millis(20),
      checkEvery: Duration.millis(100)
    }
    yield* Effect.gen(function*() {
      const intake = yield* Intake
      yield* Effect.forkScoped(everybodyWorks(world, options))

      const bank = nameOn(0, "bank")
      yield* intake.open(account(bank, { kind: "external", ...defaultsOf("external") }))
      const customers: Array<AccountId> = []
      for (let number = 0; number < 12; number++) {
        const id = nameOn(number % 2)
        yield* intake.open(account(id, number % 6 === 5 ? { ceiling: 300n } : number % 6 === 4 ? { floor: -200n } : {}))
        customers.push(id)
      }
      const nobody = nameOn(1, "nobody")

      const wishes: Array<Terms> = []
      const transferOf = ({ source, transfer }: Terms) =>
        world.shards[shardOfAccount(map, source)]?.transfers.rows.get(transfer)?.transfer
      const allEnded = Effect.sync(() => world.shards.every((shard) => [...shard.open()].length === 0)).pipe(
        Effect.repeat({ until: Boolean, schedule: Schedule.spaced("2 millis") }),
        Effect.timeout("30 seconds")
      )

      for (const customer of customers) wishes.push(yield* asked(terms(bank, customer, 250n)))
      yield* allEnded
      const wealth = Invariants.wealth(world.shards.map(asModel))
      expect(wealth).toBe(3_000n)

      for (let number = 0; number < 400; number++) {
        const [source, destination] = [one(customers, bank), below(20) === 0 ? nobody : one(customers, bank)]
        if (source === destination) continue
        const minor = BigInt(1 + below(below(4) === 0 ? 400 : 60))
        const before = one(wishes, undefined)
        switch (below(6)) {
          case 0: {
            const expiresInSeconds = below(3) === 0 ? 0 : 600
            const of = yield* asked(terms(source, destination, minor), { capture: "manual", expiresInSeconds })
            wishes.push(of)
            const event = below(3) === 0
              ? { type: "transfer.void_requested", ...of, instruction: instructionId() } as const
              : {
                type: "transfer.capture_requested",
                ...of,
                captured: below(2) === 0 ? null : amount(1n + BigInt(below(Number(minor)))),
                instruction: instructionId()
              } as const
            yield* intake.instruct({ request: request(), event })
            break
          }
          case 1: {
            if (before === undefined || before.source === bank) break
            const of = terms(before.destination, before.source, 1n + BigInt(below(Number(before.amount))))
            wishes.push(yield* asked(of, { reverses: before.transfer }))
            break
          }
          case 2: {
            // The same wish several times under its key, as clients do that had no answer.
            const intent = transfer(terms(source, destination, minor))
            wishes.push(intent.terms)
            yield* Effect.all([intake.request(intent), intake.requestAll([intent, intent])], { concurrency: 2 })
            break
          }
          default:
            wishes.push(yield* asked(terms(source, destination, minor)))
        }
        if (below(10) === 0) yield* Effect.yieldNow
      }
      yield* allEnded

      const models = world.shards.map(asModel)
      expect(Invariants.ofState(models, wishes, wealth)).toEqual([])
      expect(Invariants.ofRest(models, wishes)).toEqual([])
      const checks = yield* Checks
      expect(violationsOf(yield* checks.run({ atRest: true, grace: Duration.zero }))).toEqual([])

      // It was not all refused: of every kind of end there are many.
      const ends = wishes.map((wish) => {
        const found = transferOf(wish)
        return found === undefined || !ended.has(found.status)
          ? "never ended"
          : `${found.status} ${found.capture} ${found.reverses === null ? "wish" : "reversal"}`
      })
      const count = Map.groupBy(ends, (end) => end)
      expect(count.get("never ended") ?? []).toEqual([])
      for (const end of ["committed automatic wish", "committed manual wish", "committed automatic reversal"]) {
        expect(count.get(end)?.length ?? 0, end).toBeGreaterThan(10)
      }
      for (const end of ["rejected automatic wish", "cancelled automatic wish", "cancelled manual wish"]) {
        expect(count.get(end)?.length ?? 0, end).toBeGreaterThan(3)
      }
      expect(numbers.map((shard) => (world.shards[shard]?.journals.rows.size ?? 0) > 50)).toEqual([true, true])
    }).pipe(
      Effect.scoped,
      Effect.provide(process(world, { holder: "all in one", leaseTime: Duration.seconds(5) })),
      Effect.provideService(References.MinimumLogLevel, "Error")
    )
  }))
