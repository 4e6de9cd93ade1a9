/**
 * The two ports of the API in memory: books that can be written to and looked into, without a ledger behind them.
 *
 * They keep the promises that the real ones keep to the API: one resource per (client, scope, key), what was recorded
 * comes back, and reading finds what was written.
 */
import { Clock, Deferred, Effect, Layer, Option } from "effect"
import { type Account, emptyBalance } from "#domain/account/Account.ts"
import { type Entry, Queries, type TimelineStep, type TrialBalance } from "#domain/ledger/Queries.ts"
import { ShardUnavailable } from "#domain/sharding/Shards.ts"
import {
  AccountExists,
  type AccountIntent,
  type AccountRecord,
  IdempotencyKeyReused,
  Intake,
  Overloaded,
  type Request,
  type TransferIntent,
  type TransferRecord
} from "#domain/transfer/Intake.ts"
import { ended, type TransferStatus } from "#domain/transfer/Transfer.ts"

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
  readonly intents: Array<TransferIntent | AccountIntent> = []
  readonly #ends = new Map<string, Deferred.Deferred<void>>()
  mishap: Mishap = "none"
  /** Runs before an intent is recorded: a latch for tests of what happens meanwhile. */
  before: Effect.Effect<void> = Effect.void

  /** Everything that was written, countable and comparable. */
  get written() {
    return this.keys.size + this.accounts.size + this.transfers.size + this.intents.length
  }

  end(id: string): Deferred.Deferred<void> {
    const known = this.#ends.get(id)
    if (known !== undefined) return known
    const made = Deferred.makeUnsafe<void>()
    this.#ends.set(id, made)
    return made
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

export const intake = (books: Books): Layer.Layer<Intake> =>
  Layer.succeed(
    Intake,
    Intake.of({
      request: Effect.fnUntraced(function*(intent) {
        books.intents.push(intent)
        yield* mishapOf(books)
        yield* books.before
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
      }),
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
        const record = { account, metadata: intent.metadata, createdAtMillis: yield* Clock.currentTimeMillis }
        books.accounts.set(id, record)
        keep(books, scope, intent.request, id)
        return { replayed: false, record }
      })
    })
  )

const unavailable = (books: Books): Effect.Effect<void, ShardUnavailable> =>
  Effect.suspend(() => Effect.catchTag(mishapOf(books), "Overloaded", () => Effect.void))

export const queries = (books: Books): Layer.Layer<Queries> =>
  Layer.succeed(
    Queries,
    Queries.of({
      account: (id) => Effect.as(unavailable(books), Option.fromUndefinedOr(books.accounts.get(id))),
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
      transfer: (id) =>
        Effect.map(unavailable(books), () => Option.fromUndefinedOr(books.transfers.get(id))),
      awaitEnd: (id, withinMillis) =>
        Effect.suspend(() => {
          const record = books.transfers.get(id)
          return record === undefined || ended.has(record.status)
            ? Effect.void
            : Effect.timeoutOption(Deferred.await(books.end(id)), withinMillis)
        }).pipe(Effect.map(() => Option.fromUndefinedOr(books.transfers.get(id)))),
      timeline: (id) => Effect.map(unavailable(books), () => books.steps.get(id) ?? []),
      trialBalance: Effect.map(unavailable(books), () => books.trialBalance)
    })
  )
