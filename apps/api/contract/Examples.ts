/**
 * The examples of the documentation, and what the OpenAPI document needs beyond the schemas: examples on each operation
 * and the headers of the answers.
 */
import { Schema } from "effect"
import { onceEach } from "#infra/http/Documented.ts"
import { type Problem, registry } from "#infra/http/Problems.ts"
import type { Live, Ready, Version } from "#infra/http/System.ts"
import type { Account, Balance, DescribeAccount, Entry, OpenAccount } from "./Accounts.ts"
import type { TrialBalance } from "./LedgerBooks.ts"
import type { PublishedSeals, Receipt } from "./Receipts.ts"
import type { Statement } from "./Statements.ts"
import type {
  CaptureTransfer,
  RequestedTransfers,
  RequestTransfer,
  RequestTransfers,
  TimelineStep,
  Transfer
} from "./Transfers.ts"

const balance: typeof Balance.Encoded = {
  posted: "10000",
  held: "1250",
  available: "8750",
  currency: "EUR",
  version: 4,
  sequence: 3
}

const account: typeof Account.Encoded = {
  id: "wallet-anna",
  object: "account",
  kind: "customer",
  normal_side: "credit",
  currency: "EUR",
  status: "open",
  floor: "0",
  ceiling: null,
  balance,
  metadata: { plan: "basic" },
  created_at: "2026-11-21T09:30:00.000Z"
}

const emptied: typeof Balance.Encoded = { ...balance, posted: "0", held: "0", available: "0", version: 6, sequence: 4 }

const openAccount: typeof OpenAccount.Encoded = { id: "wallet-anna", currency: "EUR", metadata: { plan: "basic" } }

const describeAccount: typeof DescribeAccount.Encoded = { metadata: { plan: "premium" } }

const entry: typeof Entry.Encoded = {
  id: "wallet-anna/3",
  object: "entry",
  account: "wallet-anna",
  sequence: 3,
  transfer: "trf_01KAJ7QZ6C0NV5XJ9A4T7MZB3D",
  direction: "DEBIT",
  amount: "1250",
  currency: "EUR",
  posted: "8750",
  created_at: "2026-11-21T09:31:00.051Z"
}

const statement: typeof Statement.Encoded = {
  object: "statement",
  account: "wallet-anna",
  currency: "EUR",
  normal_side: "credit",
  from: "2026-11-21T09:31:00.000Z",
  to: "2026-11-22T00:00:00.000Z",
  opening: { posted: "10000", currency: "EUR", sequence: 2, created_at: "2026-11-21T09:30:12.847Z" },
  closing: { posted: "8750", currency: "EUR", sequence: 3, created_at: "2026-11-21T09:31:00.051Z" },
  credits: "0",
  debits: "1250",
  data: [entry],
  has_more: false,
  next_cursor: null
}

const statementAsCsv = [
  "line,sequence,created_at,transfer,debit,credit,posted,currency",
  "opening,2,2026-11-21T09:30:12.847Z,,,,10000,EUR",
  "entry,3,2026-11-21T09:31:00.051Z,trf_01KAJ7QZ6C0NV5XJ9A4T7MZB3D,1250,,8750,EUR",
  "closing,3,2026-11-21T09:31:00.051Z,,1250,0,8750,EUR"
].map((line) => `${line}\r\n`).join("")

const requestTransfer: typeof RequestTransfer.Encoded = {
  source: "wallet-anna",
  destination: "wallet-ben",
  amount: "1250",
  currency: "EUR",
  reference: "invoice-2026-0042"
}

const transfer: typeof Transfer.Encoded = {
  id: "trf_01KAJ7QZ6C0NV5XJ9A4T7MZB3D",
  object: "transfer",
  status: "requested",
  status_changed_at: "2026-11-21T09:31:00.012Z",
  source: "wallet-anna",
  destination: "wallet-ben",
  amount: "1250",
  currency: "EUR",
  capture: "automatic",
  captured_amount: null,
  expires_at: null,
  reverses: null,
  reference: "invoice-2026-0042",
  description: null,
  metadata: {},
  created_at: "2026-11-21T09:31:00.012Z"
}

const committed: typeof Transfer.Encoded = {
  ...transfer,
  status: "committed",
  status_changed_at: "2026-11-21T09:31:00.051Z"
}

