/**
 * The books of two shards as they come about in health: written by the real intake and the real ledger, with transfers,
 * accounts and instructions in every state that there is; what is on its way is so because an event is not delivered.
 */
import { Effect, Layer, Schema } from "effect"
import { type Account, AccountId, defaultsOf } from "#domain/account/Account.ts"
import { Batch, needsOf } from "#domain/ledger/Batch.ts"
import type { Message } from "#domain/ledger/Decision.ts"
import { type InstructionId, makeId } from "#domain/ledger/Instruction.ts"
import { keyOf, type LedgerEvent, LedgerEventJson, subjectOf } from "#domain/ledger/LedgerEvent.ts"
import { Ledger } from "#domain/ledger/Ledger.ts"
import { ShardLog } from "#domain/messaging/ShardLog.ts"
import { Amount } from "#domain/money/Amount.ts"
import { Currency } from "#domain/money/Currency.ts"
import { partitionOf } from "#domain/sharding/Partition.ts"
import { type ShardId, type ShardMap, shardOfAccount } from "#domain/sharding/ShardMap.ts"
import { Shards } from "#domain/sharding/Shards.ts"
import { type InstructionEvent, Intake } from "#domain/transfer/Intake.ts"
import { type Capture, type Terms, type TransferEvent } from "#domain/transfer/TransferEvent.ts"
import * as TransferId from "#domain/transfer/TransferId.ts"
import { random } from "#infra/Entropy.ts"
import * as PgIntake from "#infra/postgres/PgIntake.ts"
import * as PgShardLog from "#infra/postgres/PgShardLog.ts"
import * as PgShards from "#infra/postgres/PgShards.ts"
import { ShardDatabases } from "#infra/postgres/ShardDatabases.ts"
import type { TestShards } from "../support/TestPostgres.ts"

const eur = Currency.make("EUR")
const usd = Currency.make("USD")
const begunAtMillis = 1_790_000_000_000

const decode = Schema.decodeUnknownSync(LedgerEventJson)

/** An account id that begins with `name` and whose home is `shard`. */
export const idAt = (map: ShardMap, shard: ShardId, name: string): AccountId => {
  for (let number = 0;; number++) {
    const id = AccountId.make(`${name}-${number}`)
    if (shardOfAccount(map, id) === shard) return id
  }
}

/** Who has accounts: the shard is the digit in the name. */
export const accountsOf = (map: ShardMap) => ({
  bank0: idAt(map, 0, "bank"),
  bank1: idAt(map, 1, "bank"),
  ann0: idAt(map, 0, "ann"),
  bob0: idAt(map, 0, "bob"),
  cyd1: idAt(map, 1, "cyd"),
  dan1: idAt(map, 1, "dan"),
  /** Has a ceiling of 100. */
  jar1: idAt(map, 1, "jar"),
  dollars0: idAt(map, 0, "dollars"),
  dollars1: idAt(map, 1, "dollars"),
  mint0: idAt(map, 0, "mint"),
  /** Is frozen. */
  eve0: idAt(map, 0, "eve"),
  /** Had money once, and is closed. */
  fay1: idAt(map, 1, "fay"),
  /** Was frozen and unfrozen, and is asked to be frozen again. */
  gus1: idAt(map, 1, "gus"),
  /** Nobody has opened it. */
  nobody1: idAt(map, 1, "nobody")
})

const wish = (
  { amount, capture = "automatic", currency = eur, destination, expires = null, reverses = null, source }: {
    readonly source: AccountId
    readonly destination: AccountId
    readonly amount: bigint
    readonly currency?: Currency
    readonly capture?: Capture
    readonly expires?: number | null
    readonly reverses?: TransferId.TransferId | null
  }
) => ({ amount, capture, currency, destination, expires, reverses, source })

type Wish = ReturnType<typeof wish>

