/**
 * The two ports of the API in memory: books that can be written to and looked into, without a ledger behind them.
 *
 * They keep the promises that the real ones keep to the API: one resource per (client, scope, key), what was recorded
 * comes back, and reading finds what was written.
 */
import { Clock, Deferred, Effect, Layer, Option } from "effect"
import { type Account, type AccountStatus, emptyBalance } from "#domain/account/Account.ts"
import type { Asks, Instruction } from "#domain/ledger/Instruction.ts"
import { subjectOf } from "#domain/ledger/LedgerEvent.ts"
import {
  type Entry,
  Queries,
  type TimelineStep,
  type TransferFilter,
  type TrialBalance
} from "#domain/ledger/Queries.ts"
import { ShardUnavailable } from "#domain/sharding/Shards.ts"
import {
  AccountExists,
  type AccountIntent,
  type AccountRecord,
  IdempotencyKeyReused,
  type InstructionEvent,
  type InstructionIntent,
  Intake,
  Overloaded,
  type Request,
  RevisionMismatch,
  type TransferIntent,
  type TransferRecord
} from "#domain/transfer/Intake.ts"
import { ended, type TransferStatus } from "#domain/transfer/Transfer.ts"
import * as TransferId from "#domain/transfer/TransferId.ts"

/** What the fakes do next, instead of their work. */
export type Mishap = "none" | "overloaded" | "shard-unavailable" | "defect"

export class Books {
  readonly accounts = new Map<string, AccountRecord>()
  readonly transfers = new Map<string, TransferRecord>()
  readonly entries = new Map<string, Array<Entry>>()
  readonly steps = new Map<string, Array<TimelineStep>>()
  trialBalance: ReadonlyArray<TrialBalance> = []
  readonly keys = new Map<string, { readonly fingerprint: string; readonly resource: string }>()
  /** Every intent that came as far as the intake, whatever became of it. */
  readonly intents: Array<TransferIntent | AccountIntent | InstructionIntent> = []
  readonly instructions = new Map<string, Instruction>()
  /** How the worker answers an instruction: done (null), refused with a reason, or (nothing) not yet. */
  worker: (event: InstructionEvent) => Effect.Effect<Instruction["reason"] | undefined> = () => Effect.undefined
  readonly #ends = new Map<string, Deferred.Deferred<void>>()
  mishap: Mishap = "none"
  /** Accounts whose shard does not answer. */
  readonly away = new Set<string>()
  /** Runs before an intent is recorded: a latch for tests of what happens meanwhile. */
  before: Effect.Effect<void> = Effect.void
  /** Runs before entries after that number are read. */
  beforeEntries: (after: bigint) => Effect.Effect<void> = () => Effect.void

  /** Everything that was written, countable and comparable. */
  get written() {
    return this.recorded + this.intents.length
  }

  /** The same, but for what came as far as the intake and was refused there. */
  get recorded() {
    return this.keys.size + this.accounts.size + this.transfers.size + this.instructions.size
  }

  end(id: string): Deferred.Deferred<void> {
    const known = this.#ends.get(id)
    if (known !== undefined) return known
    const made = Deferred.makeUnsafe<void>()
    this.#ends.set(id, made)
    return made
  }

  /** Answers an instruction, as the worker would. */
  answer(id: string, reason: Instruction["reason"]): Effect.Effect<void> {
    return Effect.suspend(() => {
      const instruction = this.instructions.get(id)
      if (instruction === undefined) return Effect.die(new Error(`no instruction ${id}`))
      this.instructions.set(id, { ...instruction, status: reason === null ? "done" : "refused", reason })
      return Deferred.succeed(this.end(id), undefined)
    })
  }

  /** Changes the status of an account, as the ledger would. */
  become(id: string, status: AccountStatus): Effect.Effect<void> {
    return Effect.sync(() => {
      const record = this.accounts.get(id)
      if (record === undefined) throw new Error(`no account ${id}`)
      this.accounts.set(id, { ...record, account: { ...record.account, status }, revision: record.revision + 1n })
    })
  }

  /** Moves a transfer to another status, as the ledger would. */
  move(id: string, status: TransferStatus, reason: TransferRecord["reason"] = null): Effect.Effect<void> {
    return Effect.suspend(() => {
      const record = this.transfers.get(id)
      if (record === undefined) return Effect.die(new Error(`no transfer ${id}`))
      this.transfers.set(id, { ...record, status, reason, statusChangedAtMillis: record.createdAtMillis + 40 })
      return ended.has(status) ? Deferred.succeed(this.end(id), undefined) : Effect.void
    })
  }
}

