/**
 * A shard's database in memory: its tables with their constraints, its sequence of positions and its position barrier.
 * Keys and constraints are those of sql/shard, by the same names; test/laws holds both to the same laws.
 */
import { Effect } from "effect"
import type { Account, Balance } from "#domain/account/Account.ts"
import type { Announcement } from "#domain/ledger/Batch.ts"
import type { Instruction } from "#domain/ledger/Instruction.ts"
import type { HoldRecord, Journal } from "#domain/ledger/Journal.ts"
import { keyOf, subjectOf, toJson } from "#domain/ledger/LedgerEvent.ts"
import type { LogRecord } from "#domain/messaging/EventLog.ts"
import type { Role } from "#domain/sharding/Leases.ts"
import { partitionOf } from "#domain/sharding/Partition.ts"
import type { ShardId, ShardMap } from "#domain/sharding/ShardMap.ts"
import type { ShardUnavailable } from "#domain/sharding/Shards.ts"
import type { AccountRecord, InstructionEvent, Metadata, Request, TransferRecord } from "#domain/transfer/Intake.ts"
import { ended, failed, type Transfer, type TransferStatus, type Verdict } from "#domain/transfer/Transfer.ts"
import { MemoryTable } from "./MemoryTable.ts"
import { MemoryTransaction, patience, unavailable } from "./MemoryTransaction.ts"

// rows ───────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** An account but for its balance, which is another row: who describes an account is not in the way of who posts to it. */
export interface AccountRow {
  readonly account: Omit<Account, "balance">
  readonly metadata: Metadata
  readonly revision: bigint
  readonly createdAtMillis: number
}

export interface TransferRow {
  readonly transfer: Transfer
  readonly client: string
  readonly reference: string | null
  readonly description: string | null
  readonly metadata: Metadata
  readonly expiresAtMillis: number | null
  readonly createdAtMillis: number
  readonly statusChangedAtMillis: number
}

export interface KeyRow {
  readonly key: string
  readonly fingerprint: string
  readonly resource: string
}

export interface InstructionRow {
  readonly instruction: Instruction
  /** The event that carries it. */
  readonly event: InstructionEvent
  readonly createdAtMillis: number
}

export interface JournalRow extends Journal {
  readonly createdAtMillis: number
}

export interface LeaseRow {
  readonly holder: string
  readonly epoch: bigint
  readonly expiresAtMillis: number
}

export interface PlaceRow {
  readonly log: string
  readonly next: bigint
  readonly seen: ReadonlyMap<ShardId, bigint>
}

export const transferRecordOf = (
  { transfer: { capture, moving, reason, reverses, status, terms }, ...row }: TransferRow
): TransferRecord => ({
  terms,
  capture,
  status,
  captured: capture === "manual" && (status === "held" || status === "committed") ? moving : null,
  reason,
  reverses,
  reference: row.reference,
  description: row.description,
  metadata: row.metadata,
  expiresAtMillis: row.expiresAtMillis,
  createdAtMillis: row.createdAtMillis,
  statusChangedAtMillis: row.statusChangedAtMillis
})

// constraints ────────────────────────────────────────────────────────────────────────────────────────────────────────

/** A transfer may be authorized, and voided or captured, in one batch: before either is written. */
const ways: Readonly<Record<TransferStatus, ReadonlyArray<TransferStatus>>> = {
  requested: ["authorized", "held", "committed", "rejected", "cancelled"],
  authorized: ["held", "committed", "cancelled"],
  held: ["committed", "cancelled"],
  committed: [],
  rejected: [],
  cancelled: []
}

const goesForward = (now: Transfer, before: Transfer) =>
  ways[before.status].includes(now.status) && now.capture === before.capture && now.reverses === before.reverses &&
  now.terms.source === before.terms.source && now.terms.destination === before.terms.destination &&
  now.terms.amount === before.terms.amount && now.terms.currency === before.terms.currency