/** The transfers by name, of accounts by name. */
const wishesOf = (at: ReturnType<typeof accountsOf>) => ({
  depositAnn: wish({ source: at.bank0, destination: at.ann0, amount: 100_000n }),
  depositBob: wish({ source: at.bank0, destination: at.bob0, amount: 50_000n }),
  depositCyd: wish({ source: at.bank1, destination: at.cyd1, amount: 40_000n }),
  depositDollars: wish({ source: at.mint0, destination: at.dollars0, amount: 9_000n, currency: usd }),
  local: wish({ source: at.ann0, destination: at.bob0, amount: 1_200n }),
  localCaptured: wish({ source: at.ann0, destination: at.bob0, amount: 2_000n, capture: "manual" }),
  localRejected: wish({ source: at.bob0, destination: at.ann0, amount: 99_999_999n }),
  cross: wish({ source: at.ann0, destination: at.cyd1, amount: 3_000n }),
  crossBack: wish({ source: at.cyd1, destination: at.bob0, amount: 700n }),
  crossDollars: wish({ source: at.dollars0, destination: at.dollars1, amount: 450n, currency: usd }),
  crossCaptured: wish({ source: at.ann0, destination: at.dan1, amount: 2_500n, capture: "manual" }),
  crossRejected: wish({ source: at.dan1, destination: at.ann0, amount: 99_999_999n }),
  crossUnknown: wish({ source: at.ann0, destination: at.nobody1, amount: 10n }),
  crossCeiling: wish({ source: at.bob0, destination: at.jar1, amount: 500n }),
  recalled: wish({ source: at.ann0, destination: at.cyd1, amount: 333n }),
  voided: wish({ source: at.ann0, destination: at.cyd1, amount: 600n, capture: "manual" }),
  expired: wish({ source: at.cyd1, destination: at.dan1, amount: 650n, capture: "manual", expires: 1 }),
  requested: wish({ source: at.ann0, destination: at.bob0, amount: 44n }),
  authorized: wish({ source: at.ann0, destination: at.cyd1, amount: 800n, capture: "manual" }),
  held: wish({ source: at.bob0, destination: at.cyd1, amount: 900n }),
  inFlight: wish({ source: at.ann0, destination: at.dan1, amount: 5_000n }),
  inFlightBack: wish({ source: at.cyd1, destination: at.ann0, amount: 60n }),
  inFlightCaptured: wish({ source: at.cyd1, destination: at.bob0, amount: 1_000n, capture: "manual" }),
  refusalOnItsWay: wish({ source: at.bob0, destination: at.nobody1, amount: 70n }),
  capturedInVain: wish({ source: at.ann0, destination: at.nobody1, amount: 35n, capture: "manual" }),
  lent: wish({ source: at.ann0, destination: at.cyd1, amount: 300n }),
  lentHere: wish({ source: at.ann0, destination: at.bob0, amount: 120n }),
  depositEve: wish({ source: at.bank0, destination: at.eve0, amount: 60n }),
  fromEve: wish({ source: at.eve0, destination: at.dan1, amount: 40n }),
  toFay: wish({ source: at.cyd1, destination: at.fay1, amount: 20n }),
  fromFay: wish({ source: at.fay1, destination: at.dan1, amount: 20n })
})

type EarlyName = keyof ReturnType<typeof wishesOf>

/** What is wished when those have gone their way, and one account is frozen, another closed. */
const laterWishesOf = (at: ReturnType<typeof accountsOf>, transfer: (name: EarlyName) => Terms) => {
  const back = (name: EarlyName, amount: bigint, source = transfer(name).destination) =>
    wish({ source, destination: transfer(name).source, amount, reverses: transfer(name).transfer })
  return {
    repaid: back("lent", 100n),
    repaidOnItsWay: back("lent", 150n),
    repaidTooMuch: back("lent", 51n),
    repaidByAnother: back("lent", 50n, at.dan1),
    repaidUnlent: back("crossCeiling", 1n),
    repaidHere: back("lentHere", 100n),
    repaidRequested: back("lentHere", 20n),
    repaidToFrozen: back("fromEve", 40n),
    fromFrozen: wish({ source: at.eve0, destination: at.ann0, amount: 5n }),
    toFrozen: wish({ source: at.cyd1, destination: at.eve0, amount: 5n }),
    toClosed: wish({ source: at.ann0, destination: at.fay1, amount: 5n })
  }
}

