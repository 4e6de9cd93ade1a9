/**
 * Does a Kafka answer? An open port says little: the broker listens before it can do anything.
 */
import { type Duration, Effect, Schedule, Schema } from "effect"
import { Kafka, logLevel } from "kafkajs"
import { inRealTime } from "./ServerProcess.ts"

/** Kafka did not answer in time; `cause` says what it answered last. */
export class KafkaNotReady extends Schema.TaggedError<KafkaNotReady>()("KafkaNotReady", {
  brokers: Schema.Array(Schema.String),
  cause: Schema.Defect()
}) {
  override get message() {
    return `Kafka at ${this.brokers.join(",")} does not answer: ${
      this.cause instanceof Error ? this.cause.message : String(this.cause)
    }`
  }
}

/**
 * Waits until Kafka does everything we shall ask of it: tells of its brokers, has a coordinator for consumer groups,
 * and begins and ends a transaction. The latter two make the internal topics, so that the first user does not wait.
 */
export const awaitReady = Effect.fn("KafkaReadiness.awaitReady")(
  function*(brokers: ReadonlyArray<string>, patience: Duration.Input) {
    yield* Effect.tryPromise({
      try: () => ask(brokers),
      catch: (cause) => KafkaNotReady.make({ brokers, cause })
    }).pipe(Effect.retry(Schedule.upTo(Schedule.spaced("100 millis"), { duration: patience })))
  },
  inRealTime
)

const ask = async (brokers: ReadonlyArray<string>): Promise<void> => {
  const kafka = new Kafka({
    clientId: "counterpoise-readiness",
    brokers: [...brokers],
    connectionTimeout: 1_000,
    requestTimeout: 5_000,
    // Being refused is part of it: said once, at the end, if it stays so. We try again ourselves, and sooner.
    logLevel: logLevel.NOTHING,
    retry: { retries: 0 }
  })
  const admin = kafka.admin()
  const producer = kafka.producer({
    transactionalId: "counterpoise-readiness",
    idempotent: true,
    maxInFlightRequests: 1,
    transactionTimeout: 10_000,
    // kafkajs insists on retries for an idempotent producer.
    retry: { retries: 3, initialRetryTime: 50, maxRetryTime: 200 }
  })
  try {
    await admin.connect()
    const { brokers: known } = await admin.describeCluster()
    if (known.length === 0) throw new Error("no broker has registered yet")
    await admin.fetchOffsets({ groupId: "counterpoise-readiness" })
    await producer.connect()
    await (await producer.transaction()).abort()
  } finally {
    await Promise.allSettled([producer.disconnect(), admin.disconnect()])
  }
}
