/**
 * The event log in Kafka, by kafkajs, of which nothing is seen outside this file.
 *
 * Who reads which partition is decided by leases, so readers need no consumer groups and take part in none: they fetch the
 * partitions they are told, from the offsets they are told. No rebalance can pause them, no group coordinator be missing,
 * and an offset that the topic does not have is an error; kafkajs's consumer would go on from the earliest instead.
 *
 * They read what is appended as soon as it is, whether or not its transaction is committed. That is as true, since a
 * shard's log holds only what was committed there, and it is safer. Of two overlapping aborted transactions kafkajs, when
 * it reads committed records only, lets some records through and not others (seen with Kafka 4.1; test/messaging keeps
 * it). A consumer that has acted on a later one takes the earlier ones, appended again, for replays: they are lost. Nor
 * does a writer that was killed in the middle of an append hold anybody up. Transactions are there to fence writers, and
 * for readers who are not ours.
 *
 * The first record of partition 0 founds the log and names it: a topic that was lost and is made anew is another log.
 */
import {
  Cause,
  Clock,
  Deferred,
  Effect,
  Latch,
  Layer,
  Predicate,
  Schedule,
  Schema,
  type Scope,
  Semaphore
} from "effect"
import { type Broker, type Cluster, type IHeaders, Kafka, type LogEntry, logLevel, type Message } from "kafkajs"
import { randomUUID } from "node:crypto"
import { createRequire } from "node:module"
import {
  AppendAmbiguous,
  type Bounds,
  type Delivered,
  EventLog,
  EventLogUnavailable,
  type LogRecord,
  OffsetOutOfRange,
  WriterFenced
} from "#domain/messaging/EventLog.ts"
import type { ShardId } from "#domain/sharding/ShardMap.ts"
import { frontierOf } from "./KafkaFrontier.ts"

export interface Options {
  readonly brokers: ReadonlyArray<string>
  /** `transfers`, unless told otherwise. */
  readonly topic?: string
  /** How many partitions the topic has, or is made with. */
  readonly partitions: number
  /** Appends in transactions, by which a newer writer of a shard stops the older one. True unless told otherwise. */
  readonly transactions?: boolean
}

/** The topic is there, but is not what it has to be, and will not become it. Nothing was changed. */
export class UnusableTopic extends Schema.TaggedError<UnusableTopic>()("UnusableTopic", {
  topic: Schema.String,
  why: Schema.String
}) {
  override get message() {
    return `the Kafka topic ${this.topic} cannot be the event log: ${this.why}`
  }
}

const isUnusableTopic = Schema.is(UnusableTopic)

// ---- settings, each with its reason

/**
 * kafkajs waits 300 ms before it tries again, and tries again after every transaction: Kafka is not yet through with the
 * last one when the next begins.
 */
const retry = { initialRetryTime: 5, multiplier: 1.5, factor: 0.2, maxRetryTime: 250, retries: 30 }
/** Without transactions a writer that was given up may still be trying: it must have stopped before its lease ends. */
const fewRetries = { ...retry, retries: 8 }
/** How long anything but a fetch may take, kafkajs's own retries included. */
const patience = "15 seconds"
/**
 * A fetch waits so long for a first record; a reader that is closed waits for its fetch. While a partition is left out
 * for lack of room the others wait less, as it can be asked for again only then.
 */
const longPollMillis = { idle: 250, full: 20 }
/** An answer has at most so many bytes, of one partition and in all: records are decoded all at once. */
const fetchBytes = { partition: 512 * 1024, all: 2 * 1024 * 1024 }
/** A partition that has so many records waiting is not fetched until some were taken. */
const roomPerPartition = 2_000
/** A send has at most so many bytes for one partition, of the 1 MB that Kafka takes, and in all. */
const sendBytes = { partition: 700 * 1024, all: 8 * 1024 * 1024 }
/** Takes begin to fail when a reader has not reached Kafka for so long; it goes on trying. */
const readerPatienceMillis = 5_000

// ---- records, as CloudEvents 1.0 in Kafka's binary form

const typeOf = (type: string) => `io.counterpoise.${type}.v1`
const founding = typeOf("log.founded")