export type TransferName = EarlyName | keyof ReturnType<typeof laterWishesOf>

/** Which events are never delivered. */
const undelivered: ReadonlyArray<readonly [LedgerEvent["type"], EarlyName]> = [
  ["transfer.requested", "requested"],
  ["transfer.held", "held"],
  ["transfer.credited", "inFlight"],
  ["transfer.credited", "inFlightBack"],
  ["transfer.credited", "inFlightCaptured"],
  ["transfer.refused", "refusalOnItsWay"]
]

export interface Books {
  readonly at: ReturnType<typeof accountsOf>
  /** The terms that were asked for. */
  readonly transfer: (name: TransferName) => Terms
  readonly instruction: (name: InstructionName) => InstructionId
}

/** What a client asks, but for the id of the instruction. */
type Asking = (instruction: InstructionId) => InstructionEvent

const captures = (terms: Terms, captured: bigint | null): Asking => (instruction) => ({
  type: "transfer.capture_requested",
  ...terms,
  captured: captured === null ? null : Amount.make(captured),
  instruction
})

const voids = (terms: Terms): Asking => (instruction) => ({ type: "transfer.void_requested", ...terms, instruction })

const ofAccount = (asks: "freeze" | "unfreeze" | "close", account: AccountId): Asking => (instruction) => ({
  type: `account.${asks}_requested`,
  account,
  instruction
})

/** The instructions by name, in the order in which they are given. */
const instructionsOf = (at: ReturnType<typeof accountsOf>, transfer: (name: EarlyName) => Terms) => ({
  captureLocal: captures(transfer("localCaptured"), 1_500n),
  captureCross: captures(transfer("crossCaptured"), null),
  captureInFlight: captures(transfer("inFlightCaptured"), 900n),
  captureInVain: captures(transfer("capturedInVain"), 30n),
  captureAgain: captures(transfer("crossCaptured"), 1n),
  captureOnItsWay: captures(transfer("authorized"), 300n),
  void: voids(transfer("voided")),
  voidTooLate: voids(transfer("localCaptured")),
  freezeEve: ofAccount("freeze", at.eve0),
  freezeEveAgain: ofAccount("freeze", at.eve0),
  freezeGus: ofAccount("freeze", at.gus1),
  unfreezeGus: ofAccount("unfreeze", at.gus1),
  freezeOnItsWay: ofAccount("freeze", at.jar1),
  closeFay: ofAccount("close", at.fay1),
  closeAnn: ofAccount("close", at.ann0)
})

export type InstructionName = keyof ReturnType<typeof instructionsOf>

/** Opens the accounts on two fresh shards, and lets the transfers go as far as they do. */
export const fill = (shards: TestShards) => Effect.orDie(Effect.provide(keepBooks, parts(shards), { local: true }))

/**
 * Goes on with the books for ever: new transfers to and fro, and everything delivered a little at a time, from the first
 * message of all on. What was delivered before comes again; what never was comes late.
 */
export const traffic = (shards: TestShards, books: Books) =>
  Effect.orDie(
    Effect.provide(Effect.forever(Effect.andThen(pay(books), delivery(new Set()))), parts(shards), { local: true })
  )

/** The same once, and everything delivered until all have ended. */
export const settle = (shards: TestShards, books: Books) =>
  Effect.orDie(
    Effect.provide(Effect.andThen(pay(books), untilQuiet(delivery(new Set()))), parts(shards), { local: true })
  )

