/**
 * What the `Intake` promises: what it acknowledged is there, with its key and its event; one key leads to one thing, for
 * ever; and what is refused changes nothing.
 */
import { expect, layer as suite } from "@effect/vitest"
import { Clock, type Context, Effect, Exit, type Layer, Option, Schema, type Scope } from "effect"
import { defaultsOf, emptyBalance } from "#domain/account/Account.ts"
import { subjectOf } from "#domain/ledger/LedgerEvent.ts"
import { maximum } from "#domain/money/Amount.ts"
import { type AccountIntent, type InstructionEvent, Intake, type TransferIntent } from "#domain/transfer/Intake.ts"
import type { Terms } from "#domain/transfer/TransferEvent.ts"
import { injections } from "../api/bad-input.ts"
import {
  account,
  accountNow,
  amount,
  as,
  asked,
  endOfLog,
  eventOf,
  failing,
  funded,
  inOneProcess,
  instructionId,
  know,
  loggedAfter,
  nameOn,
  opened,
  origin,
  type Ports,
  request,
  requestedBy,
  shards,
  terms,
  transfer,
  turn,
  World
} from "./World.ts"

const requested = (intent: TransferIntent) => Intake.use((intake) => intake.request(intent))
const requestedAll = (intents: ReadonlyArray<TransferIntent>) => Intake.use((intake) => intake.requestAll(intents))
const open = (intent: AccountIntent) => Intake.use((intake) => intake.open(intent))
const instruct = (event: InstructionEvent, of = request()) =>
  Intake.use((intake) => intake.instruct({ request: of, event }))

/** What is in the logs of both shards after where they ended. */
const told = Effect.fnUntraced(function*(ends: ReadonlyArray<bigint>) {
  const records = yield* Effect.forEach(shards, (shard) => loggedAfter(shard, ends[shard] ?? 0n))
  return records.flat().map(eventOf)
})
const endsOfLogs = Effect.forEach(shards, endOfLog)

/** The same wish in another body, as a client would ask that mistook a key for a new one. */
const another = (intent: TransferIntent): TransferIntent => ({
  ...transfer(terms(intent.terms.source, intent.terms.destination, intent.terms.amount + 1n)),
  request: { ...intent.request, fingerprint: "cd".repeat(32) }
})

/** The same wish asked again: the API draws another id for it. */
const repeated = (intent: TransferIntent): TransferIntent => ({
  ...intent,
  terms: { ...terms(intent.terms.source, intent.terms.destination, intent.terms.amount) },
  request: { ...intent.request, requestId: request().requestId }
})

const Wish = Schema.Struct({
  key: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 3 })),
  source: Schema.Literals([0, 1, 2]),
  body: Schema.Literals(["ab", "ab", "cd"])
})

/** Of an answer, what does not depend on who asked when: which wish it led to, and whether it did so before. */
const gist = (exit: Exit.Exit<{ readonly replayed: boolean; readonly record: { readonly terms: Terms } }, Error>) =>
  Exit.isSuccess(exit)
    ? [exit.value.replayed, exit.value.record.terms.amount]
    : exit.cause.reasons.map((reason) => reason._tag === "Fail" ? reason.error.name : reason._tag)

