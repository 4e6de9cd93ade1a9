/** How a consumer gets on: many keys at once, each in order; places never past what is neither delivered nor parked. */
import { assert, describe, it } from "@effect/vitest"
import { Result, Schema } from "effect"
import type { Place } from "#domain/messaging/ConsumerPositions.ts"
import type { Delivered, LogRecord } from "#domain/messaging/EventLog.ts"
import type { Trouble } from "#domain/messaging/Parked.ts"
import { type Advance, Progress } from "#domain/messaging/Progress.ts"

const beginning = (partition: number): Place => ({ partition, next: 0n, seen: new Map() })

const record = (offset: number, key: string, rest: Partial<Delivered> = {}): Delivered => ({
  partition: 0,
  offset: BigInt(offset),
  source: 0,
  position: BigInt(offset + 1),
  key,
  type: "transfer.committed",
  subject: `${key} ${offset}`,
  payload: "{}",
  occurredAtMillis: offset,
  traceparent: null,
  requestId: null,
  ...rest
})

const refused: Trouble = { class: "refused", detail: "410", tries: 1 }

const begun = (...keys: ReadonlyArray<string>) => {
  const progress = new Progress([beginning(0)], new Set(), 3)
  keys.forEach((key, offset) => progress.take(record(offset, key), true))
  return progress
}

const nextOf = ({ moves }: Advance) => moves.map(({ now }) => Number(now.next))
const parkedOf = ({ parked }: Advance) =>
  parked.map(({ record, trouble }) => [record.subject, trouble?.class ?? "behind"])

describe("progress", () => {
  it("delivers each key in its order, and no key waits for another", () => {
    const progress = begun("anna", "ben", "anna", "ben")
    progress.delivered("ben")
    assert.strictEqual(progress.next("ben")?.offset, 3n)
    assert.strictEqual(progress.next("anna")?.offset, 0n)
    progress.delivered("anna")
    assert.strictEqual(progress.next("anna")?.offset, 2n)
    assert.strictEqual(progress.next("nobody"), undefined)
    assert.strictEqual(progress.underWay, 2)
    assert.strictEqual(progress.oldestMillis, 2)
  })

  it("moves the place up to the first record that is under way, whatever came after it", () => {
    const progress = begun("anna", "ben", "anna")
    progress.delivered("ben")
    assert.deepStrictEqual(nextOf(progress.advance()), [])
    progress.delivered("anna")
    const advance = progress.advance()
    assert.deepStrictEqual(nextOf(advance), [2])
    progress.written(advance)
    assert.strictEqual(progress.unwritten, 1)
    assert.deepStrictEqual(nextOf(progress.advance()), [])
  })

  it("passes what does not concern the consumer, and remembers that it has seen it", () => {
    const progress = new Progress([beginning(0)], new Set(), 3)
    assert.deepStrictEqual(progress.take(record(0, "anna"), false), Result.succeed("passed"))
    const [move] = progress.advance().moves
    assert.strictEqual(move?.now.next, 1n)
    assert.strictEqual(move?.now.seen.get(0), 1n)
    assert.strictEqual(progress.underWay, 0)
  })

  it("takes nothing twice, neither from the log nor published again", () => {
    const progress = begun("anna")
    assert.deepStrictEqual(progress.take(record(0, "anna"), true), Result.succeed("passed"))
    assert.deepStrictEqual(progress.take(record(1, "anna", { position: 1n }), true), Result.succeed("passed"))
    assert.strictEqual(progress.underWay, 1)
  })

  it("parks a key with what is queued behind it, and what comes later", () => {
    const progress = begun("anna", "anna", "ben", "anna")
    progress.park("anna", refused)
    assert.strictEqual(progress.next("anna"), undefined)
    assert.deepStrictEqual(progress.take(record(4, "anna"), true), Result.succeed("waits"))
    progress.delivered("ben")
    const advance = progress.advance()
    assert.deepStrictEqual(nextOf(advance), [5])
    assert.deepStrictEqual(parkedOf(advance), [
      ["anna 0", "refused"],
      ["anna 1", "behind"],
      ["anna 3", "behind"],
      ["anna 4", "behind"]
    ])
  })

  it("frees a key only when nothing of it is on its way to the park", () => {
    const progress = begun("anna")
    progress.park("anna", refused)
    assert.isFalse(progress.free("anna"))
    const advance = progress.advance()
    progress.take(record(1, "anna"), true)
    progress.written(advance)
    assert.isFalse(progress.free("anna"))
    progress.written(progress.advance())
    assert.isTrue(progress.free("anna"))
    assert.deepStrictEqual(progress.take(record(2, "anna"), true), Result.succeed("to deliver"))
  })

  it("has room for so many parked keys and no more", () => {
    const progress = begun("anna", "ben", "carol", "dave")
    for (const key of ["anna", "ben", "carol"]) {
      assert.isTrue(progress.hasRoom)
      progress.park(key, refused)
    }
    assert.isFalse(progress.hasRoom)
  })

  it("stops a partition at a record that cannot be read: it is not passed, ever", () => {
    const progress = new Progress([beginning(0), beginning(1)], new Set(), 3)
    progress.take(record(0, "anna"), true)
    assert.isTrue(Result.isFailure(progress.take(record(1, ""), true)))
    assert.deepStrictEqual(progress.take(record(2, "anna"), true), Result.succeed("passed"))
    assert.deepStrictEqual(
      progress.take(record(0, "ben", { partition: 1, source: 1 }), true),
      Result.succeed("to deliver")
    )
    progress.delivered("anna")
    progress.delivered("ben")
    const advance = progress.advance()
    assert.deepStrictEqual(advance.moves.map(({ now }) => [now.partition, Number(now.next)]), [[0, 1], [1, 1]])
  })
})

