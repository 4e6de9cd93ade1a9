/**
 * `npm run bench -- <benchmark> [options]`: measures, prints a table (or JSON where stdout is not a terminal) and writes
 * JSON to a file if asked. It fails if the books do not hold after a run; a bar that was missed is said, and no failure.
 */
import { parseArgs } from "node:util"
import { readFileSync, writeFileSync } from "node:fs"
import { Effect, References, Schema } from "effect"
import { main } from "#infra/Program.ts"
import { batch } from "./batch/Batch.ts"
import type { Benchmark } from "./Benchmark.ts"
import { compared } from "./Compare.ts"
import { endToEnd } from "./e2e/EndToEnd.ts"
import { engine } from "./engine/Engine.ts"
import { intake } from "./intake/Intake.ts"
import { carrying } from "./relay/Carrying.ts"
import * as Machine from "./Machine.ts"
import { model } from "./model/Model.ts"
import * as Progress from "./Progress.ts"
import * as Report from "./Report.ts"

const benchmarks: Readonly<Record<string, Benchmark>> = { engine, intake, relay: carrying, batch, e2e: endToEnd, model }

/** It was called in a way that means nothing. */
class Usage extends Schema.TaggedError<Usage>()("Usage", { why: Schema.String }) {
  override get message() {
    const each = Object.entries(benchmarks).map(([name, { title, usage }]) =>
      `  npm run bench -- ${name}: ${title}\n${usage}`
    )
    return [
      this.why,
      ...each,
      "  --json FILE       writes the report to a file as JSON, too",
      "  npm run bench -- compare A.json B.json: two reports of one benchmark, side by side"
    ].join("\n")
  }
}

const program = Effect.gen(function*() {
  const [name = "", ...args] = process.argv.slice(2)
  if (name === "compare" && args.length === 2) {
    return process.stdout.write(compared(...args.map((file) => readFileSync(file, "utf8"))))
  }
  const benchmark = benchmarks[name]
  if (benchmark === undefined) return yield* Usage.make({ why: `There is no benchmark "${name}".` })
  const { values } = yield* Effect.try({
    try: () => parseArgs({ args, options: { ...benchmark.options, json: { type: "string" } } }),
    catch: (error) => Usage.make({ why: error instanceof Error ? error.message : String(error) })
  })

  const machine = Machine.look()
  const began = new Date()
  const measured = yield* benchmark.run(values).pipe(Effect.ensuring(Effect.sync(Progress.clear)))
  const report: Report.Report = {
    benchmark: benchmark.title,
    began: began.toISOString(),
    seconds: Math.round((Date.now() - began.getTime()) / 1000),
    machine,
    ...measured
  }
  process.stdout.write(process.stdout.isTTY ? Report.text(report) : Report.json(report))
  if (typeof values["json"] === "string") writeFileSync(values["json"], Report.json(report))
  if (!process.stdout.isTTY) process.stderr.write(Report.text(report))
})

// The processes under measurement say what they do at "Info"; here only what is wrong is of interest.
main("bench", program.pipe(Effect.scoped, Effect.provideService(References.MinimumLogLevel, "Warn")), process.stderr)
