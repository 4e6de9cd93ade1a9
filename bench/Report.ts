/** What a benchmark found, for people and for programs. */
import type { Measured } from "./Benchmark.ts"
import type { Machine } from "./Machine.ts"

export interface Report extends Measured {
  readonly benchmark: string
  readonly began: string
  readonly seconds: number
  readonly machine: Machine
}

export const median = (values: ReadonlyArray<number>): number => {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  const upper = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2
}

/** Divides two series round by round: what disturbed a round disturbed both. */
export const divided = (above: ReadonlyArray<number>, below: ReadonlyArray<number>): ReadonlyArray<number> =>
  above.map((value, round) => value / (below[round] ?? Number.NaN))

const spread = (values: ReadonlyArray<number>) => ({
  min: Math.min(...values),
  median: median(values),
  max: Math.max(...values)
})

/** For programs: everything, with the figures that the table shows beside the runs that they come from. */
export const json = (report: Report): string =>
  `${
    JSON.stringify(
      {
        ...report,
        series: report.series.map((series) => ({ ...series, ...spread(series.values) })),
        ratios: report.ratios.map((ratio) => ({ ...ratio, ...spread(ratio.values), reached: reached(ratio) }))
      },
      null,
      2
    )
  }\n`

const reached = ({ bar, values }: Report["ratios"][number]) => median(values) >= bar

export const table = (head: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<string>>): string => {
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)))
  const line = (cells: ReadonlyArray<string>) =>
    cells.map((cell, column) => column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0)).join(
      "  "
    )
  return [line(head), widths.map((width) => "─".repeat(width)).join("  "), ...rows.map(line)].join("\n")
}

const whole = (value: number) => Math.round(value).toLocaleString("en")
const factor = (value: number) => value.toFixed(2)

/** For people. */
export const text = (report: Report): string => {
  const { machine } = report
  const series = report.series.map(({ name, unit, values }) => {
    const { max, median, min } = spread(values)
    return [name, whole(min), whole(median), whole(max), unit, String(values.length)]
  })
  const ratios = report.ratios.map((ratio) => {
    const { max, median, min } = spread(ratio.values)
    return [
      ratio.name,
      factor(min),
      factor(median),
      factor(max),
      `≥ ${factor(ratio.bar)}`,
      reached(ratio) ? "reached" : "MISSED"
    ]
  })
  return [
    `${report.benchmark}, ${report.seconds} s from ${report.began}`,
    `commit ${machine.commit} · ${machine.cores} × ${machine.cpu}, ${machine.memoryGiB} GiB, load ${
      machine.loadBefore.toFixed(1)
    } before · Node ${machine.node}`,
    Object.entries(report.configuration).map(([name, value]) =>
      `${name} ${typeof value === "number" ? whole(value) : value}`
    ).join(" · "),
    "",
    table(["", "min", "median", "max", "", "runs"], series),
    ...(ratios.length === 0 ? [] : ["", table(["", "min", "median", "max", "bar", ""], ratios)]),
    ...report.notes.map((note) => `\n${note}`),
    ""
  ].join("\n")
}
