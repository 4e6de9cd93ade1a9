/** What the world is told: facts, in the words of the API. */
import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import type { LogRecord } from "#domain/messaging/EventLog.ts"
import { isFact, notificationOf } from "#domain/notification/Notification.ts"

const transfer = "trf_01KAJ7QZ6C0NV5XJ9A4T7MZB3D"

const terms = { transfer, source: "anna", destination: "ben", amount: "1250", currency: "EUR" }

const record = (type: string, payload: unknown): LogRecord => ({
  partition: 3,
  source: 1,
  position: 1742n,
  key: "anna",
  type,
  subject: transfer,
  payload: typeof payload === "string" ? payload : JSON.stringify(payload),
  occurredAtMillis: 1_790_000_000_123,
  traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
  requestId: "req_1"
})

const told = (type: string, payload: unknown) => {
  const { body, ...rest } = Result.getOrThrow(notificationOf(record(type, payload)))
  return { ...rest, body: JSON.parse(body) }
}

describe("a fact", () => {
  it.each<readonly [string, boolean]>([
    ["transfer.committed", true],
    ["transfer.rejected", true],
    ["transfer.cancelled", true],
    ["transfer.authorized", true],
    ["account.opened", true],
    ["account.frozen", true], // and whatever else will be told of accounts
    ["account.close_requested", false], // a wish
    ["transfer.requested", false],
    ["transfer.held", false],
    ["transfer.credited", false],
    ["transfer.refused", false],
    ["transfer.recalled", false],
    ["log.founded", false],
    ["", false]
  ])("is told of %s: %s", (type, expected) => {
    assert.strictEqual(isFact(type), expected)
  })
})

describe("a notification", () => {
  it("has the id of its event, the same however often it is made", () => {
    const { id, traceparent, type } = told("transfer.committed", { type: "transfer.committed", ...terms })
    assert.deepStrictEqual([id, type, traceparent], ["1-1742", "transfer.committed", record("", "").traceparent])
  })

  it("tells of a transfer what the API calls it, with its amount as digits", () => {
    const { body } = told("transfer.committed", { type: "transfer.committed", ...terms, leg: 1 })
    assert.deepStrictEqual(body, {
      type: "transfer.committed",
      timestamp: "2026-09-21T14:13:20.123Z",
      data: {
        id: transfer,
        object: "transfer",
        status: "committed",
        source: "anna",
        destination: "ben",
        amount: "1250",
        currency: "EUR"
      }
    })
  })

  it("keeps 38 digits of an amount", () => {
    const amount = "9".repeat(38)
    assert.strictEqual(told("transfer.authorized", { ...terms, amount }).body.data.amount, amount)
  })

  it("says why a transfer failed", () => {
    const reason = { code: "insufficient_funds", detail: "anna has 0.00 EUR available, 12.50 EUR are needed" }
    const { data } = told("transfer.rejected", { ...terms, reason }).body
    assert.deepStrictEqual([data.status, data.failure], ["rejected", reason])
  })

  it("tells of an account what became of it", () => {
    const opened = {
      account: "anna",
      kind: "customer",
      normalSide: "credit",
      currency: "EUR",
      floor: "0",
      ceiling: null
    }
    assert.deepStrictEqual(told("account.opened", opened).body.data, {
      id: "anna",
      object: "account",
      status: "open",
      kind: "customer",
      currency: "EUR"
    })
    assert.deepStrictEqual(told("account.frozen", { account: "anna" }).body.data, {
      id: "anna",
      object: "account",
      status: "frozen"
    })
    assert.deepStrictEqual(told("account.moved", { account: "anna", to: 7 }).body.data, {
      id: "anna",
      object: "account"
    })
  })

  it.each<readonly [string, string, unknown]>([
    ["is no JSON", "transfer.committed", "{"],
    ["is no object", "transfer.committed", "null"],
    ["has no amount", "transfer.committed", { ...terms, amount: undefined }],
    ["has an amount that is none", "transfer.cancelled", { ...terms, amount: "12.50" }],
    ["has a currency that is none", "transfer.rejected", { ...terms, currency: "???" }],
    ["has no account", "account.opened", {}]
  ])("is not made of a payload that %s", (_, type, payload) => {
    const made = notificationOf(record(type, payload))
    if (Result.isSuccess(made)) return assert.fail(made.success.body)
    assert.match(made.failure.message, new RegExp(`^the ${type} event cannot be read: .+`))
    assert.notInclude(made.failure.message, "\n")
  })

  it("is not made of an event from no time", () => {
    const made = notificationOf({ ...record("transfer.committed", terms), occurredAtMillis: Number.NaN })
    assert.isTrue(Result.isFailure(made))
  })
})
