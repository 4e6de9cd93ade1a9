/**
 * The story of a transfer, put together from what its shards hold of it: from the request to its end, in one order, each
 * step with who took it, what it wrote, and how long after the one before.
 *
 * Each shard's log is in order; the clocks of two shards may differ. So the steps are merged by time, but none is told
 * before what it answers: no credit before the hold, no commit before the credit.
 */
import type { LedgerEvent } from "../ledger/LedgerEvent.ts"
import type { ShardId } from "../sharding/ShardMap.ts"
import type { Trace, TracedEntry, TracedEvent, TracedKey } from "./Trace.ts"

/** Who took a step: a client through the API, a shard's ledger worker, or its reconciler. */
export type Author = "client" | "ledger" | "reconciler"

export interface ToldStep extends TracedEvent {
  readonly shard: ShardId
  readonly author: Author
  /** Who asked, where the step is a request; `null` where nothing immutable says so. */
  readonly client: string | null
  /** The key that it was asked with, and the hash of the request; `null` where it is no request. */
  readonly key: TracedKey | null
  /** What was written to the books with it. */
  readonly entries: ReadonlyArray<TracedEntry>
  /** `null` for the first. Below zero where the clocks of two shards differ by more than the step took. */
  readonly sincePreviousMillis: number | null
}

export interface Timeline {
  readonly steps: ReadonlyArray<ToldStep>
  /** Entries of the transfer that no event tells of: there must be none. */
  readonly untold: ReadonlyArray<TracedEntry>
}

/** Tells the story that the traces hold. */
export const timelineOf = (traces: ReadonlyArray<Trace>): Timeline => {
  const keys = new Map(traces.flatMap(({ keys }) => keys.map((key) => [key.resource, key] as const)))
  const left = new Map(traces.map(({ entries, shard }) => [shard, [...entries]]))
  const steps: Array<ToldStep> = []
  for (const step of inOrder(traces)) {
    const written = entriesOf(step, left.get(step.shard) ?? [])
    left.set(step.shard, (left.get(step.shard) ?? []).filter((entry) => !written.includes(entry)))
    const key = keys.get(resourceOf(step.event) ?? "") ?? null
    const previous = steps.at(-1)
    steps.push({
      ...step,
      author: authors[step.type] ?? "ledger",
      client: step.event?.type === "transfer.requested" ? step.event.client : key?.client ?? null,
      key,
      entries: written,
      sincePreviousMillis: previous === undefined ? null : step.occurredAtMillis - previous.occurredAtMillis
    })
  }
  return { steps, untold: [...left.values()].flat() }
}

type Placed = TracedEvent & { readonly shard: ShardId }

const authors: Readonly<Record<string, Author>> = {
  "transfer.requested": "client",
  "transfer.capture_requested": "client",
  "transfer.void_requested": "client",
  "transfer.recalled": "reconciler",
  "transfer.expiry_due": "reconciler"
}

/** What a step answers, on whichever shard that was said: any of these must be told before it, if it is told at all. */
const answers: Readonly<Record<string, ReadonlyArray<string>>> = {
  "transfer.credited": ["transfer.held"],
  "transfer.refused": ["transfer.held", "transfer.recalled"],
  "transfer.committed": ["transfer.credited"],
  "transfer.cancelled": ["transfer.refused"]
}

/** The events of all shards: each shard's in its own order, by time among shards, and none before what it answers. */
const inOrder = (traces: ReadonlyArray<Trace>): ReadonlyArray<Placed> => {
  const queues = traces.map(({ events, shard }) => events.map((event): Placed => ({ ...event, shard })))
  const told: Array<Placed> = []
  const isTold = (types: ReadonlyArray<string>) => told.some(({ type }) => types.includes(type))
  const isAhead = (types: ReadonlyArray<string>) => queues.flat().some(({ type }) => types.includes(type))
  const isReady = ({ type }: Placed) => {
    const causes = answers[type] ?? []
    return causes.length === 0 || isTold(causes) || !isAhead(causes)
  }
  for (;;) {
    const heads = queues.flatMap((queue) => queue.slice(0, 1))
    // Where no head is ready the logs contradict the protocol; they are told all the same.
    const ready = heads.some(isReady) ? heads.filter(isReady) : heads
    const next = ready.toSorted((a, b) => a.occurredAtMillis - b.occurredAtMillis || a.shard - b.shard)[0]
    if (next === undefined) return told
    queues.find((queue) => queue[0] === next)?.shift()
    told.push(next)
  }
}

/** The entries that were written with an event, by the step of their journal. */
const entriesOf = ({ type }: TracedEvent, entries: ReadonlyArray<TracedEntry>): ReadonlyArray<TracedEntry> =>
  entries.filter(({ step }) => step === "credit" ? type === "transfer.credited" : type === "transfer.committed")

/** What a request made: the transfer, or the instruction. */
const resourceOf = (event: LedgerEvent | null): string | null =>
  event === null
    ? null
    : "instruction" in event
    ? event.instruction
    : event.type === "transfer.requested"
    ? event.transfer
    : null
