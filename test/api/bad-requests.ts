/** To which operations bad input is sent, and where in them it is put. */
import * as Bad from "./bad-input.ts"
import { isObject } from "./conformance.ts"
import { goodAccount, goodTransfer } from "./Harness.ts"

/** An account, whose metadata is changed by PATCH. */
export const changed = "/v1/accounts/wallet-anna"

const transfer = "/v1/transfers/trf_01KAJ7QZ6C0NV5XJ9A4T7MZB3D"

/** What is wrong with the body is said before it is looked for what the path names. */
const capture = `${transfer}/capture`

export const members: ReadonlyArray<
  readonly [path: string, member: string, rows: ReadonlyArray<Bad.Row>, good: Readonly<Record<string, string>>]
> = [
  ["/v1/transfers", "amount", Bad.amounts, goodTransfer],
  ["/v1/transfers", "source", Bad.accountIds, goodTransfer],
  ["/v1/transfers", "destination", Bad.accountIds, goodTransfer],
  ["/v1/transfers", "currency", Bad.currencies, goodTransfer],
  ["/v1/transfers", "reference", Bad.texts, goodTransfer],
  ["/v1/transfers", "description", Bad.texts, goodTransfer],
  ["/v1/transfers", "metadata", [...Bad.metadata, ...Bad.metadataKeys], goodTransfer],
  ["/v1/transfers", "capture", Bad.captures, goodTransfer],
  ["/v1/transfers", "reverses", Bad.transferIds, goodTransfer],
  ["/v1/transfers", "expires_in", Bad.expiries, { ...goodTransfer, capture: "\"manual\"" }],
  [capture, "amount", Bad.amounts, {}],
  ["/v1/accounts", "id", Bad.accountIds, goodAccount],
  ["/v1/accounts", "currency", Bad.currencies, goodAccount],
  ["/v1/accounts", "kind", Bad.kinds, goodAccount],
  ["/v1/accounts", "normal_side", Bad.sides, goodAccount],
  ["/v1/accounts", "floor", Bad.limits, goodAccount],
  ["/v1/accounts", "ceiling", Bad.limits, goodAccount],
  ["/v1/accounts", "metadata", [...Bad.metadata, ...Bad.metadataKeys], goodAccount],
  [changed, "metadata", [...Bad.metadata, ...Bad.metadataKeys], { metadata: "{}" }]
]

/** Operations with a body that makes something; and those whose body may be left out. */
export const writes: ReadonlyArray<
  readonly [path: string, good: Readonly<Record<string, string>>, maybeLeftOut?: "maybe left out"]
> = [
  ["/v1/transfers", goodTransfer],
  ["/v1/accounts", goodAccount],
  [changed, { metadata: "{}" }],
  [capture, {}, "maybe left out"],
  [`${transfer}/void`, {}, "maybe left out"],
  ["/v1/accounts/wallet-anna/freeze", {}, "maybe left out"],
  ["/v1/accounts/wallet-anna/unfreeze", {}, "maybe left out"],
  ["/v1/accounts/wallet-anna/close", {}, "maybe left out"]
]

export const methodOf = (path: string) => path === changed ? "PATCH" : "POST"

/** Lists in pages. */
export const lists = [
  "/v1/accounts",
  "/v1/accounts/wallet-anna/entries",
  "/v1/accounts/wallet-anna/statement",
  "/v1/transfers"
]

/** Parameters that are times. */
export const timeParameters = [
  "/v1/accounts/wallet-anna/balance?at",
  "/v1/accounts/wallet-anna/statement?from",
  "/v1/accounts/wallet-anna/statement?to",
  "/v1/transfers?created_from",
  "/v1/transfers?created_to"
]

/** What is read, by its path in the served document. */
export const queries = [
  "/v1/accounts",
  "/v1/accounts/{id}",
  "/v1/accounts/{id}/balance",
  "/v1/accounts/{id}/entries",
  "/v1/accounts/{id}/statement",
  "/v1/ledger/trial-balance",
  "/v1/transfers",
  "/v1/transfers/{id}",
  "/v1/transfers/{id}/receipt",
  "/v1/transfers/{id}/timeline"
]

/** A path as the served document has it. */
export const templateOf = (path: string): string => path.replace(/\/(?:wallet-anna|trf_[0-9A-Z]{26})/, "/{id}")

/** The parameters that query strings name. */
export const namesIn = (of: ReadonlyArray<readonly [query: string, code: unknown]>): ReadonlyArray<string> =>
  of.map(([query]) => query.split("=")[0] ?? "")

/** Probes read nothing of what a request says; many transfers at once are tried in ManyTransfers.test.ts; and no Prefer is bad. */
export const isTriedElsewhere = (what: string): boolean =>
  /^GET \/(?:livez|readyz|metrics|version|\.well-known\/)|^POST \/v1\/transfers\/batch| prefer$/.test(what)

/** Each operation of a document, each of its parameters, and each member of its body. */
export const askedBy = (document: unknown): ReadonlyArray<string> => {
  const at = (value: unknown, ...path: ReadonlyArray<string>) =>
    path.reduce<unknown>((inside, key) => isObject(inside) ? inside[key] : undefined, value)
  const entries = (value: unknown) => isObject(value) ? Object.entries(value) : []
  return entries(at(document, "paths")).flatMap(([path, operations]) =>
    entries(operations).flatMap(([method, operation]) => {
      const parameters = at(operation, "parameters")
      const schema = at(operation, "requestBody", "content", "application/json", "schema")
      const reference = at(schema, "$ref")
      const body = typeof reference === "string" ? at(document, ...reference.split("/").slice(1)) : schema
      const names = [
        ...(Array.isArray(parameters) ? parameters.map((parameter) => at(parameter, "name")) : []),
        ...entries(at(body, "properties")).map(([name]) => name)
      ]
      const name = `${method.toUpperCase()} ${path}`
      return [name, ...names.map((inside) => `${name} ${String(inside)}`)]
    })
  )
}
