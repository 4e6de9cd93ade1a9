/**
 * How far a consumer has come in the event log, with many keys under way at once: each key in order, one key never behind
 * another, and the places moving only past what has been delivered or is being parked.
 *
 * It knows nothing of how messages are delivered, nor of the database: records and outcomes in, advances to be written out.
 */
import { Result } from "effect"
import type { Parking } from "./Consumer.ts"
import type { Place } from "./ConsumerPositions.ts"
import type { Delivered } from "./EventLog.ts"
import { decide, type Trouble, type Unreadable } from "./Parked.ts"

/** What can be written now, in one transaction. */
export interface Advance {
  readonly moves: ReadonlyArray<{ readonly was: Place; readonly now: Place }>
  /** In the order of each key. */
  readonly parked: ReadonlyArray<Parking>
}

/** A record that was taken and is not written yet. */
interface Taken {
  readonly record: Delivered
  outcome: "under way" | "done" | "behind" | Trouble
}

interface Lane {
  /** What is written. */
  place: Place
  /** Where the records that were taken end. */
  front: Place
  /** In the order of offsets. */
  readonly taken: Array<Taken>
  /** Nothing is taken from here on: a record cannot be read. */
  stopped: boolean
}

export class Progress {
  readonly #lanes: Map<number, Lane>
  readonly #parked: Set<string>
  readonly #mostParked: number
  /** Of each key, what is to be delivered, in order. */
  readonly #queues = new Map<string, Array<Taken>>()
  /** Of each key, how many records go to the park with the next advances. */
  readonly #parking = new Map<string, number>()
  #underWay = 0
  #unwritten = 0

  /** @param mostParked how many keys may be parked at once; more than that is not poison, but something that is broken */
  constructor(places: ReadonlyArray<Place>, parked: ReadonlySet<string>, mostParked: number) {
    this.#lanes = new Map(places.map((place) => [place.partition, { place, front: place, taken: [], stopped: false }]))
    this.#parked = new Set(parked)
    this.#mostParked = mostParked
  }

  get parkedKeys(): ReadonlySet<string> {
    return this.#parked
  }

  /** How many records are to be delivered. */
  get underWay(): number {
    return this.#underWay
  }

  /** How many keys have records to be delivered. */
  get keysUnderWay(): number {
    return this.#queues.size
  }

  /** How many records were taken and are not written: what would be taken, and perhaps delivered, again after a crash. */
  get unwritten(): number {
    return this.#unwritten
  }

  /** May another key be parked? */
  get hasRoom(): boolean {
    return this.#parked.size < this.#mostParked
  }

  /** When the oldest record that is to be delivered was written, in milliseconds since 1970. */
  get oldestMillis(): number | undefined {
    let oldest: number | undefined
    for (const [first] of this.#queues.values()) {
      const millis = first?.record.occurredAtMillis
      if (millis !== undefined && (oldest === undefined || millis < oldest)) oldest = millis
    }
    return oldest
  }

  /**
   * Takes the next record of its partition; one that does not `concern` the consumer is passed. A record that cannot be
   * read stops its partition: neither it nor what comes after it is taken.
   */
  take(record: Delivered, concerns: boolean): Result.Result<"passed" | "waits" | "to deliver", Unreadable> {
    const lane = this.#lanes.get(record.partition)
    if (lane === undefined || lane.stopped || record.offset < lane.front.next) return Result.succeed("passed")
    const decided = decide(record, lane.front, this.#parked)
    if (Result.isFailure(decided)) {
      lane.stopped = true
      return Result.fail(decided.failure)
    }
    const isNew = decided.success !== "seen"
    const taken: Taken = { record, outcome: "done" }
    lane.taken.push(taken)
    this.#unwritten++
    lane.front = {
      partition: record.partition,
      next: record.offset + 1n,
      seen: isNew ? new Map(lane.front.seen).set(record.source, record.position) : lane.front.seen
    }
    if (!isNew || !concerns) return Result.succeed("passed")
    if (decided.success === "wait") {
      this.#toPark(taken, "behind")
      return Result.succeed("waits")
    }
    taken.outcome = "under way"
    this.#underWay++
    const queue = this.#queues.get(record.key)
    if (queue === undefined) this.#queues.set(record.key, [taken])
    else queue.push(taken)
    return Result.succeed("to deliver")
  }

  /** The record of a key that is to be delivered now, if there is one. */
  next(key: string): Delivered | undefined {
    return this.#queues.get(key)?.[0]?.record
  }

  /** The record that {@link next} gave was delivered. */
  delivered(key: string): void {
    const queue = this.#queues.get(key)
    const first = queue?.shift()
    if (first === undefined) return
    first.outcome = "done"
    this.#underWay--
    if (queue?.length === 0) this.#queues.delete(key)
  }

  /** The record that {@link next} gave parks its key, and all that follow wait behind it. Needs room. */
  park(key: string, trouble: Trouble): void {
    const queue = this.#queues.get(key)
    if (queue === undefined) return
    this.#parked.add(key)
    this.#queues.delete(key)
    this.#underWay -= queue.length
    queue.forEach((taken, index) => this.#toPark(taken, index === 0 ? trouble : "behind"))
  }

  /** Nothing waits in the park for this key any more, as far as is written: unless more is on its way there, it is free. */
  free(key: string): boolean {
    return !this.#parking.has(key) && this.#parked.delete(key)
  }

  /** All that can be written now: of each partition, what has its outcome, up to the first record that has none. */
  advance(): Advance {
    const moves: Array<Advance["moves"][number]> = []
    const parked: Array<Parking> = []
    for (const lane of this.#lanes.values()) {
      const settled = settledOf(lane)
      const last = settled.at(-1)
      if (last === undefined) continue
      const seen = new Map(lane.place.seen)
      for (const { outcome, record } of settled) {
        if (record.position > (seen.get(record.source) ?? 0n)) seen.set(record.source, record.position)
        if (outcome === "behind") parked.push({ record, trouble: null })
        else if (typeof outcome === "object") parked.push({ record, trouble: outcome })
      }
      const now = { partition: lane.place.partition, next: last.record.offset + 1n, seen }
      moves.push({ was: lane.place, now })
    }
    return { moves, parked }
  }

  /** An advance is in the database. */
  written({ moves }: Advance): void {
    for (const { now } of moves) {
      const lane = this.#lanes.get(now.partition)
      if (lane === undefined) continue
      lane.place = now
      const end = lane.taken.findIndex(({ record }) => record.offset >= now.next)
      for (const { outcome, record } of lane.taken.splice(0, end === -1 ? lane.taken.length : end)) {
        this.#unwritten--
        if (outcome === "done") continue
        const left = (this.#parking.get(record.key) ?? 0) - 1
        if (left > 0) this.#parking.set(record.key, left)
        else this.#parking.delete(record.key)
      }
    }
  }

  #toPark(taken: Taken, outcome: "behind" | Trouble) {
    taken.outcome = outcome
    this.#parking.set(taken.record.key, (this.#parking.get(taken.record.key) ?? 0) + 1)
  }
}

/** The records of a lane that have their outcome, up to the first that has none. */
const settledOf = ({ taken }: Lane): ReadonlyArray<Taken> => {
  const end = taken.findIndex(({ outcome }) => outcome === "under way")
  return end === -1 ? [...taken] : taken.slice(0, end)
}