const requestTransfers: typeof RequestTransfers.Encoded = {
  transfers: [
    { idempotency_key: "salary-2026-11-anna", ...requestTransfer },
    { idempotency_key: "salary-2026-10-anna", ...requestTransfer, reference: "salary-2026-11" }
  ]
}

const captureTransfer: typeof CaptureTransfer.Encoded = { amount: "1000" }

const authorized: typeof Transfer.Encoded = {
  ...transfer,
  status: "authorized",
  status_changed_at: "2026-11-21T09:31:00.051Z",
  capture: "manual",
  expires_at: "2026-11-28T09:31:00.012Z"
}

const captured: typeof Transfer.Encoded = {
  ...authorized,
  status: "committed",
  status_changed_at: "2026-11-23T16:02:11.240Z",
  captured_amount: "1000"
}

const voided: typeof Transfer.Encoded = {
  ...authorized,
  status: "cancelled",
  status_changed_at: "2026-11-23T16:02:11.240Z",
  failure: { code: "voided", detail: "the client voided the authorization" }
}

const step: typeof TimelineStep.Encoded = {
  id: "0:1742",
  object: "timeline_step",
  event: "transfer.requested",
  shard: 0,
  position: 1742,
  request_id: "req_01KAJ7QZ6BW8Y2R4E6T8U0P2S4",
  created_at: "2026-11-21T09:31:00.012Z"
}

const trialBalance: typeof TrialBalance.Encoded = {
  id: "trial_balance",
  object: "trial_balance",
  created_at: "2026-11-21T09:32:00.000Z",
  balances: true,
  currencies: [{
    currency: "EUR",
    debits: "11250",
    credits: "11250",
    balances: true,
    held: "1250",
    in_flight: "0",
    shards: [{
      shard: 0,
      debits: "11250",
      credits: "11250",
      balances: true,
      held: "1250",
      clearing_to: "0",
      clearing_from: "0"
    }]
  }]
}

const key: typeof PublishedSeals.Encoded["keys"][number] = {
  id: "619519230f864d41",
  public_key: "MCowBQYDK2VwAyEA3lrPaBvZ8txDdCA5yk9tzDHMQLjI4gAy1bv4o/hOEBc="
}

const hash = (digit: string) => digit.repeat(64)

const receipt: typeof Receipt.Encoded = {
  id: "trf_01KAJ7QZ6C0NV5XJ9A4T7MZB3D",
  object: "receipt",
  format: "counterpoise receipt 1",
  events: [{
    position: 1744,
    occurred_at: "2026-11-21T09:31:00.051245Z",
    type: "transfer.committed",
    subject: "trf_01KAJ7QZ6C0NV5XJ9A4T7MZB3D",
    request_id: "req_01KAJ7QZ6BW8Y2R4E6T8U0P2S4",
    payload:
      "{\"type\":\"transfer.committed\",\"transfer\":\"trf_01KAJ7QZ6C0NV5XJ9A4T7MZB3D\",\"source\":\"wallet-anna\"," +
      "\"destination\":\"wallet-ben\",\"amount\":\"1250\",\"currency\":\"EUR\"}",
    hidden: hash("4"),
    leaf: { shard: 0, block: 17, index: 12, path: [hash("5"), hash("6")] }
  }],
  journals: [{
    position: 1744,
    created_at: "2026-11-21T09:31:00.051245Z",
    transfer: "trf_01KAJ7QZ6C0NV5XJ9A4T7MZB3D",
    leg: "1",
    step: "direct",
    amount: "1250",
    currency: "EUR",
    debit: "wallet-anna",
    credit: "wallet-ben",
    hidden: hash("7"),
    leaf: { shard: 0, block: 17, index: 13, path: [hash("8"), hash("6")] }
  }],
  blocks: [{
    shard: 0,
    number: 17,
    after: 1731,
    up_to: 1752,
    leaves: 29,
    root: hash("a"),
    list: hash("b"),
    previous: hash("c"),
    witness_shard: 1,
    witness_number: 16,
    witness_hash: hash("d"),
    sealed_at: "2026-11-21T09:31:09.480000Z",
    key: key.id,
    signature: hash("e").repeat(2)
  }],
  keys: [key]
}

const publishedSeals: typeof PublishedSeals.Encoded = {
  object: "seals",
  algorithm: "Ed25519",
  keys: [key],
  heads: [{ shard: 0, number: 17, hash: hash("f") }]
}