/** All that writes books, each part in its own role. */
const parts = (shards: TestShards) => {
  const as = (role: string) => ShardDatabases.layer({ ...shards, role })
  return Layer.mergeAll(
    Layer.provide(PgIntake.layer(), as("counterpoise_api")),
    Layer.provide(PgShards.layer, as("counterpoise_ledger")),
    Layer.provide(PgShardLog.layer, as("counterpoise_reconciler"))
  )
}

const keepBooks = Effect.gen(function*() {
  const { map } = yield* Shards
  const at = accountsOf(map)
  yield* openAccounts(at)
  const transfers = yield* requestAll(wishesOf(at))
  const transfer = (name: TransferName): Terms => named(transfers, name)

  const stays = (type: LedgerEvent["type"], subject: string) => `${type} ${subject}`
  const withheld = new Set(undelivered.map(([type, name]) => stays(type, transfer(name).transfer)))
  const deliver = untilQuiet(delivery(withheld))

  const recalled = stays("transfer.held", transfer("recalled").transfer)
  withheld.add(recalled)
  yield* deliver
  withheld.add(stays("transfer.capture_requested", transfer("authorized").transfer))
  withheld.add(stays("account.freeze_requested", at.jar1))
  const instructions = new Map<string, InstructionId>()
  for (const [name, asking] of Object.entries(instructionsOf(at, transfer))) {
    instructions.set(name, yield* instruct(asking))
  }
  yield* say([
    { type: "transfer.expiry_due", ...transfer("expired") },
    { type: "transfer.recalled", ...transfer("recalled"), reason: { code: "timeout", detail: "no answer came" } }
  ])
  yield* deliver
  // The message that the question was about comes after all, and is refused.
  withheld.delete(recalled)
  yield* deliver

  for (const [name, terms] of yield* requestAll(laterWishesOf(at, transfer))) transfers.set(name, terms)
  withheld.add(stays("transfer.credited", transfer("repaidOnItsWay").transfer))
  withheld.add(stays("transfer.requested", transfer("repaidRequested").transfer))
  yield* deliver
  return { at, transfer, instruction: (name: InstructionName) => named(instructions, name) }
})

const named = <A>(all: ReadonlyMap<string, A>, name: string): A => {
  const found = all.get(name)
  if (found === undefined) throw new Error(`there is no ${name}`)
  return found
}

const openAccounts = Effect.fnUntraced(function*(at: Books["at"]) {
  const intake = yield* Intake
  const open = (id: AccountId, more: Partial<Omit<Account, "id">> = {}) => {
    const kind = more.kind ?? "customer"
    return intake.open({
      request: requestOf(`open ${id}`),
      account: { id, currency: eur, ceiling: null, ...defaultsOf(kind), ...more, kind },
      named: true,
      metadata: {}
    })
  }
  yield* open(at.bank0, { kind: "external" })
  yield* open(at.bank1, { kind: "external" })
  yield* open(at.mint0, { kind: "external", currency: usd })
  yield* open(at.dollars0, { currency: usd })
  yield* open(at.dollars1, { currency: usd })
  yield* open(at.jar1, { ceiling: 100n })
  for (const id of [at.ann0, at.bob0, at.cyd1, at.dan1, at.eve0, at.fay1, at.gus1]) yield* open(id)
})

const requestAll = Effect.fnUntraced(function*(wishes: Readonly<Record<string, Wish>>) {
  const requested = new Map<string, Terms>()
  for (const [name, wish] of Object.entries(wishes)) requested.set(name, yield* request(name, wish))
  return requested
})

const request = Effect.fnUntraced(function*(key: string, wish: Wish) {
  const intake = yield* Intake
  const { map } = yield* Shards
  const { amount, capture, currency, destination, expires, reverses, source } = wish
  const id = TransferId.make(begunAtMillis, partitionOf(source, map.partitions), random)
  const terms = { transfer: id, source, destination, amount: Amount.make(amount), currency }
  yield* intake.request({
    request: requestOf(key),
    terms,
    capture,
    expiresInSeconds: expires,
    reverses,
    reference: null,
    description: null,
    metadata: {}
  })
  return terms
})

