/**
 * Webhooks, from `npm start` to the receiver: every fact arrives, in order for each account, signed; also while the notifier
 * is killed with -9 again and again, as it tells them.
 */
import { spawnSync } from "node:child_process"
import path from "node:path"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { answering, Endpoint, newSecret, type Sent, verifies } from "../notifier/Endpoint.ts"
import { Platform, until } from "../support/Platform.ts"

const brokers = process.env["KAFKA_BROKERS"]
const secret = newSecret()

const open = async (platform: Platform, id: string, kind = "customer") => {
  const body = { id, currency: "EUR", kind }
  const { status } = await platform.insist("POST", "/v1/accounts", body, { "idempotency-key": `open-${id}` })
  expect(status).toBe(201)
}

const transfer = async (platform: Platform, key: string, source: string, destination: string, amount: string) => {
  const wish = { source, destination, amount, currency: "EUR" }
  const { body, status } = await platform.insist("POST", "/v1/transfers", wish, { "idempotency-key": key })
  expect(status).toBe(202)
  return body.id
}

const factIn = ({ body }: Sent): { readonly type: string; readonly data: Readonly<Record<string, string>> } =>
  JSON.parse(body)

const idOf = ({ headers }: Sent) => String(headers["webhook-id"])

describe("webhooks", () => {
  let at: Endpoint
  let platform: Platform | undefined

  beforeEach(async () => {
    at = await new Endpoint().open()
  })

  afterEach(async () => {
    if (process.env["SHOW_OUTPUT"] === "1") console.log(platform?.output)
    await platform?.destroy()
    platform = undefined
    await at.close()
  })

  it("tell what became of accounts and transfers, from all roles in one process", async () => {
    const running = platform = await Platform.start({ env: { WEBHOOK_URL: at.url, WEBHOOK_SECRET: secret } })
    await open(running, "bank", "external")
    await open(running, "anna")
    const committed = await transfer(running, "a", "bank", "anna", "500")
    const rejected = await transfer(running, "b", "anna", "bank", "501")
    await until("four facts", () => at.sent.length >= 4 ? true : undefined)
    expect(at.sent.every((sent) => verifies(sent, secret, Date.now()))).toBe(true)
    const facts = at.sent.map(factIn)
    expect(facts.filter(({ type }) => type === "account.opened").map(({ data }) => data["id"]).toSorted()).toEqual([
      "anna",
      "bank"
    ])
    const told = facts.filter(({ type }) => type !== "account.opened")
    expect(told).toHaveLength(2)
    expect(told).toContainEqual(expect.objectContaining({
      type: "transfer.committed",
      data: {
        id: committed,
        object: "transfer",
        status: "committed",
        source: "bank",
        destination: "anna",
        amount: "500",
        currency: "EUR"
      }
    }))
    expect(told).toContainEqual(expect.objectContaining({
      type: "transfer.rejected",
      data: expect.objectContaining({ id: rejected, failure: expect.objectContaining({ code: "insufficient_funds" }) })
    }))
  })

  const logs = [
    { name: "the PostgreSQL event log", skip: false, env: { EVENT_LOG: "postgres" } },
    {
      name: "Kafka",
      skip: brokers === undefined,
      env: { EVENT_LOG: "kafka", KAFKA_BROKERS: brokers ?? "", KAFKA_TOPIC: `webhooks-${process.pid}-${Date.now()}` }
    }
  ]

  for (const log of logs) {
    it.skipIf(log.skip)(
      `lose nothing over ${log.name} when the notifier is killed as it tells, and keep the order`,
      async () => {
        const running = platform = await Platform.start({
          separate: true,
          env: { WEBHOOK_URL: at.url, WEBHOOK_SECRET: secret, LEASE_SECONDS: "2", ...log.env }
        })
        // A receiver that takes its time, so that something is on its way whenever the notifier is killed.
        at.answer = (sent, response) => void setTimeout(answering(200), 20, sent, response)
        const sources = ["bank", "anna", "ben", "carol", "dave"]
        for (const source of sources) await open(running, source, "external")

        const transfers: Array<string> = []
        for (let round = 0; round < 3; round++) {
          for (let each = 0; each < 10; each++) {
            const asked = sources.map((source, index) =>
              transfer(running, `${source}-${round}-${each}`, source, sources[(index + 1) % sources.length] ?? "", "1")
            )
            transfers.push(...await Promise.all(asked))
          }
          const before = at.sent.length
          await until("more to be told", () => at.sent.length > before + 5 ? true : undefined)
          running.kill("notifier")
        }
        const told = () => new Set(at.sent.map((sent) => factIn(sent).data["id"]))
        await until("every transfer to be told", () => transfers.every((id) => told().has(id)) ? true : undefined)
        expect(new Set(transfers).size).toBe(150)

        expect(at.sent.every((sent) => verifies(sent, secret, Date.now()))).toBe(true)
        // What came twice is the same, byte for byte; and no account's facts were overtaken.
        const bodies = new Map<string, string>()
        const last = new Map<string, number>()
        let repeated = 0
        for (const sent of at.sent) {
          const id = idOf(sent)
          if (bodies.has(id)) {
            expect(sent.body).toBe(bodies.get(id))
            repeated++
            continue
          }
          bodies.set(id, sent.body)
          const { data } = factIn(sent)
          const key = data["source"] ?? data["id"] ?? ""
          const position = Number(id.split("-")[1])
          expect(position).toBeGreaterThan(last.get(key) ?? 0)
          last.set(key, position)
        }
        expect(repeated).toBeGreaterThan(0)
      },
      180_000
    )
  }

  it("are not begun without what they need, which is said by name", () => {
    const begin = (env: Readonly<Record<string, string>>) => {
      const { status, stdout } = spawnSync(process.execPath, [path.resolve("apps/notifier/main.ts")], {
        env: { PATH: process.env["PATH"], EVENT_LOG_URL: "postgres://nobody@127.0.0.1:1/none", ...env },
        encoding: "utf8"
      })
      return { status, stdout }
    }
    const half = begin({ WEBHOOK_URL: at.url })
    expect(half.status).toBe(1)
    expect(half.stdout).toContain("WEBHOOK_SECRET: ")
    expect(half.stdout).toContain("NOTIFIER_URL: ")
    // A secret is not told to the logs, not even one that is wrong.
    const wrong = begin({ WEBHOOK_URL: "ftp://example.com", WEBHOOK_SECRET: "whsec_tooshort" })
    expect(wrong.status).toBe(1)
    expect(wrong.stdout).toMatch(/WEBHOOK_URL[^]*WEBHOOK_SECRET|WEBHOOK_SECRET[^]*WEBHOOK_URL/)
    expect(wrong.stdout).not.toContain("tooshort")
  })
})
