/**
 * The notifier over real PostgreSQL, with a receiver on a real socket: every fact at least once, in order for each account;
 * what cannot be delivered is parked, and nobody else waits for it.
 */
import { expect, layer } from "@effect/vitest"
import {
  Clock,
  Context,
  Deferred,
  Duration,
  Effect,
  Fiber,
  Layer,
  Metric,
  Option,
  Redacted,
  References,
  Schedule
} from "effect"
import { Consumer, type ConsumerLease, ConsumerState, ConsumerUnavailable } from "#domain/messaging/Consumer.ts"
import { EventLog, type LogRecord } from "#domain/messaging/EventLog.ts"
import { Parked, type ParkedMessage } from "#domain/messaging/Parked.ts"
import { partitionOf } from "#domain/sharding/Partition.ts"
import * as PgConsumer from "#infra/postgres/PgConsumer.ts"
import * as PgEventLog from "#infra/postgres/PgEventLog.ts"
import * as Metrics from "#infra/telemetry/Metrics.ts"
import * as WebhookReceiver from "#infra/webhook/WebhookReceiver.ts"
import { notifier, type NotifierOptions } from "../../apps/notifier/Notifier.ts"
import { TestPostgres } from "../support/TestPostgres.ts"
import { answering, type Endpoint, endpoint, keyOf, newSecret, type Sent, verifies } from "./Endpoint.ts"

const partitions = 4
const secret = newSecret()

const options: NotifierOptions = {
  partitions,
  atOnce: 4,
  tries: 4,
  patience: Duration.minutes(1),
  mostParked: 3,
  pauses: { shortest: Duration.millis(1), longest: Duration.millis(4) }
}

/** An event log with facts in it, a receiver, and the database of a notifier; nothing runs yet. */
const world = Effect.gen(function*() {
  const postgres = yield* TestPostgres
  const log = Context.get(
    yield* Layer.build(Layer.fresh(PgEventLog.layer({ url: yield* postgres.freshLog }))),
    EventLog
  )
  const url = yield* postgres.freshConsumer("notifier")
  const at = yield* endpoint
  const writer = yield* log.writer(0)
  let position = 0
  let published = 0

  /** Publishes a fact of each key, in this order; answers their ids. */
  const publish = Effect.fnUntraced(function*(keys: ReadonlyArray<string>, rest: Partial<LogRecord> = {}) {
    const records = keys.map((key) => fact(key, position += 3, rest))
    yield* writer.append(records)
    published += records.length
    return records.map(({ position, source }) => `${source}-${position}`)
  })

  /** A process of its own: another holder, with connections of its own. */
  const process = Layer.build(Layer.fresh(Layer.mergeAll(
    PgConsumer.layer({ url, consumer: "notifier", holder: crypto.randomUUID(), timeToLive: Duration.seconds(10) }),
    WebhookReceiver.layer({
      url: Redacted.make(at.url),
      secrets: [Redacted.make(keyOf(secret))],
      timeout: Duration.seconds(2)
    })
  ))).pipe(
    Effect.map((services) => Context.add(services, EventLog, log).pipe(Context.add(References.MinimumLogLevel, "None")))
  )

  const start = Effect.fnUntraced(function*(changed: Partial<NotifierOptions> = {}) {
    const services = yield* process
    return yield* Effect.forkScoped(Effect.provideContext(notifier({ ...options, ...changed }), services))
  })

  const operator = yield* process
  const parked = Context.get(operator, Parked)

  const waiting = parked.list({ status: "waiting", key: null, after: 0n, most: 1000 })

  /** Waits until the park looks as is meant. */
  const parkedUntil = (isMeant: (messages: ReadonlyArray<ParkedMessage>) => boolean) =>
    waiting.pipe(Effect.repeat({ until: isMeant, schedule: Schedule.spaced("10 millis") }))

  /** How many records the places have passed. */
  const passed = Effect.gen(function*() {
    const consumer = Context.get(operator, Consumer)
    const lease = Option.getOrThrow(yield* consumer.acquire)
    const all = Array.from({ length: partitions }, (_, partition) => partition)
    const { places } = yield* consumer.transact(lease, ConsumerState.use((state) => state.load(log.identity, all)))
    yield* consumer.release(lease)
    return places.reduce((sum, { next }) => sum + Number(next), 0)
  })

  return { at, log, parked, parkedUntil, passed, process, publish, published: () => published, start, waiting, writer }
})

