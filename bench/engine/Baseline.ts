/**
 * What the engine is compared with, and what anyone would write: one stored procedure call for each transfer, with row
 * locks, by so many connections at once. See baseline.sql.
 */
import { readFileSync } from "node:fs"
import path from "node:path"
import { Effect } from "effect"
import { Client } from "pg"
import * as CpuTime from "../CpuTime.ts"
import type { Parties } from "../Filling.ts"
import { Unsound } from "./Settling.ts"
import { fingerprint, type Wish } from "./Wishes.ts"

const schema = readFileSync(path.join(import.meta.dirname, "baseline.sql"), "utf8")

const connected = (url: string) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const client = new Client({ connectionString: url, application_name: "baseline" })
      await client.connect()
      return client
    }),
    (client) => Effect.promise(() => client.end())
  )

export interface Server {
  /** The address of its superuser. */
  readonly url: string
  readonly pid: number
}

/** A database of its own, which goes with the scope. */
const fresh = Effect.fnUntraced(function*(server: string) {
  const admin = yield* connected(server)
  const name = `baseline_${crypto.randomUUID().slice(0, 8)}`
  yield* Effect.acquireRelease(
    Effect.promise(() => admin.query(`CREATE DATABASE ${name}`)),
    () => Effect.promise(() => admin.query(`DROP DATABASE ${name} WITH (FORCE)`))
  )
  return Object.assign(new URL(server), { pathname: `/${name}` }).href
})

const call = ({ key, terms }: Wish) => ({
  name: "make_transfer",
  text: "SELECT make_transfer($1, $2, $3, $4, $5, $6, $7, $8, $9)",
  values: [
    terms.transfer,
    "shop",
    key,
    Buffer.from(fingerprint, "hex"),
    `req_${terms.transfer.slice(4)}`,
    terms.source,
    terms.destination,
    terms.amount.toString(),
    terms.currency
  ]
})

/** Each row is a sentence that must not be true. */
const checks = `
  SELECT 'balances do not sum to zero' AS found FROM account HAVING sum(posted) <> 0
  UNION ALL
  SELECT account_id || ' is not the sum of its entries' FROM account
  JOIN (SELECT account_id, count(*) AS entries, sum(CASE direction WHEN 'DEBIT' THEN -amount ELSE amount END) AS total
        FROM entry GROUP BY account_id) AS sums USING (account_id)
  WHERE posted <> total OR sequence <> entries
  UNION ALL
  SELECT transfer_id || ' is ' || status FROM transfer WHERE status <> 'committed'
  LIMIT 10`

/**
 * Makes as many of the wished transfers as it can in the time, and answers how many a second that was. A transfer is
 * settled when its call has returned: the call is a transaction.
 */
export const run = Effect.fn("Baseline.run")(function*(
  server: Server,
  wishes: ReadonlyArray<Wish>,
  options: { readonly connections: number; readonly parties: Parties; readonly millis: number }
) {
  const url = yield* fresh(server.url)
  const first = yield* connected(url)
  yield* Effect.promise(async () => {
    await first.query(schema)
    await first.query({
      text: "INSERT INTO account (account_id, currency, floor) SELECT unnest($1::text[]), 'EUR', -1000000000",
      values: [options.parties.flat()]
    })
    await first.query("VACUUM ANALYZE")
  })
  const clients = yield* Effect.forEach(Array.from({ length: options.connections }), () => connected(url))

  const rate = yield* Effect.promise(async () => {
    const cpuBefore = CpuTime.look(server.pid)
    const begun = performance.now()
    const deadline = begun + options.millis
    let next = 0
    let settled = 0
    await Promise.all(clients.map(async (client) => {
      for (let wish = wishes[next++]; wish !== undefined; wish = wishes[next++]) {
        await client.query(call(wish))
        settled++
        if (performance.now() > deadline) return
      }
    }))
    const millis = performance.now() - begun
    return {
      settled,
      perSecond: settled / millis * 1_000,
      cpu: CpuTime.each(cpuBefore, CpuTime.look(server.pid), settled)
    }
  })

  const { rows } = yield* Effect.promise(() => first.query<{ readonly found: string }>(checks))
  const counted = yield* Effect.promise(() =>
    first.query<{ readonly count: string }>("SELECT count(*) FROM transfer WHERE status = 'committed'")
  )
  const found = rows.map((row) => `baseline: ${row.found}`)
  if (Number(counted.rows[0]?.count) !== rate.settled) found.push("baseline: transfers are missing")
  return found.length === 0 ? rate : yield* Unsound.make({ found })
}, Effect.scoped)
