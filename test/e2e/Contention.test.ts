/**
 * Many at once on the same few accounts, and two processes that both believe to be the one. Over HTTP, two APIs, every role
 * in a process of its own: what is refused, what is done once, and that nothing waits for ever.
 */
import { execFileSync } from "node:child_process"
import { readFileSync } from "node:fs"
import path from "node:path"
import { Deferred, Effect, Exit } from "effect"
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest"
import { even } from "#domain/sharding/ShardMap.ts"
import { idAt } from "../checks/Books.ts"
import { asking, digestOf } from "../support/Databases.ts"
import { type Answer, type Enlisted, Platform, until } from "../support/Platform.ts"
import { violationsOf } from "../support/Violations.ts"

const map = even(2, 64)
/** A name that is at home on this shard. */
const home = (shard: number, name: string): string => idAt(map, shard, name)
const bank = home(0, "bank")

interface Wish {
  readonly source: string
  readonly destination: string
  readonly amount: string
}

const many = <A>(count: number, each: (index: number) => A): Array<A> =>
  Array.from({ length: count }, (_, index) => each(index))

describe("with many at once", () => {
  let platform: Platform
  let otherApi: { readonly process: Enlisted; readonly url: string }

  /** How a transfer ended, in a word or two. */
  const endOf = ({ body }: Answer) => body.failure === undefined ? body.status : `${body.status}: ${body.failure.code}`

  const open = (id: string, kind = "customer") =>
    platform.insist("POST", "/v1/accounts", { id, currency: "EUR", kind }, { "idempotency-key": `open-${id}` })

  /** Asks one of the two APIs; the same in the same words is the same wish. */
  const ask = (key: string, wish: Wish, client = 0) =>
    platform.insist(
      "POST",
      "/v1/transfers",
      { ...wish, currency: "EUR" },
      { "idempotency-key": key },
      client % 2 === 0 ? undefined : otherApi.url
    )

  const settle = async (key: string, wish: Wish, client = 0) => platform.settled((await ask(key, wish, client)).body.id)

  /** Opens an account with money in it. */
  const openWith = async (id: string, amount: string) => {
    await open(id)
    expect(endOf(await settle(`fund-${id}`, { source: bank, destination: id, amount }))).toBe("committed")
  }

  const balanceOf = async (id: string) => {
    const { available, held, posted } = (await platform.insist("GET", `/v1/accounts/${id}/balance`)).body
    return { posted, held, available }
  }

  beforeAll(async () => {
    platform = await Platform.start({ separate: true, env: { LEASE_SECONDS: "2" } })
    const process = platform.enlist("api")
    const url = await until("the second API to listen", () => /"url":"([^"]+)"/.exec(process.output())?.[1])
    otherApi = { process, url }
    await open(bank, "external")
  }, 120_000)

  afterEach(async () => {
    expect(await violationsOf(platform.stack.shardUrls)).toEqual([])
  })

  afterAll(async () => {
    if (process.env["SHOW_OUTPUT"] === "1") console.log(platform.output)
    await otherApi.process.stop()
    await platform.destroy()
  })

  it.each([
    { where: "within a shard", shards: [0] },
    { where: "across shards", shards: [1] },
    { where: "within a shard and across at once", shards: [0, 1] }
  ])("of 50 who spend from money for 10, exactly 10 do: $where", async ({ shards, where }) => {
    const purse = home(0, `purse ${where}`.replaceAll(" ", "-"))
    const shops = shards.map((shard) => home(shard, `shop ${where}`.replaceAll(" ", "-")))
    await Promise.all(shops.map((shop) => open(shop)))
    await openWith(purse, "1000")

    const ends = await Promise.all(
      many(50, async (client) =>
        endOf(
          await settle(
            `spender-${client}`,
            { source: purse, destination: shops[client % shops.length] ?? bank, amount: "100" },
            client
          )
        ))
    )
    expect(ends.filter((end) => end === "committed")).toHaveLength(10)
    expect(ends.filter((end) => end === "rejected: insufficient_funds")).toHaveLength(40)
    expect(await balanceOf(purse)).toEqual({ posted: "0", held: "0", available: "0" })
    const earned = await Promise.all(shops.map(balanceOf))
    expect(earned.reduce((sum, { posted }) => sum + Number(posted), 0)).toBe(1000)
  })

  it.each([
    { where: "over two shards", shards: [0, 1] },
    { where: "within a shard", shards: [0, 0] }
  ])("1,000 at once to and fro $where lock nobody out, and keep the sum", async ({ shards, where }) => {
    const before = await deadlocks(platform)
    const [one = "", other = ""] = shards.map((shard, side) =>
      home(shard, `side-${side}-${where.replaceAll(" ", "-")}`)
    )
    // Too little for all of it, so that each depends on what came before.
    await Promise.all([openWith(one, "700"), openWith(other, "700")])

    const ends = await Promise.all(many(1000, async (index) => {
      const [source, destination] = index % 2 === 0 ? [one, other] : [other, one]
      const amount = 1 + (index * 37) % 100
      const end = endOf(await settle(`storm-${index}`, { source, destination, amount: String(amount) }, index >> 1))
      return { source, amount, end }
    }))
    expect(new Set(ends.map(({ end }) => end))).toEqual(new Set(["committed", "rejected: insufficient_funds"]))
    const left = (account: string) =>
      ends.filter(({ end, source }) => end === "committed" && source === account)
        .reduce((sum, { amount }) => sum + amount, 0)
    const posted = 700 - left(one) + left(other)
    expect(await balanceOf(one)).toEqual({ posted: String(posted), held: "0", available: String(posted) })
    expect(await balanceOf(other)).toEqual({
      posted: String(1400 - posted),
      held: "0",
      available: String(1400 - posted)
    })
    expect(await deadlocks(platform)).toEqual(before)
  })

  it("would notice a deadlock", async () => {
    const before = await deadlocks(platform)
    await deadlock(platform.stack.shardUrls[1] ?? "")
    const after = await deadlocks(platform)
    expect({ counted: after.counted - before.counted, logged: after.logged - before.logged }).toEqual({
      counted: 1,
      logged: 1
    })
  })

  it("one key from 50 clients makes one transfer, and all 50 are told of it", async () => {
    const shop = home(1, "one-key-shop")
    const purse = home(0, "one-key-purse")
    await open(shop)
    await openWith(purse, "1000")
    const answers = await Promise.all(
      many(50, (client) => ask("the-same", { source: purse, destination: shop, amount: "100" }, client))
    )
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([202]))
    expect(new Set(answers.map(({ body }) => body.id)).size).toBe(1)
    expect(answers.filter(({ headers }) => headers.get("idempotent-replayed") !== "true")).toHaveLength(1)
    expect(endOf(await platform.settled(answers[0]?.body.id ?? ""))).toBe("committed")
    expect(await balanceOf(shop)).toMatchObject({ posted: "100" })
  })

  it.each([
    { when: "before it wrote anything", hasWritten: false },
    { when: "after it wrote, and before it committed", hasWritten: true }
  ])(
    "a worker that is frozen in the middle of a batch, $when, wakes up and changes nothing",
    async ({ hasWritten }) => {
      const purse = home(0, `frozen-purse-${hasWritten}`)
      const shops = [home(0, `frozen-shop-${hasWritten}`), home(1, `frozen-shop-${hasWritten}`)]
      await Promise.all(shops.map((shop) => open(shop)))
      await openWith(purse, "1000000")
      const asked: Array<string> = []
      const pay = async (destination: string) => {
        const index = asked.push("")
        asked[index - 1] =
          (await ask(`pay-${hasWritten}-${index}`, { source: purse, destination, amount: "1" })).body.id
      }
      const allCommit = async () => {
        const ends = await Promise.all(asked.map((id) => platform.settled(id)))
        expect(new Set(ends.map(endOf))).toEqual(new Set(["committed"]))
      }

      const frozen = platform.stack.processes["ledger"] ?? 0
      const heir = platform.enlist("ledger")
      try {
        const caught = new AbortController()
        // Within its shard, so that it is in the middle of something there and nowhere else.
        const clients = many(8, async () => {
          while (!caught.signal.aborted) await pay(shops[0] ?? "")
        })
        await until("the worker to be caught in the middle", async () => {
          process.kill(frozen, "SIGSTOP")
          await until("the worker to be frozen", () => stateOf(frozen).startsWith("T") ? true : undefined)
          if (await hasOpenTransaction(platform, hasWritten)) return true
          process.kill(frozen, "SIGCONT")
        })
        caught.abort()
        await Promise.all(clients)

        await until(
          "the other worker to have both shards",
          () => heir.output().split("lease taken").length === 3 ? true : undefined
        )
        await Promise.all(many(20, (index) => pay(shops[index % 2] ?? "")))
        await allCommit()
        const before = await digestAtRest(platform)

        const said = platform.output.length
        process.kill(frozen, "SIGCONT")
        const because = await until(
          "the worker that was frozen to say why it stopped",
          () => /"shard":0,"role":"ledger","because":"(\w+)"/.exec(platform.output.slice(said))?.[1]
        )
        // Which comes first is up to the clock: its renewal, its place that somebody moved, its session that was ended.
        expect(["LeaseLost", "StaleOwner", "ShardUnavailable"]).toContain(because)
        await until("its transaction to be gone", async () => await hasOpenTransaction(platform) ? undefined : true)
        expect(await digestAtRest(platform)).toEqual(before)
      } finally {
        process.kill(frozen, "SIGCONT")
        await heir.stop()
      }
      // It works again, as one that has the lease.
      await Promise.all(many(20, (index) => pay(shops[index % 2] ?? "")))
      await allCommit()
      expect(platform.stack.processes["ledger"]).toBe(frozen)
      const left = String(1_000_000 - asked.length)
      expect(await balanceOf(purse)).toEqual({ posted: left, held: "0", available: left })
    }
  )
})

