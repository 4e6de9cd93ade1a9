/**
 * Replay: a shard's books, made again from the events in its own log alone.
 *
 * A shard's log is the order in which things happened there, so nothing needs to be known of how the messages of several
 * shards came together. What a client wished is taken as it stands. What the worker wrote was its answer to a message, and
 * which message that was follows from the event and from what the books say at that point: so the message is decided once
 * more, by the same code, and must be answered by the same event, byte for byte.
 *
 * What leaves no event cannot be made again: references, descriptions and metadata, and the refusal of an instruction, unless
 * one that came later was followed.
 */
import { Result, Schema } from "effect"
import { type Account, emptyBalance } from "../account/Account.ts"
import * as ClearingAccount from "../account/ClearingAccount.ts"
import { Batch, type Known, type Needs } from "../ledger/Batch.ts"
import { type Message, type Origin } from "../ledger/Decision.ts"
import type { Asks, Instruction, InstructionId, Reason } from "../ledger/Instruction.ts"
import type { HoldRecord, Journal } from "../ledger/Journal.ts"
import { fromJson, type LedgerEvent, subjectOf, toJson } from "../ledger/LedgerEvent.ts"
import { decide } from "../ledger/Protocol.ts"
import type { LogRecord } from "../messaging/EventLog.ts"
import { type ShardId, type ShardMap, shardOfAccount } from "../sharding/ShardMap.ts"
import type { Transfer, Verdict } from "../transfer/Transfer.ts"
import type { IdempotencyKey } from "../transfer/IdempotencyKey.ts"
import { type Terms, termsOf, type TransferEvent } from "../transfer/TransferEvent.ts"

/** An event of a shard's log does not follow from those before it: it is not this shard's log, or was not written by this code. */
export class Diverged extends Schema.TaggedError<Diverged>()("Diverged", {
  shard: Schema.Int,
  position: Schema.BigInt,
  type: Schema.String,
  subject: Schema.String,
  found: Schema.String
}) {
  override get message() {
    return `${this.type} of ${this.subject} at position ${this.position} of shard ${this.shard} does not follow from what ` +
      `came before: ${this.found}`
  }
}

/** A thing that the replay made, and when it happened, in milliseconds since 1970. */
export interface At<A> {
  readonly it: A
  readonly millis: number
}

interface Requested {
  readonly client: string
  readonly expiresInSeconds: number | null
}

/** What a replay of some events writes; of what was there before, its new state, to be written over what was read. */
export interface Rebuilt {
  readonly events: ReadonlyArray<LogRecord>
  readonly opened: ReadonlyArray<At<Account>>
  readonly accounts: ReadonlyArray<Account>
  readonly requested: ReadonlyArray<At<Transfer> & Requested & { readonly changedAtMillis: number }>
  readonly keys: ReadonlyArray<At<IdempotencyKey> & { readonly resource: string }>
  readonly transfers: ReadonlyArray<At<Transfer>>
  readonly holds: ReadonlyArray<At<HoldRecord>>
  readonly journals: ReadonlyArray<At<Journal>>
  readonly verdicts: ReadonlyArray<At<Verdict>>
  readonly asked: ReadonlyArray<
    At<Instruction> & { readonly client: string | null; readonly answeredAtMillis: number | null }
  >
  readonly answered: ReadonlyArray<At<Instruction>>
}

/** What must be read before records can be replayed: whatever they might touch. */
export const needsOf = (events: ReadonlyArray<LedgerEvent>, map: ShardMap, shard: ShardId): Needs => {
  const accounts = new Set<string>()
  const transfers = new Set<string>()
  const instructions = new Set<string>()
  const reversed = new Set<string>()
  for (const event of events) {
    if ("instruction" in event) instructions.add(event.instruction)
    if ("account" in event) {
      accounts.add(event.account)
      continue
    }
    transfers.add(event.transfer)
    if ("reverses" in event && event.reverses !== undefined) reversed.add(event.reverses)
    const [from, to] = [shardOfAccount(map, event.source), shardOfAccount(map, event.destination)]
    if (from === shard) accounts.add(event.source)
    if (to === shard) accounts.add(event.destination)
    if (from !== shard) accounts.add(ClearingAccount.fromShard(shard, from, event.currency))
    if (to !== shard) accounts.add(ClearingAccount.toShard(shard, to, event.currency))
  }
  return { accounts, transfers, verdicts: new Set([...transfers, ...reversed]), instructions, reversed }
}

