/**
 * `npm run kafka`: a real Kafka on this machine without Docker, until it is told to stop. Topics stay in .data/kafka
 * (COUNTERPOISE_DATA names another folder). On a terminal it says how to use it; on a pipe it writes one JSON line when
 * Kafka is ready. What the first start fetches is told on stderr.
 */
import path from "node:path"
import { Effect, Schema } from "effect"
import * as LocalKafka from "#infra/local/LocalKafka.ts"
import { main } from "#infra/Program.ts"

const dataDir = path.join(
  path.resolve(process.env["COUNTERPOISE_DATA"] ?? path.join(import.meta.dirname, "../../.data")),
  "kafka"
)
/** Not Kafka's own 9092, where a Kafka of somebody's may be. Kept from run to run, so that KAFKA_BROKERS stays right. */
const wantedPort = 19092

/** The broker ended though nobody asked it to. */
class KafkaEnded extends Schema.TaggedError<KafkaEnded>()("KafkaEnded", { how: Schema.String }) {
  override get message() {
    return `Kafka ended: ${this.how}. Its log is ${path.join(dataDir, "server.log")}`
  }
}

const program = Effect.gen(function*() {
  const kafka = yield* LocalKafka.start({
    dataDir,
    port: wantedPort,
    onProgress: (message) => process.stderr.write(`${message}\n`)
  })
  const brokers = kafka.brokers.join(",")
  process.stdout.write(
    process.stdout.isTTY
      ? [
        "",
        `Kafka is ready: ${brokers}   (process ${kafka.pid}${
          brokers.endsWith(`:${wantedPort}`) ? "" : `; port ${wantedPort} is taken`
        })`,
        `  Use     EVENT_LOG=kafka KAFKA_BROKERS=${brokers} npm start`,
        `  Test    KAFKA_BROKERS=${brokers} npm test`,
        `  State   ${dataDir}   (^C stops)`,
        ""
      ].join("\n")
      : `${JSON.stringify({ brokers: kafka.brokers, pid: kafka.pid, dataDir })}\n`
  )
  const how = yield* kafka.exited
  return yield* KafkaEnded.make({ how })
}).pipe(Effect.scoped)

// What it says when it is ready should stand out: below warnings it is silent, unless told otherwise.
process.env["LOG_LEVEL"] ??= "Warn"
main("kafka", program)
