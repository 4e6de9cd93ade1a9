/**
 * Clients: they ask, follow and read through the APIs, whatever the weather, and write down what they asked and heard.
 */
import { setTimeout as pause } from "node:timers/promises"
import { between, type Chance, chanceFrom, oneOf } from "../support/Chance.ts"
import type { Asked, Heard, History, Outcome, Read, Wish } from "./History.ts"
import { isEnd } from "./History.ts"

/** Who has money, and where it goes; every round has accounts of its own. */
export interface Cast {
  readonly round: string
  /** Without a floor: where money comes from. */
  readonly banks: ReadonlyArray<string>
  readonly customers: ReadonlyArray<string>
  /** Everybody pays into it. */
  readonly hot: string
  /** Is paid each power of two once, by the banks. */
  readonly powers: string
}

const atOnce = 8
const patienceMillis = 5_000
const startingMoney = 2_000n
/** So many powers of two fit into an amount. */
const mostPowers = 100

interface Answer {
  readonly status: number
  readonly body: Readonly<Record<string, unknown>>
}

const textOf = (value: unknown): string => typeof value === "string" ? value : ""

export class Clients {
  readonly #apis: ReadonlyArray<() => string>
  readonly #apiKey: string
  readonly #cast: Cast
  readonly #chance: Chance
  readonly #asked: Array<Asked> = []
  readonly #heard: Array<Heard> = []
  readonly #reads: Array<Read> = []
  readonly #wishes = new Map<string, Wish>()
  #powers = 0
  #keys = 0

  constructor(options: {
    readonly apis: ReadonlyArray<() => string>
    readonly apiKey: string
    readonly cast: Cast
    readonly seed: number
  }) {
    this.#apis = options.apis
    this.#apiKey = options.apiKey
    this.#cast = options.cast
    this.#chance = chanceFrom(options.seed)
  }

  get history(): History {
    return { asked: this.#asked, heard: this.#heard, reads: this.#reads }
  }

  /** Opens the accounts, and puts money into them. */
  async prepare(): Promise<void> {
    const { banks, customers, hot, powers } = this.#cast
    const open = (id: string, kind: string) =>
      this.#insist("POST", "/v1/accounts", { id, kind, currency: "EUR" }, { "idempotency-key": `open-${id}` })
    await Promise.all(banks.map((id) => open(id, "external")))
    await Promise.all([...customers, hot, powers].map((id) => open(id, "customer")))
    await Promise.all(customers.map((destination) =>
      this.#ask(0, this.#newKey(), {
        source: oneOf(this.#chance, banks),
        destination,
        amount: startingMoney
      })
    ))
  }

  /** Works until it is told to stop. */
  async work(signal: AbortSignal): Promise<void> {
    await Promise.all(Array.from({ length: atOnce }, async (_, client) => {
      while (!signal.aborted) {
        await this.#doSomething(client)
        await pause(between(this.#chance, 0, 60))
      }
    }))
  }

  async #doSomething(client: number): Promise<void> {
    const dice = this.#chance()
    if (dice < 0.68) return this.#transfer(client, this.#somePayment())
    if (dice < 0.74 && this.#powers < mostPowers) {
      const amount = 2n ** BigInt(this.#powers++)
      return this.#transfer(client, {
        source: oneOf(this.#chance, this.#cast.banks),
        destination: this.#cast.powers,
        amount
      })
    }
    if (dice < 0.82) return this.#again(client)
    await this.#read(oneOf(this.#chance, [...this.#cast.customers, this.#cast.hot, this.#cast.powers]))
  }

  #newKey(): string {
    return `${this.#cast.round}-${++this.#keys}`
  }