const mishapOf = (books: Books): Effect.Effect<void, Overloaded | ShardUnavailable> => {
  switch (books.mishap) {
    case "none":
      return Effect.void
    case "overloaded":
      return Effect.fail(Overloaded.make({ shard: 0 }))
    case "shard-unavailable":
      return Effect.fail(ShardUnavailable.make({ shard: 1, cause: new Error("password=secret host=10.0.0.7 refused") }))
    case "defect":
      return Effect.die(new Error("relation \"transfer\" does not exist"))
  }
}

/** The resource of an earlier request under the same key; nothing where the key is fresh. */
const earlier = (
  books: Books,
  scope: string,
  request: Request
): Effect.Effect<string | undefined, IdempotencyKeyReused> => {
  const known = books.keys.get(`${request.client}\n${scope}\n${request.idempotencyKey}`)
  return known !== undefined && known.fingerprint !== request.fingerprint
    ? Effect.fail(IdempotencyKeyReused.make({ key: request.idempotencyKey, resource: known.resource }))
    : Effect.succeed(known?.resource)
}

const keep = (books: Books, scope: string, request: Request, resource: string): void => {
  books.keys.set(`${request.client}\n${scope}\n${request.idempotencyKey}`, {
    fingerprint: request.fingerprint,
    resource
  })
}

export const intake = (books: Books): Layer.Layer<Intake> => {
  const request = Effect.fnUntraced(function*(intent: TransferIntent) {
    books.intents.push(intent)
    yield* mishapOf(books)
    yield* books.before
    if (books.away.has(intent.terms.source)) return yield* ShardUnavailable.make({ shard: 1, cause: new Error("away") })
    const scope = `transfer:${intent.terms.source}`
    const resource = yield* earlier(books, scope, intent.request)
    const known = resource === undefined ? undefined : books.transfers.get(resource)
    if (known !== undefined) return { replayed: true, record: known }
    const millis = yield* Clock.currentTimeMillis
    const record: TransferRecord = {
      terms: intent.terms,
      capture: intent.capture,
      status: "requested",
      captured: null,
      reason: null,
      reverses: intent.reverses,
      reference: intent.reference,
      description: intent.description,
      metadata: intent.metadata,
      expiresAtMillis: intent.expiresInSeconds === null ? null : millis + intent.expiresInSeconds * 1000,
      createdAtMillis: millis,
      statusChangedAtMillis: millis
    }
    books.transfers.set(intent.terms.transfer, record)
    keep(books, scope, intent.request, intent.terms.transfer)
    return { replayed: false, record }
  })

  return Layer.succeed(
    Intake,
    Intake.of({
      request,

      requestAll: (intents) =>
        Effect.forEach(intents, (intent) =>
          request(intent).pipe(
            // Whole batches never queue.
            Effect.catchTag("Overloaded", Effect.die),
            Effect.exit
          )),

      open: Effect.fnUntraced(function*(intent) {
        books.intents.push(intent)
        yield* mishapOf(books)
        yield* books.before
        const scope = intent.named ? `account:${intent.account.id}` : "account"
        const resource = yield* earlier(books, scope, intent.request)
        const known = resource === undefined ? undefined : books.accounts.get(resource)
        if (known !== undefined) return { replayed: true, record: known }
        const { id } = intent.account
        if (books.accounts.has(id)) return yield* AccountExists.make({ account: id })
        const account: Account = { ...intent.account, status: "open", balance: emptyBalance }
        const createdAtMillis = yield* Clock.currentTimeMillis
        const record: AccountRecord = { account, metadata: intent.metadata, revision: 1n, createdAtMillis }
        books.accounts.set(id, record)
        keep(books, scope, intent.request, id)
        return { replayed: false, record }
      }),

      instruct: Effect.fnUntraced(function*(intent) {
        books.intents.push(intent)
        yield* unavailable(books)
        yield* books.before
        const { event, request } = intent
        const scope = `${event.type}:${subjectOf(event)}`
        const resource = yield* earlier(books, scope, request)
        const known = resource === undefined ? undefined : books.instructions.get(resource)
        if (known !== undefined) return { replayed: true, record: known }
        const record: Instruction = {
          id: event.instruction,
          asks: asksOf(event),
          subject: subjectOf(event),
          amount: event.type === "transfer.capture_requested" ? event.captured : null,
          status: "open",
          reason: null
        }
        books.instructions.set(record.id, record)
        keep(books, scope, request, record.id)
        const answer = yield* books.worker(event)
        if (answer !== undefined) yield* books.answer(record.id, answer)
        return { replayed: false, record }
      }),

      describe: Effect.fnUntraced(function*(id, revision, metadata) {
        yield* unavailable(books)
        const record = books.accounts.get(id)
        if (record === undefined) return Option.none()
        if (record.revision !== revision) {
          return yield* RevisionMismatch.make({ account: id, revision: record.revision })
        }
        const described = { ...record, metadata, revision: revision + 1n }
        books.accounts.set(id, described)
        return Option.some(described)
      })
    })
  )
}

