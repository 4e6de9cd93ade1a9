import { layer } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { FetchHttpClient, HttpClientRequest } from "effect/http"
import { HttpApiClient, HttpApiMiddleware } from "effect/http-api"
import { readFileSync } from "node:fs"
import path from "node:path"
import { describe, expect, it as plain } from "vitest"
import { AccountId } from "#domain/account/Account.ts"
import { Amount } from "#domain/money/Amount.ts"
import { Currency } from "#domain/money/Currency.ts"
import { codes } from "#infra/http/Problems.ts"
import { Live, Ready, Version } from "#infra/http/System.ts"
import { NoMembers } from "#infra/http/Values.ts"
import {
  Account,
  AccountList,
  Balance,
  DescribeAccount,
  EntryList,
  OpenAccount
} from "../../apps/api/contract/Accounts.ts"
import { Authorization } from "../../apps/api/contract/Authorization.ts"
import { CounterpoiseApi } from "../../apps/api/contract/CounterpoiseApi.ts"
import { examples } from "../../apps/api/contract/Examples.ts"
import { failures } from "../../apps/api/contract/Failures.ts"
import { TrialBalance } from "../../apps/api/contract/LedgerBooks.ts"
import { PublishedSeals, Receipt } from "../../apps/api/contract/Receipts.ts"
import { Statement } from "../../apps/api/contract/Statements.ts"
import {
  CaptureTransfer,
  RequestedTransfers,
  RequestTransfer,
  RequestTransfers,
  Timeline,
  Transfer,
  TransferList
} from "../../apps/api/contract/Transfers.ts"
import { faults, isObject } from "./conformance.ts"
import { freshKey, get, Harness, key } from "./Harness.ts"

const committed = readFileSync(path.join(import.meta.dirname, "../../docs/openapi.json"), "utf8")
const document: unknown = JSON.parse(committed)

const objects = (value: unknown): ReadonlyArray<readonly [string, { readonly [key: string]: unknown }]> =>
  isObject(value) ? Object.entries(value).flatMap(([key, inner]) => isObject(inner) ? [[key, inner] as const] : []) : []

const at = (value: unknown, key: string): unknown => isObject(value) ? value[key] : undefined

const operations = objects(at(document, "paths")).flatMap(([template, methods]) =>
  objects(methods).map(([method, operation]) => ({ name: `${method.toUpperCase()} ${template}`, operation }))
)

/** The schemas by whose types the examples of requests were written. */
const requests: Readonly<Record<string, Schema.ConstraintDecoder<unknown>>> = {
  "accounts.open": OpenAccount,
  "accounts.describe": DescribeAccount,
  "accounts.freeze": NoMembers,
  "accounts.unfreeze": NoMembers,
  "accounts.close": NoMembers,
  "transfers.request": RequestTransfer,
  "transfers.requestAll": RequestTransfers,
  "transfers.capture": CaptureTransfer,
  "transfers.void": NoMembers
}

/** The schemas by whose types the examples of answers were written. */
const bodies: Readonly<Record<string, Schema.ConstraintDecoder<unknown>>> = {
  "accounts.open 201": Account,
  "accounts.list 200": AccountList,
  "accounts.get 200": Account,
  "accounts.describe 200": Account,
  "accounts.freeze 200": Account,
  "accounts.freeze 202": Account,
  "accounts.unfreeze 200": Account,
  "accounts.unfreeze 202": Account,
  "accounts.close 200": Account,
  "accounts.close 202": Account,
  "accounts.balance 200": Balance,
  "accounts.entries 200": EntryList,
  "statements.get 200": Statement,
  "statements.get 200 text/csv": Schema.String,
  "transfers.request 202": Transfer,
  "transfers.request 200": Transfer,
  "transfers.list 200": TransferList,
  "transfers.get 200": Transfer,
  "transfers.requestAll 200": RequestedTransfers,
  "transfers.capture 200": Transfer,
  "transfers.capture 202": Transfer,
  "transfers.void 200": Transfer,
  "transfers.void 202": Transfer,
  "transfers.timeline 200": Timeline,
  "ledger.trialBalance 200": TrialBalance,
  "receipts.get 200": Receipt,
  "seals.published 200": PublishedSeals,
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

  it.effect("explains every failure of a transfer", () =>
    Effect.gen(function*() {
      const { text } = yield* get("/problems")
      for (const code of Object.keys(failures)) expect(text).toContain(`id="${code}"`)
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

/** A client that was made from nothing but the contract. */
const client = Effect.gen(function*() {
  const { url } = yield* Harness
  const asAnna = HttpApiMiddleware.layerClient(
    Authorization,
    ({ next, request }) => next(HttpClientRequest.bearerToken(request, key))
  )
  return yield* Effect.provide(HttpApiClient.make(CounterpoiseApi, { baseUrl: url }), [asAnna, FetchHttpClient.layer])
})

layer(Harness.layer, { excludeTestServices: true })("a client made from the contract", (it) => {
  it.effect("speaks in amounts, and hears what became of a transfer", () =>
    Effect.gen(function*() {
      const { transfers } = yield* client
      const transfer = yield* transfers.request({
        headers: { "idempotency-key": freshKey() },
        payload: RequestTransfer.make({
          source: AccountId.make("wallet-anna"),
          destination: AccountId.make("wallet-ben"),
          amount: Amount.make(1250n),
          currency: Currency.make("EUR")
        })
      })
      expect(transfer).toMatchObject({ status: "requested", amount: "1250" })
      expect(yield* transfers.get({ params: { id: transfer.id }, headers: {} })).toStrictEqual(transfer)
    }))

  it.effect("hears a problem as a typed error", () =>
    Effect.gen(function*() {
      const { accounts } = yield* client
      const problem = yield* Effect.flip(accounts.get({ params: { id: "nobody" } }))
      expect("code" in problem && problem.code === "account_not_found" && problem.status).toBe(404)
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
    const [id = "", ...answer] = name.split(" ")
    expect(() => Schema.decodeUnknownSync(schema)(examples[id]?.response[answer.join(" ")])).not.toThrow()
  })

  plain.each(Object.entries(requests))("has an example of a request for %s that is accepted", (id, schema) => {
    expect(() => Schema.decodeUnknownSync(schema)(examples[id]?.request)).not.toThrow()
  })

  plain("has an example of every request with a body", () => {
    const given = Object.entries(examples).flatMap(([id, { request }]) => request === undefined ? [] : [id])
    const taken = operations.flatMap(({ operation }) =>
      operation["requestBody"] === undefined ? [] : [operation["operationId"]]
    )
    expect(given.toSorted()).toStrictEqual(taken.toSorted())
    expect(given.toSorted()).toStrictEqual(Object.keys(requests).toSorted())
  })

  plain("lets a body be left out where nothing in it is required", () => {
    const optional = operations.filter(({ operation }) => at(operation["requestBody"], "required") === false)
    expect(optional.map(({ operation }) => operation["operationId"]).toSorted()).toStrictEqual([
      "accounts.close",
      "accounts.freeze",
      "accounts.unfreeze",
      "transfers.capture",
      "transfers.void"
    ])
  })

  plain("refers to schemas that are there, and uses each", () => {
    const names = objects(at(at(document, "components"), "schemas")).map(([name]) => name)
    const used = [...committed.matchAll(/#\/components\/schemas\/(\w+)/g)].map(([, name]) => name ?? "")
    expect([...new Set(used)].toSorted()).toStrictEqual(names.toSorted())
  })
})
