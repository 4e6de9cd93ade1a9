/**
 * The books of two shards as they come about in health: written by the real intake and the real ledger, with transfers in
 * every state that there is; those on their way are so because an event of theirs is not delivered.
 */
import { Effect, Layer, Schema } from "effect"
import { type Account, AccountId, defaultsOf } from "#domain/account/Account.ts"
import { Batch, needsOf } from "#domain/ledger/Batch.ts"
import type { Message } from "#domain/ledger/Decision.ts"
import * as Instruction from "#domain/ledger/Instruction.ts"
import { keyOf, LedgerEventJson } from "#domain/ledger/LedgerEvent.ts"
import { Ledger } from "#domain/ledger/Ledger.ts"
import { ShardLog } from "#domain/messaging/ShardLog.ts"
import { Amount } from "#domain/money/Amount.ts"
import { Currency } from "#domain/money/Currency.ts"
import { partitionOf } from "#domain/sharding/Partition.ts"
import { type ShardId, type ShardMap, shardOfAccount } from "#domain/sharding/ShardMap.ts"
import { Shards } from "#domain/sharding/Shards.ts"
import { type InstructionEvent, Intake } from "#domain/transfer/Intake.ts"
import { type Capture, type Terms, type TransferEvent, type TransferEventType } from "#domain/transfer/TransferEvent.ts"
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
  /** Nobody has opened it. */
  nobody1: idAt(map, 1, "nobody")
})

const wish = (
  { amount, capture = "automatic", currency = eur, destination, expires = null, source }: {
    readonly source: AccountId
    readonly destination: AccountId
    readonly amount: bigint
    readonly currency?: Currency
    readonly capture?: Capture
    readonly expires?: number | null
  }
) => ({ amount, capture, currency, destination, expires, source })

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
  refusalOnItsWay: wish({ source: at.bob0, destination: at.nobody1, amount: 70n })
})

export type TransferName = keyof ReturnType<typeof wishesOf>

/** Which events are never delivered. */
const undelivered: ReadonlyArray<readonly [TransferEventType, TransferName]> = [
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
}

/** Opens the accounts on two fresh shards, and lets the transfers go as far as they do. */
export const fill = (shards: TestShards) => Effect.orDie(Effect.provide(keepBooks, parts(shards), { local: true }))

/**
 * Goes on with the books for ever: new transfers to and fro, and everything delivered a little at a time, from the first
 * message of all on. What was delivered before comes again; what never was comes late.
 */
export const traffic = (shards: TestShards, { at }: Books) =>
  Effect.orDie(
    Effect.provide(Effect.forever(Effect.andThen(pay(at), delivery(new Set()))), parts(shards), { local: true })
  )

/** New transfers to and fro, and everything delivered until all have ended. */
export const settle = (shards: TestShards, { at }: Books) =>
  Effect.orDie(Effect.provide(Effect.andThen(pay(at), untilQuiet(delivery(new Set()))), parts(shards), { local: true }))

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
  const terms = yield* requestTransfers(at)
  const transfer = (name: TransferName): Terms => {
    const found = terms.get(name)
    if (found === undefined) throw new Error(`there is no transfer ${name}`)
    return found
  }

  const stays = (type: TransferEventType, name: TransferName) => `${type} ${transfer(name).transfer}`
  const withheld = new Set(undelivered.map(([type, name]) => stays(type, name)))
  const deliver = untilQuiet(delivery(withheld))

  withheld.add(stays("transfer.held", "recalled"))
  yield* deliver
  yield* capture(transfer("localCaptured"), Amount.make(1_500n))
  yield* capture(transfer("crossCaptured"), null)
  yield* capture(transfer("inFlightCaptured"), Amount.make(900n))
  yield* instruct({ type: "transfer.void_requested", ...transfer("voided"), instruction: yield* newInstruction })
  yield* say([
    { type: "transfer.expiry_due", ...transfer("expired") },
    { type: "transfer.recalled", ...transfer("recalled"), reason: { code: "timeout", detail: "no answer came" } }
  ])
  yield* deliver
  // The message that the question was about comes after all, and is refused.
  withheld.delete(stays("transfer.held", "recalled"))
  yield* deliver
  return { at, transfer }
})

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
  for (const id of [at.ann0, at.bob0, at.cyd1, at.dan1]) yield* open(id)
})

const requestTransfers = Effect.fnUntraced(function*(at: Books["at"]) {
  const requested = new Map<string, Terms>()
  for (const [name, wish] of Object.entries(wishesOf(at))) requested.set(name, yield* request(name, wish))
  return requested
})

const request = Effect.fnUntraced(function*(key: string, wish: Wish) {
  const intake = yield* Intake
  const { map } = yield* Shards
  const { amount, capture, currency, destination, expires, source } = wish
  const id = TransferId.make(begunAtMillis, partitionOf(source, map.partitions), random)
  const terms = { transfer: id, source, destination, amount: Amount.make(amount), currency }
  yield* intake.request({
    request: requestOf(key),
    terms,
    capture,
    expiresInSeconds: expires,
    reverses: null,
    reference: null,
    description: null,
    metadata: {}
  })
  return terms
})

const pay = Effect.fnUntraced(function*({ ann0, bob0, cyd1, dan1, nobody1 }: Books["at"]) {
  const pairs = [[ann0, cyd1], [cyd1, bob0], [bob0, dan1], [dan1, ann0], [ann0, bob0], [bob0, nobody1]] as const
  yield* Effect.forEach(
    pairs,
    ([source, destination]) => request(`pay ${random()}`, wish({ source, destination, amount: 7n })),
    { concurrency: "unbounded", discard: true }
  )
})

const requestOf = (key: string) => ({
  client: "shop",
  idempotencyKey: key,
  fingerprint: "00".repeat(32),
  requestId: `req ${key}`,
  traceparent: null
})

const newInstruction = Effect.sync(() => Instruction.makeId(begunAtMillis, random))

const instruct = Effect.fnUntraced(function*(event: InstructionEvent) {
  const intake = yield* Intake
  yield* intake.instruct({ request: requestOf(event.instruction), event })
})

const capture = Effect.fnUntraced(function*(terms: Terms, captured: Amount | null) {
  yield* instruct({ type: "transfer.capture_requested", ...terms, captured, instruction: yield* newInstruction })
})

/** Appends events to the logs of their sources. */
const say = Effect.fnUntraced(function*(events: ReadonlyArray<TransferEvent>) {
  const log = yield* ShardLog
  const { map } = yield* Shards
  for (const event of events) yield* log.append(shardOfAccount(map, event.source), [event])
})

/**
 * Delivers what has come into the shards' logs since the last time, but for what is `withheld` ("type transfer") now, and
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
    const stays = ({ event }: Message) => "transfer" in event && withheld.has(`${event.type} ${event.transfer}`)
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
