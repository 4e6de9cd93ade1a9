/**
 * Leaves: what is sealed of a row. The leaf of an event, and after it one for each journal that was written with it.
 *
 * A leaf holds what a receipt shows of the row, and a hash of the rest. What is not shown (an account's balance after an entry
 * is nobody's business but its owner's) is hashed together with the block's secret, so that it cannot be guessed; and as no
 * leaf can be guessed without it either, a path through the tree shows nothing of anybody else's rows.
 */
import { canonical, digestBytes, type Hash } from "./Hash.ts"
import { hashOfLeaf } from "./Merkle.ts"

/** A column as text, exactly as the shard keeps it. A row that was tampered with may hold anything, or nothing. */
type Text = string | null

export interface EventRow {
  readonly position: bigint
  /** RFC 3339 in UTC, to the microsecond. */
  readonly occurredAt: Text
  readonly type: Text
  readonly subject: Text
  readonly requestId: Text
  /** As it was written, byte for byte. */
  readonly payload: Text
  readonly key: Text
  readonly partition: Text
  readonly traceparent: Text
}

export interface JournalRow {
  readonly transfer: Text
  readonly leg: Text
  readonly step: Text
  readonly amount: Text
  readonly currency: Text
  readonly debit: Text
  readonly credit: Text
  /** RFC 3339 in UTC, to the microsecond. */
  readonly createdAt: Text
  readonly debitSequence: Text
  readonly debitPosted: Text
  readonly creditSequence: Text
  readonly creditPosted: Text
}

/** An event, and the journals that its transaction wrote. Every journal is written with an event that says so. */
export interface Logged {
  readonly event: EventRow
  readonly journals: ReadonlyArray<JournalRow>
}

/** What stands for the part of an event that receipts do not show. */
export const hiddenOfEvent = (hash: Hash, secret: string, event: EventRow): string =>
  hash.hex(canonical([
    "hidden from event",
    secret,
    String(event.position),
    event.key,
    event.partition,
    event.traceparent
  ]))

/** What stands for the part of a journal that receipts do not show. */
export const hiddenOfJournal = (hash: Hash, secret: string, position: bigint, journal: JournalRow): string =>
  hash.hex(canonical([
    "hidden from journal",
    secret,
    String(position),
    journal.transfer,
    journal.leg,
    journal.step,
    journal.debitSequence,
    journal.debitPosted,
    journal.creditSequence,
    journal.creditPosted
  ]))

const leafOfEvent = (hash: Hash, secret: string, event: EventRow): string =>
  canonical([
    "event",
    String(event.position),
    event.occurredAt,
    event.type,
    event.subject,
    event.requestId,
    event.payload,
    hiddenOfEvent(hash, secret, event)
  ])

const leafOfJournal = (hash: Hash, secret: string, position: bigint, journal: JournalRow): string =>
  canonical([
    "journal",
    String(position),
    journal.createdAt,
    journal.transfer,
    journal.leg,
    journal.step,
    journal.amount,
    journal.currency,
    journal.debit,
    journal.credit,
    hiddenOfJournal(hash, secret, position, journal)
  ])

const positionBytes = 8
const listedBytes = positionBytes + digestBytes

/**
 * The list of the leaves of rows, which come in the order of their positions: 40 bytes for each, the position and the hash
 * of the leaf. The first at a position is its event.
 */
export const listOf = (hash: Hash, secret: string, rows: ReadonlyArray<Logged>): Uint8Array => {
  const list = new Uint8Array(rows.reduce((count, { journals }) => count + 1 + journals.length, 0) * listedBytes)
  const view = new DataView(list.buffer)
  let at = 0
  const write = (position: bigint, leaf: string) => {
    view.setBigInt64(at, position)
    list.set(hashOfLeaf(hash, leaf), at + positionBytes)
    at += listedBytes
  }
  for (const { event, journals } of rows) {
    write(event.position, leafOfEvent(hash, secret, event))
    for (const journal of journals) write(event.position, leafOfJournal(hash, secret, event.position, journal))
  }
  return list
}

/** A leaf as it is listed. */
export interface Listed {
  readonly position: bigint
  readonly hash: Uint8Array
}

export const listed = (list: Uint8Array): ReadonlyArray<Listed> => {
  const view = new DataView(list.buffer, list.byteOffset, list.byteLength)
  return Array.from({ length: Math.floor(list.length / listedBytes) }, (_, index) => {
    const at = index * listedBytes
    return { position: view.getBigInt64(at), hash: list.subarray(at + positionBytes, at + listedBytes) }
  })
}

export const sameBytes = (one: Uint8Array, other: Uint8Array): boolean =>
  one.length === other.length && one.every((byte, at) => byte === other[at])
