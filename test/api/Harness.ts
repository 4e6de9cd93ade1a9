/**
 * The API listening on a free port, over ports in memory; and a client that looks at every answer twice: each one is held
 * to the served OpenAPI document, whatever its test is about.
 */
import { Context, Effect, Layer, Logger, References } from "effect"
import { connect } from "node:net"
import { expect } from "vitest"
import type { Queries } from "#domain/ledger/Queries.ts"
import { even } from "#domain/sharding/ShardMap.ts"
import type { Intake } from "#domain/transfer/Intake.ts"
import { Readiness } from "#infra/http/Readiness.ts"
import { type Limits, Listening } from "#infra/http/Server.ts"
import { type Options, serve } from "../../apps/api/Api.ts"
import { type Answered, isObject, unlawful } from "./conformance.ts"
import { Books, intake, queries } from "./fakes.ts"
import { Chains, seals } from "./FakeSeals.ts"

export const key = "cp_test_anna"
export const otherKey = "cp_test_ben"
export const partitions = 64

export interface Call {
  readonly headers?: Readonly<Record<string, string>>
  /** JSON, or the very bytes. */
  readonly body?: string | Uint8Array
  /** The key of the client; null sends none. */
  readonly as?: string | null
}

export interface Answer extends Answered {
  /** The body, where it is a JSON object. */
  readonly body: { readonly [key: string]: unknown }
}

export class Harness extends Context.Service<Harness, {
  readonly url: string
  readonly port: number
  readonly books: Books
  readonly chains: Chains
  /** What the server logged: the level, and what was said. */
  readonly lines: Array<readonly [level: string, ...message: ReadonlyArray<unknown>]>
  /** Turns readiness on and off. */
  readonly health: { healthy: boolean }
  readonly call: (method: string, path: string, call?: Call) => Effect.Effect<Answer>
  /** Sends bytes over a bare connection and gives back what came, when the server has hung up. */
  readonly raw: (...parts: ReadonlyArray<string | Uint8Array>) => Effect.Effect<string>
}>()("counterpoise/test/api/Harness") {
  static readonly layerWith = (
    limits: Partial<Limits> = {},
    options: Partial<Options> = {},
    /** The ports to the books; unless given, books without a ledger behind them. */
    ports?: Layer.Layer<Intake | Queries>
  ): Layer.Layer<Harness> => {
    const books = new Books()
    const chains = new Chains()
    const health = { healthy: true }
    const lines: Array<readonly [level: string, ...message: ReadonlyArray<unknown>]> = []
    const listener = Logger.make<unknown, void>(({ logLevel, message }) => {
      lines.push([logLevel, ...(Array.isArray(message) ? message : [message])])
    })
    const readiness = Readiness.layer([{
      name: "shard 0",
      run: Effect.suspend(() =>
        health.healthy ? Effect.void : Effect.fail({ message: "connect ECONNREFUSED 10.0.0.7" })
      )
    }, { name: "shard 1", run: Effect.void }], { timeToLive: 0 })
    const server = serve({
      host: "127.0.0.1",
      port: 0,
      limits,
      apiKeys: new Map([[key, "anna"], [otherKey, "ben"]]),
      shardMap: even(2, partitions),
      sealKeys: [chains.signer.publicKey],
      build: { version: "1.2.3", commit: "abc" },
      ...options
    }).pipe(
      Layer.provide([ports ?? Layer.merge(intake(books), queries(books)), seals(chains), readiness]),
      Layer.provide([Logger.layer([listener]), Layer.succeed(References.MinimumLogLevel, "Debug")]),
      Layer.orDie
    )
    return Layer.effect(
      Harness,
      Effect.gen(function*() {
        const { port, url } = yield* Listening
        const document: unknown = yield* Effect.promise(() =>
          fetch(`${url}/openapi.json`).then((served) => served.json())
        )
        return Harness.of({
          url,
          port,
          books,
          chains,
          lines,
          health,
          call: caller(url, document),
          raw: rawCaller(port)
        })
      })
    ).pipe(Layer.provide(server))
  }
  static readonly layer = Harness.layerWith()
}

const caller = (url: string, document: unknown) =>
  Effect.fn("call")(function*(method: string, path: string, { as = key, body, headers }: Call = {}) {
    const response = yield* Effect.promise((signal) =>
      fetch(url + path, {
        method,
        signal,
        redirect: "error",
        headers: {
          ...(as === null ? {} : { authorization: `Bearer ${as}` }),
          ...(body === undefined ? {} : { "content-type": "application/json" }),
          ...headers
        },
        // A Buffer's memory may be shared, which the types of fetch do not take: it gets a copy.
        ...(body === undefined ? {} : { body: typeof body === "string" ? body : new Uint8Array(body) })
      })
    )
    const text = yield* Effect.promise(() => response.text())
    const answered: Answered = { method, path, status: response.status, headers: response.headers, text }
    expect(unlawful(document, answered)).toStrictEqual([])
    const parsed: unknown = response.headers.get("content-type")?.includes("json") && text !== ""
      ? JSON.parse(text)
      : {}
    return { ...answered, body: isObject(parsed) ? parsed : {} }
  })

const rawCaller = (port: number) => (...parts: ReadonlyArray<string | Uint8Array>) =>
  Effect.callback<string>((resume) => {
    const socket = connect(port, "127.0.0.1")
    let received = ""
    socket.setEncoding("latin1")
    socket.on("data", (chunk) => received += String(chunk))
    socket.on("error", () => undefined)
    socket.on("close", () => resume(Effect.succeed(received)))
    for (const part of parts) socket.write(part)
    return Effect.sync(() => socket.destroy())
  })

/** The parts of an answer that came over a bare connection. */
export const parsed = (received: string) => {
  const [head = "", ...rest] = received.split("\r\n\r\n")
  const [statusLine = "", ...lines] = head.split("\r\n")
  const headers = new Map(lines.map((line) => {
    const colon = line.indexOf(":")
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()]
  }))
  const body = rest.join("\r\n\r\n")
  const problem: unknown = headers.get("content-type") === "application/problem+json" ? JSON.parse(body) : undefined
  return { status: Number(statusLine.split(" ")[1]), headers, code: isObject(problem) ? problem["code"] : undefined }
}

let drawn = 0

/** An idempotency key that nobody used. */
export const freshKey = (): string => `key-${process.pid}-${++drawn}`

/** The members of a transfer that nothing is wrong with, as JSON text each. */
export const goodTransfer: Readonly<Record<string, string>> = {
  source: "\"wallet-anna\"",
  destination: "\"wallet-ben\"",
  amount: "\"1250\"",
  currency: "\"EUR\""
}

export const goodAccount: Readonly<Record<string, string>> = { currency: "\"EUR\"" }

/** JSON of members that are JSON text already: what `JSON.stringify` cannot write can be said, too. */
export const json = (members: Readonly<Record<string, string>>): string =>
  `{${Object.entries(members).map(([name, value]) => `${JSON.stringify(name)}:${value}`).join(",")}}`

export const post = (path: string, body: string | Uint8Array, headers: Readonly<Record<string, string>> = {}) =>
  Effect.flatMap(
    Harness,
    ({ call }) => call("POST", path, { body, headers: { "idempotency-key": freshKey(), ...headers } })
  )

export const get = (path: string, headers: Readonly<Record<string, string>> = {}) =>
  Effect.flatMap(Harness, ({ call }) => call("GET", path, { headers }))
