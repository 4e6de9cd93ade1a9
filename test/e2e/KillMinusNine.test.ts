/**
 * Any process may die at any instant. Ten times over: 500 transfers, by clients that retry everything, while each process
 * is killed with -9 at a random moment. All 500 end, each once, and nothing needs a hand.
 *
 * Among them are some by clients who ask once and never again, whatever the answer. Each moves another power of two into
 * one account, so its balance in binary is the list of those that were committed, and no two mistakes can cancel out.
 */
import { setTimeout as pause } from "node:timers/promises"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { asking } from "../support/Databases.ts"
import { type Answer, Platform, until } from "../support/Platform.ts"
import { violationsOf } from "../support/Violations.ts"

const brokers = process.env["KAFKA_BROKERS"]
const seed = Number(process.env["SEED"] ?? Date.now() % 1_000_000)
const roles = ["api", "relay", "ledger", "reconciler"]
const rounds = 10
const transfersPerRound = 500
const accounts = 24
const powersPerRound = 12
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

/** A wish for another power of two, for somebody who asks once and never again, whatever the answer. */
interface Power extends Omit<Wish, "key"> {
  readonly exponent: number
}

/** The exponents of the powers of two that a sum is made of, if it is made of each at most once. */
const exponentsIn = (sum: bigint): ReadonlyArray<number> =>
  [...sum.toString(2)].toReversed().flatMap((digit, exponent) => digit === "1" ? [exponent] : [])

interface Incoming {
  readonly id: string
  readonly source: string
  readonly amount: string
  readonly status: string
  readonly reason: string | null
}

/** What shards know of transfers to an account. */
const transfersTo = async (account: string, shardUrls: ReadonlyArray<string>) =>
  (await Promise.all(shardUrls.map((url) =>
    asking(url, (sql) =>
      sql<Incoming>`
        SELECT transfer_id AS id, source, amount::text, status, reason_code AS reason
        FROM transfer WHERE destination = ${account}`)
  ))).flat()

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
    const spenders = Array.from({ length: 6 }, (_, index) => `spender-${index}`)
    /** The transfers of powers of two that somebody was told of, with their exponents. */
    const acknowledged = new Map<string, number>()
    const random = randomFrom(seed)
    /** A number of so many bits, the first of which is set. */
    const randomOf = (bits: number) =>
      BigInt(`0b1${Array.from({ length: bits - 1 }, () => random() < 0.5 ? "0" : "1").join("")}`)
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
        [...names, ...spenders, "powers"],
        8,
        (id) => platform.insist("POST", "/v1/accounts", { id, currency: "EUR" }, { "idempotency-key": id })
      )
      const fund = (destination: string, amount: string): Wish => ({
        key: `fund-${destination}`,
        source: "world",
        destination,
        amount
      })
      const funding = [
        ...names.map((name) => fund(name, "2000")),
        // Enough for the smaller powers, each for some more of them than the one before.
        ...spenders.map((name, index) => fund(name, randomOf(20 * (index + 1)).toString()))
      ]
      await inCompany(funding, 8, async ({ key, ...transfer }) => {
        const accepted = await platform.insist("POST", "/v1/transfers", { ...transfer, currency: "EUR" }, {
          "idempotency-key": key
        })
        note({ key, ...transfer }, await platform.settled(accepted.body.id))
      })
    }, 120_000)

    const expectPowersToAddUp = async () => {
      const incoming = await until("everything that was recorded to end", async () => {
        const found = await transfersTo("powers", platform.stack.shardUrls)
        return found.every(({ status }) => ["committed", "rejected", "cancelled"].includes(status)) ? found : undefined
      })
      const committed = incoming.filter(({ status }) => status === "committed")
      const { body } = await platform.insist("GET", "/v1/accounts/powers/balance")
      const exponents = committed.flatMap(({ amount }) => exponentsIn(BigInt(amount))).toSorted((a, b) => a - b)
      expect(exponentsIn(BigInt(String(body["posted"])))).toEqual(exponents)
      expect(body).toMatchObject({ held: "0", sequence: committed.length })

      // Who was told of a transfer finds it, and finds money or a reason.
      const known = new Map(incoming.map((transfer) => [transfer.id, transfer]))
      for (const [id, exponent] of acknowledged) {
        expect(known.get(id)?.amount).toBe((2n ** BigInt(exponent)).toString())
      }
      for (const { reason, status } of incoming) expect(reason === null).toBe(status === "committed")
      // What nobody was told of was done at most once all the same.
      expect(new Set(incoming.map(({ amount }) => amount)).size).toBe(incoming.length)

      for (const spender of spenders) {
        const { body } = await platform.insist("GET", `/v1/accounts/${spender}/balance`)
        const spent = committed.filter(({ source }) => source === spender)
          .reduce((sum, { amount }) => sum + BigInt(amount), 0n)
        expect(body).toMatchObject({ posted: String((balances.get(spender) ?? 0n) - spent), held: "0" })
      }
    }

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
        const powers = Array.from({ length: powersPerRound }, (_, index): Power => {
          const exponent = (round - 1) * powersPerRound + index
          const source = spenders[Math.floor(random() * spenders.length)] ?? "world"
          return { exponent, source, destination: "powers", amount: (2n ** BigInt(exponent)).toString() }
        })
        const askOnce = async ({ exponent, ...transfer }: Power): Promise<undefined> => {
          const answer = await platform.call("POST", "/v1/transfers", { ...transfer, currency: "EUR" }, {
            "idempotency-key": `power-${exponent}`
          }).catch(() => undefined)
          if (answer?.status !== 202) return
          acknowledged.set(answer.body.id, exponent)
          await platform.settled(answer.body.id)
        }
        const insist = async ({ key, ...transfer }: Wish) => {
          const ask = () =>
            platform.insist("POST", "/v1/transfers", { ...transfer, currency: "EUR" }, { "idempotency-key": key })
          const accepted = await ask()
          expect(accepted.status).toBe(202)
          // One in ten asks twice, as integrators do.
          if (random() < 0.1) expect((await ask()).body.id).toBe(accepted.body.id)
          const end = await platform.settled(accepted.body.id)
          note({ key, ...transfer }, end)
          return end
        }
        const every = Math.floor(transfersPerRound / powersPerRound)
        const errands = wishes.flatMap((wish, index): ReadonlyArray<() => Promise<Answer | undefined>> => {
          const power = index % every === 0 ? powers[index / every] : undefined
          return [() => insist(wish), ...(power === undefined ? [] : [() => askOnce(power)])]
        })

        let over = false
        const killer = inCompany(roles, roles.length, async (role) => {
          await pause(random() * 1_500)
          if (!over) platform.kill(role)
        })
        const ended = (await inCompany(errands, clientsAtOnce, (errand) => errand())).filter((end) => end !== undefined)
        over = true
        await killer

        expect(new Set(ended.map(({ body }) => body.id)).size).toBe(transfersPerRound)
        expect(ended.filter(({ body }) => body.status === "committed").length).toBeGreaterThan(transfersPerRound / 3)
        for (const name of names) {
          const { body } = await platform.insist("GET", `/v1/accounts/${name}/balance`)
          expect(body, name).toMatchObject({ posted: String(balances.get(name)), held: "0" })
        }
        await expectPowersToAddUp()
        expect(await violationsOf(platform.stack.shardUrls)).toEqual([])
      },
      120_000
    )
  })
}
