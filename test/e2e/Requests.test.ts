/** What clients may ask of transfers and accounts that exist, and of many transfers at once, on the whole platform. */
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { type Answer, Platform, until } from "../support/Platform.ts"
import { violationsOf } from "../support/Violations.ts"

let platform: Platform
let keys = 0
const freshKey = () => ({ "idempotency-key": `requests-${++keys}` })

const post = (route: string, body?: object, headers: Readonly<Record<string, string>> = freshKey()) =>
  platform.call("POST", route, body, headers)

const open = async (id: string, kind = "customer") => {
  expect((await post("/v1/accounts", { id, kind, currency: "EUR" })).status).toBe(201)
  return id
}

const transfer = (source: string, destination: string, amount: string, more: object = {}) =>
  post("/v1/transfers", { source, destination, amount, currency: "EUR", ...more })

const funded = async (id: string, amount: string) => {
  await open(id)
  await platform.settled((await transfer("bank", id, amount)).body.id)
  return id
}

const authorized = async (source: string, amount: string) =>
  `/v1/transfers/${(await transfer(source, "shop", amount, { capture: "manual" })).body.id}`

const outcomes = (answers: ReadonlyArray<Answer>) =>
  answers.map(({ body, status }) => status === 200 ? "done" : `${status} ${String(body["code"])}`).toSorted()

beforeAll(async () => {
  platform = await Platform.start({ separate: true, env: { LEASE_SECONDS: "2", RECONCILE_SECONDS: "1" } })
  await open("bank", "external")
  await open("shop")
}, 120_000)

afterAll(async () => {
  expect(await violationsOf(platform.stack.shardUrls)).toEqual([])
  await platform.destroy()
}, 60_000)

describe("an authorized transfer", () => {
  it("is captured by one of twenty who ask at once; the others are told that it was", async () => {
    const path = await authorized(await funded("captured-by-many", "1000"), "1000")
    const answers = await Promise.all(Array.from({ length: 20 }, () => post(`${path}/capture`, { amount: "600" })))
    expect(outcomes(answers)).toEqual([...Array.from({ length: 19 }, () => "409 already_captured"), "done"])
    await platform.settled(path.split("/").at(-1) ?? "")
    expect((await platform.call("GET", "/v1/accounts/captured-by-many/balance")).body).toMatchObject({
      posted: "400",
      held: "0",
      available: "400"
    })
  })

  it("is either captured or voided, when both are asked at once", async () => {
    await funded("both", "10000")
    const paths = await Promise.all(Array.from({ length: 10 }, () => authorized("both", "100")))
    const pairs = await Promise.all(paths.map((path) => Promise.all([post(`${path}/capture`), post(`${path}/void`)])))
    for (const pair of pairs) {
      expect([["409 already_captured", "done"], ["409 already_voided", "done"]]).toContainEqual(outcomes(pair))
    }
  })

  it("cannot be captured beyond what was authorized, and can be after that", async () => {
    const path = await authorized(await funded("beyond", "1000"), "1000")
    const key = freshKey()
    const tooMuch = await post(`${path}/capture`, { amount: "1001" }, key)
    expect(tooMuch).toMatchObject({
      status: 409,
      body: { code: "capture_exceeds_authorization", resource_status: "authorized" }
    })
    const again = await post(`${path}/capture`, { amount: "1001" }, key)
    expect([again.body["code"], again.headers.get("idempotent-replayed")]).toEqual([tooMuch.body["code"], "true"])
    expect((await post(`${path}/capture`, { amount: "1000" }, key)).body["code"]).toBe("idempotency_key_reused")
    expect((await post(`${path}/capture`, { amount: "1000" })).status).toBe(200)
  })

  it("ends when it was not captured in time, and says so to who comes later", async () => {
    await funded("late", "1000")
    const { body } = await transfer("late", "shop", "1000", { capture: "manual", expires_in: 1 })
    expect((await platform.settled(body.id)).body).toMatchObject({ status: "cancelled", failure: { code: "expired" } })
    expect(outcomes([await post(`/v1/transfers/${body.id}/capture`)])).toEqual(["409 authorization_expired"])
    expect((await platform.call("GET", "/v1/accounts/late/balance")).body).toMatchObject({ available: "1000" })
  })

  it("is captured by who asked while nobody worked, and who learns it later under the same key", async () => {
    const path = await authorized(await funded("patient", "1000"), "1000")
    platform.kill("ledger")
    const key = { ...freshKey(), prefer: "wait=0" }
    expect((await post(`${path}/capture`, {}, key)).status).toBe(202)
    const answer = await until("the answer", async () => {
      const later = await post(`${path}/capture`, {}, { ...key, prefer: "wait=10" })
      return later.status === 202 ? undefined : later
    })
    expect(answer).toMatchObject({ status: 200, body: { captured_amount: "1000" } })
    expect(answer.headers.get("idempotent-replayed")).toBe("true")
  })

  it("that moves by itself is neither captured nor voided", async () => {
    await funded("automatic", "1000")
    const { body } = await transfer("automatic", "shop", "10")
    await platform.settled(body.id)
    for (const asks of ["capture", "void"]) {
      expect(outcomes([await post(`/v1/transfers/${body.id}/${asks}`)])).toEqual(["409 not_authorized"])
    }
  })
})