const keys = ["a", "b", "c", "d", "e"]
const partitions = 2
const partitionOf = (key: string) => keys.indexOf(key) % partitions

const Event = Schema.Struct({
  key: Schema.Literals(keys),
  isFact: Schema.Boolean,
  isPoison: Schema.Boolean,
  source: Schema.Literals([0, 1])
})

const Happening = Schema.Struct({
  what: Schema.Literals(["take", "take", "deliver", "deliver", "write", "look", "retry", "release", "crash"]),
  which: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1_000 }))
})

/** A consumer over a log, with a database that survives it, whatever happens to happen. */
class World {
  readonly log: ReadonlyArray<ReadonlyArray<Delivered & { readonly isFact: boolean }>>
  readonly poison: Set<string>
  /** What was told, in the order in which it was, replays too. */
  readonly told: Array<LogRecord> = []
  places = Array.from({ length: partitions }, (_, partition) => beginning(partition))
  park: Array<{ record: LogRecord; trouble: Trouble | null; status: "waiting" | "delivered" }> = []
  progress: Progress
  at: Array<number>

  constructor(events: ReadonlyArray<typeof Event.Type>) {
    const log: Array<Array<Delivered & { readonly isFact: boolean }>> = Array.from({ length: partitions }, () => [])
    this.poison = new Set()
    events.forEach(({ isFact, isPoison, key, source }, index) => {
      const records = log[partitionOf(key)]
      const subject = `${key} ${index}`
      if (isPoison) this.poison.add(subject)
      records?.push({
        ...record(records.length, key, { partition: partitionOf(key), position: BigInt(index + 1), source, subject }),
        isFact
      })
    })
    this.log = log
    this.progress = this.begin()
    this.at = this.places.map(() => 0)
  }

  begin() {
    this.at = this.places.map(({ next }) => Number(next))
    const parked = new Set(this.park.filter(({ status }) => status === "waiting").map(({ record }) => record.key))
    this.progress = new Progress(this.places, parked, keys.length)
    return this.progress
  }

  take(which: number) {
    const partition = which % partitions
    const next = this.log[partition]?.[this.at[partition] ?? 0]
    if (next === undefined) return
    this.at[partition] = (this.at[partition] ?? 0) + 1
    this.progress.take(next, next.isFact)
  }

