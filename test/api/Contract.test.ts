import { layer } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { readFileSync } from "node:fs"
import path from "node:path"
import { describe, expect, it as plain } from "vitest"
import { Account, AccountList, Balance, EntryList, OpenAccount } from "../../apps/api/contract/Accounts.ts"
import { examples } from "../../apps/api/contract/Examples.ts"
import { TrialBalance } from "../../apps/api/contract/LedgerBooks.ts"
import { codes } from "../../apps/api/contract/Problems.ts"
import { Live, Ready, Version } from "../../apps/api/contract/System.ts"
import { RequestTransfer, Timeline, Transfer } from "../../apps/api/contract/Transfers.ts"
import { faults, isObject } from "./conformance.ts"
import { get, Harness } from "./Harness.ts"

const committed = readFileSync(path.join(import.meta.dirname, "../../docs/openapi.json"), "utf8")
const document: unknown = JSON.parse(committed)

const objects = (value: unknown): ReadonlyArray<readonly [string, { readonly [key: string]: unknown }]> =>
  isObject(value) ? Object.entries(value).flatMap(([key, inner]) => isObject(inner) ? [[key, inner] as const] : []) : []

const at = (value: unknown, key: string): unknown => isObject(value) ? value[key] : undefined

const operations = objects(at(document, "paths")).flatMap(([template, methods]) =>
  objects(methods).map(([method, operation]) => ({ name: `${method.toUpperCase()} ${template}`, operation }))
)

/** The schemas by whose types the examples were written. */
const bodies: Readonly<Record<string, Schema.ConstraintDecoder<unknown>>> = {
  "accounts.open 201": Account,
  "accounts.list 200": AccountList,
  "accounts.get 200": Account,
  "accounts.balance 200": Balance,
  "accounts.entries 200": EntryList,
  "transfers.request 202": Transfer,
  "transfers.request 200": Transfer,
  "transfers.get 200": Transfer,
  "transfers.timeline 200": Timeline,
  "ledger.trialBalance 200": TrialBalance,
  "system.live 200": Live,
  "system.ready 200": Ready,
  "system.metrics 200": Schema.String,
  "system.version 200": Version
}

layer(Harness.layer, { excludeTestServices: true })("the contract", (it) => {
  it.effect("is committed as it is served", () =>
    Effect.gen(function*() {
      const served = yield* get("/openapi.json")
      // A difference is mended by: node run.mjs apps/api/contract/writeOpenApi.ts
      expect(served.text).toBe(committed)
      expect(served.headers.get("content-type")).toBe("application/json")
    }))

  it.effect("has documentation that loads nothing from elsewhere", () =>
    Effect.gen(function*() {
      const page = yield* get("/docs")
      expect(page.status).toBe(200)
      expect(page.headers.get("content-type")).toContain("text/html")
      expect(page.headers.get("content-security-policy")).toContain("default-src 'none'")
      expect(page.text).not.toMatch(/<(?:script|link)[^>]+(?:src|href)=/)
      expect(page.text).toContain("Request a transfer")
    }))

  it.effect("has a page for every problem", () =>
    Effect.gen(function*() {
      const index = yield* get("/problems")
      for (const [code, { explanation, title }] of codes) {
        expect(index.text).toContain(`href="/problems/${code}"`)
        const page = yield* get(`/problems/${code}`)
        expect(page.status).toBe(200)
        expect(page.text).toContain(title)
        expect(explanation.length).toBeGreaterThan(20)
      }
      const unknown = yield* get("/problems/teapot")
      expect(unknown).toMatchObject({ status: 404, body: { code: "route_not_found" } })
      expect((yield* get("/problems/constructor")).status).toBe(404)
    }))
})

describe("the OpenAPI document", () => {
  plain("is OpenAPI 3.1 with a licence and a version", () => {
    expect(document).toMatchObject({ openapi: "3.1.0", info: { license: { name: "MIT" }, version: "1.0.0" } })
  })

  plain.each(operations)("gives $name a summary, a description and an example of everything", ({ operation }) => {
    expect(operation["summary"]).toEqual(expect.stringMatching(/.{4}/))
    expect(operation["description"]).toEqual(expect.stringMatching(/.{10}/))
    const media = [operation["requestBody"], ...objects(operation["responses"]).map(([, response]) => response)]
      .flatMap((body) => objects(at(body, "content")))
    expect(media.length).toBeGreaterThan(0)
    for (const [, { example, schema }] of media) {
      expect(example).toBeDefined()
      expect(faults(document, schema, example)).toStrictEqual([])
    }
  })

  plain.each(operations)("says of $name how it fails", ({ operation }) => {
    const responses = objects(operation["responses"])
    const failing = responses.filter(([status]) => Number(status) >= 400)
    expect(failing.map(([status]) => status)).toContain("500")
    for (const [, response] of failing) {
      expect(Object.keys(at(response, "content") ?? {})).toStrictEqual(["application/problem+json"])
    }
  })

  plain("knows the answers to everything there is an example of", () => {
    const given = Object.entries(examples).flatMap(([id, { response }]) =>
      Object.keys(response).map((at) => `${id} ${at}`)
    )
    expect(given.toSorted()).toStrictEqual(Object.keys(bodies).toSorted())
    expect(operations.map(({ operation }) => operation["operationId"]).toSorted()).toStrictEqual(
      Object.keys(examples).toSorted()
    )
  })

  plain.each(Object.entries(bodies))("has an example of %s that its schema decodes", (name, schema) => {
    const [id = "", status = ""] = name.split(" ")
    expect(() => Schema.decodeUnknownSync(schema)(examples[id]?.response[status])).not.toThrow()
  })

  plain("has examples of requests that are accepted", () => {
    expect(() => Schema.decodeUnknownSync(OpenAccount)(examples["accounts.open"]?.request)).not.toThrow()
    expect(() => Schema.decodeUnknownSync(RequestTransfer)(examples["transfers.request"]?.request)).not.toThrow()
  })

  plain("refers to schemas that are there, and uses each", () => {
    const names = objects(at(at(document, "components"), "schemas")).map(([name]) => name)
    const used = [...committed.matchAll(/#\/components\/schemas\/(\w+)/g)].map(([, name]) => name ?? "")
    expect([...new Set(used)].toSorted()).toStrictEqual(names.toSorted())
  })
})
