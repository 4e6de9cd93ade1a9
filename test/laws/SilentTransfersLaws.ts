/** What `SilentTransfers` promise: they find what waits for an answer for too long, the oldest first, and nothing else. */
import { expect, layer as suite } from "@effect/vitest"
import { Duration, Effect, type Layer, Schedule, type Scope } from "effect"
import { type Patience, question, SilentTransfers } from "#domain/reconciliation/SilentTransfers.ts"
import { Intake } from "#domain/transfer/Intake.ts"
import {
  asked,
  funded,
  inOneProcess,
  instructionId,
  nameOn,
  opened,
  origin,
  type Ports,
  request,
  requestedBy,
  terms,
  turn,
  type World
} from "./World.ts"

const impatient: Patience = { requested: Duration.zero, held: Duration.zero }
const patient: Patience = { requested: Duration.hours(1), held: Duration.hours(1) }

const find = (patience: Patience, sinceMillis = 0, most = 1_000, shard = 0) =>
  SilentTransfers.use((silent) => silent.find(shard, patience, sinceMillis, most))

const findInstructions = (patience: Patience, most = 1_000, shard = 0) =>
  SilentTransfers.use((silent) => silent.findInstructions(shard, patience, most))

/** Looks until so many of these are found: what is asked about is a moment old by then. */
const until = <A, E, R>(look: Effect.Effect<ReadonlyArray<A>, E, R>, is: (found: ReadonlyArray<A>) => boolean) =>
  look.pipe(
    Effect.repeat({ until: is, schedule: Schedule.spaced("2 millis") }),
    Effect.timeout("30 seconds")
  )

export const silentTransfersLaws = <E>(name: string, world: Layer.Layer<World, E>) =>
  suite(world, { excludeTestServices: true, timeout: "2 minutes" })(name, (it) => {
    const law = <A, E2>(sentence: string, body: () => Effect.Effect<A, E2, Ports | World | Scope.Scope>) =>
      it.effect(sentence, () => inOneProcess(Effect.suspend(body)))

    law(
      "finds what was requested and not decided, the oldest first, with what it takes to ask again",
      () =>
        Effect.gen(function*() {
          const wishes = yield* Effect.forEach([1n, 2n, 3n], (minor) => asked(terms(nameOn(0), nameOn(1), minor)))
          const ids = wishes.map(({ transfer }) => transfer)
          const ofOurs = Effect.map(
            find(impatient),
            (found) => found.filter(({ transfer }) => ids.includes(transfer.terms.transfer))
          )
          const found = yield* until(ofOurs, ({ length }) => length === 3)
          expect(found.map(question)).toEqual(
            wishes.map((wish) => ({ type: "transfer.requested", ...wish, capture: "automatic", client: "client" }))
          )
          expect(yield* find(impatient, 0, 1)).toHaveLength(1)
          expect((yield* find(patient)).filter(({ transfer }) => ids.includes(transfer.terms.transfer))).toEqual([])
        })
    )

    law("finds what is held, and nothing that has ended or waits for its client", () =>
      Effect.gen(function*() {
        const alice = yield* funded(0, 100n)
        const held = yield* asked(terms(alice, nameOn(1), 10n))
        const committed = yield* asked(terms(alice, yield* opened(0), 10n))
        const rejected = yield* asked(terms(alice, nameOn(1), 1_000n))
        const waiting = yield* asked(terms(alice, nameOn(1), 10n), { capture: "manual", expiresInSeconds: 3_600 })
        yield* turn(0, [
          requestedBy(held),
          requestedBy(committed),
          requestedBy(rejected),
          requestedBy(waiting, { capture: "manual" })
        ])
        const found = yield* until(find(impatient), (found) =>
          found.some(({ transfer }) => transfer.terms.transfer === held.transfer))
        const ids: ReadonlyArray<string> = found.map(({ transfer }) =>
          transfer.terms.transfer
        )
        for (const other of [committed, rejected, waiting]) expect(ids).not.toContain(other.transfer)
        const [silent] = found.filter(({ transfer }) => transfer.terms.transfer === held.transfer)
        expect(silent).toMatchObject({ expired: false, transfer: { status: "held", moving: 10n } })
      }))

    law("finds what was authorized once its time is over, however patient one is", () =>
      Effect.gen(function*() {
        const alice = yield* funded(0, 100n)
        const of = yield* asked(terms(alice, nameOn(1), 10n), { capture: "manual", expiresInSeconds: 0 })
        yield* turn(0, [requestedBy(of, { capture: "manual" })])
        const found = yield* until(find(patient), (found) =>
          found.some(({ transfer }) => transfer.terms.transfer === of.transfer))
        const [silent] = found.filter(({ transfer }) =>
          transfer.terms.transfer === of.transfer
        )
        expect(silent).toMatchObject({ expired: true })
        expect(silent === undefined ? undefined : question(silent)).toEqual({ type: "transfer.expiry_due", ...of })
      }))

    law("need not look at what is from before a time at which everything had ended", () =>
      Effect.gen(function*() {
        const of = yield* asked(terms(nameOn(0), nameOn(1), 1n))
        const isOurs = (found: Effect.Success<ReturnType<typeof find>>) =>
          found.filter(({ transfer }) => transfer.terms.transfer === of.transfer)
        const [silent] = isOurs(yield* until(find(impatient), (found) => isOurs(found).length > 0))
        if (silent === undefined) return yield* Effect.die("not found")
        expect(isOurs(yield* find(impatient, silent.openSinceMillis - 1_000))).toHaveLength(1)
        expect(isOurs(yield* find(impatient, silent.openSinceMillis + 1_000))).toHaveLength(0)
      }))

    law(
      "finds instructions without an answer, each with the event that asked it, and none that has one",
      () =>
        Effect.gen(function*() {
          const intake = yield* Intake
          const freeze = (account: ReturnType<typeof nameOn>) =>
            ({ type: "account.freeze_requested", account, instruction: instructionId() }) as const
          const [open, answered] = [freeze(yield* opened(0)), freeze(yield* opened(0))]
          yield* intake.instruct({ request: request(), event: open })
          yield* intake.instruct({ request: request(), event: answered })
          yield* turn(0, [{ event: answered, from: 0, origin }])
          const found = yield* until(
            findInstructions(impatient),
            (found) => found.some(({ instruction }) => instruction.id === open.instruction)
          )
          expect(found.map(({ instruction }) => instruction.id)).not.toContain(answered.instruction)
          const [silent] = found.filter(({ instruction }) => instruction.id === open.instruction)
          expect(silent?.event).toMatchObject(open)
          expect(yield* findInstructions(patient)).toEqual([])
          expect(yield* findInstructions(impatient, 0)).toEqual([])
        })
    )

    law("looks at one shard at a time", () =>
      Effect.gen(function*() {
        const of = yield* asked(terms(nameOn(1), nameOn(0), 1n))
        const isOurs = (found: Effect.Success<ReturnType<typeof find>>) =>
          found.some(({ transfer }) => transfer.terms.transfer === of.transfer)
        yield* until(find(impatient, 0, 1_000, 1), isOurs)
        expect(isOurs(yield* find(impatient))).toBe(false)
      }))
  })
