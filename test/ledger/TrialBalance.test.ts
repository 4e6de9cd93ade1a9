/** The trial balance of two shards with real books: what is at rest, what is held, and what is in flight between them. */
import { expect, layer } from "@effect/vitest"
import { Effect, Fiber, Layer } from "effect"
import { Queries } from "#domain/ledger/Queries.ts"
import * as Views from "../../apps/api/handlers/Views.ts"
import { ledgerWorker } from "../../apps/ledger/LedgerWorker.ts"
import { relay } from "../../apps/relay/Relay.ts"
import { TestPostgres } from "../support/TestPostgres.ts"
import { ask, ended, everybodyWorks, nameOn, open, postedOf, wish, world } from "./World.ts"

const trialBalance = Queries.use(({ trialBalance }) => Effect.map(trialBalance, (sums) => Views.trialBalance(sums, 0)))

layer(TestPostgres.layer, { excludeTestServices: true })("the trial balance", (it) => {
  it.effect("is empty where there are no accounts, and balances", () =>
    Effect.gen(function*() {
      expect(yield* trialBalance).toMatchObject({ balances: true, currencies: [] })
    }).pipe(Effect.provide(Layer.fresh(world))))

  it.effect("shows what is on its way from the credit to the commit, and balances on each shard all the while", () =>
    Effect.gen(function*() {
      const bank = yield* open(nameOn(0, "bank"), "external")
      const [alice, bob] = [yield* open(nameOn(0, "alice")), yield* open(nameOn(1, "bob"))]
      const workers = yield* Effect.forkScoped(
        Effect.all([ledgerWorker(0), ledgerWorker(1), relay(0)], { concurrency: "unbounded" })
      )
      yield* ended(yield* ask(bank, alice, "100"))
      expect((yield* trialBalance).currencies).toMatchObject([
        { currency: "EUR", debits: "100", credits: "100", held: "0", in_flight: "0" }
      ])

      // What shard 1 says is not carried: its verdict is not heard of.
      const transfer = yield* ask(alice, bob, "30")
      yield* Effect.repeat(postedOf(bob), { until: ({ posted }) => posted === 30n })
      expect(yield* trialBalance).toMatchObject({
        balances: true,
        currencies: [{
          currency: "EUR",
          balances: true,
          // The bank's 100, and the clearing account's 30, against Alice's 100 and Bob's 30.
          debits: "130",
          credits: "130",
          held: "30",
          in_flight: "30",
          shards: [
            { shard: 0, debits: "100", credits: "100", held: "30", clearing_to: "0", clearing_from: "0" },
            { shard: 1, debits: "30", credits: "30", held: "0", clearing_to: "0", clearing_from: "-30" }
          ]
        }]
      })

      const carrier = yield* Effect.forkScoped(relay(1))
      expect((yield* ended(transfer)).status).toBe("committed")
      expect(yield* trialBalance).toMatchObject({
        balances: true,
        currencies: [{
          debits: "130",
          credits: "130",
          held: "0",
          in_flight: "0",
          shards: [
            { shard: 0, balances: true, held: "0", clearing_to: "30", clearing_from: "0" },
            { shard: 1, balances: true, held: "0", clearing_to: "0", clearing_from: "-30" }
          ]
        }]
      })
      yield* Effect.forEach([workers, carrier], Fiber.interrupt)
    }).pipe(Effect.provide(Layer.fresh(world))))

  it.effect("shows what an authorization holds, which is in flight nowhere", () =>
    Effect.gen(function*() {
      yield* Effect.forkScoped(everybodyWorks)
      const bank = yield* open(nameOn(0, "bank"), "external")
      const [alice, bob] = [yield* open(nameOn(0, "alice")), yield* open(nameOn(1, "bob"))]
      yield* ended(yield* ask(bank, alice, "100"))
      yield* wish(alice, bob, "40", "manual")
      yield* Effect.repeat(postedOf(alice), { until: ({ held }) => held === 40n })
      expect(yield* trialBalance).toMatchObject({
        balances: true,
        currencies: [{ debits: "100", credits: "100", held: "40", in_flight: "0" }]
      })
    }).pipe(Effect.provide(Layer.fresh(world))))
})