/** New transfers to and fro; of each kind of instruction one, which may be refused; and a cent of what was lent comes back. */
const pay = Effect.fnUntraced(function*({ at, transfer }: Books) {
  const { ann0, bob0, cyd1, dan1, gus1, nobody1 } = at
  const pairs = [[ann0, cyd1], [cyd1, bob0], [bob0, dan1], [dan1, ann0], [ann0, bob0], [bob0, nobody1]] as const
  const soon = (what: Wish) => request(`pay ${random()}`, what)
  yield* Effect.forEach(pairs, ([source, destination]) => soon(wish({ source, destination, amount: 7n })), {
    concurrency: "unbounded",
    discard: true
  })
  const { destination, source, transfer: reverses } = transfer("lent")
  yield* soon(wish({ source: destination, destination: source, amount: 1n, reverses }))
  const waiting = yield* soon(wish({ source: ann0, destination: dan1, amount: 9n, capture: "manual" }))
  const asked = [captures(waiting, 4n), voids(waiting), ofAccount("freeze", gus1), ofAccount("unfreeze", gus1)]
  yield* Effect.forEach(asked, instruct, { concurrency: "unbounded", discard: true })
})

const requestOf = (key: string) => ({
  client: "shop",
  idempotencyKey: key,
  fingerprint: "00".repeat(32),
  requestId: `req ${key}`,
  traceparent: null
})

const instruct = Effect.fnUntraced(function*(asking: Asking) {
  const intake = yield* Intake
  const id = makeId(begunAtMillis, random)
  yield* intake.instruct({ request: requestOf(id), event: asking(id) })
  return id
})

/** Appends events to the logs of their sources. */
const say = Effect.fnUntraced(function*(events: ReadonlyArray<TransferEvent>) {
  const log = yield* ShardLog
  const { map } = yield* Shards
  for (const event of events) yield* log.append(shardOfAccount(map, event.source), [event])
})

/**
 * Delivers what has come into the shards' logs since the last time, but for what is `withheld` ("type subject") now, and
 * answers how much that was: relay and worker in one.
 */
const delivery = (withheld: ReadonlySet<string>) => {
  const carried = new Map<ShardId, bigint>()
  let waiting: ReadonlyArray<Message> = []
  return Effect.gen(function*() {
    const log = yield* ShardLog
    const shards = yield* Shards
    const fresh = yield* Effect.forEach(
      [0, 1],
      (from) =>
        Effect.map(log.after(from, carried.get(from) ?? 0n, 1_000), ({ records, upTo }) => {
          carried.set(from, upTo)
          return records.map(({ payload, requestId, traceparent }): Message => ({
            event: decode(payload),
            from,
            origin: { requestId, traceparent }
          }))
        })
    )
    const known = [...waiting, ...fresh.flat()]
    const stays = ({ event }: Message) => withheld.has(`${event.type} ${subjectOf(event)}`)
    waiting = known.filter(stays)
    const messages = known.filter((message) => !stays(message))
    for (const shard of [0, 1]) {
      const isHome = (account: string) => shardOfAccount(shards.map, account) === shard
      yield* work(shard, isHome, messages.filter(({ event }) => isHome(keyOf(event))))
    }
    return messages.length
  })
}

const untilQuiet = <E, R>(deliver: Effect.Effect<number, E, R>) =>
  Effect.repeat(deliver, { while: (delivered) => delivered > 0 })

const work = Effect.fnUntraced(
  function*(shard: ShardId, isHome: (account: string) => boolean, messages: ReadonlyArray<Message>) {
    const shards = yield* Shards
    yield* shards.transact(
      shard,
      Effect.gen(function*() {
        const ledger = yield* Ledger
        const batch = new Batch(shard, isHome, yield* ledger.read(needsOf(messages, shard, isHome)))
        for (const message of messages) yield* Effect.fromResult(batch.take(message))
        yield* ledger.write(batch.changes)
      })
    )
  }
)
