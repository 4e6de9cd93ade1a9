/** What `Queries` promise: they find what was written, all of it and nothing else, in the order that they say. */
import { expect, layer as suite } from "@effect/vitest"
import { Effect, Fiber, type Layer, Option, type Scope } from "effect"
import type { AccountId } from "#domain/account/Account.ts"
import { type Entry, Queries, type TransferFilter } from "#domain/ledger/Queries.ts"
import type { Currency } from "#domain/money/Currency.ts"
import { Intake } from "#domain/transfer/Intake.ts"
import { timeOf, type TransferId } from "#domain/transfer/TransferId.ts"
import {
  as,
  asked,
  creditedBy,
  funded,
  heldBy,
  inOneProcess,
  instructionId,
  nameOn,
  newCurrency,
  opened,
  origin,
  type Ports,
  request,
  requestedBy,
  shards,
  terms,
  turn,
  World
} from "./World.ts"

const anything: TransferFilter = { source: null, status: null, reverses: null, fromMillis: null, beforeMillis: null }

/** Moves an amount within a shard. */
const moved = Effect.fnUntraced(function*(source: AccountId, destination: AccountId, minor: bigint) {
  const of = yield* asked(terms(source, destination, minor))
  yield* turn(0, [requestedBy(of)])
  return of
})

/** An account and what came into it and went out of it again: +500, −1, −2, −3, … */
const spent = Effect.fnUntraced(function*(times: number) {
  const account = yield* funded(0, 500n)
  const shop = yield* opened(0)
  for (let n = 1n; n <= BigInt(times); n++) yield* moved(account, shop, n)
  return account
})

const numbers = (entries: ReadonlyArray<Entry>) => entries.map(({ sequence }) => sequence)

/** A search to its end, in pages. */
const pagesOf = Effect.fnUntraced(function*(filter: Partial<TransferFilter>, limit: number) {
  const queries = yield* Queries
  const found: Array<TransferId> = []
  for (let below: TransferId | null = null;;) {
    const { next, records }: Effect.Success<ReturnType<Queries["Service"]["transfers"]>> = yield* queries.transfers(
      { ...anything, ...filter },
      below,
      limit
    )
    expect(records.length).toBeLessThanOrEqual(limit)
    found.push(...records.map(({ terms }) => terms.transfer))
    if (next === null) return found
    below = next
  }
})

const newestFirst = (ids: ReadonlyArray<TransferId>) => ids.toSorted().toReversed()

