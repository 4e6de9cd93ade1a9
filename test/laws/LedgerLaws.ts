/**
 * What a `Ledger` promises: it reads what was committed, writes by compare-and-set on what was read, gives once what is
 * given once, and never writes down what the books forbid, whoever asks for it.
 */
import { expect, layer as suite } from "@effect/vitest"
import { Deferred, Effect, Fiber, type Layer, Result, Schema, type Scope } from "effect"
import { type Account, type AccountId, defaultsOf } from "#domain/account/Account.ts"
import type { Changes, Known } from "#domain/ledger/Batch.ts"
import type { Message } from "#domain/ledger/Decision.ts"
import { keyOf, type LedgerEvent } from "#domain/ledger/LedgerEvent.ts"
import { acting } from "#domain/ledger/Protocol.ts"
import { maximum } from "#domain/money/Amount.ts"
import { shardOfAccount } from "#domain/sharding/ShardMap.ts"
import { type InstructionEvent, Intake } from "#domain/transfer/Intake.ts"
import type { Transfer, TransferStatus, Verdict } from "#domain/transfer/Transfer.ts"
import type { Capture, Terms } from "#domain/transfer/TransferEvent.ts"
import type { TransferId } from "#domain/transfer/TransferId.ts"
import * as ShardModel from "../domain/ShardModel.ts"
import {
  accountNow,
  amount,
  as,
  asked,
  decided,
  endOfLog,
  EUR,
  eventOf,
  failing,
  funded,
  heldBy,
  inOneProcess,
  instructionId,
  isHome,
  know,
  loggedAfter,
  map,
  nameOn,
  newCurrency,
  noChanges,
  opened,
  origin,
  type Ports,
  readFor,
  request,
  requestedBy,
  shards,
  terms,
  transact,
  turn,
  World,
  write
} from "./World.ts"

const only = (id: string) => new Set([id])

/** Reads what the messages need, and decides on it: what a worker would write, if it came to that. */
const planned = Effect.fnUntraced(function*(messages: ReadonlyArray<Message>) {
  const known = yield* transact(0, readFor(0, messages))
  return decided(0, known, messages)
})

const commit = (changes: Changes) => transact(0, write(changes))

/** What a test changes by hand, as no protocol would. */
const changing = (account: Account, balance: Partial<Account["balance"]>): Changes => ({
  ...noChanges,
  balances: [{ ...account, balance: { ...account.balance, ...balance } }]
})

const moving = (was: TransferStatus, transfer: Transfer): Changes => ({ ...noChanges, transfers: [{ was, transfer }] })

const verdictOn = (of: Terms): Verdict => ({ terms: of, from: 1, ruling: "CREDITED", reason: null })

const instructed = Effect.fnUntraced(function*(id: AccountId) {
  const intake = yield* Intake
  const event = { type: "account.freeze_requested", account: id, instruction: instructionId() } as const
  yield* intake.instruct({ request: request(), event })
  return { event, from: 0, origin } satisfies Message
})