const live: typeof Live.Encoded = { status: "live" }
const ready: typeof Ready.Encoded = { status: "ready", checks: [{ name: "shard 0", healthy: true }] }
const version: typeof Version.Encoded = { name: "counterpoise", version: "0.1.0", commit: null }

const pageOf = <Item>(item: Item) => ({ object: "list", data: [item], has_more: false, next_cursor: null })

/** A problem as it is answered: by its code alone, with the members that depend on the request made up. */
export const problemExample = (code: keyof typeof registry): Problem => ({
  type: `/problems/${code}`,
  code,
  title: registry[code].title,
  status: registry[code].status,
  detail: registry[code].explanation,
  instance: "/v1/transfers",
  request_id: "req_01KAJ7QZ6BW8Y2R4E6T8U0P2S4",
  retryable: registry[code].retryable,
  errors: []
})

const requestedTransfers: typeof RequestedTransfers.Encoded = {
  object: "batch",
  accepted: 1,
  refused: 1,
  data: [
    { idempotency_key: "salary-2026-11-anna", status: 202, replayed: false, transfer },
    {
      idempotency_key: "salary-2026-10-anna",
      status: 422,
      problem: {
        ...problemExample("idempotency_key_reused"),
        instance: "/v1/transfers/batch",
        resource: "trf_01K92B4ZC8Q2V0M5H7W3K9RD6F"
      }
    }
  ]
}

interface Example {
  readonly request?: unknown
  readonly response: Readonly<Record<string, unknown>>
}

/** By operation id: an example of the request, and of each answer by its status, and its media type where it has several. */
export const examples: Readonly<Record<string, Example>> = {
  "accounts.open": { request: openAccount, response: { 201: account } },
  "accounts.list": { response: { 200: pageOf(account) } },
  "accounts.get": { response: { 200: account } },
  "accounts.describe": {
    request: describeAccount,
    response: { 200: { ...account, metadata: describeAccount.metadata } }
  },
  "accounts.freeze": { request: {}, response: { 200: { ...account, status: "frozen" }, 202: account } },
  "accounts.unfreeze": { request: {}, response: { 200: account, 202: { ...account, status: "frozen" } } },
  "accounts.close": {
    request: {},
    response: { 200: { ...account, status: "closed", balance: emptied }, 202: account }
  },
  "accounts.balance": { response: { 200: balance } },
  "accounts.entries": { response: { 200: pageOf(entry) } },
  "statements.get": { response: { 200: statement, "200 text/csv": statementAsCsv } },
  "transfers.request": { request: requestTransfer, response: { 202: transfer, 200: committed } },
  "transfers.requestAll": { request: requestTransfers, response: { 200: requestedTransfers } },
  "transfers.list": { response: { 200: pageOf(committed) } },
  "transfers.get": { response: { 200: committed } },
  "transfers.capture": { request: captureTransfer, response: { 200: captured, 202: authorized } },
  "transfers.void": { request: {}, response: { 200: voided, 202: authorized } },
  "transfers.timeline": { response: { 200: pageOf(step) } },
  "ledger.trialBalance": { response: { 200: trialBalance } },
  "receipts.get": { response: { 200: receipt } },
  "seals.published": { response: { 200: publishedSeals } },
  "system.live": { response: { 200: live } },
  "system.ready": { response: { 200: ready } },
  "system.metrics": { response: { 200: "http_server_active_requests 1\n" } },
  "system.version": { response: { 200: version } }
}

const header = (description: string) => ({ description, schema: { type: "string" } })

const requestId = { "x-request-id": header("Names the request in logs and problems") }

/** The operations that ask something of what exists; their bodies may be left out. */
const instructions: ReadonlySet<string> = new Set([
  "transfers.capture",
  "transfers.void",
  "accounts.freeze",
  "accounts.unfreeze",
  "accounts.close"
])

/** The operations that may be held until a transfer has ended. */
const waits: ReadonlySet<string> = new Set(["transfers.request", "transfers.get"])

const makes: ReadonlySet<string> = new Set(["transfers.request", "accounts.open"])

/** The operations that answer with one account. */
const ofOneAccount: ReadonlySet<string> = new Set([
  "accounts.open",
  "accounts.get",
  "accounts.describe",
  "accounts.freeze",
  "accounts.unfreeze",
  "accounts.close"
])

