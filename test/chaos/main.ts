/**
 * `npm run chaos -- [--seed N] [--minutes M] [--scenario names] [--event-log postgres|kafka]`: the platform as it would run
 * on several machines, clients that write down what they asked and heard, and faults from a seed; then fair weather, and
 * the proof that nothing was lost, nothing done twice, and everything ended. It ends with 1 if anything was found.
 */
import { rmSync } from "node:fs"
import { parseArgs } from "node:util"
import { Effect, References, Schema } from "effect"
import { main } from "#infra/Program.ts"
import { chanceFrom, shuffled } from "../support/Chance.ts"
import * as Progress from "../../bench/Progress.ts"
import { allCrashPoints, scenarios } from "./Faults.ts"
import * as Report from "./Report.ts"
import * as Rig from "./Rig.ts"
import { round, type RoundReport } from "./Round.ts"
import { replayAll, type ReplayedShard } from "./Shadows.ts"

/** It was called in a way that means nothing. */
class Usage extends Schema.TaggedError<Usage>()("Usage", { why: Schema.String }) {
  override get message() {
    return [
      this.why,
      "  --seed N          the same seed draws the same faults in the same order (default: drawn)",
      "  --minutes M       how long to go on; it stops after the round that is then under way (default: 6)",
      `  --scenario NAMES  only some of: ${Object.keys(scenarios).join(",")}`,
      "  --event-log LOG   only over postgres or kafka (default: over each, half of the time)",
      "  --seconds S       how long clients work in a round (default: 20)",
      "  --gap MILLIS      the mean time between two faults (default: 600)",
      "  --lease SECONDS   LEASE_SECONDS of the processes (default: 2; theirs is 5)",
      "  --json FILE       writes the report to a file as JSON, too"
    ].join("\n")
  }
}

/** Something was found that must not be. */
class Broken extends Schema.TaggedError<Broken>()("Broken", { what: Schema.String }) {
  override get message() {
    return this.what
  }
}

const numberOf = (name: string, text: string | undefined, byDefault: number) => {
  const value = text === undefined ? byDefault : Number(text)
  return Number.isFinite(value) && value >= 0
    ? Effect.succeed(value)
    : Usage.make({ why: `--${name} ${text} is no number` })
}

const program = Effect.gen(function*() {
  const { values } = yield* Effect.try({
    try: () =>
      parseArgs({
        options: {
          seed: { type: "string" },
          minutes: { type: "string" },
          scenario: { type: "string" },
          "event-log": { type: "string" },
          seconds: { type: "string" },
          gap: { type: "string" },
          lease: { type: "string" },
          json: { type: "string" }
        }
      }),
    catch: (error) => Usage.make({ why: error instanceof Error ? error.message : String(error) })
  })
  const seed = yield* numberOf("seed", values.seed, Date.now() % 1_000_000)
  const minutes = yield* numberOf("minutes", values.minutes, 6)
  const seconds = yield* numberOf("seconds", values.seconds, 20)
  const gapMillis = yield* numberOf("gap", values.gap, 600)
  const lease = yield* numberOf("lease", values.lease, 2)
  const chosen = values.scenario?.split(",") ?? Object.keys(scenarios)
  const unknown = chosen.filter((name) => scenarios[name] === undefined)
  if (unknown.length > 0) return yield* Usage.make({ why: `There is no scenario "${unknown.join(", ")}".` })
  const eventLogs = values["event-log"] === undefined ? ["kafka", "postgres"] as const : [values["event-log"]]

  const began = new Date()
  const chance = chanceFrom(seed)
  const rounds: Array<RoundReport> = []
  const logs: Array<string> = []
  const rigs: Array<Rig.Rig> = []
  const replays: Array<ReplayedShard> = []
  for (const [index, eventLog] of eventLogs.entries()) {
    if (eventLog !== "kafka" && eventLog !== "postgres") {
      return yield* Usage.make({ why: `There is no event log "${eventLog}".` })
    }
    const until = began.getTime() + (minutes * 60_000 * (index + 1)) / eventLogs.length
    yield* Effect.scoped(Effect.gen(function*() {
      const rig = yield* Rig.make({
        eventLog,
        chance,
        env: { LEASE_SECONDS: String(lease) },
        say: Progress.say
      })
      logs.push(rig.logs)
      rigs.push(rig)
      let first = true
      while (first || Date.now() < until) {
        for (const scenario of shuffled(chance, chosen)) {
          if (!first && Date.now() >= until) break
          first = false
          const number = rounds.length + 1
          Progress.say(`round ${number}, over ${eventLog}: ${scenario}`)
          const report = yield* Effect.scoped(
            round(rig, { number, name: scenario, scenario: scenarios[scenario] ?? {}, seconds, gapMillis, chance })
          )
          rounds.push(report)
          Progress.say(Report.line(report))
        }
      }
      Progress.say(`replaying both shards, over ${eventLog}`)
      replays.push(...yield* replayAll(rig))
    }))
  }
  Progress.clear()
  // A point that no process died at was not tested.
  const toured = rounds.some(({ scenario }) => scenario === "crash points")
  const neverReached = toured ? allCrashPoints.filter((point) => !rigs.some(({ reached }) => reached.has(point))) : []
  const report = Report.of({ seed, began, rounds, replays, neverReached })
  // What was found is of no use without what the processes said meanwhile.
  if (report.found === 0) {
    yield* Effect.sync(() => logs.forEach((each) => rmSync(each, { recursive: true, force: true })))
  }
  yield* Effect.sync(() => Report.tell(report, values.json))
  if (report.found > 0) {
    return yield* Broken.make({
      what: `${report.found} things must not be; seed ${seed}, logs in ${logs.join(" and ")}`
    })
  }
})

// What the processes say goes to their own files; here only what is wrong is of interest.
main("chaos", program.pipe(Effect.scoped, Effect.provideService(References.MinimumLogLevel, "Error")), process.stderr)