  #somePayment(): Wish {
    const { customers, hot } = this.#cast
    const source = oneOf(this.#chance, customers)
    const destination = this.#chance() < 0.1 ? hot : oneOf(this.#chance, customers.filter((each) => each !== source))
    return { source, destination, amount: BigInt(between(this.#chance, 1, 400)) }
  }

  /** Asks; where it is not known what became of it some ask again at once, and others never. Some follow it to its end. */
  async #transfer(client: number, wish: Wish): Promise<void> {
    const key = this.#newKey()
    let answer = await this.#ask(client, key, wish)
    for (let tries = 1; answer.outcome === "unknown" && tries < 3 && this.#chance() < 0.5; tries++) {
      answer = await this.#ask(client, key, wish)
    }
    if (answer.transfer !== null && this.#chance() < 0.5) await this.#follow(answer.transfer)
    if (answer.outcome === "unknown") await pause(between(this.#chance, 0, 500))
  }

  /**
   * Asks under a key that somebody used, in the same words, or in others, which must be refused; unless nobody has heard of the
   * first ones: then these are what counts, and would be no power of two.
   */
  async #again(client: number): Promise<void> {
    const keys = [...this.#wishes.keys()]
    if (keys.length === 0) return
    const key = oneOf(this.#chance, keys)
    const wish = this.#wishes.get(key)
    if (wish === undefined) return
    const inOtherWords = wish.destination !== this.#cast.powers && this.#chance() < 0.2
    await this.#ask(client, key, inOtherWords ? { ...wish, amount: wish.amount + 1n } : wish)
  }

  async #ask(client: number, key: string, wish: Wish): Promise<Asked> {
    if (!this.#wishes.has(key)) this.#wishes.set(key, wish)
    const askedAt = performance.now()
    const { answer, why } = await this.#call(
      "POST",
      "/v1/transfers",
      { ...wish, amount: wish.amount.toString(), currency: "EUR" },
      { "idempotency-key": key }
    )
    const outcome: Outcome = answer === undefined || answer.status >= 500 || answer.status === 429
      ? "unknown"
      : answer.status < 300
      ? "ok"
      : "fail"
    const asked: Asked = {
      client,
      key,
      wish,
      askedAt,
      heardAt: performance.now(),
      outcome,
      transfer: outcome === "ok" ? textOf(answer?.body["id"]) : null,
      code: outcome === "ok" ? null : answer === undefined ? why : textOf(answer.body["code"])
    }
    this.#asked.push(asked)
    return asked
  }

  async #follow(transfer: string): Promise<boolean> {
    const askedAt = performance.now()
    const { answer } = await this.#call("GET", `/v1/transfers/${transfer}`, undefined, { prefer: "wait=3" })
    const status = textOf(answer?.body["status"])
    if (answer?.status !== 200 || !isEnd(status)) return false
    this.#heard.push({ transfer, end: status, askedAt, heardAt: performance.now() })
    return true
  }

  async #read(account: string): Promise<void> {
    const askedAt = performance.now()
    const { answer } = await this.#call("GET", `/v1/accounts/${account}/balance`)
    if (answer?.status !== 200) return
    const { held, posted, sequence } = answer.body
    this.#reads.push({
      account,
      posted: BigInt(textOf(posted)),
      held: BigInt(textOf(held)),
      sequence: Number(sequence),
      askedAt,
      heardAt: performance.now()
    })
  }

  /** Afterwards, in fair weather: what became of everything that nobody knew about. */
  async resolve(millis: number): Promise<void> {
    const deadline = performance.now() + millis
    const known = new Set(this.#asked.filter(({ outcome }) => outcome !== "unknown").map(({ key }) => key))
    const open = [...this.#wishes].filter(([key]) => !known.has(key))
    await Promise.all(Array.from({ length: atOnce }, async (_, client) => {
      for (let one = open.pop(); one !== undefined; one = open.pop()) {
        while ((await this.#ask(client, ...one)).outcome === "unknown" && performance.now() < deadline) await pause(100)
      }
    }))
  }

  async readAll(): Promise<void> {
    for (const account of [...this.#cast.customers, this.#cast.hot, this.#cast.powers]) {
      // An API that was killed last may not be back yet: without its answer an older read would pass for the last one.
      const before = this.#reads.length
      for (let tries = 0; this.#reads.length === before && tries < 300; tries++) {
        if (tries > 0) await pause(100)
        await this.#read(account)
      }
    }
  }

  async #insist(
    method: string,
    route: string,
    body: object,
    headers: Readonly<Record<string, string>>
  ): Promise<Answer> {
    for (let tries = 0; tries < 300; tries++) {
      const { answer } = await this.#call(method, route, body, headers)
      if (answer !== undefined && answer.status < 500) return answer
      await pause(100)
    }
    throw new Error(`${method} ${route} was asked 300 times in vain`)
  }

  async #call(
    method: string,
    route: string,
    body?: object,
    headers: Readonly<Record<string, string>> = {}
  ): Promise<{ readonly answer?: Answer; readonly why: string }> {
    try {
      const response = await fetch(`${oneOf(this.#chance, this.#apis)()}${route}`, {
        method,
        headers: { authorization: `Bearer ${this.#apiKey}`, "content-type": "application/json", ...headers },
        signal: AbortSignal.timeout(patienceMillis),
        ...(body === undefined ? {} : { body: JSON.stringify(body) })
      })
      return { answer: { status: response.status, body: JSON.parse(await response.text()) }, why: "" }
    } catch (error) {
      return { why: error instanceof Error ? error.name : "unknown" }
    }
  }
}
