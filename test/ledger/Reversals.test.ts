/** Reversals on real PostgreSQL: never more comes back than went, whoever asks, however often, and all at once. */
import { expect, layer } from "@effect/vitest"
import { Duration, Effect, Layer } from "effect"
import type { AccountId } from "#domain/account/Account.ts"
import { InstructionId } from "#domain/ledger/Instruction.ts"
import { Queries } from "#domain/ledger/Queries.ts"
import { Amount } from "#domain/money/Amount.ts"
import { partitionOf } from "#domain/sharding/Partition.ts"
import { Checks, violationsOf } from "#domain/reconciliation/Checks.ts"
import { Intake, type Request } from "#domain/transfer/Intake.ts"
import type { Terms } from "#domain/transfer/TransferEvent.ts"
import * as TransferId from "#domain/transfer/TransferId.ts"
import { random } from "#infra/Entropy.ts"
import * as PgChecks from "#infra/postgres/PgChecks.ts"
import { TestPostgres } from "../support/TestPostgres.ts"
import { ended, everybodyWorks, nameOn, open, partitions, postedOf, request, wish, world } from "./World.ts"

const working = Layer.effectDiscard(Effect.forkScoped(everybodyWorks)).pipe(
  Layer.merge(PgChecks.layer),
  Layer.provideMerge(world),
  Layer.provide(TestPostgres.layer)
)

/** What a shop has besides, so that it is never for want of money that too much is not taken back. */
const spare = 5000n

/** A shop that was paid 1,000 by a customer. */
const paid = Effect.fnUntraced(function*(name: string, shards: readonly [customer: number, shop: number]) {
  const bank = yield* open(nameOn(shards[0], `${name}-bank`), "external")
  const customer = yield* open(nameOn(shards[0], `${name}-customer`))
  const shop = yield* open(nameOn(shards[1], `${name}-shop`))
  yield* ended((yield* wish(bank, customer, "1000")).transfer)
  yield* ended((yield* wish(bank, shop, spare.toString())).transfer)
  const payment = yield* wish(customer, shop, "1000")
  expect((yield* ended(payment.transfer)).status).toBe("committed")
  return { bank, customer, shop, payment }
})

/** Asks for money back. */
const askBack = Effect.fnUntraced(function*(payment: Terms, amount: bigint, as: Request = request()) {
  const intake = yield* Intake
  const terms: Terms = {
    transfer: TransferId.make(1_800_000_000_000, partitionOf(payment.destination, partitions), random),
    source: payment.destination,
    destination: payment.source,
    amount: Amount.make(amount),
    currency: payment.currency
  }
  return yield* intake.request({
    request: as,
    terms,
    capture: "automatic",
    expiresInSeconds: null,
    reverses: payment.transfer,
    reference: null,
    description: null,
    metadata: {}
  })
})

/** Asks for money back, and tells what became of it. */
const takeBack = Effect.fnUntraced(function*(payment: Terms, amount: bigint) {
  const { record } = yield* askBack(payment, amount)
  const { reason, status } = yield* ended(record.terms.transfer)
  return reason === null ? status : `${status}: ${reason.code}`
})

let instructions = 0
/** Freezes or unfreezes an account, and waits until it is. */
const instruct = Effect.fnUntraced(function*(asks: "freeze" | "unfreeze", account: AccountId) {
  const [intake, queries] = [yield* Intake, yield* Queries]
  const instruction = InstructionId.make(`ins_${String(++instructions).padStart(26, "0")}`)
  const { record } = yield* intake.instruct({
    request: request(),
    event: { type: `account.${asks}_requested`, account, instruction }
  })
  expect((yield* queries.awaitAnswer(record, 10_000)).status).toBe("done")
})

const ways = [["within a shard", [0, 0]], ["across shards", [0, 1]]] as const

