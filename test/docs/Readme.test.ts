/**
 * The README, word for word: its commands are run against a platform of their own, in order, and what is answered is
 * compared with what is shown. So it cannot say what is no longer so.
 */
import { spawnSync } from "node:child_process"
import { existsSync } from "node:fs"
import path from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { Platform } from "../support/Platform.ts"
import { type Block, blocksOf, read, root } from "./Markdown.ts"

const readme = read("README.md")
const blocks = blocksOf(readme)
const isRun = (block: Block) => block.above === "<!-- run -->"

/** The blocks to be run, each with the answer that is shown after it. */
const examples = blocks.flatMap((block, index) => {
  const next = blocks[index + 1]
  return isRun(block) ? [{ block, shown: next?.language === "http" ? next : undefined }] : []
})

interface Message {
  readonly status: string
  readonly headers: ReadonlyMap<string, string>
  readonly body: unknown
}

const messageOf = (text: string): Message => {
  const [head = "", ...rest] = text.replaceAll("\r\n", "\n").trim().split("\n\n")
  const [status = "", ...lines] = head.split("\n")
  const headers = lines.map((line) => {
    const colon = line.indexOf(":")
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()] as const
  })
  const body = rest.join("\n\n")
  return { status, headers: new Map(headers), body: body.startsWith("{") ? JSON.parse(body) : body }
}

const literally = (text: string) => text.replaceAll(/[.*+?^${}()|[\]\\/]/g, String.raw`\$&`)

/** What is shown, as something to expect: `…` stands for any characters, and members left out may be anything. */
const expectedOf = (shown: unknown): unknown => {
  if (typeof shown === "string" && shown.includes("…")) {
    return expect.stringMatching(new RegExp(`^${shown.split("…").map(literally).join(".*")}$`))
  }
  if (Array.isArray(shown)) return shown.map(expectedOf)
  if (typeof shown !== "object" || shown === null) return shown
  return expect.objectContaining(
    Object.fromEntries(Object.entries(shown).map(([key, each]) => [key, expectedOf(each)]))
  )
}

describe("the README's commands", () => {
  let platform: Platform
  /** What each block wrote. */
  let outputs: ReadonlyArray<string>

  beforeAll(async () => {
    // A shorter lease, so that a busy machine has time left of the ten seconds that the last example waits.
    platform = await Platform.start({ separate: true, env: { LEASE_SECONDS: "2", SEAL_SECONDS: "1" } })
    const mark = "=== the next block ==="
    const script = examples.map(({ block }) => `echo '${mark}'\n${block.text}\n`).join("")
    const { status, stderr, stdout } = spawnSync("bash", ["-eu"], {
      cwd: root,
      // What npm has to say of the machine's own configuration is not about us.
      env: { ...process.env, COUNTERPOISE_DATA: platform.dataDir, npm_config_loglevel: "error" },
      input: script,
      encoding: "utf8",
      timeout: 60_000
    })
    expect(stderr).toBe("")
    expect(status).toBe(0)
    outputs = stdout.split(`${mark}\n`).slice(1)
  }, 180_000)

  afterAll(() => platform.destroy())

  it("are all run", () => {
    expect(blocks.filter((block) => block.language === "sh" && !isRun(block)).map(({ text }) => text)).toEqual([])
    expect(outputs.length).toBe(examples.length)
    expect(examples.length).toBeGreaterThan(10)
  })

  it("show an answer wherever there is one", () => {
    expect(examples.filter(({ block, shown }) => block.text.includes("curl -si") && shown === undefined)).toEqual([])
  })

  it.each(
    examples.flatMap(({ block, shown }, index) => shown === undefined ? [] : [{ line: block.line, shown, index }])
  )(
    "line $line answers as shown",
    ({ index, shown }) => {
      const expected = messageOf(shown.text)
      const answer = messageOf(outputs[index] ?? "")
      expect(answer.status).toBe(expected.status)
      for (const [name, value] of expected.headers) expect(answer.headers.get(name), name).toEqual(expectedOf(value))
      expect(answer.body).toEqual(expectedOf(expected.body))
    }
  )
})

describe("what the README names", () => {
  const { scripts }: { readonly scripts: Readonly<Record<string, string>> } = JSON.parse(read("package.json"))

  it("npm scripts are there, and so are their programs", () => {
    const named = [...readme.matchAll(/\bnpm (?:run )?([a-z]+)\b/g)].map(([, name = ""]) => name)
      .filter((name) => !["from", "and"].includes(name))
    expect(named.length).toBeGreaterThan(10)
    expect([...new Set(named)].filter((name) => scripts[name] === undefined)).toEqual([])
    const programs = Object.values(scripts).map((script) => script.split(" ")[2] ?? "")
    expect(programs.filter((program) => !existsSync(path.join(root, program)))).toEqual([])
  })

  it("every npm script is explained", () => {
    expect(Object.keys(scripts).filter((name) => !new RegExp(`\\bnpm (run )?${name}\\b`).test(readme))).toEqual([])
  })

  it("tests to run are there", () => {
    const paths = [...readme.matchAll(/npm test --((?: test\/[\w/.]+)+)/g)].flatMap(([, all = ""]) =>
      all.trim().split(" ")
    )
    expect(paths.length).toBeGreaterThan(5)
    expect(paths.filter((each) => !existsSync(path.join(root, each)))).toEqual([])
  })
})
