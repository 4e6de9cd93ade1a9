/**
 * Apache Kafka's broker from Maven Central, and the Java to run it: found, and fetched once.
 */
import { createHash } from "node:crypto"
import { existsSync, promises as fs } from "node:fs"
import path from "node:path"
import { Config, Effect, Option } from "effect"
import { LocalKafkaUnavailable } from "./LocalKafkaUnavailable.ts"
import { lastLines, run } from "./ServerProcess.ts"

export interface KafkaPrograms {
  readonly java: string
  readonly classPath: string
  /** The classes of a broker that ran before, ready to map into memory; not there until one has run to its end. */
  readonly archive: string
  /** What `format` writes into a new data folder beside its identity; not there until one was formatted. */
  readonly bootstrap: string
}

const pom = path.join(import.meta.dirname, "kafka", "pom.xml")
const plugin = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:build-classpath"
const oldestJava = 17

/** Finds Java and the broker's class path, which Maven resolves the first time (60 MB; the cache remembers). */
export const find = Effect.fn("KafkaPrograms.find")(function*(cache: string, onProgress: (message: string) => void) {
  const java = yield* findJava
  const pomText = yield* Effect.promise(() => fs.readFile(pom, "utf8"))
  // Another version of Kafka is another pom, and shares nothing with this one.
  const home = path.join(cache, createHash("sha256").update(pomText).digest("hex").slice(0, 12))
  const cached = path.join(home, "classpath")
  const known = yield* Effect.promise(() => fs.readFile(cached, "utf8").catch(() => ""))
  const complete = known !== "" && known.trim().split(path.delimiter).every((jar) => existsSync(jar))
  if (!complete) yield* resolve(home, cached, onProgress)
  const classPath = (yield* Effect.promise(() => fs.readFile(cached, "utf8"))).trim()
  return {
    java: java.command,
    classPath,
    // An archive fits one Java only; another would ignore it, and never make its own.
    archive: path.join(home, `java-${java.version}.jsa`),
    bootstrap: path.join(home, "bootstrap.checkpoint")
  }
})

const findJava = Effect.gen(function*() {
  const home = yield* Effect.orDie(Config.option(Config.String("JAVA_HOME")))
  const candidates = [...Option.toArray(Option.map(home, (folder) => path.join(folder, "bin", "java"))), "java"]
  const found: Array<string> = []
  for (const command of candidates) {
    const answer = yield* run(command, ["-version"]).pipe(Effect.option)
    if (Option.isNone(answer)) continue
    const version = /version "([^"]+)"/.exec(answer.value.output)?.[1] ?? "unknown"
    found.push(`${command} is Java ${version}`)
    if (Number.parseInt(version, 10) >= oldestJava) return { command, version }
  }
  return yield* LocalKafkaUnavailable.make({
    missing: `There is no Java ${oldestJava} or newer, which Kafka needs`,
    lookedIn: "JAVA_HOME, PATH",
    remedy: "Install one (Debian: apt-get install openjdk-17-jre-headless), or give KAFKA_BROKERS.",
    detail: found.join("\n")
  })
})

const resolve = Effect.fnUntraced(function*(home: string, cached: string, onProgress: (message: string) => void) {
  yield* Effect.promise(() => fs.mkdir(home, { recursive: true }))
  // Written beside and renamed: two processes may do this at once, and one may be stopped half-way.
  const unfinished = `${cached}.${process.pid}`
  onProgress("Fetching Apache Kafka with Maven, once (60 MB)")
  let count = 0
  const { code, output } = yield* run(
    "mvn",
    ["-B", "-f", pom, plugin, `-Dmdep.outputFile=${unfinished}`, "-DincludeScope=runtime"],
    {
      onOutput: (text) => {
        for (const [, jar, size] of text.matchAll(/Downloaded from \S+: \S+\/(\S+\.jar) \(([\d.]+ \w+)/g)) {
          count += 1
          // Each would be too much to read, none would look as if it hung.
          if (count % 10 === 0 || size?.endsWith("MB") === true) onProgress(`  ${count}: ${jar} (${size})`)
        }
      }
    }
  ).pipe(
    Effect.catchTag("NotStarted", () =>
      LocalKafkaUnavailable.make({
        missing: "There is no Maven (mvn), which fetches Kafka",
        lookedIn: "PATH",
        remedy: "Install it (Debian: apt-get install maven), or give KAFKA_BROKERS.",
        detail: ""
      }))
  )
  if (code !== 0) {
    return yield* LocalKafkaUnavailable.make({
      missing: "Maven could not fetch Kafka",
      lookedIn: "Maven Central, or the mirror in Maven's settings.xml",
      remedy: "Is the network there? Try again, or give KAFKA_BROKERS.",
      detail: lastLines(output.split("\n").filter((line) => line.includes("ERROR")).join("\n"), 5)
    })
  }
  yield* Effect.promise(() => fs.rename(unfinished, cached))
  onProgress("Apache Kafka is here")
})