const messageOf = (record: LogRecord): Message & { readonly partition: number; readonly value: Buffer } => ({
  partition: record.partition,
  key: record.key,
  value: Buffer.from(record.payload),
  headers: {
    ce_specversion: "1.0",
    ce_id: `${record.source}-${record.position}`,
    ce_source: `/ledger/shard/${record.source}`,
    ce_type: typeOf(record.type),
    ce_subject: record.subject,
    ce_time: new Date(record.occurredAtMillis).toISOString(),
    ce_partitionkey: record.key,
    ce_sequence: record.position.toString(),
    ...(record.traceparent === null ? {} : { traceparent: record.traceparent }),
    ...(record.requestId === null ? {} : { ce_requestid: record.requestId })
  }
})

const header = (headers: IHeaders, name: string): string | null => headers[name]?.toString() ?? null

/** What a message says, or undefined if it is none of ours. */
const recordOf = (partition: number, message: FetchedMessage): Delivered | undefined => {
  const headers = message.headers ?? {}
  const type = /^io\.counterpoise\.(.+)\.v1$/.exec(header(headers, "ce_type") ?? "")?.[1]
  const source = /^\/ledger\/shard\/(\d+)$/.exec(header(headers, "ce_source") ?? "")?.[1]
  const position = header(headers, "ce_sequence")
  const time = header(headers, "ce_time")
  if (type === undefined || source === undefined || position === null || time === null) return undefined
  return {
    partition,
    offset: BigInt(message.offset),
    source: Number(source),
    position: BigInt(position),
    key: message.key?.toString() ?? "",
    type,
    subject: header(headers, "ce_subject") ?? "",
    payload: message.value?.toString() ?? "",
    occurredAtMillis: Date.parse(time),
    traceparent: header(headers, "traceparent"),
    requestId: header(headers, "ce_requestid")
  }
}

/** Divides an append into sends that Kafka takes, in order. */
const sendsOf = (records: ReadonlyArray<LogRecord>): ReadonlyArray<ReadonlyArray<Message>> => {
  const sends: Array<Array<Message>> = []
  let bytesOf = new Map<number, number>()
  let all = 0
  for (const record of records) {
    const message = messageOf(record)
    const bytes = message.value.length + 600
    const ofPartition = (bytesOf.get(record.partition) ?? 0) + bytes
    all += bytes
    const current = sends.at(-1)
    if (current === undefined || ofPartition > sendBytes.partition || all > sendBytes.all) {
      sends.push([message])
      bytesOf = new Map([[record.partition, bytes]])
      all = bytes
    } else {
      current.push(message)
      bytesOf.set(record.partition, ofPartition)
    }
  }
  return sends
}

// ---- kafkajs

/** What kafkajs makes of an answer to a fetch; its own types say `any`. */
interface FetchedMessage {
  readonly offset: string
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers?: IHeaders
  /** The end of a transaction, which takes up an offset. */
  readonly isControlRecord?: boolean
}

interface Fetched {
  readonly responses: ReadonlyArray<{
    readonly partitions: ReadonlyArray<{
      readonly partition: number
      readonly messages: ReadonlyArray<FetchedMessage>
    }>
  }>
}

const readUncommitted = 0

const attempt = <A>(operation: string, evaluate: () => Promise<A>): Effect.Effect<A, EventLogUnavailable> =>
  Effect.tryPromise({ try: evaluate, catch: (cause) => EventLogUnavailable.make({ operation, cause }) }).pipe(
    Effect.timeoutOrElse({
      duration: patience,
      orElse: () =>
        Effect.fail(EventLogUnavailable.make({ operation, cause: new Error(`Kafka did not answer for ${patience}`) }))
    })
  )

/** An error and those that kafkajs wrapped in it. */
const causesOf = (error: unknown): ReadonlyArray<unknown> =>
  Predicate.hasProperty(error, "cause") && error.cause !== error && error.cause !== undefined
    ? [error, ...causesOf(error.cause)]
    : [error]

