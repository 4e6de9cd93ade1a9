/** Two processes take in wishes at once, and meet on the same keys. */
import { expect, layer } from "@effect/vitest"
import { Context, Effect, Fiber, Latch, Layer, Schedule } from "effect"
import { Intake } from "#domain/transfer/Intake.ts"
import * as PgIntake from "#infra/postgres/PgIntake.ts"
import { intentOf, logOf, nameOn, open, somebodyOn, world } from "../ledger/World.ts"
import { TestPostgres } from "../support/TestPostgres.ts"

layer(TestPostgres.layer, { excludeTestServices: true })("two intakes", (it) => {
  it.effect("that are asked the same in opposite orders make one transfer of each key, and lock nobody out", () =>
    Effect.gen(function*() {
      const another = Effect.map(Layer.build(Layer.fresh(PgIntake.layer())), Context.get(Intake))
      const intakes = [yield* another, yield* another]
      const bank = yield* open(nameOn(0, "bank"), "external")
      const alice = nameOn(0, "alice")
      const keys = Array.from({ length: 100 }, (_, index) => `met-${index}`)
      const request = (intake: Intake["Service"], idempotencyKey: string) => {
        const intent = intentOf(bank, alice, "1")
        return Effect.map(
          intake.request({ ...intent, request: { ...intent.request, idempotencyKey } }),
          ({ record, replayed }) => ({ idempotencyKey, transfer: record.terms.transfer, replayed })
        )
      }

      const somebodyHasOne = yield* Latch.make()
      const asking = yield* somebodyHasOne.await.pipe(
        Effect.andThen(
          Effect.forEach(
            intakes,
            (intake, which) =>
              Effect.forEach(which === 0 ? keys : keys.toReversed(), (key) => request(intake, key), {
                concurrency: "unbounded"
              }),
            { concurrency: "unbounded" }
          )
        ),
        Effect.forkScoped
      )

      // Somebody has the key in the middle, and gives it back when both have come so far: if not in one order, then each
      // goes on into the other's half.
      const somebody = yield* somebodyOn(0)
      const somebodyElse = yield* somebodyOn(0)
      yield* somebody.withTransaction(Effect.gen(function*() {
        yield* somebody`
          INSERT INTO idempotency_key (client, scope, key, fingerprint, resource_id)
          VALUES ('test', ${`transfer:${bank}`}, 'met-50', ${Buffer.alloc(32)}, 'nothing')`
        yield* somebodyHasOne.open
        yield* Effect.repeat(
          somebodyElse`SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
          { until: (waiting) => waiting.length === 2, schedule: Schedule.spaced("5 millis") }
        )
        return yield* Effect.fail("never mind")
      })).pipe(Effect.flip)

      const answers = (yield* Fiber.join(asking)).flat()
      const transfers = new Map(answers.map(({ idempotencyKey, transfer }) => [idempotencyKey, transfer]))
      expect(answers.map(({ idempotencyKey }) => idempotencyKey)).toEqual([...keys, ...keys.toReversed()])
      for (const { idempotencyKey, transfer } of answers) expect(transfer).toBe(transfers.get(idempotencyKey))
      expect(answers.filter(({ replayed }) => !replayed)).toHaveLength(keys.length)
      const requested = (yield* logOf(0)).filter(({ type }) => type === "transfer.requested")
      expect(requested.map(({ subject }) => subject).toSorted()).toEqual([...transfers.values()].toSorted())
    }).pipe(Effect.scoped, Effect.provide(Layer.fresh(world))))
})