const asksOf = ({ type }: InstructionEvent): Asks => {
  switch (type) {
    case "transfer.capture_requested":
      return "capture"
    case "transfer.void_requested":
      return "void"
    case "account.freeze_requested":
      return "freeze"
    case "account.unfreeze_requested":
      return "unfreeze"
    case "account.close_requested":
      return "close"
  }
}

const unavailable = (books: Books): Effect.Effect<void, ShardUnavailable> =>
  Effect.suspend(() => Effect.catchTag(mishapOf(books), "Overloaded", () => Effect.void))

const matches = ({ reverses, status, terms }: TransferRecord, filter: TransferFilter): boolean =>
  (filter.source === null || terms.source === filter.source) &&
  (filter.status === null || status === filter.status) &&
  (filter.reverses === null || reverses === filter.reverses) &&
  (filter.fromMillis === null || TransferId.timeOf(terms.transfer) >= filter.fromMillis) &&
  (filter.beforeMillis === null || TransferId.timeOf(terms.transfer) < filter.beforeMillis)

export const queries = (books: Books): Layer.Layer<Queries> =>
  Layer.succeed(
    Queries,
    Queries.of({
      account: (id) => Effect.map(unavailable(books), () => Option.fromUndefinedOr(books.accounts.get(id))),
      accounts: (after, limit) =>
        Effect.map(unavailable(books), () =>
          [...books.accounts.keys()].filter((id) =>
            after === null || id > after
          ).toSorted().slice(0, limit)
            .flatMap((id) => books.accounts.get(id) ?? [])),
      entries: (account, before, limit) =>
        Effect.map(unavailable(books), () =>
          (books.entries.get(account) ?? []).filter(({ sequence }) =>
            before === null || sequence < before
          )
            .toSorted((one, other) => Number(other.sequence - one.sequence)).slice(0, limit)),
      entriesAfter: (account, after, upTo, limit) =>
        Effect.map(Effect.andThen(books.beforeEntries(after), unavailable(books)), () =>
          (books.entries.get(account) ?? []).filter(({ sequence }) =>
            sequence > after && sequence <= upTo
          )
            .toSorted((one, other) =>
              Number(one.sequence - other.sequence)
            ).slice(0, limit)),
      entry: (account, wanted) =>
        Effect.map(unavailable(books), () =>
          Option.fromUndefinedOr(
            books.entries.get(account)?.find(({ sequence }) => sequence === wanted)
          )),
      lastEntryBefore: (account, millis) =>
        Effect.map(unavailable(books), () =>
          Option.fromUndefinedOr(
            books.entries.get(account)?.findLast(({ createdAtMillis }) => createdAtMillis < millis)
          )),
      transfers: (filter, below, limit) =>
        Effect.map(unavailable(books), () => {
          const found = [...books.transfers.values()].filter(({ terms }) => below === null || terms.transfer < below)
            .filter((record) => matches(record, filter))
            .toSorted((one, other) => one.terms.transfer < other.terms.transfer ? 1 : -1)
          const records = found.slice(0, limit)
          return { records, next: found.length > limit ? records.at(-1)?.terms.transfer ?? null : null }
        }),
      transferOf: (client, source, key) =>
        Effect.map(unavailable(books), () => {
          const resource = books.keys.get(`${client}\ntransfer:${source}\n${key}`)?.resource ?? ""
          return Option.fromUndefinedOr(books.transfers.get(resource))
        }),
      transfer: (id) => Effect.map(unavailable(books), () => Option.fromUndefinedOr(books.transfers.get(id))),
      awaitEnd: (id, withinMillis) =>
        Effect.suspend(() => {
          const record = books.transfers.get(id)
          return record === undefined || ended.has(record.status)
            ? Effect.void
            : Effect.timeoutOption(Deferred.await(books.end(id)), withinMillis)
        }).pipe(Effect.map(() => Option.fromUndefinedOr(books.transfers.get(id)))),
      awaitAnswer: (instruction, withinMillis) =>
        Effect.flatMap(unavailable(books), () =>
          books.instructions.get(instruction.id)?.status === "open"
            ? Effect.timeoutOption(Deferred.await(books.end(instruction.id)), withinMillis)
            : Effect.void).pipe(Effect.map(() => books.instructions.get(instruction.id) ?? instruction)),
      timeline: (id) => Effect.map(unavailable(books), () => books.steps.get(id) ?? []),
      trialBalance: Effect.map(unavailable(books), () => books.trialBalance)
    })
  )