/** Is it one of these protocol errors? kafkajs knows the older ones by name, and has only a number for the newer. */
const isProtocolError = (error: unknown, types: ReadonlyArray<string>, codes: ReadonlyArray<number> = []) =>
  causesOf(error).some((cause) =>
    (Predicate.hasProperty(cause, "type") && typeof cause.type === "string" && types.includes(cause.type)) ||
    (Predicate.hasProperty(cause, "message") && codes.some((code) => cause.message === `Unknown error code ${code}`))
  )

const isFenced = (error: unknown) => isProtocolError(error, ["INVALID_PRODUCER_EPOCH"], [90])
const passes = (error: unknown) => Predicate.hasProperty(error, "retriable") && error.retriable === true
const isTooLarge = (error: unknown) => isProtocolError(error, ["MESSAGE_TOO_LARGE", "RECORD_LIST_TOO_LARGE"])
const isOutOfRange = (error: unknown) => isProtocolError(error, ["OFFSET_OUT_OF_RANGE"])

/** Gives up on a farewell that takes too long: the other side may be frozen. */
const farewell = (disconnect: () => Promise<void>) =>
  Effect.tryPromise(disconnect).pipe(Effect.interruptible, Effect.timeout("2 seconds"), Effect.ignore)

/** The queue of requests of a connection, as far as we touch it. */
interface RequestQueue {
  readonly pending: ReadonlyArray<unknown>
  readonly throttledUntil: number
  scheduleCheckPendingRequests: (this: RequestQueue) => void
}

/**
 * Lets kafkajs rest. On every connection it looks every millisecond whether there is a request to send, for ever, since
 * it sets its timer to a negative delay when nothing holds requests back: an idle reader costs 6 % of a core. Looking only
 * while there is a request, it costs 1 %. The file is not part of kafkajs's interface, but its version is fixed; without
 * the method nothing is changed.
 */
const letRest = () => {
  const { prototype }: { readonly prototype: RequestQueue } = createRequire(import.meta.url)(
    "kafkajs/src/network/requestQueue/index.js"
  )
  const schedule = prototype.scheduleCheckPendingRequests
  if (typeof schedule !== "function") return
  prototype.scheduleCheckPendingRequests = function() {
    if (this.pending.length > 0 || this.throttledUntil > Date.now()) schedule.call(this)
  }
}

letRest()

/**
 * The connections of a kafkajs client that reads. It shows them to partition assigners only, so one is set up that does
 * nothing else, in a consumer that is never run.
 */
const clusterOf = (kafka: Kafka): Cluster => {
  const shown: Array<Cluster> = []
  kafka.consumer({
    groupId: "never joined",
    readUncommitted: true,
    allowAutoTopicCreation: false,
    partitionAssigners: [({ cluster }) => {
      shown.push(cluster)
      const name = "none"
      return {
        name,
        version: 0,
        assign: () => Promise.resolve([]),
        protocol: () => ({ name, metadata: Buffer.alloc(0) })
      }
    }]
  })
  const [cluster] = shown
  if (cluster === undefined) throw new Error("kafkajs has not asked the partition assigner for its protocol")
  return cluster
}