const headersOf = (operation: string, status: string): Readonly<Record<string, unknown>> => {
  const succeeded = status.startsWith("2")
  const instructed = instructions.has(operation) && (succeeded || status === "409")
  return {
    ...requestId,
    ...(makes.has(operation) && succeeded || instructed
      ? { "idempotent-replayed": header("`true` where the request had been recorded before") }
      : {}),
    ...(makes.has(operation) && succeeded ? { location: header("Where the resource lives") } : {}),
    ...(ofOneAccount.has(operation) && succeeded
      ? { etag: header("The revision of the account, without its balance: what `If-Match` takes") }
      : {}),
    ...(status === "429"
      ? {
        "ratelimit-policy": header("How many requests (q) in how many seconds (w)"),
        ratelimit: header("How many are left (r), and in how many seconds there are more (t)")
      }
      : {}),
    ...(status === "202" || status === "429" || status === "503" || operation === "receipts.get" && status === "409"
      ? { "retry-after": header("Seconds after which to look again") }
      : {}),
    ...(waits.has(operation) && status === "200" || instructed && status !== "202"
      ? { "preference-applied": header("`wait=N` where the preference was honoured") }
      : {}),
    ...(status === "401" ? { "www-authenticate": header("`Bearer`") } : {})
  }
}

// The document arrives as plain JSON. Only the parts that are filled in are looked at; all others pass untouched.
const Json = Schema.Record(Schema.String, Schema.Unknown)
const asObject = Schema.decodeUnknownSync(Json)

const withExample = (content: unknown, exampleOf: (mediaType: string) => unknown): unknown =>
  Object.fromEntries(
    Object.entries(asObject(content)).map(([type, media]) => [
      type,
      { ...asObject(media), example: exampleOf(type.split(";")[0] ?? type) }
    ])
  )

const codesIn = (description: unknown) =>
  typeof description === "string" ? [...description.matchAll(/`([a-z_]+)`/g)].flatMap(([, code]) => code ?? []) : []

const problemOf = (description: unknown): Problem | undefined => {
  const [code] = codesIn(description)
  return code !== undefined && isKnown(code) ? problemExample(code) : undefined
}

const isKnown = (code: string): code is keyof typeof registry => Object.hasOwn(registry, code)

const withResponses = (operation: string, responses: unknown): unknown =>
  Object.fromEntries(
    Object.entries(asObject(responses)).map(([status, response]) => {
      const { content, ...rest } = asObject(response)
      const known = examples[operation]?.response ?? {}
      const exampleOf = (mediaType: string) =>
        known[`${status} ${mediaType}`] ?? known[status] ?? problemOf(rest["description"])
      return [status, {
        ...rest,
        headers: { ...headersOf(operation, status) },
        ...(content === undefined ? {} : { content: withExample(content, exampleOf) })
      }]
    })
  )

// Query parameters travel as text, and so the generator describes their text.
const whole: Readonly<Record<string, unknown>> = {
  limit: { type: "integer", minimum: 1, maximum: 200, default: 50, description: "How many at most" },
  sequence: { type: "integer", minimum: 0 }
}

const withParameter = (parameter: unknown): unknown => {
  const { schema, ...rest } = asObject(parameter)
  return { ...rest, schema: whole[String(rest["name"])] ?? schema }
}

const withOperation = (operation: unknown): unknown => {
  const { operationId, parameters, requestBody, responses, ...rest } = asObject(operation)
  const id = String(operationId)
  const body = requestBody === undefined ? undefined : asObject(requestBody)
  return {
    operationId,
    ...rest,
    parameters: Array.isArray(parameters) ? parameters.map(withParameter) : [],
    ...(body === undefined
      ? {}
      : {
        requestBody: {
          ...body,
          content: withExample(body["content"], () => examples[id]?.request),
          required: !instructions.has(id)
        }
      }),
    responses: withResponses(id, responses)
  }
}

/** Puts examples and headers into the generated OpenAPI document, and each schema once. */
export const completed = (document: Record<string, unknown>): Record<string, unknown> => {
  const paths = Object.fromEntries(
    Object.entries(asObject(document["paths"])).map(([path, operations]) => [
      path,
      Object.fromEntries(Object.entries(asObject(operations)).map(([method, one]) => [method, withOperation(one)]))
    ])
  )
  return onceEach({ ...document, paths })
}