/** Everything that a shard keeps, as a value. */
export interface ShardState {
  readonly accounts: ReadonlyMap<string, AccountRow>
  readonly balances: ReadonlyMap<string, Balance>
  readonly transfers: ReadonlyMap<string, TransferRow>
  /** By client, scope and key. */
  readonly keys: ReadonlyMap<string, KeyRow>
  readonly instructions: ReadonlyMap<string, InstructionRow>
  readonly verdicts: ReadonlyMap<string, Verdict>
  /** By transfer and step. */
  readonly journals: ReadonlyMap<string, JournalRow>
  /** By transfer and number. */
  readonly holds: ReadonlyMap<string, HoldRecord>
  readonly leases: ReadonlyMap<Role, LeaseRow>
  /** By partition. */
  readonly places: ReadonlyMap<number, PlaceRow>
  /** By event log. */
  readonly cursors: ReadonlyMap<string, bigint>
  readonly events: ReadonlyArray<LogRecord>
  /** The last position drawn. */
  readonly drawn: bigint
}

export class MemoryShard {
  readonly id: ShardId
  readonly map: ShardMap

  readonly accounts = new MemoryTable<string, AccountRow>({
    constraints: {
      a_clearing_account_has_no_limits: ({ account: { ceiling, floor, kind } }) =>
        kind !== "clearing" || (floor === null && ceiling === null),
      a_closed_account_stays_closed: ({ account }, before) =>
        before?.account.status !== "closed" || account.status === "closed",
      a_floor_is_not_above_its_ceiling: ({ account: { ceiling, floor } }) =>
        floor === null || ceiling === null || floor <= ceiling,
      an_account_begins_within_its_limits: ({ account: { ceiling, floor } }) =>
        (floor === null || floor <= 0n) && (ceiling === null || ceiling >= 0n),
      only_clearing_accounts_are_named_so: ({ account: { id, kind } }) =>
        (kind === "clearing") === id.startsWith("clearing:")
    }
  })
  readonly balances = new MemoryTable<string, Balance>({
    constraints: { held_is_not_negative: ({ held }) => held >= 0n }
  })
  readonly transfers = new MemoryTable<string, TransferRow>({
    constraints: {
      a_reversal_is_captured_at_once: ({ transfer: { capture, reverses } }) =>
        reverses === null || capture === "automatic",
      a_transfer_has_two_accounts: ({ transfer: { terms } }) => terms.source !== terms.destination,
      a_transfer_moves_no_more_than_was_asked: ({ transfer: { moving, terms } }) => moving <= terms.amount,
      a_transfer_only_goes_forward: ({ transfer }, before) =>
        before === undefined || goesForward(transfer, before.transfer),
      only_a_transfer_that_failed_has_a_reason: ({ transfer: { reason, status } }) =>
        failed.has(status) === (reason !== null)
    },
    committed: ({ transfer: { reverses, status, terms } }) => {
      if (ended.has(status)) this.#open.delete(terms.transfer)
      else this.#open.add(terms.transfer)
      if (reverses === null) return
      const reversals = this.#reversals.get(reverses)
      if (reversals === undefined) this.#reversals.set(reverses, new Set([terms.transfer]))
      else reversals.add(terms.transfer)
    }
  })
  readonly keys = new MemoryTable<string, KeyRow>({
    constraints: {
      a_fingerprint_is_a_sha_256: ({ fingerprint }) => /^([0-9a-f]{2}){32}$/.test(fingerprint),
      a_key_has_1_to_255_characters: ({ key }) => key.length >= 1 && key.length <= 255
    }
  })
  readonly instructions = new MemoryTable<string, InstructionRow>({
    constraints: {
      an_instruction_is_answered_once: (_, before) => before === undefined || before.instruction.status === "open",
      only_a_capture_has_an_amount: ({ instruction: { amount, asks } }) => amount === null || asks === "capture",
      only_a_refused_instruction_has_a_reason: ({ instruction: { reason, status } }) =>
        (status === "refused") === (reason !== null)
    }
  })
  readonly verdicts = new MemoryTable<string, Verdict>({
    constraints: {
      only_a_refusal_has_a_reason: ({ reason, ruling }) => (ruling === "REFUSED") === (reason !== null)
    }
  })
  readonly journals = new MemoryTable<string, JournalRow>({
    constraints: {
      a_journal_has_two_accounts: ({ credit, debit }) => debit !== credit,
      an_amount_is_positive: ({ amount }) => amount > 0n,
      entries_are_numbered_from_one: ({ creditSequence, debitSequence }) => debitSequence > 0n && creditSequence > 0n
    }
  })
  /** The journals by each of their entries: account and sequence. */
  readonly debits = new MemoryTable<string, JournalRow>()
  readonly credits = new MemoryTable<string, JournalRow>()
  readonly holds = new MemoryTable<string, HoldRecord>({
    constraints: {
      a_hold_begins_by_being_placed: ({ change, number }) => (number === 1) === (change === "placed"),
      an_amount_is_positive: ({ amount }) => amount > 0n
    }
  })
  readonly leases = new MemoryTable<Role, LeaseRow>()
  readonly places = new MemoryTable<number, PlaceRow>()
  readonly cursors = new MemoryTable<string, bigint>()