const fact = (key: string, position: number, rest: Partial<LogRecord> = {}): LogRecord => ({
  partition: partitionOf(key, partitions),
  source: 0,
  position: BigInt(position),
  key,
  type: "transfer.committed",
  subject: "trf_01KAJ7QZ6C0NV5XJ9A4T7MZB3D",
  payload: JSON.stringify({
    transfer: "trf_01KAJ7QZ6C0NV5XJ9A4T7MZB3D",
    source: key,
    destination: "shop",
    amount: String(position),
    currency: "EUR"
  }),
  occurredAtMillis: 1_790_000_000_000 + position,
  traceparent: null,
  requestId: null,
  ...rest
})

const keyIn = ({ body }: Sent): string => JSON.parse(body).data.source

/** The ids that a receiver has answered with 2xx, by key; what was repeated is left out. */
const accepting = (at: Endpoint, answer: (sent: Sent) => number = () => 204) => {
  const accepted = new Map<string, Array<string>>()
  at.answer = (sent, response) => {
    const status = answer(sent)
    answering(status)(sent, response)
    if (status >= 300) return
    const ids = accepted.get(keyIn(sent)) ?? []
    accepted.set(keyIn(sent), ids)
    const id = String(sent.headers["webhook-id"])
    if (!ids.includes(id)) ids.push(id)
  }
  return {
    of: (key: string): ReadonlyArray<string> => accepted.get(key) ?? [],
    count: () => [...accepted.values()].reduce((sum, ids) => sum + ids.length, 0)
  }
}

/** Waits until a gauge shows what it should. */
const shown = (gauge: typeof Metrics.notifierStopped, wanted: number) =>
  Effect.repeat(Metric.value(gauge), { until: ({ value }) => value === wanted, schedule: Schedule.spaced("10 millis") })

const byOlga = { name: "olga", reason: "the receiver was mended" }

