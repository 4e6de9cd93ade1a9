/** Two reports of one benchmark side by side, by their medians. */
import { Schema } from "effect"
import { table } from "./Report.ts"

const Compared = Schema.fromJsonString(Schema.Struct({
  benchmark: Schema.String,
  began: Schema.String,
  machine: Schema.Struct({ commit: Schema.String, loadBefore: Schema.Finite }),
  configuration: Schema.Record(Schema.String, Schema.Union([Schema.String, Schema.Finite])),
  series: Schema.Array(Schema.Struct({ name: Schema.String, unit: Schema.String, median: Schema.Finite }))
}))
const decode = Schema.decodeSync(Compared)

/** The second divided by the first. What differs in their configurations is said: a difference may come from it. */
export const compared = (first = "", second = ""): string => {
  const [a, b] = [decode(first), decode(second)]
  const rows = a.series.flatMap(({ median, name, unit }) => {
    const other = b.series.find((series) => series.name === name && series.unit === unit)
    return other === undefined ? [] : [[
      name,
      median.toFixed(1),
      other.median.toFixed(1),
      unit,
      (other.median / median).toFixed(2)
    ]]
  })
  const names = new Set([...Object.keys(a.configuration), ...Object.keys(b.configuration)])
  const different = [...names].filter((name) => a.configuration[name] !== b.configuration[name])
  return [
    ...[a, b].map(({ began, benchmark, machine }) =>
      `${benchmark}, ${began}, commit ${machine.commit}, load ${machine.loadBefore.toFixed(1)} before`
    ),
    "",
    table(["", "first", "second", "", "second ÷ first"], rows),
    ...different.map((name) =>
      `\nConfigured differently: ${name} ${a.configuration[name] ?? "none"} and ${b.configuration[name] ?? "none"}.`
    ),
    ...(a.benchmark === b.benchmark ? [] : ["\nThese are reports of different benchmarks."]),
    ""
  ].join("\n")
}