  /** Called after each commit, for whoever watches. */
  whenCommitted: () => void = () => {}

  #events: Array<LogRecord> = []
  #drawn = 0n
  readonly #reversals = new Map<string, Set<string>>()
  readonly #open = new Set<string>()
  readonly #running = new Set<MemoryTransaction>()

  constructor(id: ShardId, map: ShardMap) {
    this.id = id
    this.map = map
  }

  /** Begins a transaction by the time of a clock; `reach` is the way from the process that asks for it. */
  begin(nowMillis: () => number, reach: Effect.Effect<void, ShardUnavailable>): MemoryTransaction {
    const transaction = new MemoryTransaction(this.id, nowMillis, reach)
    this.#running.add(transaction)
    transaction.atEnd((isCommitted) => {
      this.#running.delete(transaction)
      // What is asked for while it ends comes last: then all that was written is there.
      if (isCommitted) transaction.atEnd(() => this.whenCommitted())
    })
    return transaction
  }

  // the log ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Draws positions for events. They are never given back; the events are there once the transaction is committed. */
  announce(transaction: MemoryTransaction, announcements: ReadonlyArray<Announcement>): void {
    const rows = announcements.map(({ event, origin }): LogRecord => {
      const key = keyOf(event)
      return {
        position: ++this.#drawn,
        source: this.id,
        partition: partitionOf(key, this.map.partitions),
        key,
        type: event.type,
        subject: subjectOf(event),
        payload: toJson(event),
        requestId: origin.requestId,
        traceparent: origin.traceparent,
        occurredAtMillis: transaction.begunAtMillis
      }
    })
    transaction.hasWritten = true
    transaction.atEnd((isCommitted) => {
      if (!isCommitted) return
      for (const row of rows) this.#events.splice(this.#placeAfter(row.position), 0, row)
    })
  }