layer(TestPostgres.layer, { excludeTestServices: true, timeout: "1 minute" })("the notifier", (it) => {
  it.effect("tells every fact once, in order for each account, signed, and nothing else", () =>
    Effect.gen(function*() {
      const { at, passed, publish, published, start, waiting } = yield* world
      const accepted = accepting(at)
      const anna = yield* publish(Array.from({ length: 40 }, () => "anna"))
      yield* publish(["anna", "ben"], { type: "transfer.held" })
      yield* publish(["ben"], { type: "transfer.requested" })
      const running = yield* start()
      const ben = yield* publish(Array.from({ length: 40 }, () => "ben"))
      yield* at.until(({ sent }) => sent.length === 80)
      yield* Fiber.interrupt(running)
      expect(accepted.of("anna")).toEqual(anna)
      expect(accepted.of("ben")).toEqual(ben)
      const now = yield* Clock.currentTimeMillis
      expect(at.sent.every((sent) => verifies(sent, secret, now))).toBe(true)
      expect(JSON.parse(at.sent.find((sent) => keyIn(sent) === "anna")?.body ?? "")).toEqual({
        type: "transfer.committed",
        timestamp: new Date(1_790_000_000_003).toISOString(),
        data: {
          id: "trf_01KAJ7QZ6C0NV5XJ9A4T7MZB3D",
          object: "transfer",
          status: "committed",
          source: "anna",
          destination: "shop",
          amount: "3",
          currency: "EUR"
        }
      })
      expect(yield* waiting).toEqual([])
      expect(yield* passed).toBe(published())
      // Another process begins where this one ended, and tells only what is new.
      yield* start()
      const [last] = yield* publish(["ben"])
      yield* at.until(({ ids }) => ids.includes(last ?? ""))
      expect(at.sent.length).toBe(81)
    }))

  it.effect("tells many accounts at once, as many as it may, and each of them one after the other", () =>
    Effect.gen(function*() {
      const { at, publish, start } = yield* world
      const open: Array<() => void> = []
      let most = 0
      const underWay = new Map<string, number>()
      let mostOfOne = 0
      at.answer = (sent, response) => {
        underWay.set(keyIn(sent), (underWay.get(keyIn(sent)) ?? 0) + 1)
        mostOfOne = Math.max(mostOfOne, underWay.get(keyIn(sent)) ?? 0)
        open.push(() => {
          underWay.set(keyIn(sent), (underWay.get(keyIn(sent)) ?? 0) - 1)
          answering(204)(sent, response)
        })
        most = Math.max(most, open.length)
      }
      const keys = ["anna", "ben", "carol", "dave", "erin", "frank"]
      yield* publish([...keys, ...keys])
      yield* start({ atOnce: 4 })
      for (let sent = 4; sent <= 12; sent++) {
        yield* at.until((each) => each.sent.length >= sent)
        open.shift()?.()
      }
      for (const answer of open) answer()
      yield* at.until(({ sent }) => sent.length === 12)
      expect([most, mostOfOne]).toEqual([4, 1])
    }))

  it.effect("parks an account whose message is refused: others go on, and it waits, in order, until it is released", () =>
    Effect.gen(function*() {
      const { at, parked, parkedUntil, publish, start } = yield* world
      let poison = ""
      const accepted = accepting(at, ({ headers }) => headers["webhook-id"] === poison ? 410 : 204)
      const first = yield* publish(["anna", "ben", "anna", "ben", "anna"])
      poison = first[2] ?? ""
      yield* start()
      yield* parkedUntil((waiting) => waiting.length === 2)
      const later = yield* publish(["anna", "ben", "anna", "carol"])
      const waiting = yield* parkedUntil(({ length }) => length === 4)
      yield* at.until(() => accepted.of("carol").length === 1)
      expect(accepted.of("anna")).toEqual([first[0]])
      expect(accepted.of("ben")).toEqual([first[1], first[3], later[1]])
      expect(waiting.map((message) => [`${message.source}-${message.position}`, message.trouble])).toEqual([
        [poison, { class: "refused", detail: "answered 410", tries: 1 }],
        [first[4], null],
        [later[0], null],
        [later[2], null]
      ])

      // It is retried too early: it waits again, and nobody has overtaken it.
      const number = waiting[0]?.number ?? 0n
      yield* parked.retry([number], byOlga)
      yield* parkedUntil(([head]) => head?.trouble !== null)
      expect(accepted.of("anna")).toEqual([first[0]])

      poison = ""
      yield* parked.retry([number], byOlga)
      yield* parkedUntil(({ length }) => length === 0)
      const inOrder = [first[0], first[2], first[4], later[0], later[2]]
      expect(accepted.of("anna")).toEqual(inOrder)
      const [last] = yield* publish(["anna"])
      yield* at.until(() => accepted.of("anna").length === 6)
      expect(accepted.of("anna")).toEqual([...inOrder, last])
      const shown = Option.getOrThrow(yield* parked.show(number))
      expect(shown.message.status).toBe("delivered")
      expect(shown.retries).toHaveLength(2)
    }))

  it.effect("keeps the order of an account that is released while more of it comes all the time", () =>
    Effect.gen(function*() {
      const { at, parked, parkedUntil, publish, start } = yield* world
      let isBroken = true
      const accepted = accepting(at, (sent) => isBroken && keyIn(sent) === "anna" ? 400 : 204)
      const ids = yield* publish(Array.from({ length: 130 }, () => "anna"))
      yield* start()
      const [head] = yield* parkedUntil(({ length }) => length === 130)
      isBroken = false
      yield* parked.retry([head?.number ?? 0n], byOlga)
      for (let batch = 0; batch < 20; batch++) {
        ids.push(...yield* publish(["anna", "ben", "anna"]).pipe(Effect.map(([one = "", , two = ""]) => [one, two])))
        yield* at.until(() => accepted.of("anna").length > 130 + batch)
      }
      yield* at.until(() => accepted.of("anna").length === ids.length)
      expect(accepted.of("anna")).toEqual(ids)
      yield* parkedUntil(({ length }) => length === 0)
    }))

  it.effect("parks what cannot be read, without asking the receiver; discarded, it makes way for what comes after it", () =>
    Effect.gen(function*() {
      const { at, parked, parkedUntil, publish, start } = yield* world
      const accepted = accepting(at)
      const [unread] = yield* publish(["anna"], { payload: `{"transfer": "?"}` })
      const [next] = yield* publish(["anna"])
      yield* start()
      const [head] = yield* parkedUntil(({ length }) => length === 2)
      expect(head?.trouble).toMatchObject({ class: "undecodable", tries: 0 })
      yield* parked.discard([head?.number ?? 0n], { name: "olga", reason: "told by telephone" })
      yield* at.until(() => accepted.of("anna").length === 1)
      expect(accepted.of("anna")).toEqual([next])
      expect(at.ids).not.toContain(unread)
      yield* parkedUntil(({ length }) => length === 0)
      const { message } = Option.getOrThrow(yield* parked.show(head?.number ?? 0n))
      expect(message).toMatchObject({ status: "discarded", discarded: { name: "olga", reason: "told by telephone" } })
    }))

  it.effect("goes on with an account when all that waited of it was discarded", () =>
    Effect.gen(function*() {
      const { at, parked, parkedUntil, publish, start } = yield* world
      let isBroken = true
      const accepted = accepting(at, () => isBroken ? 410 : 204)
      yield* publish(["anna", "anna"])
      yield* start()
      const waiting = yield* parkedUntil(({ length }) => length === 2)
      isBroken = false
      yield* parked.discard(waiting.map(({ number }) => number), byOlga)
      const ids: Array<string> = []
      // The notifier learns of it within its next looks; whatever comes before that waits for a moment, and follows.
      for (let each = 0; each < 5; each++) {
        ids.push(...yield* publish(["anna"]))
        yield* at.until(() => accepted.of("anna").length === ids.length)
      }
      expect(accepted.of("anna")).toEqual(ids)
    }))

  it.effect("tries again what may pass, in the order of its account, with the same id; others don't wait for it", () =>
    Effect.gen(function*() {
      const { at, publish, start, waiting } = yield* world
      const failures = new Map<string, number>()
      const accepted = accepting(at, (sent) => {
        if (keyIn(sent) !== "anna") return 204
        const id = String(sent.headers["webhook-id"])
        failures.set(id, (failures.get(id) ?? 0) + 1)
        return (failures.get(id) ?? 0) < 3 ? 503 : 204
      })
      const ids = yield* publish(["anna", "ben", "anna", "ben", "anna", "ben"])
      yield* start({ tries: 10 })
      yield* at.until(() => accepted.count() === 6)
      expect(accepted.of("anna")).toEqual([ids[0], ids[2], ids[4]])
      expect(at.ids.filter((id) => id === ids[2])).toHaveLength(3)
      expect(yield* waiting).toEqual([])
    }))

  it.effect("waits as long as the receiver asks to be left alone", () =>
    Effect.gen(function*() {
      const { at, publish, start } = yield* world
      const times: Array<number> = []
      const clock = yield* Clock.Clock
      at.answer = (sent, response) => {
        times.push(clock.currentTimeMillisUnsafe())
        answering(times.length === 1 ? 429 : 204, { "retry-after": "1" })(sent, response)
      }
      yield* publish(["anna"])
      yield* start()
      yield* at.until(({ sent }) => sent.length === 2)
      expect((times[1] ?? 0) - (times[0] ?? 0)).toBeGreaterThanOrEqual(990)
    }))

  it.effect("parks an account that fails again and again while others get through", () =>
    Effect.gen(function*() {
      const { at, parkedUntil, publish, start } = yield* world
      const accepted = accepting(at, (sent) => keyIn(sent) === "anna" ? 500 : 204)
      const [head] = yield* publish(["anna", "anna"])
      yield* start()
      yield* at.until(({ sent }) => sent.length > 2)
      const others = yield* publish(["ben", "carol", "ben"])
      const waiting = yield* parkedUntil(({ length }) => length === 2)
      expect(`0-${waiting[0]?.position}`).toBe(head)
      expect(waiting[0]?.trouble).toMatchObject({ class: "failing", detail: "answered 500" })
      expect(waiting[0]?.trouble?.tries).toBeGreaterThanOrEqual(options.tries)
      yield* at.until(() => accepted.count() === others.length)
    }))

  it.effect("parks nobody while the receiver takes nothing at all, and goes on when it does", () =>
    Effect.gen(function*() {
      const { at, publish, start, waiting } = yield* world
      let isDown = true
      const accepted = accepting(at, () => isDown ? 503 : 204)
      const keys = ["anna", "ben", "carol", "dave", "erin", "frank"]
      const ids = yield* publish([...keys, ...keys])
      yield* start()
      yield* at.until(({ sent }) => keys.every((key) => sent.filter((each) => keyIn(each) === key).length > 12))
      expect(yield* waiting).toEqual([])
      isDown = false
      yield* at.until(() => accepted.count() === 12)
      keys.forEach((key, index) => expect(accepted.of(key)).toEqual([ids[index], ids[index + 6]]))
      expect(yield* waiting).toEqual([])
    }))

  it.effect("has patience with a receiver that takes nothing, but not for ever", () =>
    Effect.gen(function*() {
      const { at, parkedUntil, publish, start } = yield* world
      at.answer = answering(500)
      yield* publish(["anna"])
      yield* start({ patience: Duration.millis(50) })
      const [head] = yield* parkedUntil(({ length }) => length === 1)
      expect(head?.trouble?.class).toBe("failing")
    }))

  it.effect("stops where more accounts would be parked than may be, says so, and goes on when there is room", () =>
    Effect.gen(function*() {
      const { at, parked, parkedUntil, publish, start } = yield* world
      let isBroken = true
      const accepted = accepting(at, (sent) => isBroken && keyIn(sent) !== "zoe" ? 404 : 204)
      yield* publish(["anna", "ben", "zoe"])
      yield* start({ mostParked: 2 })
      const first = yield* parkedUntil(({ length }) => length === 2)
      yield* publish(["zoe"])
      yield* at.until(() => accepted.count() === 2)
      // Two may be parked, and others go on. The third has no room: now nothing goes on.
      const [third] = yield* publish(["carol"])
      yield* shown(Metrics.notifierStopped, 1)
      const [untold] = yield* publish(["zoe"])
      const headOf = (key: string, waiting: ReadonlyArray<ParkedMessage>) => waiting.find((each) => each.key === key)
      const [anna, ben] = ["anna", "ben"].map((key) => headOf(key, first)?.number ?? 0n)
      // What people decide is worked all the same.
      const before = at.sent.length
      yield* parked.retry([anna ?? 0n], byOlga)
      const waiting = yield* parkedUntil((waiting) =>
        at.sent.length > before && headOf("anna", waiting)?.trouble !== null
      )
      expect(waiting.map(({ key }) => key).toSorted()).toEqual(["anna", "ben"])
      expect(at.ids).not.toContain(untold)

      yield* parked.discard([ben ?? 0n], byOlga)
      yield* parkedUntil((waiting) => waiting.some(({ key }) => key === "carol"))
      yield* at.until(({ ids }) => ids.includes(untold ?? ""))
      isBroken = false
      const left = yield* parkedUntil(({ length }) => length === 2)
      yield* parked.retry(left.map(({ number }) => number), byOlga)
      yield* parkedUntil(({ length }) => length === 0)
      expect(accepted.of("carol")).toEqual([third])
    }))

  it.effect("stops a partition at a record that cannot even be parked; nothing passes it, and others go on", () =>
    Effect.gen(function*() {
      const { at, log, publish, start } = yield* world
      const accepted = accepting(at)
      const other = ["ben", "carol", "dave"].find((key) =>
        partitionOf(key, partitions) !== partitionOf("anna", partitions)
      )
      const partition = partitionOf("anna", partitions)
      yield* publish(["anna"])
      yield* publish(["\ufffd"], { partition })
      yield* publish(["anna"])
      const running = yield* start()
      yield* publish([other ?? "", other ?? ""])
      yield* at.until(() => accepted.count() === 3)
      expect(accepted.of("anna")).toHaveLength(1)
      yield* shown(Metrics.notifierPartitionsStopped, 1)
      yield* Fiber.interrupt(running)
      yield* shown(Metrics.notifierPartitionsStopped, 0)
      expect((yield* log.bounds([partition])).get(partition)?.end).toBe(3n)
      // Whoever comes next meets it again.
      yield* start()
      yield* publish([other ?? ""])
      yield* at.until(() => accepted.count() === 4)
      expect(accepted.of("anna")).toHaveLength(1)
    }))

  it.effect("tells again, with the same id, what it had told when it was killed before that was written down", () =>
    Effect.gen(function*() {
      const { at, process, publish, start } = yield* world
      const accepted = accepting(at)
      const keys = ["anna", "ben", "anna", "carol", "anna", "ben"]
      const ids = yield* publish(keys)
      const mortal = yield* process
      const consumer = Context.get(mortal, Consumer)
      // It reads its places; nothing that it does after that reaches its database.
      let transactions = 0
      const cutOff = yield* Deferred.make<never, ConsumerUnavailable>()
      const killed = Consumer.of({
        ...consumer,
        transact: <A, E, R>(lease: ConsumerLease, work: Effect.Effect<A, E, R>) =>
          transactions++ === 0 ? consumer.transact(lease, work) : Deferred.await(cutOff)
      })
      const first = yield* Effect.forkChild(
        notifier(options).pipe(Effect.provideContext(Context.add(mortal, Consumer, killed)))
      )
      yield* at.until(({ sent }) => sent.length === 6)
      const told = [...at.ids]
      yield* Deferred.fail(cutOff, ConsumerUnavailable.make({ consumer: "notifier", cause: "cut off" }))
      yield* Fiber.interrupt(first)
      yield* start()
      yield* at.until(({ sent }) => sent.length === 12)
      expect(at.ids.slice(6).toSorted()).toEqual(told.toSorted())
      expect(told.toSorted()).toEqual(ids.toSorted())
      for (const half of [at.ids.slice(0, 6), at.ids.slice(6)]) {
        for (const key of ["anna", "ben", "carol"]) {
          const wanted = ids.filter((_, index) => keys[index] === key)
          expect(half.filter((id) => wanted.includes(id))).toEqual(wanted)
        }
      }
      const [last] = yield* publish(["anna"])
      yield* at.until(({ ids }) => ids.includes(last ?? ""))
      expect(accepted.of("anna").at(-1)).toBe(last)
      expect(at.sent.length).toBe(13)
    }))

  it.effect("lets arrive what is on its way when it is told to stop, and does not tell it again", () =>
    Effect.gen(function*() {
      const { at, publish, start } = yield* world
      const open: Array<() => void> = []
      at.answer = (sent, response) => {
        open.push(() => answering(204)(sent, response))
      }
      const ids = yield* publish(["anna", "anna", "ben"])
      const running = yield* start()
      yield* at.until(({ sent }) => sent.length === 2)
      const stopping = yield* Effect.forkChild(Fiber.interrupt(running))
      yield* Effect.yieldNow
      for (const answer of open) answer()
      yield* Fiber.join(stopping)
      at.answer = answering(204)
      yield* start()
      yield* at.until(({ sent }) => sent.length === 3)
      expect(at.ids.toSorted()).toEqual(ids.toSorted())
    }))

  it.effect("is one of several that are started, and another takes over when it ends", () =>
    Effect.gen(function*() {
      const { at, publish, start } = yield* world
      const running = [yield* start(), yield* start(), yield* start()]
      let told = 0
      for (const each of running) {
        const ids = yield* publish(["anna", "ben", "anna"])
        told += ids.length
        yield* at.until((endpoint) => ids.every((id) => endpoint.ids.includes(id)))
        expect(at.sent.length).toBe(told)
        yield* Fiber.interrupt(each)
      }
    }))

  it.effect("does not tell a log again that was lost and is published anew", () =>
    Effect.gen(function*() {
      const { at, process, publish, start } = yield* world
      const postgres = yield* TestPostgres
      const running = yield* start()
      yield* publish(["anna", "ben"])
      yield* at.until(({ sent }) => sent.length === 2)
      yield* Fiber.interrupt(running)

      const anew = Context.get(
        yield* Layer.build(Layer.fresh(PgEventLog.layer({ url: yield* postgres.freshLog }))),
        EventLog
      )
      const writer = yield* anew.writer(0)
      yield* writer.append([fact("anna", 3), fact("ben", 6), fact("anna", 9)])
      const services = Context.add(yield* process, EventLog, anew)
      yield* Effect.forkScoped(Effect.provideContext(notifier(options), services))
      yield* at.until(({ ids }) => ids.includes("0-9"))
      expect(at.ids.toSorted()).toEqual(["0-3", "0-6", "0-9"])
    }))
})
