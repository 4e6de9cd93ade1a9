/** The README's journey: `npm start`, `npm run demo`, stop, start again, and everything is still there. */
import { spawnSync } from "node:child_process"
import path from "node:path"
import { describe, expect, it } from "vitest"
import { Door } from "../support/Door.ts"
import { Platform, until } from "../support/Platform.ts"
import { violationsOf } from "../support/Violations.ts"

const brokers = process.env["KAFKA_BROKERS"]
const demo = path.resolve(import.meta.dirname, "../../apps/stack/demo.ts")

const runDemo = (platform: Platform) => {
  const { status, stdout } = spawnSync(process.execPath, [demo], {
    env: { ...process.env, COUNTERPOISE_DATA: platform.dataDir },
    encoding: "utf8"
  })
  const steps = stdout.trim().split("\n").map((line): Record<string, unknown> => JSON.parse(line))
  return { status, steps, last: steps.at(-1) }
}

const passes = async (platform: Platform) => {
  try {
    const { last, status, steps } = runDemo(platform)
    expect(last).toMatchObject({ failures: [] })
    expect(steps.length).toBe(13)
    expect(status).toBe(0)
  } finally {
    await platform.destroy()
  }
}

describe("a newcomer's first minutes", () => {
  it("moves money through all roles in one process", async () => {
    await passes(await Platform.start())
  })

  it("moves money through four processes", async () => {
    await passes(await Platform.start({ separate: true }))
  })

  it.skipIf(brokers === undefined)("moves money through four processes over Kafka", async () => {
    await passes(
      await Platform.start({
        separate: true,
        env: { EVENT_LOG: "kafka", KAFKA_BROKERS: brokers ?? "", KAFKA_TOPIC: `journey-${process.pid}-${Date.now()}` }
      })
    )
  })

  it.skipIf(brokers === undefined)(
    "takes transfers before its Kafka is there, and settles them when it comes",
    async () => {
      const door = new Door(brokers?.split(",")[0] ?? "")
      const platform = await Platform.start({
        env: { EVENT_LOG: "kafka", KAFKA_BROKERS: door.address, KAFKA_TOPIC: `late-${process.pid}-${Date.now()}` }
      })
      try {
        for (const [id, kind] of [["till", "customer"], ["outside", "external"]]) {
          await platform.insist("POST", "/v1/accounts", { id, kind, currency: "EUR" }, {
            "idempotency-key": `open-${id}`
          })
        }
        const deposit = { source: "outside", destination: "till", amount: "500", currency: "EUR" }
        const accepted = await platform.insist("POST", "/v1/transfers", deposit, { "idempotency-key": "early" })
        expect(accepted.status).toBe(202)
        await until(
          "it to say what it waits for",
          () => platform.output.includes("the event log cannot be reached, waiting for it") ? true : undefined
        )
        await door.open()
        expect((await platform.settled(accepted.body.id)).body.status).toBe("committed")
        expect(await violationsOf(platform.stack.shardUrls)).toEqual([])
        expect(await platform.stop()).toBe(0)
      } finally {
        await platform.destroy()
        door.close()
      }
    },
    120_000
  )

  it("finds everything again after a stop and a start", async () => {
    const first = await Platform.start()
    await first.insist("POST", "/v1/accounts", { id: "kept", currency: "EUR" }, { "idempotency-key": "a" })
    await first.insist("POST", "/v1/accounts", { id: "outside", currency: "EUR", kind: "external" }, {
      "idempotency-key": "b"
    })
    const deposit = { source: "outside", destination: "kept", amount: "500", currency: "EUR" }
    const accepted = await first.insist("POST", "/v1/transfers", deposit, { "idempotency-key": "c" })
    await first.settled(accepted.body.id)
    const key = first.stack.apiKey
    expect(await first.stop()).toBe(0)

    const second = await Platform.start({ dataDir: first.dataDir })
    try {
      expect(second.stack.apiKey).toBe(key)
      const balance = await second.call("GET", "/v1/accounts/kept/balance")
      expect(balance.body).toMatchObject({ posted: "500", held: "0", available: "500" })
      const replay = await second.call("POST", "/v1/transfers", deposit, { "idempotency-key": "c" })
      expect(replay.status).toBe(202)
      expect(replay.headers.get("idempotent-replayed")).toBe("true")
      expect(replay.body.id).toBe(accepted.body.id)
    } finally {
      await second.destroy()
    }
  })

  it("steps around a port that is taken, and says so", async () => {
    const first = await Platform.start()
    const taken = new URL(first.stack.apiUrl).port
    const second = await Platform.start({ env: { API_PORT: taken } })
    try {
      expect(new URL(second.stack.apiUrl).port).not.toBe(taken)
      expect(second.output).toContain(`port ${taken} is taken`)
    } finally {
      await second.destroy()
      await first.destroy()
    }
  })
})