export const queriesLaws = <E>(name: string, world: Layer.Layer<World, E>) =>
  suite(world, { excludeTestServices: true, timeout: "2 minutes" })(name, (it) => {
    const law = <A, E2>(sentence: string, body: () => Effect.Effect<A, E2, Ports | World | Scope.Scope>) =>
      it.effect(sentence, () => inOneProcess(Effect.suspend(body)))

    // accounts and their entries ─────────────────────────────────────────────────────────────────────────────────────

    law(
      "an account is found with what was said of it and its balance, and one that is not there is not",
      () =>
        Effect.gen(function*() {
          const { account, accounts } = yield* Queries
          const id = yield* opened(0, { floor: -50n, ceiling: 900n })
          yield* moved(yield* funded(0, 70n), id, 70n)
          expect(Option.getOrUndefined(yield* account(id))).toMatchObject({
            account: {
              id,
              kind: "customer",
              currency: "EUR",
              status: "open",
              floor: -50n,
              ceiling: 900n,
              balance: { posted: 70n, held: 0n, sequence: 1n }
            },
            metadata: {},
            revision: 1n
          })
          expect(yield* account(nameOn(1))).toStrictEqual(Option.none())
          expect((yield* accounts(null, 1_000)).map((record) => record.account.id)).toContain(id)
        })
    )

    law(
      "the accounts of all shards are listed in pages, each once, without those of clearing",
      () =>
        Effect.gen(function*() {
          const { accounts } = yield* Queries
          const ours = yield* Effect.forEach([0, 1, 1, 0, 1], (shard) => opened(shard))
          const of = terms(yield* funded(0, 10n), ours[1] ?? nameOn(1), 10n)
          yield* asked(of)
          yield* turn(0, [requestedBy(of)])
          yield* turn(1, [heldBy(of)])
          const found: Array<string> = []
          for (let after: string | null = null;;) {
            const page: Effect.Success<ReturnType<typeof accounts>> = yield* accounts(after, 2)
            found.push(...page.map(({ account }) => account.id))
            if (page.length < 2) break
            after = found.at(-1) ?? null
          }
          expect(found).toStrictEqual([...new Set(found)].toSorted())
          expect(found).toEqual(expect.arrayContaining(ours))
          expect(found.filter((id) => id.startsWith("clearing:"))).toStrictEqual([])
        })
    )

    law(
      "entries tell the whole balance: newest first below a number, oldest first above one, or by their number",
      () =>
        Effect.gen(function*() {
          const queries = yield* Queries
          const id = yield* spent(5)
          const all = yield* queries.entriesAfter(id, 0n, 100n, 100)
          expect(numbers(all)).toStrictEqual([1n, 2n, 3n, 4n, 5n, 6n])
          expect(all.map(({ direction }) => direction)).toStrictEqual([
            "CREDIT",
            ...Array.from({ length: 5 }, () => "DEBIT")
          ])
          expect(all.map(({ posted }) => posted)).toStrictEqual([500n, 499n, 497n, 494n, 490n, 485n])
          expect(all.every(({ account, currency }) => account === id && currency === "EUR")).toBe(true)

          expect(yield* queries.entries(id, null, 100)).toStrictEqual(all.toReversed())
          expect(numbers(yield* queries.entries(id, 5n, 2))).toStrictEqual([4n, 3n])
          expect(numbers(yield* queries.entries(id, 1n, 2))).toStrictEqual([])
          expect(numbers(yield* queries.entries(id, 99n, 1))).toStrictEqual([6n])
          expect(numbers(yield* queries.entriesAfter(id, 2n, 5n, 100))).toStrictEqual([3n, 4n, 5n])
          expect(numbers(yield* queries.entriesAfter(id, 2n, 5n, 2))).toStrictEqual([3n, 4n])
          expect(numbers(yield* queries.entriesAfter(id, 6n, 100n, 100))).toStrictEqual([])
          expect(yield* queries.entry(id, 3n)).toStrictEqual(Option.some(all[2]))
          for (const number of [0n, 7n]) expect(yield* queries.entry(id, number)).toStrictEqual(Option.none())
          expect(yield* queries.entries(nameOn(0), null, 10)).toStrictEqual([])
        })
    )

    law(
      "the last entry before a time is found, at every millisecond at which there is one and the next",
      () =>
        Effect.gen(function*() {
          const queries = yield* Queries
          const id = yield* spent(6)
          const all = yield* queries.entriesAfter(id, 0n, 100n, 100)
          const times = all.flatMap(({ createdAtMillis }) => [createdAtMillis, createdAtMillis + 1])
          for (const time of [0, ...times, 4_000_000_000_000]) {
            const expected = all.findLast(({ createdAtMillis }) => createdAtMillis < time)
            expect(yield* queries.lastEntryBefore(id, time)).toStrictEqual(Option.fromUndefinedOr(expected))
          }
          expect(yield* queries.lastEntryBefore(yield* opened(0), 4_000_000_000_000)).toStrictEqual(Option.none())
        })
    )

    // transfers ──────────────────────────────────────────────────────────────────────────────────────────────────────

    law("a transfer is found as it stands, by its id and by the key that made it", () =>
      Effect.gen(function*() {
        const { transfer, transferOf } = yield* Queries
        const [source, of] = yield* Effect.map(funded(0, 100n), (id) => [id, terms(id, nameOn(1), 30n)] as const)
        const mine = request({ client: "shop" })
        const key = mine.idempotencyKey
        yield* asked(of, { request: mine, reference: "rent", metadata: { month: "may" } })
        const found = yield* transfer(of.transfer)
        expect(Option.getOrUndefined(found)).toMatchObject({
          terms: of,
          status: "requested",
          reference: "rent",
          metadata: { month: "may" }
        })
        expect(yield* transferOf("shop", source, key)).toStrictEqual(found)
        expect(yield* transferOf("other", source, key)).toStrictEqual(Option.none())
        expect(yield* transferOf("shop", source, `${key}x`)).toStrictEqual(Option.none())
        expect(yield* transferOf("shop", nameOn(0), key)).toStrictEqual(Option.none())
        yield* turn(0, [requestedBy(of)])
        expect(Option.getOrUndefined(yield* transfer(of.transfer))).toMatchObject({ status: "held" })
        expect(yield* transfer(terms(source, nameOn(1), 1n).transfer)).toStrictEqual(Option.none())
      }))

    law(
      "transfers are found by source, status, time and what they reverse, newest first, in pages of any size",
      () =>
        Effect.gen(function*() {
          const [here, there] = [yield* funded(0, 100n), yield* funded(1, 100n)]
          const wishes = yield* Effect.forEach(
            [here, there, here, here, there],
            (source) => asked(terms(source, nameOn(0), 1n))
          )
          const [first, , third] = wishes
          if (first === undefined || third === undefined) return yield* Effect.die("there are five")
          yield* turn(0, [requestedBy(third)])
          const back = yield* asked(terms(there, here, 1n), { reverses: first.transfer })

          const of = (source: AccountId) =>
            newestFirst([...wishes, back].filter((wish) => wish.source === source).map(({ transfer }) => transfer))
          for (const limit of [1, 2, 100]) {
            expect(yield* pagesOf({ source: here }, limit)).toStrictEqual(of(here))
            expect(yield* pagesOf({ source: there }, limit)).toStrictEqual(of(there))
            expect(yield* pagesOf({ reverses: first.transfer }, limit)).toStrictEqual([back.transfer])
            // Its destination is not there.
            expect(yield* pagesOf({ source: here, status: "rejected" }, limit)).toStrictEqual([third.transfer])
            expect(yield* pagesOf({ source: here, status: "authorized" }, limit)).toStrictEqual([])
            const inTime = { fromMillis: timeOf(first.transfer), beforeMillis: timeOf(back.transfer) + 1 }
            expect(yield* pagesOf(inTime, limit)).toStrictEqual(newestFirst([...of(here), ...of(there)]))
            expect(yield* pagesOf({ ...inTime, fromMillis: timeOf(back.transfer) }, limit)).toStrictEqual([
              back.transfer
            ])
          }
          expect(yield* pagesOf({}, 3)).toStrictEqual(yield* pagesOf({}, 1_000))
        })
    )

    law(
      "the timeline of a transfer tells its steps on both shards, in the order of the protocol",
      () =>
        Effect.gen(function*() {
          const { timeline } = yield* Queries
          const of = yield* asked(terms(yield* funded(0, 100n), yield* opened(1), 30n), {
            request: request({ requestId: "req-asked" })
          })
          yield* turn(0, [requestedBy(of)])
          yield* turn(1, [heldBy(of)])
          yield* turn(0, [creditedBy(of)])
          const steps = yield* timeline(of.transfer)
          expect(steps.map(({ event, shard }) => [shard, event.type])).toStrictEqual([
            [0, "transfer.requested"],
            [0, "transfer.held"],
            [1, "transfer.credited"],
            [0, "transfer.committed"]
          ])
          expect(steps.map(({ event }) => event)).toMatchObject(steps.map(() => of))
          expect(steps[0]?.requestId).toBe("req-asked")
          expect(yield* timeline(terms(of.source, of.destination, 1n).transfer)).toStrictEqual([])
        })
    )

    // waiting ────────────────────────────────────────────────────────────────────────────────────────────────────────

    law(
      "who waits for the end of a transfer is told of it, or how it stands when the time is up",
      () =>
        Effect.gen(function*() {
          const { awaitEnd } = yield* Queries
          const statusIn = (id: TransferId, millis: number) =>
            Effect.map(awaitEnd(id, millis), (found) => Option.getOrUndefined(found)?.status)
          const source = yield* funded(0, 100n)
          const of = yield* asked(terms(source, yield* opened(0), 30n))
          expect(yield* statusIn(of.transfer, 0)).toBe("requested")
          expect(yield* statusIn(of.transfer, 20)).toBe("requested")
          const many = yield* Effect.forkChild(
            Effect.all(Array.from({ length: 20 }, () => statusIn(of.transfer, 30_000)), { concurrency: "unbounded" })
          )
          yield* turn(0, [requestedBy(of)])
          expect(new Set(yield* Fiber.join(many))).toStrictEqual(new Set(["committed"]))
          expect(yield* statusIn(of.transfer, 30_000)).toBe("committed")
          expect(yield* statusIn(terms(source, nameOn(1), 1n).transfer, 30_000)).toBeUndefined()
        })
    )

    law(
      "who waits for the answer to an instruction is given it, or the instruction when the time is up",
      () =>
        Effect.gen(function*() {
          const { awaitAnswer } = yield* Queries
          const intake = yield* Intake
          const freeze = Effect.fnUntraced(function*(account: AccountId) {
            const event = { type: "account.freeze_requested", account, instruction: instructionId() } as const
            return { event, ...yield* intake.instruct({ request: request(), event }) }
          })
          const { event, record } = yield* freeze(yield* opened(0))
          expect(yield* awaitAnswer(record, 20)).toStrictEqual(record)
          const waiting = yield* Effect.forkChild(awaitAnswer(record, 30_000))
          yield* turn(0, [{ event, from: 0, origin }])
          const answered = yield* Fiber.join(waiting)
          expect(answered).toStrictEqual({ ...record, status: "done" })
          expect(yield* awaitAnswer(record, 30_000)).toStrictEqual(answered)
          expect(yield* awaitAnswer(answered, 30_000)).toStrictEqual(answered)
        })
    )

    // all of it ──────────────────────────────────────────────────────────────────────────────────────────────────────

    law(
      "the trial balance is balanced on every shard at every step, and shows what is held and what is in flight",
      () =>
        Effect.gen(function*() {
          const currency: Currency = newCurrency()
          const shown = Effect.fnUntraced(function*() {
            const { trialBalance } = yield* Queries
            return (yield* trialBalance).filter((sums) => sums.currency === currency)
          })
          const bank = yield* opened(0, { kind: "external", currency, normalSide: "debit", floor: null })
          const [source, destination] = [yield* opened(0, { currency }), yield* opened(1, { currency })]
          const deposit = yield* asked(terms(bank, source, 100n, currency))
          yield* turn(0, [requestedBy(deposit)])
          const [zero, none] = shards.map((shard) => ({
            shard,
            currency,
            debits: 0n,
            credits: 0n,
            clearingTo: 0n,
            clearingFrom: 0n,
            held: 0n
          }))
          const first = { ...zero, debits: 100n, credits: 100n }
          expect(yield* shown()).toStrictEqual([first, none])

          const of = yield* asked(terms(source, destination, 30n, currency))
          yield* turn(0, [requestedBy(of)])
          expect(yield* shown()).toStrictEqual([{ ...first, held: 30n }, none])
          yield* turn(1, [heldBy(of)])
          const credited = { ...none, debits: 30n, credits: 30n, clearingFrom: -30n }
          expect(yield* shown()).toStrictEqual([{ ...first, held: 30n }, credited])
          yield* turn(0, [creditedBy(of)])
          expect(yield* shown()).toStrictEqual([{ ...first, clearingTo: 30n }, credited])
        })
    )

    law("what was committed is seen by whoever looks afterwards, in another process too", () =>
      Effect.gen(function*() {
        const { process } = yield* World
        const elsewhere = yield* process()
        const [source, destination] = [yield* funded(0, 50n), yield* opened(0)]
        for (let n = 1n; n <= 20n; n++) {
          yield* moved(source, destination, 1n)
          const found = yield* as(elsewhere, Queries.use(({ account }) => account(destination)))
          expect(Option.getOrUndefined(found)?.account.balance).toMatchObject({ posted: n, sequence: n })
        }
      }))
  })
