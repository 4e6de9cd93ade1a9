/** The reconciler on real PostgreSQL: what got no answer is asked again, until it has one. */
import { expect, layer } from "@effect/vitest"
import { Duration, Effect, Layer } from "effect"
import { type InstructionId, makeId } from "#domain/ledger/Instruction.ts"
import { EventLog, type LogRecord } from "#domain/messaging/EventLog.ts"
import { SilentTransfers } from "#domain/reconciliation/SilentTransfers.ts"
import { type InstructionEvent, Intake } from "#domain/transfer/Intake.ts"
import { random } from "#infra/Entropy.ts"
import * as PgBreaks from "#infra/postgres/PgBreaks.ts"
import * as PgChecks from "#infra/postgres/PgChecks.ts"
import { ShardDatabases } from "#infra/postgres/ShardDatabases.ts"
import { ledgerWorker } from "../../apps/ledger/LedgerWorker.ts"
import { reconciler } from "../../apps/reconciler/Reconciler.ts"
import { relay } from "../../apps/relay/Relay.ts"
import { TestPostgres } from "../support/TestPostgres.ts"
import { ended, logOf, nameOn, open, request, wish, world } from "./World.ts"

/** The event log, into which the first record of a type never comes: it is lost on its way. */
const losing = (type: string) =>
  Layer.effect(
    EventLog,
    Effect.gen(function*() {
      const log = yield* EventLog
      let lost: LogRecord | undefined
      const arrives = (record: LogRecord): boolean => {
        if (record.type !== type) return true
        lost ??= record
        return record !== lost
      }
      return EventLog.of({
        ...log,
        writer: (source) =>
          Effect.map(log.writer(source), ({ append }) => ({
            append: (records) => append(records.filter(arrives))
          }))
      })
    })
  )

const instruct = Effect.fnUntraced(function*(eventOf: (instruction: InstructionId) => InstructionEvent) {
  const intake = yield* Intake
  const event = eventOf(makeId(1_800_000_000_000, random))
  yield* intake.instruct({ request: request(), event })
  return event.instruction
})

const answerTo = Effect.fnUntraced(function*(id: InstructionId) {
  const { on } = yield* ShardDatabases
  return yield* on(0, (sql) => sql`SELECT asks, status, reason_code FROM instruction WHERE instruction_id = ${id}`)
})

const impatient = {
  patience: { requested: Duration.zero, held: Duration.hours(1) },
  every: Duration.millis(20),
  checkEvery: Duration.hours(1)
}

layer(TestPostgres.layer, { excludeTestServices: true })("the reconciler", (it) => {
  it.effect("asks again what a client asked, where the event was lost; and the answer is given once", () =>
    Effect.gen(function*() {
      const bank = yield* open(nameOn(0, "bank"), "external")
      const terms = yield* wish(bank, nameOn(0, "shop"), "9", "manual")
      const voiding = yield* instruct((instruction) => ({ type: "transfer.void_requested", ...terms, instruction }))
      yield* Effect.forkScoped(ledgerWorker(0))
      yield* Effect.forkScoped(relay(0).pipe(Effect.provide(losing("transfer.void_requested"))))
      yield* Effect.forkScoped(reconciler(0, impatient))

      const end = yield* ended(terms.transfer)
      expect([end.status, end.reason?.code]).toEqual(["cancelled", "voided"])
      expect(yield* answerTo(voiding)).toEqual([{ asks: "void", status: "done", reason_code: null }])
      const [first, ...again] = (yield* logOf(0)).filter(({ type }) => type === "transfer.void_requested")
      expect(again.length).toBeGreaterThan(0)
      for (const { key, partition, payload, subject } of again) {
        expect({ key, partition, payload, subject }).toEqual({
          key: first?.key,
          partition: first?.partition,
          payload: first?.payload,
          subject: first?.subject
        })
      }
    }).pipe(Effect.provide(Layer.provideMerge(Layer.merge(PgBreaks.layer, PgChecks.layer), Layer.fresh(world)))))

  it.effect("finds instructions that got no answer, with what asked them, and those alone", () =>
    Effect.gen(function*() {
      const alice = yield* open(nameOn(0, "alice"))
      const freezing = yield* instruct((instruction) => ({
        type: "account.freeze_requested",
        account: alice,
        instruction
      }))
      const silent = yield* SilentTransfers
      const never = { requested: Duration.hours(1), held: Duration.hours(1) }
      const now = { requested: Duration.zero, held: Duration.hours(1) }
      expect(yield* silent.findInstructions(0, never, 10)).toEqual([])
      expect(yield* silent.findInstructions(1, now, 10)).toEqual([])
      expect(yield* silent.findInstructions(0, now, 10)).toMatchObject([{
        instruction: { id: freezing, asks: "freeze", subject: alice, amount: null, status: "open", reason: null },
        event: { type: "account.freeze_requested", account: alice, instruction: freezing }
      }])
      const { on } = yield* ShardDatabases
      yield* on(0, (sql) => sql`UPDATE instruction SET status = 'done', answered_at = now()`)
      expect(yield* silent.findInstructions(0, now, 10)).toEqual([])
    }).pipe(Effect.provide(Layer.fresh(world))))
})