const make = Effect.fnUntraced(function*(options: Options) {
  const topic = options.topic ?? "transfers"
  const transactions = options.transactions ?? true

  const run = Effect.runForkWith(yield* Effect.context<never>())
  const kafka = new Kafka({
    clientId: "counterpoise",
    brokers: [...options.brokers],
    connectionTimeout: 3_000,
    requestTimeout: 15_000,
    enforceRequestTimeout: true,
    retry,
    logLevel: logLevel.WARN,
    // kafkajs calls an error what it is about to try again. What stays one reaches us as such.
    logCreator: () => ({ log, namespace }: LogEntry) => {
      run(Effect.logDebug(`kafkajs ${namespace}: ${log.message}`, log))
    }
  })

  const connected = (operation: string) =>
    Effect.acquireRelease(
      Effect.sync(() => clusterOf(kafka)),
      (cluster) => farewell(() => cluster.disconnect())
    ).pipe(Effect.tap((cluster) =>
      attempt(operation, async () => {
        await cluster.connect()
        await cluster.addTargetTopic(topic)
      })
    ))

  /** Asks on connections of its own. What passes by itself, such as a leader that moves, is waited for. */
  const ask = <A, E>(
    operation: string,
    question: (cluster: Cluster) => Effect.Effect<A, E | EventLogUnavailable, Scope.Scope>
  ) =>
    connected(operation).pipe(
      Effect.flatMap(question),
      Effect.scoped,
      Effect.retry({
        schedule: Schedule.upTo(Schedule.spaced("20 millis"), { duration: patience }),
        while: (error) =>
          Predicate.isTagged(error, "EventLogUnavailable") && Predicate.hasProperty(error, "cause") &&
          passes(error.cause)
      })
    )

  const boundsIn = (cluster: Cluster, operation: string, partitions: ReadonlyArray<number>) =>
    attempt(operation, async () => {
      const offsets = async (fromBeginning: boolean) => {
        const asked = partitions.map((partition) => ({ partition }))
        const [answer] = await cluster.fetchTopicsOffset([{ topic, partitions: asked, fromBeginning }])
        return new Map(answer?.partitions.map(({ offset, partition }) => [partition, BigInt(offset)]))
      }
      const [begins, ends] = [await offsets(true), await offsets(false)]
      return new Map(partitions.map((partition): [number, Bounds] => {
        const [begin, end] = [begins.get(partition), ends.get(partition)]
        if (begin === undefined || end === undefined) throw new Error(`partition ${partition} has no leader`)
        return [partition, { begin, end }]
      }))
    })

  const fetch = (
    broker: Broker,
    from: ReadonlyMap<number, bigint>,
    limits: { readonly waitMillis: number; readonly partitionBytes: number }
  ): Promise<Fetched> =>
    broker.fetch({
      isolationLevel: readUncommitted,
      maxWaitTime: limits.waitMillis,
      minBytes: 1,
      maxBytes: fetchBytes.all,
      topics: [{
        topic,
        partitions: [...from].map(([partition, offset]) => ({
          partition,
          fetchOffset: offset.toString(),
          maxBytes: limits.partitionBytes
        }))
      }]
    })

  const leadersOf = Effect.fnUntraced(function*(cluster: Cluster, partitions: ReadonlyArray<number>) {
    const leaders = Object.entries(cluster.findLeaderForPartitions(topic, [...partitions]))
    const led = new Set(leaders.flatMap(([, of]) => of))
    const missing = partitions.filter((partition) => !led.has(partition))
    if (missing.length > 0) {
      const cause = new Error(`the topic ${topic} has no partition ${missing.join(", ")}`)
      return yield* EventLogUnavailable.make({ operation: "read", cause })
    }
    return leaders
  })

  /** The name in the record that founded the log; undefined where there is no record yet. */
  const nameIn = Effect.fnUntraced(function*(cluster: Cluster, operation: string) {
    const { begin, end } = (yield* boundsIn(cluster, operation, [0])).get(0) ?? { begin: 0n, end: 0n }
    if (end === 0n) return undefined
    const unusable = EventLogUnavailable.make({
      operation,
      cause: UnusableTopic.make({ topic, why: "it does not begin with the record that founds a log" })
    })
    if (begin > 0n) return yield* unusable
    const [[nodeId] = [""]] = yield* leadersOf(cluster, [0])
    // However few bytes are asked for, Kafka answers with the first batch, which is that record.
    const limits = { waitMillis: longPollMillis.idle, partitionBytes: 1 }
    const fetched = yield* attempt(
      operation,
      async () => fetch(await cluster.findBroker({ nodeId }), new Map([[0, 0n]]), limits)
    )
    const first = fetched.responses.flatMap(({ partitions }) => partitions.flatMap(({ messages }) => messages))[0]
    const headers = first?.headers ?? {}
    const name = header(headers, "ce_id")
    return name !== null && header(headers, "ce_type") === founding ? name : yield* unusable
  })

  /** Makes the topic unless it is there, and sees that it is as it has to be. Answers the id of the Kafka cluster. */
  const openTopic = Effect.fnUntraced(function*() {
    const admin = yield* Effect.acquireRelease(
      Effect.sync(() => kafka.admin()),
      (admin) => farewell(() => admin.disconnect())
    )
    const { clusterId, found } = yield* attempt("open", async () => {
      await admin.connect()
      const { clusterId } = await admin.describeCluster()
      await admin.createTopics({
        waitForLeaders: true,
        topics: [{
          topic,
          numPartitions: options.partitions,
          configEntries: [
            { name: "cleanup.policy", value: "delete" },
            { name: "retention.ms", value: "-1" },
            { name: "retention.bytes", value: "-1" }
          ]
        }]
      })
      const { topics } = await admin.fetchTopicMetadata({ topics: [topic] })
      return { clusterId, found: topics[0]?.partitions.length ?? 0 }
    })
    if (found !== options.partitions) {
      return yield* UnusableTopic.make({ topic, why: `it has ${found} partitions, not ${options.partitions}` })
    }
    return clusterId
  }, Effect.scoped)

  /** Whoever finds the log empty founds it. When two do at once, the first record counts. */
  const found = Effect.fnUntraced(function*() {
    const producer = yield* Effect.acquireRelease(
      Effect.sync(() =>
        kafka.producer({ idempotent: true, maxInFlightRequests: 1, createPartitioner, retry: fewRetries })
      ),
      (producer) => farewell(() => producer.disconnect())
    )
    const headers = {
      ce_specversion: "1.0",
      ce_id: randomUUID(),
      ce_source: `/log/${topic}`,
      ce_type: founding,
      ce_time: new Date(yield* Clock.currentTimeMillis).toISOString()
    }
    yield* attempt("open", async () => {
      await producer.connect()
      await producer.send({ topic, acks: -1, messages: [{ partition: 0, key: "log", value: "{}", headers }] })
    })
  }, Effect.scoped)

  const clusterId = yield* openTopic()
  const name = yield* ask(
    "open",
    Effect.fnUntraced(function*(cluster) {
      const there = yield* nameIn(cluster, "open")
      if (there !== undefined) return there
      yield* found()
      return yield* nameIn(cluster, "open")
    })
  ).pipe(Effect.mapError((error) => isUnusableTopic(error.cause) ? error.cause : error))

  /** Refuses a topic that was made anew under the same name since. */
  const verify = Effect.fnUntraced(function*(cluster: Cluster, operation: string) {
    const now = yield* nameIn(cluster, operation)
    if (now !== name) {
      const cause = new Error(`the topic ${topic} was made anew: restart to read it from its beginning`)
      return yield* EventLogUnavailable.make({ operation, cause })
    }
  })

  const bounds = (partitions: ReadonlyArray<number>) =>
    ask("say what it holds", (cluster) => boundsIn(cluster, "say what it holds", partitions))

  const writer = Effect.fnUntraced(function*(source: ShardId) {
    yield* ask("open a writer", (cluster) => verify(cluster, "open a writer"))
    const producer = yield* Effect.acquireRelease(
      Effect.sync(() =>
        kafka.producer({
          idempotent: true,
          // Not enough by itself: two sends at once can take each other's sequence numbers, and one is lost.
          maxInFlightRequests: 1,
          allowAutoTopicCreation: false,
          createPartitioner,
          ...(transactions
            ? { transactionalId: `relay-${topic}-${source}`, transactionTimeout: 15_000, retry }
            : { retry: fewRetries })
        })
      ),
      (producer) => farewell(() => producer.disconnect())
    )
    // The first transaction fences earlier writers, and waits until what they left open is settled.
    let begun = yield* attempt("open a writer", async () => {
      await producer.connect()
      return transactions ? await producer.transaction() : undefined
    })

    const publish = async (records: ReadonlyArray<LogRecord>, signal: AbortSignal) => {
      const transaction = transactions ? begun ?? await producer.transaction() : undefined
      begun = undefined
      for (const messages of sendsOf(records)) {
        if (signal.aborted) throw new Error("the append was given up")
        await (transaction ?? producer).send({ topic, acks: -1, messages: [...messages] })
      }
      if (signal.aborted) throw new Error("the append was given up")
      await transaction?.commit()
    }

    const oneAtATime = yield* Semaphore.make(1)
    let broken: AppendAmbiguous | WriterFenced | undefined

    const failed = (cause: unknown): Effect.Effect<never, AppendAmbiguous | WriterFenced> =>
      Effect.suspend(() => {
        // It will not become smaller by trying again.
        if (isTooLarge(cause)) return Effect.die(cause)
        broken = isFenced(cause) ? WriterFenced.make({ source }) : AppendAmbiguous.make({ cause })
        return Effect.fail(broken)
      })

    const append = (records: ReadonlyArray<LogRecord>) =>
      Effect.suspend(() => {
        if (broken !== undefined) return Effect.fail(broken)
        if (records.length === 0) return Effect.void
        return Effect.tryPromise((signal) => publish(records, signal)).pipe(
          Effect.timeout(patience),
          Effect.catch((error) => failed(Cause.isUnknownError(error) ? error.cause : error)),
          Effect.onInterrupt(() =>
            Effect.sync(() => {
              broken = AppendAmbiguous.make({ cause: new Error("an append was given up") })
            })
          )
        )
      }).pipe(oneAtATime.withPermits(1))

    return { append }
  })

  const reader = Effect.fnUntraced(function*(from: ReadonlyMap<number, bigint>) {
    const partitions = [...from.keys()]
    yield* ask(
      "open a reader",
      Effect.fnUntraced(function*(cluster) {
        yield* verify(cluster, "open a reader")
        for (const [partition, { begin, end }] of yield* boundsIn(cluster, "open a reader", partitions)) {
          const asked = from.get(partition) ?? 0n
          if (asked < begin || asked > end) return yield* OffsetOutOfRange.make({ partition, asked, begin, end })
        }
      })
    )

    /** The next offset to fetch of each partition, and what was fetched and not yet taken. */
    const next = new Map(from)
    const fetched = new Map(partitions.map((partition): [number, Array<Delivered>] => [partition, []]))
    const takers = new Set<Deferred.Deferred<void, EventLogUnavailable>>()
    const thereIsRoom = yield* Latch.make(true)
    let heardAtMillis = yield* Clock.currentTimeMillis
    let dead: EventLogUnavailable | undefined

    const wake = (outcome: Effect.Effect<void, EventLogUnavailable>) => {
      // Who is woken may be back, waiting for the next record, before this loop ends.
      const woken = [...takers]
      takers.clear()
      for (const taker of woken) Deferred.doneUnsafe(taker, outcome)
    }

    const receive = ({ responses }: Fetched): Effect.Effect<void, EventLogUnavailable> => {
      let any = false
      for (const { messages, partition } of responses.flatMap(({ partitions }) => partitions)) {
        const buffer = fetched.get(partition) ?? []
        for (const message of messages) {
          const offset = BigInt(message.offset)
          // Kafka answers with whole batches, of which the first may begin below what was asked for.
          if (offset < (next.get(partition) ?? 0n)) continue
          next.set(partition, offset + 1n)
          if (message.isControlRecord === true || header(message.headers ?? {}, "ce_type") === founding) continue
          const record = recordOf(partition, message)
          if (record === undefined) {
            dead = EventLogUnavailable.make({
              operation: "read",
              cause: UnusableTopic.make({ topic, why: `partition ${partition} holds no event of ours at ${offset}` })
            })
            return Effect.fail(dead)
          }
          buffer.push(record)
          any = true
        }
      }
      if (any) wake(Effect.void)
      return Effect.void
    }

    const hasRoom = (partition: number) => (fetched.get(partition)?.length ?? 0) < roomPerPartition

    const fetchFrom = Effect.fnUntraced(function*(cluster: Cluster, nodeId: string, led: ReadonlyArray<number>) {
      const broker = yield* attempt("read", () => cluster.findBroker({ nodeId }))
      while (true) {
        const wanted = led.filter(hasRoom)
        if (wanted.length === 0) {
          yield* Effect.andThen(thereIsRoom.close, thereIsRoom.await)
          continue
        }
        const waitMillis = wanted.length < led.length ? longPollMillis.full : longPollMillis.idle
        const limits = { waitMillis, partitionBytes: fetchBytes.partition }
        const places = new Map(wanted.map((partition) => [partition, next.get(partition) ?? 0n] as const))
        yield* receive(yield* attempt("read", () => fetch(broker, places, limits)))
        heardAtMillis = yield* Clock.currentTimeMillis
      }
    })

    /** Reads until something fails, and says what. */
    const read = Effect.gen(function*() {
      const cluster = yield* connected("read")
      yield* verify(cluster, "read")
      const leaders = yield* leadersOf(cluster, partitions)
      yield* Effect.forEach(leaders, ([nodeId, led]) => fetchFrom(cluster, nodeId, led), { concurrency: "unbounded" })
      return yield* Effect.never
    }).pipe(Effect.scoped, Effect.flip)

    // Whatever failed, everything is built anew and read on from where it was: leaders move, brokers restart.
    yield* read.pipe(
      Effect.flatMap(Effect.fnUntraced(function*(failure) {
        yield* Effect.logDebug("reading the event log anew", failure)
        const now = yield* Clock.currentTimeMillis
        if (isOutOfRange(failure.cause)) dead = failure
        if (dead !== undefined || now - heardAtMillis > readerPatienceMillis) wake(Effect.fail(dead ?? failure))
        return dead
      })),
      Effect.repeat({ schedule: Schedule.spaced("100 millis"), until: (dead) => dead !== undefined }),
      Effect.forkScoped
    )

    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        dead = EventLogUnavailable.make({ operation: "read", cause: new Error("the reader is closed") })
        for (const buffer of fetched.values()) buffer.length = 0
        wake(Effect.fail(dead))
      })
    )

    /** Takes from each partition in turn an equal part of what is left to take; who was served goes to the end. */
    const takeNow = (most: number): ReadonlyArray<Delivered> => {
      const taken: Array<Delivered> = []
      const waiting = [...fetched].filter(([, buffer]) => buffer.length > 0)
      waiting.forEach(([partition, buffer], index) => {
        const share = Math.ceil((most - taken.length) / (waiting.length - index))
        if (share === 0) return
        taken.push(...buffer.splice(0, share))
        fetched.delete(partition)
        fetched.set(partition, buffer)
      })
      return taken
    }

    const wait = Effect.suspend(() => {
      for (const buffer of fetched.values()) if (buffer.length > 0) return Effect.void
      const taker = Deferred.makeUnsafe<void, EventLogUnavailable>()
      takers.add(taker)
      return Effect.ensuring(Deferred.await(taker), Effect.sync(() => takers.delete(taker)))
    })

    const take = (most: number): Effect.Effect<ReadonlyArray<Delivered>, EventLogUnavailable> =>
      Effect.suspend(() => {
        const taken = takeNow(most)
        if (taken.length > 0) {
          thereIsRoom.openUnsafe()
          return Effect.succeed(taken)
        }
        return dead === undefined ? Effect.andThen(wait, take(most)) : Effect.fail(dead)
      })

    return { take, next: (partition: number) => fetched.get(partition)?.[0]?.offset ?? next.get(partition) }
  })

  return EventLog.of({
    identity: `kafka:${clusterId}:${topic}:${name}`,
    capabilities: { denseOffsets: false, atomicAppends: false, fencesWriters: transactions, durable: true },
    writer,
    reader,
    frontier: (source) =>
      frontierOf({ bounds, reader }, Array.from({ length: options.partitions }, (_, partition) => partition), source)
        .pipe(
          // What was there a moment ago is not there any more: the next attempt will say why.
          Effect.catchTag(
            "OffsetOutOfRange",
            (cause) => Effect.fail(EventLogUnavailable.make({ operation: "say how far it is", cause }))
          )
        ),
    bounds
  })
})

/** Every message names its partition, which is the ledger's. */
const createPartitioner = () => ({ message }: { readonly message: Message }) => message.partition ?? 0

/** The log in a topic of a Kafka cluster; the topic is made if it is not there. */
export const layer = (options: Options) => Layer.effect(EventLog, make(options))
