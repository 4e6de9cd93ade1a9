/**
 * What clients saw: each request with when it was made, when an answer was heard and what it said. Times are milliseconds
 * of the one clock that all clients share; they mean nothing but their order.
 */

/** Done, refused for good, or nobody knows: no answer, or one that says nothing of whether it was done. */
export type Outcome = "ok" | "fail" | "unknown"

interface Moment {
  readonly askedAt: number
  readonly heardAt: number
}

export interface Wish {
  readonly source: string
  readonly destination: string
  readonly amount: bigint
}

/** A transfer was asked for, under a key. */
export interface Asked extends Moment {
  readonly client: number
  readonly key: string
  readonly wish: Wish
  readonly outcome: Outcome
  /** The transfer, where the answer named one. */
  readonly transfer: string | null
  /** The stable code of a refusal, or what went wrong on the way. */
  readonly code: string | null
}

export type End = "committed" | "rejected" | "cancelled"

/** It was heard that a transfer has ended. */
export interface Heard extends Moment {
  readonly transfer: string
  readonly end: End
}

/** A balance was read. */
export interface Read extends Moment {
  readonly account: string
  readonly posted: bigint
  readonly held: bigint
  readonly sequence: number
}

export interface History {
  readonly asked: ReadonlyArray<Asked>
  readonly heard: ReadonlyArray<Heard>
  readonly reads: ReadonlyArray<Read>
}

export const isEnd = (status: string): status is End =>
  status === "committed" || status === "rejected" || status === "cancelled"

/** What the books say when everything has ended: what the history is compared with. */
export interface Books {
  readonly transfers: ReadonlyArray<RecordedTransfer>
  readonly journals: ReadonlyArray<RecordedJournal>
  /** Accounts that may not go below zero, and whose balance grows by credits. */
  readonly customers: ReadonlySet<string>
}

export interface RecordedTransfer extends Wish {
  readonly id: string
  readonly key: string
  readonly status: string
  readonly reason: string | null
}

export interface RecordedJournal {
  readonly transfer: string
  readonly step: "direct" | "credit" | "commit"
  readonly amount: bigint
  readonly debit: RecordedEntry
  readonly credit: RecordedEntry
}

export interface RecordedEntry {
  readonly account: string
  readonly sequence: number
  /** Credits less debits, after it. */
  readonly posted: bigint
}
