/**
 * Any process may die at any instant. Ten times over: 500 transfers, by clients that retry everything, while each process
 * is killed with -9 at a random moment. All 500 end, each once, and nothing needs a hand.
 */
import { setTimeout as pause } from "node:timers/promises"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { type Answer, Platform } from "../support/Platform.ts"
import { violationsOf } from "../support/Violations.ts"

const brokers = process.env["KAFKA_BROKERS"]
const seed = Number(process.env["SEED"] ?? Date.now() % 1_000_000)
const roles = ["api", "relay", "ledger", "reconciler"]
const rounds = 10
const transfersPerRound = 500
const accounts = 24
const clientsAtOnce = 40

/** Mulberry32: small, seeded, good enough to choose victims and amounts. */
const randomFrom = (start: number) => {
  let state = start
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
}

interface Wish {
  readonly key: string
  readonly source: string
  readonly destination: string
  readonly amount: string
}

const inCompany = async <A, B>(
  items: ReadonlyArray<A>,
  atOnce: number,
  work: (item: A) => Promise<B>
): Promise<Array<B>> => {
  const answers: Array<B> = []
  let next = 0
  await Promise.all(Array.from({ length: atOnce }, async () => {
    while (next < items.length) {
      const index = next++
      const item = items[index]
      if (item !== undefined) answers[index] = await work(item)
    }
  }))
  return answers
}

const suites = [
  {
    name: "over the PostgreSQL event log",
    skip: false,
    env: (): Record<string, string> => ({ EVENT_LOG: "postgres" })
  },
  {
    name: "over Kafka",
    skip: brokers === undefined,
    env: (): Record<string, string> => ({
      EVENT_LOG: "kafka",
      KAFKA_BROKERS: brokers ?? "",
      KAFKA_TOPIC: `kill-${process.pid}-${Date.now()}`
    })
  }
]

for (const suite of suites) {
  describe.skipIf(suite.skip)(`kill -9, ${suite.name} (seed ${seed})`, () => {
    let platform: Platform
    const balances = new Map<string, bigint>()
    const names = Array.from({ length: accounts }, (_, index) => `customer-${index}`)
    const random = randomFrom(seed)
    const pick = () => names[Math.floor(random() * accounts)] ?? "customer-0"

    /** What the books must say after this transfer, whatever was killed meanwhile. */
    const note = (wish: Wish, ended: Answer) => {
      if (ended.body.status !== "committed") return
      balances.set(wish.source, (balances.get(wish.source) ?? 0n) - BigInt(wish.amount))
      balances.set(wish.destination, (balances.get(wish.destination) ?? 0n) + BigInt(wish.amount))
    }

    beforeAll(async () => {
      platform = await Platform.start({ separate: true, env: { LEASE_SECONDS: "2", ...suite.env() } })
      await platform.insist("POST", "/v1/accounts", { id: "world", currency: "EUR", kind: "external" }, {
        "idempotency-key": "world"
      })
      await inCompany(
        names,
        8,
        (id) => platform.insist("POST", "/v1/accounts", { id, currency: "EUR" }, { "idempotency-key": id })
      )
      const funding = names.map((destination): Wish => ({
        key: `fund-${destination}`,
        source: "world",
        destination,
        amount: "2000"
      }))
      await inCompany(funding, 8, async ({ key, ...transfer }) => {
        const accepted = await platform.insist("POST", "/v1/transfers", { ...transfer, currency: "EUR" }, {
          "idempotency-key": key
        })
        note({ key, ...transfer }, await platform.settled(accepted.body.id))
      })
    }, 120_000)

    afterAll(async () => {
      if (process.env["SHOW_OUTPUT"] === "1") console.log(platform.output)
      await platform.destroy()
    })

    it.each(Array.from({ length: rounds }, (_, round) => round + 1))(
      `round %i: all ${transfersPerRound} transfers end, each once`,
      async (round) => {
        const wishes = Array.from({ length: transfersPerRound }, (_, index): Wish => {
          const source = pick()
          const others = names.filter((name) => name !== source)
          return {
            key: `round-${round}-${index}`,
            source,
            destination: others[Math.floor(random() * others.length)] ?? "world",
            amount: String(1 + Math.floor(random() * 400))
          }
        })
        let over = false
        const killer = inCompany(roles, roles.length, async (role) => {
          await pause(random() * 1_500)
          if (!over) platform.kill(role)
        })
        const ended = await inCompany(wishes, clientsAtOnce, async ({ key, ...transfer }) => {
          const ask = () =>
            platform.insist("POST", "/v1/transfers", { ...transfer, currency: "EUR" }, { "idempotency-key": key })
          const accepted = await ask()
          expect(accepted.status).toBe(202)
          // One in ten asks twice, as integrators do.
          if (random() < 0.1) expect((await ask()).body.id).toBe(accepted.body.id)
          const end = await platform.settled(accepted.body.id)
          note({ key, ...transfer }, end)
          return end
        })
        over = true
        await killer

        expect(new Set(ended.map(({ body }) => body.id)).size).toBe(transfersPerRound)
        expect(ended.filter(({ body }) => body.status === "committed").length).toBeGreaterThan(transfersPerRound / 3)
        for (const name of names) {
          const { body } = await platform.insist("GET", `/v1/accounts/${name}/balance`)
          expect(body, name).toMatchObject({ posted: String(balances.get(name)), held: "0" })
        }
        expect(await violationsOf(platform.stack.shardUrls)).toEqual([])
      },
      120_000
    )
  })
}