describe("an account", () => {
  it("that is frozen neither sends nor takes, until it is unfrozen", async () => {
    const id = await funded("frozen@1:x", "1000")
    const path = `/v1/accounts/${encodeURIComponent(id)}`
    expect((await post(`${path}/freeze`)).body).toMatchObject({ id, status: "frozen" })
    expect(outcomes([await post(`${path}/freeze`)])).toEqual(["409 account_frozen"])
    const [out, back] = [await transfer(id, "shop", "1"), await transfer("bank", id, "1")]
    expect((await platform.settled(out.body.id)).body).toMatchObject({
      status: "rejected",
      failure: { code: "account_frozen" }
    })
    expect((await platform.settled(back.body.id)).body).toMatchObject({ failure: { code: "account_frozen" } })
    expect((await post(`${path}/unfreeze`)).body).toMatchObject({ status: "open" })
    expect(outcomes([await post(`${path}/unfreeze`)])).toEqual(["409 account_not_frozen"])
    const then = await transfer(id, "shop", "1")
    expect((await platform.settled(then.body.id)).body.status).toBe("committed")
  })

  it("closes when it is empty, and for ever", async () => {
    const path = `/v1/accounts/${await funded("closing", "1000")}`
    expect(await post(`${path}/close`)).toMatchObject({
      status: 409,
      body: { code: "account_not_empty", resource: "closing", resource_status: "open" }
    })
    await platform.settled((await transfer("closing", "shop", "1000")).body.id)
    expect((await post(`${path}/close`)).body).toMatchObject({ status: "closed" })
    for (const asks of ["close", "freeze", "unfreeze"]) {
      expect(outcomes([await post(`${path}/${asks}`)])).toEqual(["409 account_closed"])
    }
    const late = await transfer("bank", "closing", "1")
    expect((await platform.settled(late.body.id)).body).toMatchObject({ failure: { code: "account_closed" } })
  })

  it("is described by one of five who read the same revision", async () => {
    const path = `/v1/accounts/${await open("described")}`
    const etag = (await platform.call("GET", path)).headers.get("etag") ?? ""
    const answers = await Promise.all(
      ["a", "b", "c", "d", "e"].map((by) => platform.call("PATCH", path, { metadata: { by } }, { "if-match": etag }))
    )
    expect(outcomes(answers)).toEqual([...Array.from({ length: 4 }, () => "412 revision_mismatch"), "done"])
    const now = await platform.call("GET", path)
    expect(now.headers.get("etag")).toBe("\"v2\"")
    expect(now.body["metadata"]).toEqual(answers.find(({ status }) => status === 200)?.body["metadata"])
    expect((await post(`${path}/freeze`)).headers.get("etag")).toBe("\"v3\"")
  })
})

describe("many transfers in one request", () => {
  const item = (index: number, amount = "1") => ({
    idempotency_key: `many-${index}`,
    source: "payroll",
    destination: `worker-${index % 10}`,
    amount,
    currency: "EUR"
  })

  it("are moved once each, though the request is repeated, in parts, singly and at the same time", async () => {
    await funded("payroll", "1000")
    for (let worker = 0; worker < 10; worker++) await open(`worker-${worker}`)
    const all = Array.from({ length: 1000 }, (_, index) => item(index))
    const [first, second] = await Promise.all([
      post("/v1/transfers/batch", { transfers: all }, {}),
      post("/v1/transfers/batch", { transfers: all.toReversed() }, {})
    ])
    for (const answer of [first, second]) expect(answer.body).toMatchObject({ accepted: 1000, refused: 0 })
    const { idempotency_key: key, ...alone } = item(7)
    const single = await post("/v1/transfers", alone, { "idempotency-key": key })
    expect(single.headers.get("idempotent-replayed")).toBe("true")
    const mixed = await post("/v1/transfers/batch", { transfers: [item(1, "2"), item(2, "-2"), item(3)] }, {})
    expect(mixed.body).toMatchObject({
      accepted: 1,
      refused: 2,
      data: [
        { status: 422, problem: { code: "idempotency_key_reused" } },
        { status: 400, problem: { code: "amount_not_positive" } },
        { status: 202, replayed: true }
      ]
    })
    const last = await transfer("payroll", "shop", "1")
    // The account's messages come in order: when the last has ended, all have been decided.
    expect((await platform.settled(last.body.id)).body).toMatchObject({ failure: { code: "insufficient_funds" } })
    await expect.poll(() => platform.call("GET", "/v1/accounts/payroll/balance"), { timeout: 20_000 }).toMatchObject({
      body: { posted: "0", held: "0", sequence: 1001 }
    })
    const balances = await Promise.all(
      Array.from({ length: 10 }, (_, worker) => platform.call("GET", `/v1/accounts/worker-${worker}/balance`))
    )
    expect(balances.map(({ body }) => body["posted"])).toEqual(Array.from({ length: 10 }, () => "100"))
  })
})
