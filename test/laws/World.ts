/**
 * What the laws of the shards' ports are tried on: two shards, processes that reach them, and a small language to ask for
 * things. Laws are written against the ports; an adapter only says how its world is made.
 */
import { Cause, Context, Effect, Exit, Schema, type Scope } from "effect"
import { type Account, AccountId, type AccountKind, defaultsOf } from "#domain/account/Account.ts"
import { Batch, type Changes, type Known, type Needs, needsOf } from "#domain/ledger/Batch.ts"
import type { Message } from "#domain/ledger/Decision.ts"
import { InstructionId } from "#domain/ledger/Instruction.ts"
import { Ledger } from "#domain/ledger/Ledger.ts"
import { type LedgerEvent, LedgerEventJson } from "#domain/ledger/LedgerEvent.ts"
import type { Queries } from "#domain/ledger/Queries.ts"
import type { LogRecord } from "#domain/messaging/EventLog.ts"
import { ShardLog } from "#domain/messaging/ShardLog.ts"
import { Amount } from "#domain/money/Amount.ts"
import { Currency, exponents } from "#domain/money/Currency.ts"
import type { Breaks } from "#domain/reconciliation/Breaks.ts"
import type { Checks } from "#domain/reconciliation/Checks.ts"
import type { SilentTransfers } from "#domain/reconciliation/SilentTransfers.ts"
import type { Leases } from "#domain/sharding/Leases.ts"
import { partitionOf } from "#domain/sharding/Partition.ts"
import { even, partitionsOf, type ShardId, shardOfAccount } from "#domain/sharding/ShardMap.ts"
import { Shards } from "#domain/sharding/Shards.ts"
import { type AccountIntent, Intake, type Request, type TransferIntent } from "#domain/transfer/Intake.ts"
import type { Capture, Terms } from "#domain/transfer/TransferEvent.ts"
import * as TransferId from "#domain/transfer/TransferId.ts"
import { random } from "#infra/Entropy.ts"

export type Ports = Shards | ShardLog | Leases | Intake | SilentTransfers | Queries | Checks | Breaks

export class World extends Context.Service<World, {
  /** A process that is there from the beginning. */
  readonly here: Context.Context<Ports>
  /** Another process: connections and a name of its own. Its leases last so long. */
  readonly process: (
    options?: { readonly leaseMillis?: number }
  ) => Effect.Effect<Context.Context<Ports>, never, Scope.Scope>
  /** All that a shard keeps, condensed: the same before and after says that nothing was changed. */
  readonly digest: (shard: ShardId) => Effect.Effect<string>
  /** The constraint that a defect says would have been broken. */
  readonly constraintOf: (defect: unknown) => string | undefined
}>()("counterpoise/test/World") {}

export const map = even(2, 64)
export const shards: ReadonlyArray<ShardId> = [0, 1]

/** Does something as one process, with nothing else than its connections. */
export const as = <A, E, R>(process: Context.Context<Ports>, work: Effect.Effect<A, E, R>) =>
  Effect.provideContext(work, process)

/** Does something as the process that is there from the beginning. */
export const inOneProcess = <A, E, R>(work: Effect.Effect<A, E, R>) =>
  Effect.flatMap(World, ({ here }) => as(here, work))

// names ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

let names = 0

/** A name that nobody had before, at home on a shard. */
export const nameOn = (shard: ShardId, name = "account"): AccountId => {
  for (;;) {
    const candidate = `${name}-${++names}`
    if (shardOfAccount(map, candidate) === shard) return AccountId.make(candidate)
  }
}

/** A partition of a shard that no law had before, for as long as there are any. */
export const partitionOn = (shard: ShardId): number => {
  const partitions = partitionsOf(map, shard)
  return partitions[++names % partitions.length] ?? 0
}

export const EUR = Schema.decodeSync(Currency)("EUR")

/** A currency that no law had before, for as long as there are any: its clearing accounts are not open yet. */
export const newCurrency = (): Currency => Currency.make(unused.pop() ?? "EUR")

const unused = [...exponents.keys()].filter((code) => code !== "EUR")

export const amount = (minor: bigint) => Amount.make(minor)

export const request = (more: Partial<Request> = {}): Request => ({
  client: "client",
  idempotencyKey: `key-${++names}`,
  fingerprint: "ab".repeat(32),
  requestId: `req-${names}`,
  traceparent: null,
  ...more
})

export const instructionId = () => InstructionId.make(`ins_${String(++names).padStart(26, "0")}`)

// intents ────────────────────────────────────────────────────────────────────────────────────────────────────────────

export const account = (
  id: AccountId,
  more: Partial<AccountIntent["account"]> & { readonly kind?: AccountKind } = {}
): AccountIntent => ({
  request: request(),
  named: true,
  metadata: {},
  account: { id, kind: "customer", currency: EUR, ceiling: null, ...defaultsOf(more.kind ?? "customer"), ...more }
})

export const terms = (
  source: AccountId,
  destination: AccountId,
  minor: bigint,
  currency: Currency = EUR
): Terms => ({
  transfer: TransferId.make(1_800_000_000_000 + ++names, partitionOf(source, map.partitions), random),
  source,
  destination,
  amount: amount(minor),
  currency
})

export const transfer = (of: Terms, more: Partial<TransferIntent> = {}): TransferIntent => ({
  request: request(),
  terms: of,
  capture: "automatic",
  expiresInSeconds: null,
  reverses: null,
  reference: null,
  description: null,
  metadata: {},
  ...more
})

