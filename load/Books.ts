/** Before a run: accounts with money. After it: whether each transfer that was accepted is in the books once, and they balance. */
import { setTimeout as pause } from "node:timers/promises"
import type { Client } from "./Client.ts"
import { accountOf, bankOf } from "./Profiles.ts"

const atOnce = 50
const perBatch = 1_000

const inTurns = async <A, B>(all: ReadonlyArray<A>, size: number, each: (one: A) => Promise<B>) => {
  const done: Array<B> = []
  for (let from = 0; from < all.length; from += size) {
    done.push(...await Promise.all(all.slice(from, from + size).map(each)))
  }
  return done
}

const names = (run: string, accounts: number) => Array.from({ length: accounts }, (_, number) => accountOf(run, number))

/** Opens the accounts of a run, and gives each of them money from a bank. */
export const open = async (client: Client, run: string, accounts: number): Promise<void> => {
  const bank = bankOf(run)
  const wanted = [{ id: bank, kind: "external" }, ...names(run, accounts).map((id) => ({ id, kind: "customer" }))]
  await inTurns(wanted, atOnce, async ({ id, kind }) => {
    const { body, status } = await client.post("/v1/accounts", { id, kind, currency: "EUR" }, `open-${id}`)
    if (status !== 201) throw new Error(`account ${id} was not opened: ${status} ${JSON.stringify(body)}`)
  })
  const deposits = names(run, accounts).map((destination) => ({
    idempotency_key: `fund-${destination}`,
    source: bank,
    destination,
    amount: "1000000000",
    currency: "EUR"
  }))
  for (let from = 0; from < deposits.length; from += perBatch) {
    const { body } = await client.post("/v1/transfers/batch", { transfers: deposits.slice(from, from + perBatch) })
    if (body["refused"] !== 0) throw new Error(`deposits were refused: ${JSON.stringify(body).slice(0, 500)}`)
  }
  await settled(client, run, accounts, accounts, 60_000)
}

/** How many entries the accounts of a run have: one for each deposit, two for each transfer between them. */
const entries = async (client: Client, run: string, accounts: number): Promise<number> => {
  const balances = await inTurns(names(run, accounts), atOnce, (id) => client.get(`/v1/accounts/${id}/balance`))
  return balances.reduce((sum, { body }) => sum + Number(body["sequence"]), 0)
}

/** Waits until there are so many entries, or the time is up; answers how many there are. */
export const settled = async (client: Client, run: string, accounts: number, wanted: number, millis: number) => {
  const deadline = Date.now() + millis
  for (;;) {
    const found = await entries(client, run, accounts)
    if (found >= wanted || Date.now() > deadline) return found
    await pause(100)
  }
}

export interface Books {
  readonly balances: boolean
  readonly inFlight: ReadonlyArray<string>
}

/** The trial balance, once nothing is in flight any more or the time is up. */
export const books = async (client: Client, millis: number): Promise<Books> => {
  const deadline = Date.now() + millis
  for (;;) {
    const { body } = await client.get("/v1/ledger/trial-balance")
    const currencies = body["currencies"] as ReadonlyArray<{ readonly in_flight: string }>
    const inFlight = currencies.map(({ in_flight }) => in_flight).filter((minor) => minor !== "0")
    if (inFlight.length === 0 || Date.now() > deadline) return { balances: body["balances"] === true, inFlight }
    await pause(200)
  }
}
