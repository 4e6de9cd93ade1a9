/**
 * docker-compose.yml and the Dockerfile, as far as they can be checked without Docker: the variables they set are read by
 * somebody, the programs they start are there, and those need nothing that a production install leaves out.
 */
import { existsSync, readFileSync } from "node:fs"
import path from "node:path"
import { describe, expect, it } from "vitest"
import { read, root } from "./Markdown.ts"
import { settings } from "./Variables.ts"

const compose = read("docker-compose.yml")
const dockerfile = read("Dockerfile")
const manifest: { readonly dependencies: object; readonly imports: Readonly<Record<string, string>> } = JSON.parse(
  read("package.json")
)

/** The text of each part of the file by its name: of services, and of what they share. */
const parts = new Map(
  compose.split(/^(?=[a-z])/m)
    .flatMap((section) => section.startsWith("services:") ? section.split(/^(?= {2}[a-z])/m) : [section])
    .filter((part) => !part.startsWith("volumes:"))
    .map((part) => [/^ *([\w-]+):/.exec(part)?.[1] ?? "", part])
)

const programs = [...compose.matchAll(/command: \["node", "([^"]+)"\]/g)].map(([, program = ""]) => program)

describe("docker-compose.yml", () => {
  it("starts the migration and the five roles, which are there", () => {
    expect(programs.toSorted()).toEqual([
      "apps/admin/main.ts",
      "apps/api/main.ts",
      "apps/ledger/main.ts",
      "apps/reconciler/main.ts",
      "apps/relay/main.ts",
      "apps/stack/migrate.ts"
    ])
    expect(programs.filter((program) => !existsSync(path.join(root, program)))).toEqual([])
  })

  it("sets only variables that the platform reads", () => {
    const known = new Set([...settings.map(({ name }) => name), "LOG_FORMAT", "LOG_LEVEL"])
    const set = [...parts].filter(([name]) => !["kafka", "x-shard"].includes(name)).flatMap(([, part]) =>
      [...part.matchAll(/^ +([A-Z][A-Z_]+):/gm)].map(([, name = ""]) => name)
    )
    expect(set).toEqual(expect.arrayContaining(["SHARD_URLS", "EVENT_LOG", "KAFKA_BROKERS", "API_KEYS", "HEALTH_PORT"]))
    expect(set.filter((name) => !known.has(name))).toEqual([])
  })

  it("sets what is required", () => {
    const required = settings.filter(({ byDefault }) => byDefault === null).map(({ name }) => name)
    expect(required.filter((name) => !compose.includes(` ${name}: `))).toEqual([])
  })

  it("asks everything that keeps running whether it is well", () => {
    const services = ["shard-0", "shard-1", "kafka", "api", "admin", "relay", "ledger", "reconciler"]
    const isAsked = (name: string) =>
      /healthcheck:/.test(parts.get(name) ?? "") || (parts.get(name) ?? "").includes("*shard")
    expect(services.filter((name) => !isAsked(name))).toEqual([])
  })

  it("names no container, and lets every port of the host be chosen", () => {
    expect(compose).not.toContain("container_name")
    const ports = [...compose.matchAll(/ports: \["([^"]+)"\]/g)].map(([, port = ""]) => port)
    expect(ports.length).toBe(5)
    expect(ports.filter((port) => !/^127\.0\.0\.1:\$\{[A-Z0-9_]+:-\d+\}:\d+$/.test(port))).toEqual([])
  })

  it("keeps what must be kept in named volumes", () => {
    const named = [...compose.matchAll(/volumes: \["([\w-]+):\//g)].map(([, name = ""]) => name)
    const [, declared = ""] = compose.split("\nvolumes:\n")
    expect(named.toSorted()).toEqual(
      [...declared.matchAll(/^ {2}([\w-]+):$/gm)].map(([, name = ""]) => name).toSorted()
    )
  })
})

describe("the Dockerfile", () => {
  it("copies what is there, and does not run as root", () => {
    const copied = [...dockerfile.matchAll(/^COPY (.+) \S+$/gm)].flatMap(([, from = ""]) => from.split(" "))
    expect(copied).toEqual(expect.arrayContaining(["package.json", "package-lock.json", "apps", "libs", "sql"]))
    expect(copied.filter((each) => !existsSync(path.join(root, each)))).toEqual([])
    expect(dockerfile).toMatch(/^USER node$/m)
  })

  it("runs the Node that package.json asks for", () => {
    expect(dockerfile).toMatch(/^FROM node:24/m)
    expect(read("package.json")).toContain("\"node\": \">=24\"")
  })

  it("starts programs that need nothing but the production dependencies", () => {
    const packages = new Set<string>()
    const seen = new Set<string>()
    const visit = (file: string): void => {
      if (seen.has(file)) return
      seen.add(file)
      const text = readFileSync(path.join(root, file), "utf8")
      for (
        const [, from, lazily] of text.matchAll(
          /(?:^|\n)(?:import|export)\s(?!type\s)[^"]*?from\s+"([^"]+)"|import\("([^"]+)"\)/g
        )
      ) {
        const name = from ?? lazily ?? ""
        if (name.startsWith(".")) visit(path.join(path.dirname(file), name))
        else if (name.startsWith("#")) visit(name.replace("#domain/", "libs/domain/").replace("#infra/", "libs/infra/"))
        else if (!name.startsWith("node:")) packages.add(/^(@[^/]+\/)?[^/]+/.exec(name)?.[0] ?? name)
      }
    }
    for (const program of programs) visit(program)
    expect(seen.size).toBeGreaterThan(50)
    expect(packages).toContain("kafkajs")
    expect([...packages].filter((name) => !Object.hasOwn(manifest.dependencies, name))).toEqual([])
    expect([...seen].filter((file) => file.startsWith("libs/infra/local/"))).toEqual([])
  })
})