export const intakeLaws = <E>(name: string, world: Layer.Layer<World, E>) =>
  suite(world, { excludeTestServices: true, timeout: "2 minutes" })(name, (it) => {
    const law = <A, E2>(sentence: string, body: () => Effect.Effect<A, E2, Ports | World | Scope.Scope>) =>
      it.effect(sentence, () => inOneProcess(Effect.suspend(body)))

    const manyAtOnce = <A, E2>(ask: (process: Context.Context<Ports>) => Effect.Effect<A, E2>) =>
      Effect.gen(function*() {
        const { process } = yield* World
        const both = yield* Effect.all([process(), process()])
        const many = Array.from({ length: 12 }, () => both).flat()
        return yield* Effect.forEach(many, (process) => ask(process), { concurrency: "unbounded" })
      })

    // transfers ──────────────────────────────────────────────────────────────────────────────────────────────────────

    law(
      "keeps what looks like SQL, markup or a line of a log as the text that it is, and does nothing that it says",
      () =>
        Effect.gen(function*() {
          const before = yield* Clock.currentTimeMillis
          const [source, destination] = [nameOn(0), nameOn(1)]
          const intents = injections.map((text): TransferIntent => {
            const intent = transfer(terms(source, destination, 1n), {
              reference: text,
              description: text,
              metadata: { text }
            })
            return { ...intent, request: { ...intent.request, idempotencyKey: text } }
          })
          const told = yield* requestedAll(intents)
          const again = yield* requestedAll(intents.map(repeated))
          for (const [index, text] of injections.entries()) {
            expect(told[index]).toMatchObject({
              value: { replayed: false, record: { reference: text, description: text, metadata: { text } } }
            })
            expect(again[index]).toMatchObject({ value: { replayed: true, record: { terms: intents[index]?.terms } } })
          }
          // Two of them would sleep for ten seconds each, where they were listened to.
          expect((yield* Clock.currentTimeMillis) - before).toBeLessThan(10_000)
        })
    )

    law(
      "records a transfer with everything that was said of it, and tells the shard of it once",
      () =>
        Effect.gen(function*() {
          const ends = yield* endsOfLogs
          const intent = transfer(terms(nameOn(0), nameOn(1), maximum), {
            capture: "manual",
            expiresInSeconds: 600,
            reference: `O'Brien "x" \\ 100 %`,
            description: "käse 🧀 𝄞 \u2028",
            metadata: { order: "1", note: "ß ☃", "": "" }
          })
          const { record, replayed } = yield* requested(intent)
          expect(replayed).toBe(false)
          expect(record).toEqual({
            terms: intent.terms,
            capture: "manual",
            status: "requested",
            captured: null,
            reason: null,
            reverses: null,
            reference: intent.reference,
            description: intent.description,
            metadata: intent.metadata,
            expiresAtMillis: record.createdAtMillis + 600_000,
            createdAtMillis: record.createdAtMillis,
            statusChangedAtMillis: record.createdAtMillis
          })
          expect(Math.abs(record.createdAtMillis - (yield* Clock.currentTimeMillis))).toBeLessThan(60_000)
          expect((yield* know(0, { transfers: new Set([intent.terms.transfer]) })).transfers.get(intent.terms.transfer))
            .toEqual({
              terms: intent.terms,
              capture: "manual",
              status: "requested",
              moving: maximum,
              reason: null,
              reverses: null
            })
          const { client, fingerprint, idempotencyKey } = intent.request
          expect(yield* told(ends)).toEqual([{
            type: "transfer.requested",
            ...intent.terms,
            capture: "manual",
            client: "client",
            expiresIn: intent.expiresInSeconds,
            // A shard that lost the key learns it again from here.
            askedWith: { client, scope: `transfer:${intent.terms.source}`, key: idempotencyKey, fingerprint }
          }])
        })
    )

    law("tells of a reversal what it reverses, and keeps it", () =>
      Effect.gen(function*() {
        const ends = yield* endsOfLogs
        const there = terms(nameOn(1), nameOn(0), 5n)
        const intent = transfer(terms(there.destination, there.source, 5n), { reverses: there.transfer })
        expect((yield* requested(intent)).record.reverses).toBe(there.transfer)
        expect(yield* told(ends)).toMatchObject([{ type: "transfer.requested", reverses: there.transfer }])
      }))

    law(
      "answers a repetition with what the key made, as it is by now, and changes nothing",
      () =>
        Effect.gen(function*() {
          const intent = transfer(terms(yield* funded(0, 100n), yield* opened(0), 30n), { metadata: { order: "7" } })
          const first = yield* requested(intent)
          yield* turn(0, [requestedBy(intent.terms)])
          let answer: unknown
          const { left } = yield* failing(Effect.map(requested(repeated(intent)), (again) => answer = again))
          expect(left).toBe("no trace")
          expect(answer).toMatchObject({
            replayed: true,
            record: { terms: intent.terms, status: "committed", metadata: { order: "7" } }
          })
          expect(answer).toMatchObject({ record: { createdAtMillis: first.record.createdAtMillis } })
        })
    )

    law("refuses another request under a key that was used, and changes nothing", () =>
      Effect.gen(function*() {
        const intent = transfer(terms(nameOn(0), nameOn(1), 5n))
        yield* requested(intent)
        expect(yield* failing(requested(another(intent)))).toMatchObject({
          error: {
            _tag: "IdempotencyKeyReused",
            key: intent.request.idempotencyKey,
            resource: intent.terms.transfer
          },
          left: "no trace"
        })
      }))

    law("takes the same key of another client, or for another account, for another wish", () =>
      Effect.gen(function*() {
        const intent = transfer(terms(nameOn(0), nameOn(1), 5n))
        const { idempotencyKey } = intent.request
        yield* requested(intent)
        const others = [
          transfer(intent.terms, { request: request({ idempotencyKey, client: "another" }) }),
          transfer(terms(nameOn(0), nameOn(1), 5n), { request: request({ idempotencyKey }) }),
          transfer(terms(nameOn(1), nameOn(0), 5n), { request: request({ idempotencyKey }) })
        ]
        for (const other of others) expect((yield* requested(repeated(other))).replayed).toBe(false)
      }))

    it.effect("makes one transfer of a wish that many ask for at once, and tells of it once", () =>
      Effect.gen(function*() {
        const ends = yield* inOneProcess(endsOfLogs)
        const intent = transfer(terms(nameOn(0), nameOn(1), 5n))
        const answers = yield* manyAtOnce((process) => as(process, requested(repeated(intent))))
        expect(answers.filter(({ replayed }) => !replayed)).toHaveLength(1)
        expect(new Set(answers.map(({ record }) => record.terms.transfer)).size).toBe(1)
        expect(yield* inOneProcess(told(ends))).toHaveLength(1)
      }))

    law(
      "loses nothing of what it acknowledged, and acknowledges nothing twice, however many ask",
      () =>
        Effect.gen(function*() {
          const ends = yield* endsOfLogs
          const intents = Array.from(
            { length: 60 },
            (_, index) => transfer(terms(nameOn(index % 2), nameOn(0), BigInt(index + 1)))
          )
          const answers = yield* Effect.forEach(intents, requested, { concurrency: "unbounded" })
          expect(answers.map(({ record }) => record.terms)).toEqual(intents.map(({ terms }) => terms))
          const events = yield* told(ends)
          expect(new Set(events.map(subjectOf))).toEqual(new Set(intents.map(({ terms }) => terms.transfer)))
          expect(events).toHaveLength(intents.length)
        })
    )

    for (
      const [what, constraint, more] of [
        ["an account to itself", "a_transfer_has_two_accounts", {}],
        ["a reversal that waits to be captured", "a_reversal_is_captured_at_once", {
          capture: "manual",
          reverses: terms(nameOn(1), nameOn(0), 1n).transfer
        }],
        ["a key of no characters", "a_key_has_1_to_255_characters", { request: request({ idempotencyKey: "" }) }],
        ["a key of 256 characters", "a_key_has_1_to_255_characters", {
          request: request({ idempotencyKey: "k".repeat(256) })
        }],
        ["a fingerprint that is none", "a_fingerprint_is_a_sha_256", { request: request({ fingerprint: "abcd" }) }]
      ] as const
    ) {
      law(`never records ${what}, whoever asks for it`, () =>
        Effect.gen(function*() {
          const source = nameOn(0)
          const of = terms(source, constraint === "a_transfer_has_two_accounts" ? source : nameOn(1), 5n)
          expect(yield* failing(requested(transfer(of, more)))).toMatchObject({ constraint, left: "no trace" })
        }))
    }

    // many at once ───────────────────────────────────────────────────────────────────────────────────────────────────

    law(
      "answers many in the order in which they were asked, each on its own, whatever their shards",
      () =>
        Effect.gen(function*() {
          const before = transfer(terms(nameOn(0), nameOn(1), 5n))
          yield* requested(before)
          const fresh = [1n, 2n, 3n].map((minor) => transfer(terms(nameOn(Number(minor % 2n)), nameOn(0), minor)))
          const answers = yield* requestedAll([
            ...fresh.slice(0, 2),
            repeated(before),
            another(before),
            ...fresh.slice(2)
          ])
          expect(answers.map(gist)).toEqual([
            [false, 1n],
            [false, 2n],
            [true, 5n],
            ["IdempotencyKeyReused"],
            [false, 3n]
          ])
        })
    )

    law(
      "has nothing to answer where nothing was asked",
      () => Effect.map(requestedAll([]), (answers) => expect(answers).toEqual([]))
    )

    it.effect.prop(
      "answers many at once as it answers them one after the other",
      [Schema.Array(Wish).check(Schema.isMaxLength(12))],
      ([wishes]) =>
        inOneProcess(Effect.gen(function*() {
          const [sources, destination] = [[nameOn(0), nameOn(0), nameOn(1)], nameOn(1)]
          const [keys, clients] = [nameOn(0), [nameOn(0, "single"), nameOn(0, "batch")]]
          const intents = (client: string) =>
            wishes.map(({ body, key, source }, index) =>
              transfer(terms(sources[source] ?? destination, destination, BigInt(index + 1)), {
                request: request({ client, idempotencyKey: `${keys}/${key}`, fingerprint: body.repeat(32) })
              })
            )
          const [single = "", batch = ""] = clients
          const ends = yield* endsOfLogs
          const one = yield* Effect.forEach(intents(single), (intent) => Effect.exit(requested(intent)))
          const all = yield* requestedAll(intents(batch))
          expect(all.map(gist)).toEqual(one.map(gist))
          const events = yield* told(ends)
          const tellingOf = (client: string) =>
            events.filter((event) => "client" in event && event.client === client)
              .map((event) => "amount" in event ? event.amount : 0n).toSorted((a, b) => Number(a - b))
          expect(tellingOf(batch)).toEqual(tellingOf(single))
        })),
      { arbitrary: { runs: 25, seed: "many at once" } }
    )

    // accounts ───────────────────────────────────────────────────────────────────────────────────────────────────────

    law("opens an account with nothing in it, as it was asked for, and tells of it once", () =>
      Effect.gen(function*() {
        const ends = yield* endsOfLogs
        const id = nameOn(0)
        const asked = account(id, { kind: "external", normalSide: "debit", floor: -maximum, ceiling: maximum * 1_000n })
        const intent = { ...asked, metadata: { note: "ß ☃" } }
        const { record, replayed } = yield* open(intent)
        const expected = {
          id,
          kind: "external",
          normalSide: "debit",
          currency: intent.account.currency,
          status: "open",
          floor: -maximum,
          ceiling: maximum * 1_000n,
          balance: emptyBalance
        }
        expect({ replayed, ...record }).toEqual({
          replayed: false,
          account: expected,
          metadata: { note: "ß ☃" },
          revision: 1n,
          createdAtMillis: record.createdAtMillis
        })
        expect(yield* accountNow(id)).toEqual(expected)
        const { balance: _, id: account_, status: __, ...rest } = expected
        expect(yield* told(ends)).toMatchObject([
          { type: "account.opened", account: account_, ...rest, askedWith: { scope: `account:${account_}` } }
        ])
      }))

    law("answers the opening of an account asked again with the account as it is by now", () =>
      Effect.gen(function*() {
        const intent = account(nameOn(0))
        yield* open(intent)
        const bank = yield* opened(0, { kind: "external", ...defaultsOf("external") })
        yield* turn(0, [requestedBy(yield* asked(terms(bank, intent.account.id, 7n)))])
        let answer: unknown
        const { left } = yield* failing(Effect.map(open(intent), (again) => answer = again))
        expect(left).toBe("no trace")
        expect(answer).toMatchObject({ replayed: true, record: { account: { balance: { posted: 7n } } } })
      }))

    law(
      "leads a key whose account was named by us to that account, whatever name is drawn the next time",
      () =>
        Effect.gen(function*() {
          const { client, idempotencyKey } = request()
          const drawn = () => ({ ...account(nameOn(0)), named: false, request: request({ client, idempotencyKey }) })
          const first = yield* open(drawn())
          expect(yield* open(drawn())).toMatchObject({
            replayed: true,
            record: { account: { id: first.record.account.id } }
          })
        })
    )

    law("refuses an account that is there, does not spend the key, and changes nothing", () =>
      Effect.gen(function*() {
        const taken = yield* opened(0)
        const intent = account(taken)
        expect(yield* failing(open(intent))).toMatchObject({
          error: { _tag: "AccountExists", account: taken },
          left: "no trace"
        })
        expect(yield* failing(open(intent))).toMatchObject({ error: { _tag: "AccountExists" }, left: "no trace" })
      }))

    law("refuses to open another account under a key that was used, and changes nothing", () =>
      Effect.gen(function*() {
        const intent = account(nameOn(0))
        yield* open(intent)
        const other = { ...intent, request: { ...intent.request, fingerprint: "cd".repeat(32) } }
        expect(yield* failing(open(other))).toMatchObject({
          error: { _tag: "IdempotencyKeyReused", resource: intent.account.id },
          left: "no trace"
        })
      }))

    it.effect("opens one account of a name that many ask for at once", () =>
      Effect.gen(function*() {
        const ends = yield* inOneProcess(endsOfLogs)
        const id = nameOn(0)
        const answers = yield* manyAtOnce((process) => Effect.exit(as(process, open(account(id)))))
        expect(answers.filter(Exit.isSuccess)).toHaveLength(1)
        expect(yield* inOneProcess(told(ends))).toHaveLength(1)
      }))

    for (
      const [what, constraint, more] of [
        ["a floor above nothing", "an_account_begins_within_its_limits", { floor: 1n }],
        ["a ceiling below nothing", "an_account_begins_within_its_limits", { floor: null, ceiling: -1n }],
        ["a ceiling below its floor", "a_floor_is_not_above_its_ceiling", { floor: 0n, ceiling: -1n }]
      ] as const
    ) {
      law(`never opens an account with ${what}, whoever asks for it`, () =>
        Effect.gen(function*() {
          expect(yield* failing(open(account(nameOn(0), more)))).toMatchObject({ constraint, left: "no trace" })
        }))
    }

    law(
      "replaces the metadata of an account that is as the client saw it, and counts that",
      () =>
        Effect.gen(function*() {
          const { describe } = yield* Intake
          const id = yield* opened(0)
          const described = Option.getOrThrow(yield* describe(id, 1n, { a: "1" }))
          expect(described).toMatchObject({ metadata: { a: "1" }, revision: 2n, account: yield* accountNow(id) })
          expect(Option.getOrThrow(yield* describe(id, 2n, { b: "2" }))).toMatchObject({
            metadata: { b: "2" },
            revision: 3n
          })
        })
    )

    law(
      "changes nothing of an account that is no longer as the client saw it, and says how it is",
      () =>
        Effect.gen(function*() {
          const { describe } = yield* Intake
          const id = yield* opened(0)
          yield* describe(id, 1n, { a: "1" })
          for (const seen of [1n, 3n]) {
            expect(yield* failing(describe(id, seen, { b: "2" }))).toMatchObject({
              error: { _tag: "RevisionMismatch", account: id, revision: 2n },
              left: "no trace"
            })
          }
        })
    )

    law("describes no account that is not there", () =>
      Effect.gen(function*() {
        const { describe } = yield* Intake
        expect(yield* describe(nameOn(0, "nobody"), 1n, {})).toEqual(Option.none())
      }))

    it.effect("lets one of many describe an account that all of them saw", () =>
      Effect.gen(function*() {
        const id = yield* inOneProcess(opened(0))
        const answers = yield* manyAtOnce((process) =>
          Effect.exit(as(process, Intake.use(({ describe }) => describe(id, 1n, { by: "one" }))))
        )
        expect(answers.filter(Exit.isSuccess)).toHaveLength(1)
      }))

    // instructions ───────────────────────────────────────────────────────────────────────────────────────────────────

    law("records an instruction that is open, and tells the worker of it once", () =>
      Effect.gen(function*() {
        const of = yield* asked(terms(yield* funded(0, 100n), nameOn(1), 30n), { capture: "manual" })
        const ends = yield* endsOfLogs
        const event = {
          type: "transfer.capture_requested",
          ...of,
          captured: amount(20n),
          instruction: instructionId()
        } as const
        const expected = {
          id: event.instruction,
          asks: "capture",
          subject: of.transfer,
          amount: 20n,
          status: "open",
          reason: null
        }
        expect(yield* instruct(event)).toEqual({ replayed: false, record: expected })
        const { instructions } = yield* know(0, { instructions: new Set([event.instruction]) })
        expect(instructions.get(event.instruction)).toEqual(expected)
        expect(yield* told(ends)).toMatchObject([{ ...event, askedWith: { scope: `capture:${of.transfer}` } }])
      }))

    law("knows what each instruction asks", () =>
      Effect.gen(function*() {
        const of = terms(nameOn(0), nameOn(1), 5n)
        const accountId = nameOn(0)
        const events: ReadonlyArray<InstructionEvent> = [
          { type: "transfer.capture_requested", ...of, captured: null, instruction: instructionId() },
          { type: "transfer.void_requested", ...of, instruction: instructionId() },
          { type: "account.freeze_requested", account: accountId, instruction: instructionId() },
          { type: "account.unfreeze_requested", account: accountId, instruction: instructionId() },
          { type: "account.close_requested", account: accountId, instruction: instructionId() }
        ]
        const made = yield* Effect.forEach(events, (event) => instruct(event))
        expect(made.map(({ record: { amount, asks, subject } }) => [asks, subject, amount])).toEqual([
          ["capture", of.transfer, null],
          ["void", of.transfer, null],
          ["freeze", accountId, null],
          ["unfreeze", accountId, null],
          ["close", accountId, null]
        ])
      }))

    law(
      "answers an instruction asked again with the one that was given, and with its answer once there is one",
      () =>
        Effect.gen(function*() {
          const id = yield* opened(0)
          const of = request()
          const freeze = () =>
            ({ type: "account.freeze_requested", account: id, instruction: instructionId() }) as const
          const first = freeze()
          yield* instruct(first, of)
          yield* turn(0, [{ event: first, from: 0, origin }])
          let answer: unknown
          const { left } = yield* failing(Effect.map(instruct(freeze(), of), (again) => answer = again))
          expect(left).toBe("no trace")
          expect(answer).toMatchObject({ replayed: true, record: { id: first.instruction, status: "done" } })
          const other = { ...of, fingerprint: "cd".repeat(32) }
          expect(yield* failing(instruct(freeze(), other))).toMatchObject({
            error: { _tag: "IdempotencyKeyReused", resource: first.instruction },
            left: "no trace"
          })
        })
    )

    it.effect("gives one instruction of many that are asked for at once under one key", () =>
      Effect.gen(function*() {
        const ends = yield* inOneProcess(endsOfLogs)
        const [id, of] = [nameOn(0), request()]
        const answers = yield* manyAtOnce((process) =>
          as(process, instruct({ type: "account.freeze_requested", account: id, instruction: instructionId() }, of))
        )
        expect(new Set(answers.map(({ record }) => record.id)).size).toBe(1)
        expect(yield* inOneProcess(told(ends))).toHaveLength(1)
      }))
  })
