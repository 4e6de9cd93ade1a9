/** Every variable is written down, with the default that it has. */
import { describe, expect, it } from "vitest"
import { read, tableAfter } from "./Markdown.ts"
import { namesElsewhere, settings, type Variable } from "./Variables.ts"

/** Read where there is no configuration yet, or by the logs themselves. */
const logging = ["LOG_LEVEL", "LOG_FORMAT"]

/** Of the local platform, the tests and the machine; the processes know nothing of them. */
const elsewhere = ["COUNTERPOISE_DATA", "EXIT_WITH_PARENT", "HOME", "JAVA_HOME", "PATH"]

const names = settings.map(({ name }) => name)

const inWords = ({ byDefault }: Variable) =>
  byDefault === null ? "required" : byDefault === undefined ? "none" : `\`${byDefault}\``

describe("the settings", () => {
  it("are found by asking libs/infra/Settings.ts", () => {
    expect(names).toContain("SHARD_URLS")
    expect(names).toContain("HEALTH_PORT")
    expect(new Set(names).size).toBe(names.length)
  })

  it("are all that the programs read", () => {
    const known = new Set([...names, ...logging, ...elsewhere])
    expect([...namesElsewhere].filter((name) => !known.has(name))).toEqual([])
  })
})

describe("the README's table", () => {
  const rows = tableAfter(read("README.md"), "<!-- settings -->")

  it("names each variable once", () => {
    expect(rows.map(([name]) => name).toSorted()).toEqual(
      [...names, ...logging].map((name) => `\`${name}\``).toSorted()
    )
  })

  it.each(settings)("knows the default of $name", (setting) => {
    expect(rows.find(([name]) => name === `\`${setting.name}\``)?.[1]).toBe(inWords(setting))
  })
})

describe(".env.example", () => {
  const lines = read(".env.example").split("\n")
  /** `NAME=value`, and `# NAME=value` where the default will do. */
  const written = lines.flatMap((line) => {
    const match = /^(# )?([A-Z_]+)=(.*)$/.exec(line)
    return match === null ? [] : [{ name: match[2] ?? "", value: match[3] ?? "", isDefault: match[1] !== undefined }]
  })

  it("names each variable once", () => {
    expect(written.map(({ name }) => name).toSorted()).toEqual([...names, ...logging].toSorted())
  })

  it.each(settings)("knows the default of $name", ({ byDefault, name }) => {
    const line = written.find((each) => each.name === name)
    expect(line?.isDefault).toBe(byDefault !== null)
    if (typeof byDefault === "string") expect(line?.value).toBe(byDefault)
  })

  it("explains each in a phrase", () => {
    const unexplained = lines.filter((line, index) =>
      /^(# )?[A-Z_]+=/.test(line) && !/^# [a-z]/.test(lines[index - 1] ?? "")
    )
    expect(unexplained).toEqual([])
  })
})