layer(working, { excludeTestServices: true, timeout: "60 seconds" })("a reversal", (it) => {
  for (const [where, shards] of ways) {
    const [name] = where.split(" ")

    it.effect(`${where}: takes back all of a transfer, once`, () =>
      Effect.gen(function*() {
        const { customer, payment, shop } = yield* paid(`${name}-whole`, shards)
        expect(yield* takeBack(payment, 1000n)).toBe("committed")
        expect(yield* takeBack(payment, 1000n)).toBe("rejected: reversal_exceeds_transfer")
        expect(yield* takeBack(payment, 1n)).toBe("rejected: reversal_exceeds_transfer")
        expect((yield* postedOf(customer)).posted).toBe(1000n)
        expect((yield* postedOf(shop)).posted).toBe(spare)
      }))

    it.effect(`${where}: takes back parts, and no part too many`, () =>
      Effect.gen(function*() {
        const { customer, payment } = yield* paid(`${name}-parts`, shards)
        expect(yield* takeBack(payment, 300n)).toBe("committed")
        expect(yield* takeBack(payment, 400n)).toBe("committed")
        expect(yield* takeBack(payment, 301n)).toBe("rejected: reversal_exceeds_transfer")
        expect(yield* takeBack(payment, 300n)).toBe("committed")
        expect((yield* postedOf(customer)).posted).toBe(1000n)
      }))

    it.effect(`${where}: that is refused where it goes gives its part back`, () =>
      Effect.gen(function*() {
        const { customer, payment, shop } = yield* paid(`${name}-refused`, shards)
        yield* instruct("freeze", customer)
        expect(yield* takeBack(payment, 1000n)).toMatch(/^(cancelled|rejected): account_frozen$/)
        expect(yield* postedOf(shop)).toMatchObject({ posted: spare + 1000n, held: 0n })
        yield* instruct("unfreeze", customer)
        expect(yield* takeBack(payment, 1000n)).toBe("committed")
      }))

    it.effect(`${where}: that its source cannot pay gives its part back`, () =>
      Effect.gen(function*() {
        const { bank, payment, shop } = yield* paid(`${name}-spent`, shards)
        yield* ended((yield* wish(shop, bank, `${spare + 1n}`)).transfer)
        expect(yield* takeBack(payment, 1000n)).toBe("rejected: insufficient_funds")
        expect(yield* takeBack(payment, 999n)).toBe("committed")
        yield* ended((yield* wish(bank, shop, "1")).transfer)
        expect(yield* takeBack(payment, 1n)).toBe("committed")
      }))

    it.effect(`${where}: 20 at once, of a tenth each, are 10`, () =>
      Effect.gen(function*() {
        const { customer, payment, shop } = yield* paid(`${name}-crowd`, shards)
        const ends = yield* Effect.all(Array.from({ length: 20 }, () => takeBack(payment, 100n)), {
          concurrency: "unbounded"
        })
        expect(ends.toSorted()).toEqual([
          ...Array.from({ length: 10 }, () => "committed"),
          ...Array.from({ length: 10 }, () => "rejected: reversal_exceeds_transfer")
        ])
        expect((yield* postedOf(customer)).posted).toBe(1000n)
        expect(yield* postedOf(shop)).toMatchObject({ posted: spare, held: 0n })
      }))

    it.effect(`${where}: 20 at once under one key are one`, () =>
      Effect.gen(function*() {
        const { customer, payment } = yield* paid(`${name}-key`, shards)
        const as = request()
        const answers = yield* Effect.all(Array.from({ length: 20 }, () => askBack(payment, 50n, as)), {
          concurrency: "unbounded"
        })
        const [first, ...others] = new Set(answers.map(({ record }) => record.terms.transfer))
        expect(others).toEqual([])
        expect(answers.filter(({ replayed }) => !replayed).length).toBe(1)
        expect((yield* ended(first ?? payment.transfer)).status).toBe("committed")
        expect((yield* postedOf(customer)).posted).toBe(50n)
      }))

    it.effect(`${where}: takes back what was captured, and not what was authorized`, () =>
      Effect.gen(function*() {
        const { customer, payment, shop } = yield* paid(`${name}-captured`, shards)
        yield* takeBack(payment, 1000n)
        const intake = yield* Intake
        const terms = yield* wish(customer, shop, "1000", "manual")
        expect(yield* takeBack(terms, 1n)).toBe("rejected: not_reversible")
        yield* intake.instruct({
          request: request(),
          event: {
            type: "transfer.capture_requested",
            ...terms,
            captured: Amount.make(600n),
            instruction: InstructionId.make(`ins_${String(++instructions).padStart(26, "0")}`)
          }
        })
        expect((yield* ended(terms.transfer)).status).toBe("committed")
        expect(yield* takeBack(terms, 601n)).toBe("rejected: reversal_exceeds_transfer")
        expect(yield* takeBack(terms, 600n)).toBe("committed")
      }))

    it.effect(`${where}: names a transfer that went the other way, and moved`, () =>
      Effect.gen(function*() {
        const { bank, customer, payment, shop } = yield* paid(`${name}-way`, shards)
        expect(yield* takeBack({ ...payment, source: bank }, 1n)).toBe("rejected: not_reversible")
        const never = yield* wish(customer, shop, "1000")
        expect((yield* ended(never.transfer)).status).toBe("rejected")
        expect(yield* takeBack(never, 1n)).toBe("rejected: not_reversible")
      }))

    it.effect(`${where}: can be reversed itself, and says what it reverses`, () =>
      Effect.gen(function*() {
        const { payment, shop } = yield* paid(`${name}-again`, shards)
        const { record } = yield* askBack(payment, 1000n)
        expect(yield* ended(record.terms.transfer)).toMatchObject({ status: "committed", reverses: payment.transfer })
        expect(yield* takeBack(record.terms, 1000n)).toBe("committed")
        expect((yield* postedOf(shop)).posted).toBe(spare + 1000n)
      }))
  }

  it.effect("leaves books behind that keep every rule", () =>
    Effect.gen(function*() {
      const checks = yield* Checks
      expect(violationsOf(yield* checks.run({ atRest: false, grace: Duration.minutes(1) }))).toEqual([])
    }))
})
