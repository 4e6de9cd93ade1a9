/**
 * `npm test`: everything. Starts one PostgreSQL and finds one Kafka for all suites (KAFKA_BROKERS, Docker, Maven and Java, in
 * this order), then runs vitest. Arguments go to vitest: `npm test -- test/domain`.
 *
 * Nothing is skipped silently: without a Kafka its suites are counted and named at the end, and REQUIRE_KAFKA=1 makes
 * that a failure.
 */
import { spawn } from "node:child_process"
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import path from "node:path"
import { Effect, Result, Schema } from "effect"
import { findKafka } from "#infra/local/FindKafka.ts"
import * as LocalPostgres from "#infra/local/LocalPostgres.ts"
import { main } from "#infra/Program.ts"

const root = path.resolve(import.meta.dirname, "..")
const requireKafka = process.env["REQUIRE_KAFKA"] === "1"

/** Tests failed, or did not run. */
class TestsFailed extends Schema.TaggedError<TestsFailed>()("TestsFailed", { why: Schema.String }) {
  override get message() {
    return this.why
  }
}

const vitest = (env: Readonly<Record<string, string | undefined>>, results: string) =>
  Effect.callback<number>((resume) => {
    const child = spawn(
      process.execPath,
      [
        path.join(root, "node_modules/vitest/vitest.mjs"),
        "run",
        "--reporter=default",
        "--reporter=json",
        `--outputFile.json=${results}`,
        ...process.argv.slice(2)
      ],
      { cwd: root, env, stdio: "inherit" }
    )
    child.once("exit", (code) => resume(Effect.succeed(code ?? 1)))
    return Effect.sync(() => child.kill("SIGTERM"))
  })

const Results = Schema.fromJsonString(Schema.Struct({
  numPassedTests: Schema.Int,
  numFailedTests: Schema.Int,
  numPendingTests: Schema.Int,
  testResults: Schema.Array(Schema.Struct({
    name: Schema.String,
    status: Schema.String,
    assertionResults: Schema.Array(Schema.Struct({ status: Schema.String, fullName: Schema.String }))
  }))
}))

const program = Effect.gen(function*() {
  const folder = mkdtempSync(path.join(tmpdir(), "counterpoise-test-"))
  yield* Effect.addFinalizer(() => Effect.sync(() => rmSync(folder, { recursive: true, force: true })))
  const postgres = yield* LocalPostgres.start({ dataDir: path.join(folder, "postgres"), ephemeral: true })
  const kafka = yield* Effect.result(findKafka)
  if (Result.isSuccess(kafka)) console.log(`Kafka: ${kafka.success.brokers.join(",")} (${kafka.success.how})`)
  else if (requireKafka) {
    return yield* TestsFailed.make({ why: `REQUIRE_KAFKA=1, but there is no Kafka: ${kafka.failure.message}` })
  }

  const results = path.join(folder, "results.json")
  const code = yield* vitest({
    ...process.env,
    TEST_DATABASE_URL: postgres.url("postgres"),
    ...(Result.isSuccess(kafka) ? { KAFKA_BROKERS: kafka.success.brokers.join(",") } : {})
  }, results)
  if (!existsSync(results)) return yield* TestsFailed.make({ why: `vitest ended with ${code} and no results` })

  const found = yield* Schema.decodeUnknownEffect(Results)(readFileSync(results, "utf8"))
  const skipped = found.testResults.flatMap(({ assertionResults, name }) =>
    assertionResults.filter(({ status }) => status !== "passed" && status !== "failed").map(({ fullName }) =>
      `${path.relative(root, name)}: ${fullName}`
    )
  )
  if (skipped.length > 0) console.log(`\nSKIPPED, ${skipped.length}:\n${skipped.map((each) => `  ${each}`).join("\n")}`)
  if (Result.isFailure(kafka)) console.log(`\nThere was no Kafka, so its suites did not run. ${kafka.failure.message}`)
  console.log(`\n${found.numPassedTests} passed, ${found.numFailedTests} failed, ${skipped.length} skipped`)
  if (code !== 0) return yield* TestsFailed.make({ why: `tests failed (vitest ended with ${code})` })
  if (found.numPassedTests === 0) return yield* TestsFailed.make({ why: "no test ran" })
  if (requireKafka && skipped.length > 0) {
    return yield* TestsFailed.make({ why: "REQUIRE_KAFKA=1, and tests were skipped" })
  }
}).pipe(Effect.scoped)

main("test", program)