/** Opens an account of a new name. */
export const opened = Effect.fnUntraced(function*(
  shard: ShardId,
  more: Partial<AccountIntent["account"]> & { readonly kind?: AccountKind } = {}
) {
  const intake = yield* Intake
  const id = nameOn(shard)
  yield* intake.open(account(id, more))
  return id
})

/** Asks for a transfer. */
export const asked = Effect.fnUntraced(function*(of: Terms, more: Partial<TransferIntent> = {}) {
  const intake = yield* Intake
  yield* intake.request(transfer(of, more))
  return of
})

/** An account with money in it. */
export const funded = Effect.fnUntraced(function*(shard: ShardId, minor: bigint) {
  const bank = yield* opened(shard, { kind: "external", ...defaultsOf("external") })
  const customer = yield* opened(shard)
  const deposit = yield* asked(terms(bank, customer, minor))
  yield* turn(shard, [requestedBy(deposit)])
  return customer
})

// the books ──────────────────────────────────────────────────────────────────────────────────────────────────────────

export const origin = { requestId: null, traceparent: null }

export const requestedBy = (
  of: Terms,
  more: { readonly capture?: Capture; readonly reverses?: TransferId.TransferId } = {}
): Message => ({
  event: { type: "transfer.requested", ...of, capture: "automatic", client: "client", ...more },
  from: shardOfAccount(map, of.source),
  origin
})

export const heldBy = (of: Terms): Message => ({
  event: { type: "transfer.held", ...of },
  from: shardOfAccount(map, of.source),
  origin
})

export const creditedBy = (of: Terms): Message => ({
  event: { type: "transfer.credited", ...of },
  from: shardOfAccount(map, of.destination),
  origin
})

export const nothing: Needs = {
  accounts: new Set(),
  transfers: new Set(),
  verdicts: new Set(),
  instructions: new Set(),
  reversed: new Set()
}

export const noChanges: Changes = {
  opened: [],
  balances: [],
  transfers: [],
  holds: [],
  journals: [],
  verdicts: [],
  statuses: [],
  instructions: [],
  events: []
}

export const isHome = (shard: ShardId) => (id: string): boolean => shardOfAccount(map, id) === shard

/** What the messages change on a shard that knows this. */
export const decided = (shard: ShardId, known: Known, messages: ReadonlyArray<Message>): Changes => {
  const batch = new Batch(shard, isHome(shard), known)
  for (const message of messages) {
    const taken = batch.take(message)
    if (taken._tag === "Failure") throw taken.failure
  }
  return batch.changes
}

/** Reads what the messages need. */
export const readFor = (shard: ShardId, messages: ReadonlyArray<Message>) =>
  Ledger.use((ledger) => ledger.read(needsOf(messages, shard, isHome(shard))))

/** Writes what somebody decided. */
export const write = (changes: Changes) => Ledger.use((ledger) => ledger.write(changes))

export const transact = <A, E, R>(shard: ShardId, work: Effect.Effect<A, E, R>) =>
  Shards.use((shards) => shards.transact<A, E, R>(shard, work))

/** A worker's turn: what the messages need is read, decided and written in one transaction. */
export const turn = Effect.fnUntraced(function*(shard: ShardId, messages: ReadonlyArray<Message>) {
  return yield* transact(
    shard,
    Effect.gen(function*() {
      const changes = decided(shard, yield* readFor(shard, messages), messages)
      yield* write(changes)
      return changes
    })
  )
})

export const know = (shard: ShardId, needs: Partial<Needs>) =>
  transact(shard, Ledger.use((ledger) => ledger.read({ ...nothing, ...needs })))

export const accountNow = Effect.fnUntraced(function*(id: AccountId): Effect.fn.Return<Account, never, Shards> {
  const { accounts } = yield* Effect.orDie(know(shardOfAccount(map, id), { accounts: new Set([id]) }))
  const found = accounts.get(id)
  if (found === undefined) return yield* Effect.die(new Error(`there is no ${id}`))
  return found
})

// the log ────────────────────────────────────────────────────────────────────────────────────────────────────────────

const decode = Schema.decodeUnknownSync(LedgerEventJson)

export const eventOf = (record: LogRecord): LedgerEvent => decode(record.payload)

/** Where a shard's log ends now. */
export const endOfLog = Effect.fnUntraced(function*(shard: ShardId) {
  const log = yield* ShardLog
  let position = 0n
  for (;;) {
    const { records, upTo } = yield* log.after(shard, position, 1_000)
    position = upTo
    if (records.length === 0) return position
  }
})

/** What a shard has logged after a position. */
export const loggedAfter = Effect.fnUntraced(function*(shard: ShardId, position: bigint, most = 1_000) {
  const log = yield* ShardLog
  const logged: Array<LogRecord> = []
  for (let from = position;;) {
    const { records, upTo } = yield* log.after(shard, from, most)
    if (records.length === 0) return logged
    logged.push(...records)
    from = upTo
  }
})

// outcomes ───────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Does something that is to fail, and answers how it failed, and whether it left anything behind on any shard. */
export const failing = Effect.fnUntraced(function*<A, E, R>(work: Effect.Effect<A, E, R>) {
  const { constraintOf, digest } = yield* World
  const before = yield* Effect.forEach(shards, digest)
  const exit = yield* Effect.exit(work)
  const after = yield* Effect.forEach(shards, digest)
  const reasons = Exit.isFailure(exit) ? exit.cause.reasons : []
  const defect = reasons.find(Cause.isDieReason)?.defect
  return {
    error: reasons.find(Cause.isFailReason)?.error,
    defect,
    constraint: constraintOf(defect),
    left: before.every((each, shard) => each === after[shard]) ? "no trace" : "a trace"
  }
})