export const ledgerLaws = <E>(name: string, world: Layer.Layer<World, E>) =>
  suite(world, { excludeTestServices: true, timeout: "2 minutes" })(name, (it) => {
    const law = <A, E2>(sentence: string, body: () => Effect.Effect<A, E2, Ports | World | Scope.Scope>) =>
      it.effect(sentence, () => inOneProcess(Effect.suspend(body)))

    law("reads what was asked for and is there, and nothing else", () =>
      Effect.gen(function*() {
        const [alice, bob] = [yield* funded(0, 100n), yield* opened(0)]
        const paid = yield* asked(terms(alice, bob, 30n))
        yield* turn(0, [requestedBy(paid)])
        const freeze = yield* instructed(bob)
        const nobody = nameOn(0, "nobody")
        const known = yield* know(0, {
          accounts: new Set([alice, nobody]),
          transfers: new Set([paid.transfer, "trf_unknown"]),
          verdicts: new Set([paid.transfer, "trf_unknown"]),
          instructions: new Set([freeze.event.instruction, "ins_unknown"]),
          reversed: new Set([paid.transfer])
        })
        expect(known).toEqual(
          {
            accounts: new Map([[alice, {
              id: alice,
              kind: "customer",
              normalSide: "credit",
              currency: EUR,
              status: "open",
              floor: 0n,
              ceiling: null,
              balance: { posted: 70n, held: 0n, version: 2n, sequence: 2n }
            }]]),
            transfers: new Map([[paid.transfer, {
              terms: paid,
              capture: "automatic",
              status: "committed",
              moving: amount(30n),
              reason: null,
              reverses: null
            }]]),
            verdicts: new Map([[paid.transfer, { terms: paid, from: 0, ruling: "CREDITED", reason: null }]]),
            instructions: new Map([[freeze.event.instruction, {
              id: freeze.event.instruction,
              asks: "freeze",
              subject: bob,
              amount: null,
              status: "open",
              reason: null
            }]]),
            reversed: new Map()
          } satisfies Known
        )
      }))

    law("keeps amounts of 38 digits to the minor unit, and prose in whatever script", () =>
      Effect.gen(function*() {
        const rich = yield* funded(0, maximum)
        expect((yield* accountNow(rich)).balance.posted).toBe(maximum)
        const paid = yield* asked(terms(rich, nameOn(0, "nobody"), maximum))
        const [transfer] = (yield* know(0, { transfers: only(paid.transfer) })).transfers.values()
        if (transfer === undefined) return yield* Effect.die("not recorded")
        const reason = { code: "no", detail: `O'Brien "x" \\ \t ß 𝄞 \u2028 ☃` }
        yield* commit(moving("requested", { ...transfer, status: "rejected", reason }))
        const after = yield* know(0, { transfers: only(paid.transfer) })
        expect(after.transfers.get(paid.transfer)?.reason).toEqual(reason)
      }))

    law(
      "tells what it wrote in the order of the batch, each event with the request that it began with",
      () =>
        Effect.gen(function*() {
          const alice = yield* funded(0, 100n)
          const end = yield* endOfLog(0)
          const wishes = yield* Effect.forEach([1n, 2n, 3n, 4n], (minor) => asked(terms(alice, nameOn(1), minor)))
          yield* turn(
            0,
            wishes.map((wish, index) => ({
              ...requestedBy(wish),
              origin: { requestId: index === 2 ? null : `req-${index}`, traceparent: index === 3 ? "00-trace" : null }
            }))
          )
          const held = (yield* loggedAfter(0, end)).filter(({ type }) => type === "transfer.held")
          expect(held.map(eventOf)).toEqual(wishes.map((wish) => ({ type: "transfer.held", ...wish })))
          expect(held.map(({ requestId, traceparent }) => [requestId, traceparent])).toEqual([
            ["req-0", null],
            ["req-1", null],
            [null, null],
            ["req-3", "00-trace"]
          ])
        })
    )

    it.effect.prop(
      "holds after every turn what the model of a shard holds, whatever is asked and in whatever batches it is worked",
      [Schema.Array(Step).check(Schema.isMinLength(30), Schema.isMaxLength(60))],
      ([steps]) => inOneProcess(asTheModel(steps)),
      { arbitrary: { runs: 15, seed: "as the model" } }
    )

    // who is second, loses ───────────────────────────────────────────────────────────────────────────────────────────

    /** Two workers decide on the same state; what the one writes first, the other can write no more. */
    const secondLoses = <E2>(
      what: string,
      arrange: () => Effect.Effect<
        readonly [first: ReadonlyArray<Message>, second: ReadonlyArray<Message>],
        E2,
        Ports | World | Scope.Scope
      >
    ) => {
      law(`lets who wrote ${what} second lose, and change nothing`, () =>
        Effect.gen(function*() {
          const [first, second] = yield* arrange()
          const [winning, losing] = [yield* planned(first), yield* planned(second)]
          yield* commit(winning)
          expect(yield* failing(commit(losing))).toMatchObject({ error: { _tag: "LostRace" }, left: "no trace" })
        }))

      it.effect(`lets who writes ${what} at the same time wait, and lose`, () =>
        Effect.gen(function*() {
          const { process } = yield* World
          const [ours, theirs] = [yield* process(), yield* process()]
          const [first, second] = yield* as(ours, arrange())
          const [winning, losing] = [yield* as(ours, planned(first)), yield* as(theirs, planned(second))]
          const [hasWritten, mayEnd] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
          const waiting = Effect.andThen(Deferred.succeed(hasWritten, undefined), Deferred.await(mayEnd))
          const winner = yield* Effect.forkChild(as(ours, transact(0, Effect.andThen(write(winning), waiting))))
          yield* Deferred.await(hasWritten)
          const loser = yield* Effect.forkChild(Effect.flip(as(theirs, commit(losing))))
          yield* Effect.yieldNow
          yield* Deferred.succeed(mayEnd, undefined)
          yield* Fiber.join(winner)
          expect(yield* Fiber.join(loser)).toMatchObject({ _tag: "LostRace" })
        }))
    }

    secondLoses("a balance", () =>
      Effect.gen(function*() {
        const alice = yield* funded(0, 100n)
        const wishes = yield* Effect.forEach([1n, 2n], (minor) => asked(terms(alice, nameOn(1), minor)))
        const [first, second] = wishes.map((wish) => [requestedBy(wish)])
        return [first ?? [], second ?? []] as const
      }))

    secondLoses("a transfer", () =>
      Effect.gen(function*() {
        const nobody = nameOn(0, "nobody")
        const wish = requestedBy(yield* asked(terms(nobody, nameOn(1), 1n)))
        return [[wish], [wish]] as const
      }))

    secondLoses("a verdict", () =>
      Effect.gen(function*() {
        const nobody = nameOn(0, "nobody")
        const held = heldBy(yield* asked(terms(yield* opened(1), nobody, 1n)))
        return [[held], [held]] as const
      }))

    secondLoses("a clearing account", () =>
      Effect.gen(function*() {
        const currency = newCurrency()
        const [alice, bob] = [yield* opened(0, { currency }), yield* opened(0, { currency })]
        const held = (to: AccountId) => [heldBy(terms(nameOn(1), to, 5n, currency))]
        return [held(alice), held(bob)] as const
      }))

    secondLoses("the answer to an instruction", () =>
      Effect.gen(function*() {
        const alice = yield* opened(0)
        const freeze = yield* instructed(alice)
        return [[freeze], [freeze]] as const
      }))

    secondLoses("the status of an account", () =>
      Effect.gen(function*() {
        const alice = yield* opened(0)
        return [[yield* instructed(alice)], [yield* instructed(alice)]] as const
      }))

    law(
      "lets who marks an account lose that is no longer as it was read, whatever became of its balance",
      () =>
        Effect.gen(function*() {
          const account = yield* accountNow(yield* opened(0))
          const frozen = {
            ...noChanges,
            statuses: [{ was: "open", account: { ...account, status: "frozen" } }]
          } as const
          yield* commit(frozen)
          expect(yield* failing(commit(frozen))).toMatchObject({ error: { _tag: "LostRace" }, left: "no trace" })
        })
    )

    law(
      "lets who answers an instruction lose that has its answer, and keeps the answer that it has",
      () =>
        Effect.gen(function*() {
          const { event: { instruction: id } } = yield* instructed(yield* opened(0))
          const { instructions } = yield* know(0, { instructions: only(id) })
          const [open] = instructions.values()
          if (open === undefined) return yield* Effect.die("not recorded")
          yield* commit({ ...noChanges, instructions: [{ ...open, status: "done" }] })
          const refused = { ...open, status: "refused", reason: { code: "no", detail: "" } } as const
          expect(yield* failing(commit({ ...noChanges, instructions: [refused] }))).toMatchObject({
            error: { _tag: "LostRace" },
            left: "no trace"
          })
        })
    )

    // what is given once ─────────────────────────────────────────────────────────────────────────────────────────────

    law("gives a verdict once and for ever, whoever rules otherwise later", () =>
      Effect.gen(function*() {
        const of = terms(nameOn(1), nameOn(0), 7n)
        yield* commit({ ...noChanges, verdicts: [verdictOn(of)] })
        const refusal: Verdict = { ...verdictOn(of), ruling: "REFUSED", reason: { code: "no", detail: "" } }
        expect(yield* failing(commit({ ...noChanges, verdicts: [refusal] }))).toMatchObject({
          error: { _tag: "LostRace", on: "a_transfer_has_one_verdict" },
          left: "no trace"
        })
      }))

    law("posts a step of a transfer once, and each of an account's entries once", () =>
      Effect.gen(function*() {
        const [alice, bob] = [yield* funded(0, 100n), yield* opened(0)]
        const { journals: [journal] } = yield* turn(0, [requestedBy(yield* asked(terms(alice, bob, 30n)))])
        if (journal === undefined) return yield* Effect.die("nothing was posted")
        const postedOnce = (more: Partial<typeof journal>, on: string) =>
          Effect.map(failing(commit({ ...noChanges, journals: [{ ...journal, ...more }] })), (failed) =>
            expect(failed).toMatchObject({ error: { _tag: "LostRace", on }, left: "no trace" }))
        yield* postedOnce({ debitSequence: 9n, creditSequence: 9n }, "a_step_is_posted_once")
        yield* postedOnce({ transfer: "another", creditSequence: 9n }, "an_account_numbers_its_debits_once")
        yield* postedOnce({ transfer: "another", debitSequence: 9n }, "an_account_numbers_its_credits_once")
      }))

    law("places a hold once, and ends it in one way", () =>
      Effect.gen(function*() {
        const alice = yield* funded(0, 100n)
        const of = yield* asked(terms(alice, nameOn(1), 30n))
        const held = (...holds: ReadonlyArray<readonly [number, "placed" | "released" | "settled", bigint]>) =>
          commit({
            ...noChanges,
            holds: holds.map(([number, change, minor]) => ({
              transfer: of.transfer,
              number,
              account: alice,
              change,
              amount: minor
            }))
          })
        yield* held([1, "placed", 30n], [2, "released", 10n])
        yield* held([3, "settled", 20n])
        const on = "the_records_of_a_hold_are_numbered"
        const lost = { error: { _tag: "LostRace", on }, left: "no trace" }
        expect(yield* failing(held([1, "placed", 30n]))).toMatchObject(lost)
        expect(yield* failing(held([3, "released", 20n]))).toMatchObject(lost)
      }))

    // what the books forbid ──────────────────────────────────────────────────────────────────────────────────────────

    /** Whoever asks for it, and however: it is a defect, and leaves no trace. */
    const forbids = <E2>(
      sentence: string,
      constraint: string,
      changes: Effect.Effect<Changes, E2, Ports | Scope.Scope>
    ) =>
      law(`forbids ${sentence}`, () =>
        Effect.gen(function*() {
          expect(yield* failing(commit(yield* changes))).toMatchObject({ constraint, left: "no trace" })
        }))

    const within = "a_balance_stays_within_its_limits"

    forbids(
      "to post an account below its floor",
      within,
      Effect.gen(function*() {
        return changing(yield* accountNow(yield* funded(0, 100n)), { posted: -1n })
      })
    )

    forbids(
      "to hold more than there is above the floor",
      within,
      Effect.gen(function*() {
        return changing(yield* accountNow(yield* funded(0, 100n)), { held: 101n })
      })
    )

    forbids(
      "to post an account above its ceiling",
      within,
      Effect.gen(function*() {
        return changing(yield* accountNow(yield* opened(0, { ceiling: 100n })), { posted: 101n })
      })
    )

    forbids(
      "to post a debit-normal account above its ceiling, counting what is held",
      within,
      Effect.gen(function*() {
        const id = yield* opened(0, { kind: "external", ...defaultsOf("external"), ceiling: 100n })
        return changing(yield* accountNow(id), { posted: -60n, held: 41n })
      })
    )

    forbids(
      "to post a debit-normal account below its floor",
      within,
      Effect.gen(function*() {
        const id = yield* opened(0, { kind: "external", ...defaultsOf("external"), floor: 0n })
        return changing(yield* accountNow(id), { posted: 1n })
      })
    )

    forbids(
      "to hold less than nothing",
      "held_is_not_negative",
      Effect.gen(function*() {
        return changing(yield* accountNow(yield* funded(0, 100n)), { held: -1n })
      })
    )

    forbids(
      "to put anything into a closed account",
      within,
      Effect.gen(function*() {
        const id = yield* opened(0)
        const account = yield* accountNow(id)
        yield* commit({ ...noChanges, statuses: [{ was: "open", account: { ...account, status: "closed" } }] })
        return changing(account, { posted: 1n })
      })
    )

    forbids(
      "to close an account that is not empty",
      within,
      Effect.gen(function*() {
        const account = yield* accountNow(yield* funded(0, 100n))
        const statuses = [{ was: account.status, account: { ...account, status: "closed" as const } }]
        return { ...changing(account, {}), statuses }
      })
    )

    forbids(
      "to open a closed account again",
      "a_closed_account_stays_closed",
      Effect.gen(function*() {
        const account = yield* accountNow(yield* opened(0))
        yield* commit({ ...noChanges, statuses: [{ was: "open", account: { ...account, status: "closed" } }] })
        return { ...noChanges, statuses: [{ was: "closed", account }] }
      })
    )

    forbids(
      "a transfer to go back",
      "a_transfer_only_goes_forward",
      Effect.gen(function*() {
        const of = yield* asked(terms(yield* funded(0, 100n), nameOn(1), 10n))
        yield* turn(0, [requestedBy(of)])
        const transfer = yield* transferNow(of)
        return moving(transfer.status, { ...transfer, status: "requested" })
      })
    )

    forbids(
      "a transfer that has ended to end otherwise",
      "a_transfer_only_goes_forward",
      Effect.gen(function*() {
        const of = yield* asked(terms(yield* funded(0, 100n), yield* opened(0), 10n))
        yield* turn(0, [requestedBy(of)])
        const transfer = yield* transferNow(of)
        return moving("committed", { ...transfer, status: "cancelled", reason: { code: "no", detail: "" } })
      })
    )

    forbids(
      "a transfer to move more than was asked for",
      "a_transfer_moves_no_more_than_was_asked",
      Effect.gen(function*() {
        const transfer = yield* transferNow(yield* asked(terms(nameOn(0), nameOn(1), 10n)))
        return moving("requested", { ...transfer, status: "held", moving: amount(11n) })
      })
    )

    forbids(
      "a failure without a reason",
      "only_a_transfer_that_failed_has_a_reason",
      Effect.gen(function*() {
        const transfer = yield* transferNow(yield* asked(terms(nameOn(0), nameOn(1), 10n)))
        return moving("requested", { ...transfer, status: "rejected" })
      })
    )

    forbids(
      "more to come back than went",
      "no_more_comes_back_than_went",
      Effect.gen(function*() {
        const [alice, bob] = [yield* funded(0, 100n), yield* opened(0)]
        const there = yield* asked(terms(alice, bob, 30n))
        yield* turn(0, [requestedBy(there)])
        const reverses = there.transfer
        const back = (minor: bigint) => asked(terms(bob, alice, minor), { reverses })
        yield* turn(0, [requestedBy(yield* back(20n), { reverses })])
        const transfer = yield* transferNow(yield* back(11n))
        return moving("requested", { ...transfer, status: "held" })
      })
    )

    forbids(
      "an entry of nobody's",
      "an_entry_is_of_an_account_that_exists",
      Effect.gen(function*() {
        const [alice, bob] = [yield* funded(0, 100n), yield* opened(0)]
        const changes = yield* planned([requestedBy(yield* asked(terms(alice, bob, 30n)))])
        return { ...noChanges, journals: changes.journals.map((journal) => ({ ...journal, credit: "nobody" })) }
      })
    )

    forbids(
      "a hold of nobody's",
      "a_hold_is_of_an_account_that_exists",
      Effect.gen(function*() {
        const of = yield* asked(terms(nameOn(0), nameOn(1), 10n))
        return {
          ...noChanges,
          holds: [{ transfer: of.transfer, number: 1, account: "nobody", change: "placed", amount: 10n }]
        }
      })
    )

    forbids(
      "a journal of an account with itself",
      "a_journal_has_two_accounts",
      Effect.gen(function*() {
        const [alice, bob] = [yield* funded(0, 100n), yield* opened(0)]
        const changes = yield* planned([requestedBy(yield* asked(terms(alice, bob, 30n)))])
        return {
          ...noChanges,
          journals: changes.journals.map((journal) => ({ ...journal, credit: journal.debit, creditSequence: 9n }))
        }
      })
    )

    forbids(
      "a hold to be settled that was never placed",
      "a_hold_begins_by_being_placed",
      Effect.gen(function*() {
        const alice = yield* funded(0, 100n)
        return {
          ...noChanges,
          holds: [{ transfer: "never", number: 1, account: alice, change: "settled", amount: 1n }]
        }
      })
    )
  })