/** What the records say; one that cannot be read is none of this platform's. */
export const eventsOf = (
  shard: ShardId,
  records: ReadonlyArray<LogRecord>
): Result.Result<ReadonlyArray<LedgerEvent>, Diverged> => {
  const events: Array<LedgerEvent> = []
  for (const record of records) {
    const read = fromJson(record.payload)
    if (Result.isFailure(read)) return Result.fail(diverged(shard, record, String(read.failure)))
    events.push(read.success)
  }
  return Result.succeed(events)
}

const nobody: Origin = { requestId: null, traceparent: null }

const diverged = (shard: ShardId, { position, subject, type }: LogRecord, found: string) =>
  Diverged.make({ shard, position, type, subject, found })

const askedBy = {
  "transfer.capture_requested": "capture",
  "transfer.void_requested": "void",
  "account.freeze_requested": "freeze",
  "account.unfreeze_requested": "unfreeze",
  "account.close_requested": "close"
} as const satisfies Partial<Record<LedgerEvent["type"], Asks>>

/** Why an instruction was refused, when its log no longer says. */
export const answerLost: Reason = {
  code: "answer_lost",
  detail: "the shard was restored, and what was answered is not known: ask again"
}

/** Replays records of one shard, in the order of their positions, over what is known of it. As short-lived as its batch. */
export class Replay {
  readonly #shard: ShardId
  readonly #map: ShardMap
  readonly #known: {
    readonly [Key in keyof Known]: Map<
      string,
      Known[Key] extends ReadonlyMap<string, infer A> ? A : never
    >
  }
  readonly #batch: Batch
  readonly #written: Pick<Batch["changes"], "events" | "holds" | "journals">
  /** The open instructions of each subject, in the order in which they were given. */
  readonly #open = new Map<string, Array<InstructionId>>()
  readonly #events: Array<LogRecord> = []
  readonly #opened = new Map<string, number>()
  readonly #requested = new Map<string, Requested & { readonly millis: number }>()
  readonly #keys: Array<At<IdempotencyKey> & { readonly resource: string }> = []
  readonly #asked = new Map<string, { readonly client: string | null; readonly millis: number }>()
  readonly #changedAt = new Map<string, number>()
  readonly #ruledAt = new Map<string, number>()
  readonly #answeredAt = new Map<string, number>()
  readonly #holds: Array<number> = []
  readonly #journals: Array<number> = []

  /** `known.instructions` holds all that are open on the subjects of the records, in the order in which they were given. */
  constructor(shard: ShardId, map: ShardMap, known: Known) {
    this.#shard = shard
    this.#map = map
    this.#known = {
      accounts: new Map(known.accounts),
      transfers: new Map(known.transfers),
      verdicts: new Map(known.verdicts),
      instructions: new Map(known.instructions),
      reversed: new Map(known.reversed)
    }
    for (const { id, status, subject } of known.instructions.values()) if (status === "open") this.#give(subject, id)
    this.#batch = new Batch(shard, (account) => this.#homeOf(account) === shard, this.#known)
    // The batch goes on adding to these.
    this.#written = this.#batch.changes
  }

  take(record: LogRecord, event: LedgerEvent): Result.Result<void, Diverged> {
    this.#events.push(record)
    const millis = record.occurredAtMillis
    switch (event.type) {
      case "account.opened":
        return this.#openAccount(event, millis)
      case "transfer.requested":
        this.#request(event, millis)
        return Result.void
      case "transfer.capture_requested":
      case "transfer.void_requested":
      case "account.freeze_requested":
      case "account.unfreeze_requested":
      case "account.close_requested":
        this.#instruct(event, millis)
        return Result.void
      // Questions: they change nothing where they are asked.
      case "transfer.expiry_due":
      case "transfer.recalled":
        return Result.void
      default:
        return this.#decideAgain(record, event)
    }
  }

  get rebuilt(): Rebuilt {
    const { balances, transfers, verdicts } = this.#batch.changes
    const instructions = new Map(this.#batch.changes.instructions.map((instruction) => [instruction.id, instruction]))
    const accountNow = (id: string): Account => {
      const account = this.#batch.account(id)
      if (account === undefined) throw new Error(`the account ${id} was opened, and is not there`)
      return account
    }
    const clearing = balances.filter(({ id }) => !this.#known.accounts.has(id))
    const at = (times: ReadonlyMap<string, number>, id: string) => times.get(id) ?? 0
    return {
      events: this.#events,
      opened: [
        ...[...this.#opened].map(([id, millis]) => ({ it: accountNow(id), millis })),
        ...clearing.map((account) => ({ it: account, millis: at(this.#changedAt, account.id) }))
      ],
      accounts: balances.filter(({ id }) => this.#known.accounts.has(id) && !this.#opened.has(id)),
      requested: [...this.#requested].flatMap(([id, requested]) => {
        const it = this.#batch.transfer(id)
        const changedAtMillis = this.#changedAt.get(id) ?? requested.millis
        return it === undefined ? [] : [{ it, ...requested, changedAtMillis }]
      }),
      keys: this.#keys,
      transfers: transfers.flatMap(({ transfer }) => {
        const id = transfer.terms.transfer
        return this.#requested.has(id) ? [] : [{ it: transfer, millis: at(this.#changedAt, id) }]
      }),
      holds: this.#written.holds.map((it, index) => ({ it, millis: this.#holds[index] ?? 0 })),
      journals: this.#written.journals.map((it, index) => ({ it, millis: this.#journals[index] ?? 0 })),
      verdicts: verdicts.map((it) => ({ it, millis: at(this.#ruledAt, it.terms.transfer) })),
      asked: [...this.#asked].flatMap(([id, asked]) => {
        const it = this.#batch.instruction(id)
        return it === undefined ? [] : [{ it, ...asked, answeredAtMillis: this.#answeredAt.get(id) ?? null }]
      }),
      answered: [...instructions.values()].flatMap((it) =>
        this.#asked.has(it.id) ? [] : [{ it, millis: at(this.#answeredAt, it.id) }]
      )
    }
  }

  /** What is known now of everything that changed: the next replay may need it before this one is written. */
  get changed(): Known {
    const { balances, instructions, transfers, verdicts } = this.#batch.changes
    const asked = [...this.#asked.keys()].flatMap((id) => this.#batch.instruction(id) ?? [])
    const changed = new Map(transfers.map(({ transfer }) => [transfer.terms.transfer as string, transfer]))
    for (const id of this.#requested.keys()) {
      const transfer = this.#batch.transfer(id)
      if (transfer !== undefined) changed.set(id, transfer)
    }
    const reversed = new Set([...changed.values()].flatMap(({ reverses }) => reverses ?? []))
    const opened = [...this.#opened.keys()].flatMap((id) => this.#batch.account(id) ?? [])
    return {
      accounts: new Map([...opened, ...balances].map((account) => [account.id, account])),
      transfers: changed,
      verdicts: new Map(verdicts.map((verdict) => [verdict.terms.transfer, verdict])),
      instructions: new Map([...asked, ...instructions].map((instruction) => [instruction.id, instruction])),
      reversed: new Map([...reversed].map((id) => [id, this.#batch.reversed(id)]))
    }
  }

  // wishes ───────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** What was asked about again comes with its key again, or without. */
  #spend(event: LedgerEvent, resource: string, millis: number) {
    if ("askedWith" in event && event.askedWith !== undefined) {
      this.#keys.push({ it: event.askedWith, millis, resource })
    }
  }

  #openAccount(event: Extract<LedgerEvent, { readonly type: "account.opened" }>, millis: number) {
    const { account: id, ceiling, currency, floor, kind, normalSide } = event
    if (!this.#known.accounts.has(id)) {
      const account = { id, kind, normalSide, currency, status: "open" as const, floor, ceiling, balance: emptyBalance }
      this.#known.accounts.set(id, account)
      this.#opened.set(id, millis)
      this.#spend(event, id, millis)
    }
    return Result.void
  }

  /** A request that is known was only asked about again. */
  #request(event: Extract<LedgerEvent, { readonly type: "transfer.requested" }>, millis: number) {
    if (this.#known.transfers.has(event.transfer)) return
    const terms = termsOf(event)
    this.#known.transfers.set(event.transfer, {
      terms,
      capture: event.capture,
      status: "requested",
      moving: terms.amount,
      reason: null,
      reverses: event.reverses ?? null
    })
    this.#spend(event, event.transfer, millis)
    this.#requested.set(event.transfer, { client: event.client, expiresInSeconds: event.expiresIn ?? null, millis })
  }

  #instruct(event: Extract<LedgerEvent, { readonly instruction: InstructionId }>, millis: number) {
    const { instruction: id } = event
    if (this.#known.instructions.has(id)) return
    const amount = event.type === "transfer.capture_requested" ? event.captured : null
    const subject = subjectOf(event)
    this.#known.instructions.set(id, { id, asks: askedBy[event.type], subject, amount, status: "open", reason: null })
    this.#spend(event, id, millis)
    this.#asked.set(id, { client: event.askedWith?.client ?? null, millis })
    this.#give(subject, id)
  }

  #give(subject: string, id: InstructionId) {
    const open = this.#open.get(subject)
    if (open === undefined) this.#open.set(subject, [id])
    else open.push(id)
  }

  // answers ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  #decideAgain(record: LogRecord, event: LedgerEvent): Result.Result<void, Diverged> {
    const hidden = this.#openedTooLate(event)
    for (const account of hidden) this.#known.accounts.delete(account.id)
    const taken = Result.flatMap(this.#causeOf(record, event), (message) => this.#takeMessage(record, message, event))
    for (const account of hidden) this.#known.accounts.set(account.id, account)
    return taken
  }

  #takeMessage(record: LogRecord, message: Message["event"], expected: LedgerEvent): Result.Result<void, Diverged> {
    const { events, holds, journals } = this.#written
    const before = events.length
    const subject = subjectOf(expected)
    const ruled = "account" in expected ? undefined : this.#batch.verdict(expected.transfer)
    const taken = this.#batch.take({ event: message, from: this.#senderOf(message), origin: nobody })
    if (Result.isFailure(taken)) return Result.fail(diverged(this.#shard, record, taken.failure.message))
    const announced = events[before]?.event
    const found = announced === undefined ? "nothing" : toJson(announced)
    // An older version may have written its members in another order.
    if (found !== record.payload && found !== toJson(expected)) {
      return Result.fail(diverged(this.#shard, record, `${message.type} is answered by ${found}`))
    }
    const millis = record.occurredAtMillis
    while (this.#holds.length < holds.length) this.#holds.push(millis)
    while (this.#journals.length < journals.length) {
      const journal = journals[this.#journals.length]
      this.#journals.push(millis)
      for (const id of journal === undefined ? [] : [journal.debit, journal.credit]) {
        if (!this.#changedAt.has(id)) this.#changedAt.set(id, millis)
      }
    }
    if (!("account" in expected) && ruled === undefined) this.#ruledAt.set(expected.transfer, millis)
    this.#changedAt.set(subject, millis)
    if ("instruction" in message) this.#answered(message.instruction, subject, millis)
    return Result.void
  }

  /** Messages of one subject are decided in the order in which they were given: those before one that was followed were refused. */
  #answered(id: InstructionId, subject: string, millis: number) {
    const open = this.#open.get(subject) ?? []
    const place = open.indexOf(id)
    for (const earlier of open.splice(0, place + 1)) {
      this.#answeredAt.set(earlier, millis)
      if (earlier !== id) this.#batch.refuse(earlier, answerLost)
    }
  }

  /** The message that an event was the answer to. */
  #causeOf(record: LogRecord, event: LedgerEvent): Result.Result<Message["event"], Diverged> {
    const unexplained = (found: string) => Result.fail(diverged(this.#shard, record, found))
    if ("account" in event) {
      const asks = event.type === "account.frozen" ? "freeze" : event.type === "account.unfrozen" ? "unfreeze" : "close"
      const instruction = this.#firstOpen(event.account, asks)
      return instruction === undefined
        ? unexplained(`nobody asked to ${asks} it`)
        : Result.succeed({ type: `account.${asks}_requested`, account: event.account, instruction: instruction.id })
    }
    switch (event.type) {
      case "transfer.credited":
        return Result.succeed({ ...termsOf(event), type: "transfer.held" })
      case "transfer.refused":
        return Result.succeed(this.#refusedOrRecalled(event))
      default: {
        const transfer = this.#batch.transfer(event.transfer)
        if (transfer === undefined) return unexplained("nobody requested it")
        const message = this.#stepOf(transfer, event)
        return message === undefined
          ? unexplained(`it is ${transfer.status}, and nobody asked for this`)
          : Result.succeed(message)
      }
    }
  }

  /** What took a transfer of this shard a step further. */
  #stepOf(transfer: Transfer, event: TransferEvent): TransferEvent | undefined {
    const terms = termsOf(event)
    switch (transfer.status) {
      case "requested":
        return { type: "transfer.requested", ...transfer.terms, capture: transfer.capture, client: "" }
      case "held":
        return event.type === "transfer.cancelled"
          ? { type: "transfer.refused", ...terms, reason: event.reason }
          : { type: "transfer.credited", ...terms }
      case "authorized": {
        const why = event.type === "transfer.cancelled" ? event.reason.code : undefined
        if (why === "expired") return { type: "transfer.expiry_due", ...transfer.terms }
        const asks = why === "voided" ? "void" : "capture"
        const instruction = this.#firstOpen(terms.transfer, asks, terms)
        if (instruction === undefined) return undefined
        return asks === "void"
          ? { type: "transfer.void_requested", ...transfer.terms, instruction: instruction.id }
          : {
            type: "transfer.capture_requested",
            ...transfer.terms,
            captured: terms.amount,
            instruction: instruction.id
          }
      }
      default:
        return undefined
    }
  }

  /** A destination refuses what it cannot credit; what it could have credited was recalled. */
  #refusedOrRecalled(event: Extract<TransferEvent, { readonly type: "transfer.refused" }>): TransferEvent {
    const held = { ...termsOf(event), type: "transfer.held" as const }
    const decided = decide(this.#batch, { event: held, from: this.#senderOf(held) })
    const isRefused = Result.isSuccess(decided) &&
      decided.success.some((change) => change._tag === "Announced" && toJson(change.event) === toJson(event))
    return isRefused ? held : { ...termsOf(event), type: "transfer.recalled", reason: event.reason }
  }

  #firstOpen(subject: string, asks: Asks, terms?: Terms): Instruction | undefined {
    return this.#open.get(subject)?.map((id) => this.#batch.instruction(id)).find((instruction) =>
      instruction?.asks === asks &&
      (asks !== "capture" || (instruction.amount ?? this.#batch.transfer(subject)?.terms.amount) === terms?.amount)
    )
  }

  /**
   * Accounts that the worker did not see yet when it decided this, though their opening has the lower position: it was
   * committed a moment later.
   */
  #openedTooLate(event: LedgerEvent): ReadonlyArray<Account> {
    if (!("reason" in event) || event.reason.code !== "account_not_found") return []
    return [event.source, event.destination].flatMap((id) => this.#known.accounts.get(id) ?? [])
      .filter(({ balance }) => balance.sequence === 0n)
  }

  #homeOf(account: string): ShardId {
    return shardOfAccount(this.#map, account)
  }

  /** The shard in whose log a message of a transfer stood. */
  #senderOf(event: LedgerEvent): ShardId {
    switch (event.type) {
      case "transfer.held":
      case "transfer.recalled":
        return this.#homeOf(event.source)
      case "transfer.credited":
      case "transfer.refused":
        return this.#homeOf(event.destination)
      default:
        return this.#shard
    }
  }
}
