/** What the folders promise: who may import whom, and that nothing stands about that nobody uses. */
import { readdirSync, readFileSync } from "node:fs"
import path from "node:path"
import { describe, expect, it } from "vitest"

const root = path.resolve(import.meta.dirname, "..")

const filesBelow = (folder: string): ReadonlyArray<string> =>
  readdirSync(path.join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".ts"))
    .map((entry) => path.relative(root, path.join(entry.parentPath, entry.name)))

const sources = [...filesBelow("libs"), ...filesBelow("apps")]
const everything = [...sources, ...filesBelow("test")]

/** What a file imports: packages by name, files of ours by their path from the root. */
const importsOf = (file: string): ReadonlyArray<string> => {
  const text = readFileSync(path.join(root, file), "utf8")
  const found = [
    ...text.matchAll(
      /(?:^|\n)(?:import|export)\s[^"'`]*?from\s+"([^"]+)"|import\(\s*"([^"]+)"\s*\)|(?:^|\n)import\s+"([^"]+)"/g
    )
  ]
  return found.map((match) => resolved(file, match[1] ?? match[2] ?? match[3] ?? ""))
}

const resolved = (file: string, name: string): string => {
  if (name.startsWith(".")) return path.normalize(path.join(path.dirname(file), name))
  if (name.startsWith("#domain/")) return `libs/domain/${name.slice("#domain/".length)}`
  if (name.startsWith("#infra/")) return `libs/infra/${name.slice("#infra/".length)}`
  return name
}

const graph = new Map(everything.map((file) => [file, importsOf(file)]))

const offences = (among: ReadonlyArray<string>, isOffence: (imported: string, file: string) => boolean) =>
  among.flatMap((file) =>
    (graph.get(file) ?? []).filter((imported) => isOffence(imported, file)).map((imported) => `${file} → ${imported}`)
  )

const appOf = (file: string) => file.split("/")[1]

describe("the dependency rule: domain ← infra ← apps", () => {
  it("the domain imports itself, effect's core and ulid, and nothing else", () => {
    const allowed = new Set(["effect", "ulid"])
    expect(
      offences(filesBelow("libs/domain"), (imported) => !imported.startsWith("libs/domain/") && !allowed.has(imported))
    ).toEqual([])
  })

  it("infra imports no app", () => {
    expect(offences(filesBelow("libs/infra"), (imported) => imported.startsWith("apps/"))).toEqual([])
  })

  it("an app imports no other app, but for the contract of one that it calls; only the stack puts them together", () => {
    expect(
      offences(
        filesBelow("apps"),
        (imported, file) =>
          imported.startsWith("apps/") && appOf(imported) !== appOf(file) && appOf(file) !== "stack" &&
          imported.split("/")[2] !== "contract"
      )
    ).toEqual([])
  })

  it("only the Kafka adapters import kafkajs", () => {
    expect(
      offences(
        sources,
        (imported, file) =>
          imported === "kafkajs" && !file.startsWith("libs/infra/kafka/") && !file.startsWith("libs/infra/local/")
      )
    ).toEqual([])
  })
})

describe("the files", () => {
  it("import each other without a cycle", () => {
    const done = new Set<string>()
    const cycles: Array<string> = []
    const visit = (file: string, way: ReadonlyArray<string>): void => {
      if (way.includes(file)) {
        cycles.push([...way.slice(way.indexOf(file)), file].join(" → "))
        return
      }
      if (done.has(file)) return
      for (const imported of valueImportsOf(file)) visit(imported, [...way, file])
      done.add(file)
    }
    for (const file of sources) visit(file, [])
    expect(cycles).toEqual([])
  })

  it("are all used: each is a program, or imported by something", () => {
    const imported = new Set([...graph.values()].flat())
    const programs = /^apps\/\w+\/(main|demo|reset|kafka|migrate)\.ts$|writeOpenApi\.ts$/
    expect(sources.filter((file) => !imported.has(file) && !programs.test(file))).toEqual([])
  })

  it("name every service once: two with one id would silently replace each other", () => {
    const ids = sources.flatMap((file) =>
      [...readFileSync(path.join(root, file), "utf8").matchAll(/\}>\(\)\("([^"]+)"\)/g)].map((match) => match[1] ?? "")
    )
    expect(ids.length).toBeGreaterThan(8)
    expect(ids.filter((id, index) => ids.indexOf(id) !== index)).toEqual([])
  })

  it("hold no barrel: no index.ts, and no file that only re-exports", () => {
    expect(sources.filter((file) => path.basename(file) === "index.ts")).toEqual([])
  })
})

describe("the dependencies", () => {
  const manifest: { readonly dependencies: Record<string, string>; readonly devDependencies: Record<string, string> } =
    JSON.parse(readFileSync(path.join(root, "package.json"), "utf8"))

  it("are exact versions of the set that fits together", () => {
    const all = Object.entries({ ...manifest.dependencies, ...manifest.devDependencies })
    expect(all.filter(([, version]) => !/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version))).toEqual([])
    expect(manifest.dependencies).toMatchObject({
      effect: "4.1.0",
      "@effect/platform-node": "4.1.0",
      "@effect/sql-pg": "4.0.5"
    })
  })

  it("at run time are few, and each has its reason in an ADR", () => {
    const adrs = readdirSync(path.join(root, "docs/adr")).map((name) =>
      readFileSync(path.join(root, "docs/adr", name), "utf8")
    ).join("\n")
    expect(Object.keys(manifest.dependencies).filter((name) => !adrs.includes(`\`${name}\``))).toEqual([])
  })

  it("are installed once: there is one copy of effect", () => {
    const lock: { readonly packages: Record<string, unknown> } = JSON.parse(
      readFileSync(path.join(root, "package-lock.json"), "utf8")
    )
    expect(Object.keys(lock.packages).filter((name) => /(^|\/)node_modules\/effect$/.test(name))).toEqual([
      "node_modules/effect"
    ])
  })
})

/** Types are erased: a type that is imported back makes no cycle at run time. */
function valueImportsOf(file: string): ReadonlyArray<string> {
  const text = readFileSync(path.join(root, file), "utf8")
  const typeOnly = new Set(
    [...text.matchAll(/(?:^|\n)(?:import|export)\s+type\s[^"]*?from\s+"([^"]+)"/g)].map((match) =>
      resolved(file, match[1] ?? "")
    )
  )
  const values = new Set(
    [...text.matchAll(/(?:^|\n)(?:import|export)\s+(?!type\s)[^"]*?from\s+"([^"]+)"/g)].map((match) =>
      resolved(file, match[1] ?? "")
    )
  )
  return (graph.get(file) ?? []).filter((each) => graph.has(each) && (values.has(each) || !typeOnly.has(each)))
}