  deliver(which: number) {
    const ready = keys.filter((key) => this.progress.next(key) !== undefined)
    const key = ready[which % ready.length]
    const next = key === undefined ? undefined : this.progress.next(key)
    if (key === undefined || next === undefined) return
    if (this.poison.has(next.subject)) this.progress.park(key, refused)
    else {
      this.told.push(next)
      this.progress.delivered(key)
    }
  }

  write() {
    const advance = this.progress.advance()
    for (const { now, was } of advance.moves) {
      assert.strictEqual(this.places[now.partition]?.next, was.next)
      this.places[now.partition] = now
    }
    for (const { record, trouble } of advance.parked) this.park.push({ record, trouble, status: "waiting" })
    this.progress.written(advance)
  }

  firstOf(key: string) {
    return this.park.find(({ record, status }) => record.key === key && status === "waiting")
  }

  look() {
    for (const key of this.progress.parkedKeys) if (this.firstOf(key) === undefined) this.progress.free(key)
  }

  retry(which: number) {
    const troubled = keys.flatMap((key) => this.firstOf(key) ?? []).filter(({ trouble }) => trouble !== null)
    const first = troubled[which % troubled.length]
    if (first === undefined) return
    first.trouble = null
    this.poison.delete(first.record.subject)
  }

  release(which: number) {
    const due = [...this.progress.parkedKeys].flatMap((key) => this.firstOf(key) ?? [])
      .filter(({ trouble }) => trouble === null)
    const first = due[which % due.length]
    if (first === undefined) return
    if (this.poison.has(first.record.subject)) first.trouble = refused
    else {
      this.told.push(first.record)
      first.status = "delivered"
    }
  }

  happens({ what, which }: typeof Happening.Type) {
    if (what === "crash") this.begin()
    else this[what](which)
    this.holds()
  }

  /** Nothing that is behind a place is lost, and nothing is told before what came before it for the same key. */
  holds() {
    const told = new Set<string>()
    for (const { key, subject } of this.told) {
      const earlier = this.log.flat().filter((each) => each.key === key && each.isFact)
      for (const each of earlier.slice(0, earlier.findIndex((each) => each.subject === subject))) {
        assert.isTrue(told.has(each.subject), `${each.subject} was told before ${subject}`)
      }
      told.add(subject)
    }
    const parked = new Set(this.park.map(({ record }) => record.subject))
    assert.strictEqual(parked.size, this.park.length, "each is parked once")
    for (const { next, partition } of this.places) {
      for (const { isFact, subject } of this.log[partition]?.slice(0, Number(next)) ?? []) {
        assert.isTrue(!isFact || told.has(subject) || parked.has(subject), `${subject} is told or parked`)
      }
    }
  }

  /** Everything is taken, everything is mended, and everything is told. */
  finish() {
    const turns = this.log.flat().length * 8 + 8
    for (let turn = 0; turn < turns; turn++) {
      for (const what of ["take", "deliver", "write", "retry", "release", "look"] as const) this[what](turn)
    }
    this.holds()
    const told = new Set(this.told.map(({ subject }) => subject))
    const facts = this.log.flat().filter(({ isFact }) => isFact)
    assert.deepStrictEqual(facts.filter(({ subject }) => !told.has(subject)), [])
    assert.deepStrictEqual(this.places.map(({ next }) => Number(next)), this.log.map((records) => records.length))
    assert.deepStrictEqual([...this.progress.parkedKeys], [])
    assert.deepStrictEqual([this.progress.underWay, this.progress.unwritten], [0, 0])
  }
}

describe("progress, whatever happens", () => {
  it.prop(
    "loses nothing and keeps the order of each key: with poison, retries and crashes at any moment",
    [
      Schema.Array(Event).check(Schema.isMaxLength(24)),
      Schema.Array(Happening).check(Schema.isMaxLength(120))
    ],
    ([events, happenings]) => {
      const world = new World(events)
      for (const happening of happenings) world.happens(happening)
      world.finish()
    },
    { arbitrary: { runs: 1_000 } }
  )
})
