/** The runbook is whole: each check and each alert has its section, each section everything, and what it names is there. */
import { readdirSync, readFileSync } from "node:fs"
import path from "node:path"
import type { Command } from "effect/cli"
import { describe, expect, it } from "vitest"
import { acrossChecks } from "#domain/reconciliation/Checks.ts"
import { counterpoise } from "../../apps/counterpoise/Counterpoise.ts"
import { read, root } from "./Markdown.ts"

const text = read("docs/runbook.md")

/** The sections below a heading of the second level, by their headings. */
const sectionsBelow = (heading: string): ReadonlyArray<{ readonly title: string; readonly body: string }> => {
  const [, below = ""] = text.split(`\n## ${heading}\n`)
  const [part = ""] = below.split("\n## ")
  return part.split("\n### ").slice(1).map((section) => {
    const [title = "", ...body] = section.split("\n")
    return { title, body: body.join("\n") }
  })
}

const breaks = sectionsBelow("Breaks")
const alerts = sectionsBelow("Alerts")

/** Every check, by its name, with its severity. */
const checks = new Map<string, string>([
  ...acrossChecks.map(({ name, severity }) => [name, severity] as const),
  ...readdirSync(path.join(root, "sql/checks/shard")).map((file) => {
    const sql = readFileSync(path.join(root, "sql/checks/shard", file), "utf8")
    return [path.basename(file, ".sql"), /^-- Severity: (\w+)$/m.exec(sql)?.[1] ?? ""] as const
  })
])

const checksIn = (body: string) => {
  const [, list = ""] = /^Checks: ([^]*?)\n\n/m.exec(body) ?? []
  return [...list.matchAll(/`(\w+)`/g)].map(([, name = ""]) => name)
}

describe("the runbook", () => {
  it("has a section for each check, and one only", () => {
    expect(checks.size).toBeGreaterThan(30)
    expect(breaks.flatMap(({ body }) => checksIn(body)).toSorted()).toEqual([...checks.keys()].toSorted())
  })

  it.each(breaks)(
    "says of \"$title\" that money is at risk where its checks are critical, and not where they warn",
    ({ body }) => {
      const severities = new Set(checksIn(body).map((name) => checks.get(name)))
      expect(severities.size).toBe(1)
      if (severities.has("warning")) expect(body).toMatch(/\*\*Is money at risk\?\*\* No\./)
      else expect(body).not.toMatch(/\*\*Is money at risk\?\*\* No\./)
    }
  )

  it.each([...breaks, ...alerts])("says everything of \"$title\"", ({ body }) => {
    const parts = ["Symptom.", "Is money at risk?", "Check.", "Safe.", "Unsafe.", "Verify.", "After."]
    expect([...body.matchAll(/^- \*\*([^*]+)\*\*/gm)].map(([, part]) => part)).toEqual(parts)
  })

  it("has a section for each alert, and an alert for each section", () => {
    const listed = [...text.matchAll(/^\| \[([^\]]+)\]\(#[^)]+\) \| .* \| (?:page|ticket) \|$/gm)].map(([, title]) =>
      title
    )
    expect(listed).toEqual(alerts.map(({ title }) => title))
  })

  it("looks at metrics that there are, and at each that says that something has stopped", () => {
    const named = [...read("libs/infra/telemetry/Metrics.ts").matchAll(/Metric\.\w+\("(\w+)"/g)].map(([, name = ""]) =>
      name
    )
    const looked = [...text.matchAll(/\b((?:reconciler|ledger|sealer|relay|notifier|webhook)_\w+)/g)]
      .map(([, name = ""]) => name)
    expect(looked.length).toBeGreaterThan(8)
    expect(looked.filter((name) => !named.includes(name))).toEqual([])
    expect(named.filter((name) => /_stopped$|_violations$|_parked_keys$/.test(name) && !looked.includes(name))).toEqual(
      []
    )
  })

  it("presses only what there is", () => {
    const paths = pathsOf(counterpoise).toSorted((one, other) => other.length - one.length)
    const pressed = [...text.matchAll(/(?:`|^)(?:npm run )?counterpoise (?:-- )?([a-z][a-z -]*[a-z])/gm)].map((
      [, line = ""]
    ) => line)
    expect(pressed.length).toBeGreaterThan(20)
    expect(pressed.filter((line) => !paths.some((each) => line === each || line.startsWith(`${each} `)))).toEqual([])
  })
})

function pathsOf(command: Command.Command.Any, above = ""): ReadonlyArray<string> {
  const below = command.subcommands.flatMap(({ commands }) => commands)
  return below.flatMap((each) => {
    const name = `${above}${each.name}`
    return each.subcommands.length === 0 ? [name] : pathsOf(each, `${name} `)
  })
}