const transferNow = Effect.fnUntraced(function*(of: Terms) {
  const { transfers } = yield* know(0, { transfers: only(of.transfer) })
  const found = transfers.get(of.transfer)
  return found ?? (yield* Effect.die(new Error(`there is no ${of.transfer}`)))
})

// the model ──────────────────────────────────────────────────────────────────────────────────────────────────────────

const small = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 5 }))

/** Somebody asks for something, or a shard works what lies before it. */
const Step = Schema.Struct({
  what: Schema.Literals(
    "transfer transfer transfer authorize authorize reverse reverse capture capture void freeze unfreeze work work work"
      .split(" ")
  ),
  who: small,
  whom: small,
  amount: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 60 }))
})

/**
 * Two customers on each shard, a bank, and a name that is nobody's. What is asked goes to the ports and to the model of
 * test/domain alike; each turn is taken on both, and must decide and leave the same.
 */
const asTheModel = Effect.fnUntraced(function*(steps: ReadonlyArray<typeof Step.Type>) {
  const intake = yield* Intake
  // Their clearing accounts are opened in this run, by both.
  const currency = newCurrency()
  const bank = yield* opened(0, { kind: "external", ...defaultsOf("external"), currency })
  const customers = yield* Effect.forEach([0, 1, 0, 1], (shard) => opened(shard, { currency }))
  const names = [bank, ...customers, nameOn(1, "nobody")]
  const models = yield* Effect.forEach(
    shards,
    Effect.fnUntraced(function*(shard) {
      const here = [bank, ...customers].filter(isHome(shard))
      const accounts = yield* Effect.forEach(here, accountNow)
      return accounts.reduce(ShardModel.withAccount, ShardModel.empty(map, shard))
    })
  )
  const queues: ReadonlyArray<Array<Message>> = shards.map(() => [])
  const wishes: Array<{ readonly terms: Terms; readonly capture: Capture }> = []

  const modelOf = (shard: number): ShardModel.Shard => models[shard] ?? ShardModel.empty(map, shard)
  const send = (from: number, event: LedgerEvent) => {
    if (acting.has(event.type)) queues[shardOfAccount(map, keyOf(event))]?.push({ event, from, origin })
  }

  const ask = Effect.fnUntraced(function*(
    source: AccountId,
    destination: AccountId,
    minor: number,
    capture: Capture,
    reverses: TransferId | null
  ) {
    if (source === destination) return
    const wish = terms(source, destination, BigInt(minor), currency)
    yield* asked(wish, { capture, reverses, expiresInSeconds: capture === "manual" ? 600 : null })
    const home = shardOfAccount(map, source)
    const begun = ShardModel.requested(modelOf(home), wish, capture, reverses)
    models[home] = begun.shard
    wishes.push({ terms: wish, capture })
    send(home, begun.event)
  })

  const instruct = Effect.fnUntraced(function*(event: InstructionEvent) {
    const { record } = yield* intake.instruct({ request: request(), event })
    const home = shardOfAccount(map, keyOf(event))
    models[home] = ShardModel.instructed(modelOf(home), record, event)
    send(home, event)
  })

  const work = Effect.fnUntraced(function*(shard: number, most: number) {
    const messages = queues[shard]?.splice(0, most) ?? []
    const changes = yield* turn(shard, messages)
    const turned = Result.getOrThrow(ShardModel.work(modelOf(shard), messages))
    expect(changes).toEqual(turned.changes)
    models[shard] = turned.shard
    for (const { event } of changes.events) send(shard, event)
  })

  for (const customer of customers) yield* ask(bank, customer, 100, "automatic", null)
  for (const { amount: minor, what, who, whom } of steps) {
    const [source = bank, destination = bank] = [names[who], names[whom]]
    const wish = wishes[(who * 6 + whom) % Math.max(1, wishes.length)]
    switch (what) {
      case "transfer":
        yield* ask(source, destination, minor, "automatic", null)
        break
      case "authorize":
        yield* ask(source, destination, minor, "manual", null)
        break
      case "reverse":
        if (wish === undefined) break
        yield* ask(wish.terms.destination, wish.terms.source, minor, "automatic", wish.terms.transfer)
        break
      case "capture":
        if (wish === undefined) break
        yield* instruct({
          type: "transfer.capture_requested",
          ...wish.terms,
          captured: amount(BigInt(minor)),
          instruction: instructionId()
        })
        break
      case "void":
        if (wish === undefined) break
        yield* instruct({ type: "transfer.void_requested", ...wish.terms, instruction: instructionId() })
        break
      case "freeze":
      case "unfreeze": {
        const customer = customers[who % customers.length] ?? bank
        yield* instruct({ type: `account.${what}_requested`, account: customer, instruction: instructionId() })
        break
      }
      case "work":
        yield* work(who % 2, 1 + whom * 2)
    }
  }
  while (queues.some(({ length }) => length > 0)) for (const shard of shards) yield* work(shard, 10)

  for (const { accounts, id, instructions, transfers, verdicts } of models) {
    const known = yield* know(id, {
      accounts: new Set([...names, ...accounts.keys()]),
      transfers: new Set(wishes.map(({ terms }) => terms.transfer)),
      verdicts: new Set(wishes.map(({ terms }) => terms.transfer)),
      instructions: new Set(instructions.keys())
    })
    expect(known).toEqual({ accounts, transfers, verdicts, instructions, reversed: new Map() })
  }
})
