/**
 * The whole platform for end-to-end tests, started as its user would start it: `npm start`, in a data folder of its own.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { randomInt } from "node:crypto"
import { once } from "node:events"
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import path from "node:path"
import { setTimeout as pause } from "node:timers/promises"

const root = path.resolve(import.meta.dirname, "../..")

export interface Stack {
  readonly apiUrl: string
  readonly apiKey: string
  readonly adminUrl: string
  readonly adminKey: string
  readonly docsUrl: string
  readonly shardUrls: ReadonlyArray<string>
  readonly processes: Readonly<Record<string, number>>
}

export interface Answer {
  readonly status: number
  readonly headers: Headers
  // Whatever the API answers; tests look into it by the contract.
  readonly body: Readonly<Record<string, unknown>> & {
    readonly id: string
    readonly status: string
    readonly failure?: { readonly code: string; readonly detail: string }
  }
}

/** A process that was started beside those of the platform. */
export interface Enlisted {
  readonly pid: number
  /** What it has said so far: a line of JSON an event. */
  readonly output: () => string
  readonly stop: () => Promise<void>
}

/** Asks until `probe` answers something, and fails after the time limit: the way to wait for what other processes do. */
export const until = async <A>(what: string, probe: () => A | undefined | Promise<A | undefined>, millis = 60_000) => {
  const deadline = Date.now() + millis
  for (;;) {
    const found = await probe()
    if (found !== undefined) return found
    if (Date.now() > deadline) throw new Error(`waited ${millis} ms in vain for ${what}`)
    await pause(20)
  }
}

/**
 * A port below those that the system gives to outgoing connections. One of those could be taken, while the API is being
 * started again, by a client that tries to reach it: a TCP connection to its own port connects to itself.
 */
const somePort = () => randomInt(12_000, 32_000)

export class Platform {
  readonly dataDir: string
  readonly #child: ChildProcess
  readonly #env: NodeJS.ProcessEnv
  output = ""

  private constructor(dataDir: string, child: ChildProcess, env: NodeJS.ProcessEnv) {
    this.dataDir = dataDir
    this.#child = child
    this.#env = env
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on("data", (chunk: Buffer) => {
        this.output = (this.output + chunk.toString()).slice(-200_000)
      })
    }
  }

  static async start(
    options: {
      readonly separate?: boolean
      readonly env?: Readonly<Record<string, string>>
      readonly dataDir?: string
    } = {}
  ): Promise<Platform> {
    const dataDir = options.dataDir ?? mkdtempSync(path.join(tmpdir(), "counterpoise-e2e-"))
    // As root, PostgreSQL runs as somebody else, who must be able to enter.
    chmodSync(dataDir, 0o755)
    const env = {
      ...process.env,
      COUNTERPOISE_DATA: dataDir,
      API_PORT: String(somePort()),
      ADMIN_PORT: String(somePort()),
      EVENT_LOG: "postgres",
      ...options.env
    }
    const child = spawn(
      process.execPath,
      [path.join(root, "apps/stack/main.ts"), ...(options.separate === true ? ["--separate"] : [])],
      { cwd: root, env, stdio: ["ignore", "pipe", "pipe"] }
    )
    const platform = new Platform(dataDir, child, env)
    await until("the platform to be ready", () => {
      if (child.exitCode !== null) throw new Error(`the platform ended with ${child.exitCode}:\n${platform.output}`)
      return existsSync(path.join(dataDir, "stack.json")) ? true : undefined
    }, 90_000).catch((error: unknown) => {
      child.kill("SIGKILL")
      throw new Error(`${String(error)}\n${platform.output}`)
    })
    return platform
  }

  get stack(): Stack {
    return JSON.parse(readFileSync(path.join(this.dataDir, "stack.json"), "utf8"))
  }

  /** Kills one of the processes as the kernel would, and answers which. */
  kill(name: string): number {
    const pid = this.stack.processes[name]
    if (pid === undefined) throw new Error(`there is no process ${name}`)
    try {
      process.kill(pid, "SIGKILL")
    } catch {
      // It was killed a moment ago and is being started again: dead is what was asked for.
    }
    return pid
  }

  /** The address of the event log's database, where that is in PostgreSQL. */
  get eventLogUrl(): string {
    return Object.assign(new URL(this.stack.shardUrls[0] ?? ""), { pathname: "/counterpoise_log" }).href
  }

  /** Starts one more process of a role, as on a second machine. It says all that it does, and ends with this process. */
  enlist(role: string, env: Readonly<Record<string, string>> = {}): Enlisted {
    const { apiKey, shardUrls } = this.stack
    const child = spawn(process.execPath, [path.join(root, `apps/${role}/main.ts`)], {
      cwd: root,
      env: {
        ...this.#env,
        SHARD_URLS: shardUrls.join(","),
        EVENT_LOG_URL: this.eventLogUrl,
        API_PORT: String(somePort()),
        API_KEYS: `dev:${apiKey}`,
        EXIT_WITH_PARENT: "1",
        LOG_LEVEL: "Info",
        LOG_FORMAT: "json",
        ...env
      },
      stdio: ["pipe", "pipe", "inherit"]
    })
    let output = ""
    child.stdout.on("data", (chunk: Buffer) => {
      output += chunk.toString()
    })
    return {
      pid: child.pid ?? 0,
      output: () => output,
      stop: async () => {
        if (child.exitCode !== null || child.signalCode !== null) return
        const exited = once(child, "exit")
        child.kill("SIGTERM")
        await exited
      }
    }
  }

  async call(
    method: string,
    route: string,
    body?: object,
    headers: Readonly<Record<string, string>> = {},
    api?: string
  ): Promise<Answer> {
    const { apiKey, apiUrl } = this.stack
    const response = await fetch(`${api ?? apiUrl}${route}`, {
      method,
      headers: { authorization: `Bearer ${apiKey}`, "content-type": "application/json", ...headers },
      signal: AbortSignal.timeout(20_000),
      ...(body === undefined ? {} : { body: JSON.stringify(body) })
    })
    return { status: response.status, headers: response.headers, body: JSON.parse(await response.text()) }
  }

  /** Calls as a careful client does: the same request again until there is an answer that is not about the weather. */
  async insist(
    method: string,
    route: string,
    body?: object,
    headers: Readonly<Record<string, string>> = {},
    api?: string
  ): Promise<Answer> {
    return until(`${method} ${route}`, async () => {
      try {
        const answer = await this.call(method, route, body, headers, api)
        return answer.status >= 500 || answer.status === 429 ? undefined : answer
      } catch {
        return undefined
      }
    })
  }

  /** Follows a transfer to its end. */
  async settled(id: string): Promise<Answer> {
    return until(`transfer ${id} to end`, async () => {
      const answer = await this.insist("GET", `/v1/transfers/${id}`, undefined, { prefer: "wait=5" })
      return ["committed", "rejected", "cancelled"].includes(answer.body.status) ? answer : undefined
    })
  }

  /** Stops it as ^C would; answers its exit code. */
  async stop(): Promise<number | null> {
    if (this.#child.exitCode === null) {
      this.#child.kill("SIGTERM")
      await until("the platform to stop", () => this.#child.exitCode ?? undefined, 30_000).catch(() => {
        this.#child.kill("SIGKILL")
      })
    }
    return this.#child.exitCode
  }

  async destroy(): Promise<void> {
    await this.stop()
    rmSync(this.dataDir, { recursive: true, force: true })
  }
}