/** What PostgreSQL counted, once every session has ended and has told it; and what any log says. */
const deadlocks = async (platform: Platform) => {
  const counts = await Promise.all(platform.stack.shardUrls.map((url) =>
    asking(url, (sql) =>
      Effect.gen(function*() {
        yield* sql`
          SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
          WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'`
        const [row] = yield* sql<{ readonly deadlocks: bigint }>`
          SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()`
        return Number(row?.deadlocks)
      }))
  ))
  const logs = [readFileSync(path.join(platform.dataDir, "postgres/server.log"), "utf8"), platform.output]
  return {
    counted: counts.reduce((sum, count) => sum + count, 0),
    logged: logs.join("\n").split(/deadlock detected|40P01/).length - 1
  }
}

/** Two sessions that lock each other out: one of them is refused. */
const deadlock = async (url: string) => {
  const [first, second] = [Deferred.makeUnsafe<void>(), Deferred.makeUnsafe<void>()]
  const session = (mine: number, theirs: number, has: Deferred.Deferred<void>, otherHas: Deferred.Deferred<void>) =>
    asking(url, (sql) =>
      Effect.exit(sql.withTransaction(Effect.gen(function*() {
        yield* sql`SELECT pg_advisory_xact_lock(${mine})`
        yield* Deferred.succeed(has, undefined)
        yield* Deferred.await(otherHas)
        yield* sql`SELECT pg_advisory_xact_lock(${theirs})`
      }))))
  const exits = await Promise.all([session(1, 2, first, second), session(2, 1, second, first)])
  expect(exits.filter(Exit.isSuccess)).toHaveLength(1)
}