  /**
   * The highest position up to which every event is committed or will never exist, once that is so; `undefined`, at no
   * cost, when no position was drawn after `after`. Who draws a position later draws a higher one, so it is enough that
   * all have ended who had written something when the last one was looked at.
   */
  barrier(after: bigint): Effect.Effect<bigint | undefined, ShardUnavailable> {
    return Effect.suspend(() => {
      const drawn = this.#drawn
      if (drawn <= after) return Effect.undefined
      const writers = [...this.#running].filter(({ hasWritten }) => hasWritten)
      if (writers.length === 0) return Effect.succeed(drawn)
      return Effect.forEach(writers, (writer) => writer.ended(patience.statement)).pipe(
        Effect.flatMap((haveEnded) =>
          haveEnded.every(Boolean) ? Effect.succeed(drawn) : Effect.fail(unavailable(this.id, "statement timeout"))
        )
      )
    })
  }

  /** The committed events, in their order. */
  get events(): ReadonlyArray<LogRecord> {
    return this.#events
  }

  /** Those after one position and up to another. */
  eventsBetween(after: bigint, upTo: bigint, most: number): ReadonlyArray<LogRecord> {
    const from = this.#placeAfter(after)
    return this.#events.slice(from, Math.min(this.#placeAfter(upTo), from + most))
  }

  /** Where the events above a position begin. They are appended almost always, so this looks from the end. */
  #placeAfter(position: bigint): number {
    let [low, high] = [0, this.#events.length]
    if ((this.#events[high - 1]?.position ?? 0n) <= position) return high
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#events[middle]?.position ?? 0n) <= position) low = middle + 1
      else high = middle
    }
    return low
  }

  // what is asked of several rows ────────────────────────────────────────────────────────────────────────────────────

  accountOf(transaction: MemoryTransaction, id: string): Account | undefined {
    const row = this.accounts.get(transaction, id)
    const balance = this.balances.get(transaction, id)
    return row === undefined || balance === undefined ? undefined : { ...row.account, balance }
  }

  /** An account as it is committed. */
  accountRecord(id: string): AccountRecord | undefined {
    const row = this.accounts.rows.get(id)
    const balance = this.balances.rows.get(id)
    return row === undefined || balance === undefined ? undefined : { ...row, account: { ...row.account, balance } }
  }

  /** How much of a transfer was brought back, or is on its way back; `undefined` where nothing ever was. */
  reversedOf(transaction: MemoryTransaction, id: string): bigint | undefined {
    let sum: bigint | undefined
    for (const reversal of this.#reversals.get(id) ?? []) {
      const transfer = this.transfers.get(transaction, reversal)?.transfer
      if (transfer === undefined || transfer.status === "requested" || failed.has(transfer.status)) continue
      sum = (sum ?? 0n) + transfer.moving
    }
    return sum
  }

  /** The transfers that have not ended. */
  *open(): Iterable<TransferRow> {
    for (const id of this.#open) {
      const row = this.transfers.rows.get(id)
      if (row !== undefined) yield row
    }
  }

  // faults ───────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Loses everything that is not committed, as a server that is killed and started again. */
  crash(): void {
    for (const transaction of this.#running) transaction.rollBack()
  }

  /** What is committed, as a value that stays as it is. */
  get state(): ShardState {
    return {
      accounts: new Map(this.accounts.rows),
      balances: new Map(this.balances.rows),
      transfers: new Map(this.transfers.rows),
      keys: new Map(this.keys.rows),
      instructions: new Map(this.instructions.rows),
      verdicts: new Map(this.verdicts.rows),
      journals: new Map(this.journals.rows),
      holds: new Map(this.holds.rows),
      leases: new Map(this.leases.rows),
      places: new Map(this.places.rows),
      cursors: new Map(this.cursors.rows),
      events: [...this.#events],
      drawn: this.#drawn
    }
  }

  /** Puts another state in the place of its own, as a backup that is restored: positions are drawn again, too. */
  restore(state: ShardState): void {
    this.crash()
    this.#reversals.clear()
    this.#open.clear()
    this.accounts.replace(state.accounts)
    this.balances.replace(state.balances)
    this.transfers.replace(state.transfers)
    this.keys.replace(state.keys)
    this.instructions.replace(state.instructions)
    this.verdicts.replace(state.verdicts)
    this.journals.replace(state.journals)
    const journals = [...state.journals.values()]
    this.debits.replace(new Map(journals.map((journal) => [entryKey(journal.debit, journal.debitSequence), journal])))
    this.credits.replace(
      new Map(journals.map((journal) => [entryKey(journal.credit, journal.creditSequence), journal]))
    )
    this.holds.replace(state.holds)
    this.leases.replace(state.leases)
    this.places.replace(state.places)
    this.cursors.replace(state.cursors)
    this.#events = [...state.events]
    this.#drawn = state.drawn
  }
}

export const entryKey = (account: string, sequence: bigint): string => `${account} ${sequence}`
export const journalKey = (transfer: string, step: Journal["step"]): string => `${transfer} ${step}`
export const keyRow = (
  { client, idempotencyKey }: Pick<Request, "client" | "idempotencyKey">,
  scope: string
): string => `${client}\n${scope}\n${idempotencyKey}`
export const holdKey = (transfer: string, number: number): string => `${transfer} ${number}`
