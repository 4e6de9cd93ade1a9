/** One of the processes that share a simulation: runs every so many seeds, and says a line of JSON of each. */
import { parseArgs } from "node:util"
import { plant } from "./Bugs.ts"
import type { Line } from "./Workers.ts"

const { values } = parseArgs({
  options: {
    from: { type: "string", default: "1" },
    to: { type: "string", default: "1" },
    step: { type: "string", default: "1" },
    bug: { type: "string" }
  }
})

if (values.bug !== undefined) plant(values.bug)
const { planOf, run } = await import("./Run.ts")

/** Every so many seeds, one is run twice: what is not the same both times was not drawn from the seed. */
const oneInSoMany = 50

const [from, to, step] = [Number(values.from), Number(values.to), Number(values.step)]
for (let seed = from; seed <= to; seed += step) {
  const plan = planOf(seed)
  const report = run(plan)
  const isCompared = seed % oneInSoMany === 0
  const differs = isCompared && run(plan).trace !== report.trace
  const wrong = differs ? [...report.wrong, "the same seed ran otherwise the second time"] : report.wrong
  console.log(JSON.stringify({ ...report, wrong, isCompared } satisfies Line))
}
