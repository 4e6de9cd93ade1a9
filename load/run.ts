/**
 * `npm run load -- <profile>`: puts a load on the platform that runs here (or where COUNTERPOISE_DATA says), by k6 where it
 * is installed and by Node where not; waits until everything has settled, looks at the books, and says what it was.
 * It fails if a bar was missed.
 */
import { spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { homedir, tmpdir } from "node:os"
import path from "node:path"
import { parseArgs } from "node:util"
import { stackFileOf } from "#infra/local/Stack.ts"
import * as Machine from "../bench/Machine.ts"
import * as Books from "./Books.ts"
import { type Client, clientOf } from "./Client.ts"
import { type Profile, profiles, scaled, secondsOf, type Summary } from "./Profiles.ts"
import { type Load, type Prices, text, verdictOf } from "./Report.ts"
import { generate } from "./Twin.ts"

const usage = [
  "npm run load -- <profile> [--engine k6|node] [--rate 1] [--seconds N] [--accounts N] [--prices FILE] [--json FILE]",
  ...Object.entries(profiles).map(([name, profile]) => `  ${name.padEnd(12)} ${profile.title}, ${secondsOf(profile)} s`)
].join("\n")

const { positionals: [name = ""], values } = parseArgs({
  allowPositionals: true,
  options: {
    engine: { type: "string" },
    rate: { type: "string", default: "1" },
    seconds: { type: "string" },
    accounts: { type: "string" },
    prices: { type: "string", default: path.join(import.meta.dirname, "prices.json") },
    json: { type: "string" }
  }
})

const stop = (why: string): never => {
  console.error(why)
  process.exit(2)
}

/** k6 from the PATH, or from where `go install go.k6.io/k6/v2@v2.2.0` puts it. */
const findK6 = (): string | undefined =>
  [process.env["K6"], "k6", path.join(process.env["GOPATH"] ?? path.join(homedir(), "go"), "bin/k6")]
    .filter((command) => command !== undefined)
    .find((command) => spawnSync(command, ["version"]).status === 0)

const byK6 = async (k6: string, stack: Stack, profile: Profile, run: string): Promise<Summary> => {
  const folder = mkdtempSync(path.join(tmpdir(), "counterpoise-load-"))
  const file = path.join(folder, "summary.json")
  try {
    const child = spawn(k6, ["run", "--quiet", "--no-color", path.join(import.meta.dirname, "k6.ts")], {
      stdio: ["ignore", "ignore", "inherit"],
      env: {
        ...process.env,
        K6_NO_USAGE_REPORT: "true",
        LOAD_API: stack.apiUrl,
        LOAD_KEY: stack.apiKey,
        LOAD_RUN: run,
        LOAD_PROFILE: JSON.stringify(profile),
        LOAD_SUMMARY: file
      }
    })
    await once(child, "exit")
    // A threshold that was crossed is ours to tell; without a summary it did not run.
    if (!existsSync(file)) return stop("k6 did not run")
    return JSON.parse(readFileSync(file, "utf8"))
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

interface Stack {
  readonly apiUrl: string
  readonly apiKey: string
}

const measure = async (client: Client, stack: Stack, profile: Profile, k6: string | undefined): Promise<Load> => {
  const prices: Prices = JSON.parse(readFileSync(values.prices, "utf8"))
  const machine = Machine.look()
  const run = Date.now().toString(36)
  console.error(`opening ${profile.accounts} accounts`)
  await Books.open(client, run, profile.accounts)
  console.error(`${name}, by ${k6 === undefined ? "Node" : "k6"}: ${secondsOf(profile)} s`)
  const began = new Date()
  const summary = k6 === undefined ? await generate(client, profile, run) : await byK6(k6, stack, profile, run)
  const wanted = profile.accounts + 2 * summary.accepted
  const entries = await Books.settled(client, run, profile.accounts, wanted, 120_000)
  const seconds = (Date.now() - began.getTime()) / 1000
  return {
    profile: name,
    engine: k6 === undefined ? "node" : "k6",
    began: began.toISOString(),
    machine,
    bars: profile.bars,
    seconds,
    ...summary,
    settled: (entries - profile.accounts) / 2,
    ...await Books.books(client, 60_000),
    prices
  }
}

const wanted = profiles[name] ?? stop(usage)
const stackFile = stackFileOf(process.env)
if (!existsSync(stackFile)) stop(`Nothing runs: there is no ${stackFile}. Start the platform first: npm start`)
const stack: Stack = JSON.parse(readFileSync(stackFile, "utf8"))
const k6 = values.engine === "node" ? undefined : findK6()
if (values.engine === "k6" && k6 === undefined) stop("there is no k6: go install go.k6.io/k6/v2@v2.2.0")

const profile = {
  ...scaled(wanted, Number(values.rate), values.seconds === undefined ? undefined : Number(values.seconds)),
  accounts: Number(values.accounts ?? wanted.accounts)
}
const load = await measure(clientOf(stack.apiUrl, stack.apiKey), stack, profile, k6)
const report = { ...load, ...verdictOf(load) }
if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(report, null, 2)}\n`)
process.stdout.write(process.stdout.isTTY ? text(report) : `${JSON.stringify(report, null, 2)}\n`)
if (!process.stdout.isTTY) process.stderr.write(text(report))
process.exit(report.missed.length === 0 ? 0 : 1)