/** Has a ledger worker a transaction open on shard 0 that waits for its client, and that has (or has not) written? */
const hasOpenTransaction = async (platform: Platform, hasWritten?: boolean) => {
  const sessions = await until(
    "statements that were under way to end",
    () =>
      asking(platform.stack.shardUrls[0] ?? "", (sql) =>
        Effect.map(
          sql<{ readonly state: string; readonly wrote: boolean }>`
          SELECT state, backend_xid IS NOT NULL AS wrote FROM pg_stat_activity
          WHERE datname = current_database() AND application_name = 'counterpoise_ledger'`,
          (found) => found.some(({ state }) => state === "active") ? undefined : found
        ))
  )
  return sessions.some(({ state, wrote }) => state === "idle in transaction" && (hasWritten ?? wrote) === wrote)
}

/** What the system says of a process: T, it is stopped. */
const stateOf = (pid: number) => execFileSync("ps", ["-o", "state=", "-p", String(pid)], { encoding: "utf8" }).trim()

/** The digest of both shards, once everything that they logged was carried to the event log and read from there. */
const digestAtRest = async (platform: Platform) => {
  const { shardUrls } = platform.stack
  await until("everything to be read", async () => {
    const logged = await Promise.all(shardUrls.map((url) => sumOf(url, "SELECT count(*) FROM event")))
    const read = await Promise.all(shardUrls.map((url) => sumOf(url, "SELECT sum(next_offset) FROM consumer_position")))
    return total(logged) === total(read) ? true : undefined
  })
  return Promise.all(shardUrls.map((url) => asking(url, digestOf)))
}

const sumOf = (url: string, query: string) =>
  asking(
    url,
    (sql) =>
      Effect.map(sql<{ readonly sum: number }>`SELECT (${sql.literal(query)})::int4 AS sum`, ([row]) => row?.sum ?? 0)
  )

const total = (numbers: ReadonlyArray<number>) => numbers.reduce((sum, number) => sum + number, 0)
