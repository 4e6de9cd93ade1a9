/** The four answers: of healthy books, of books that are wrong, and while a shard is down. */
import { expect, layer } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import * as MemoryEventLog from "#infra/memory/MemoryEventLog.ts"
import { connect } from "#infra/postgres/Postgres.ts"
import { fill } from "../checks/Books.ts"
import { TestPostgres } from "../support/TestPostgres.ts"
import { annOver, served } from "./Harness.ts"

const nowhere = Redacted.make("postgres://nobody@127.0.0.1:1/nothing")

layer(TestPostgres.layer, { excludeTestServices: true, timeout: "2 minutes" })("the operators' API", (it) => {
  it.effect("knows nobody without a key", () =>
    Effect.gen(function*() {
      const { url } = yield* served(yield* (yield* TestPostgres).freshShards(1))
      const answers = yield* Effect.forEach([undefined, "Bearer cp_admin_key_of_eve"], (authorization) =>
        Effect.promise(async () => {
          const answer = await fetch(`${url}/admin/v1/status`, {
            headers: authorization === undefined ? {} : { authorization }
          })
          const { code, status }: { readonly code: string; readonly status: number } = JSON.parse(await answer.text())
          return { code, status }
        }))
      const refused = { code: "unauthenticated", status: 401 }
      expect(answers).toEqual([refused, refused])
    }))

  it.effect("says that the money is right, what does not move, what is stuck, and what to press", () =>
    Effect.gen(function*() {
      const shards = yield* (yield* TestPostgres).freshShards(2)
      const books = yield* fill(shards)
      const ann = yield* annOver(shards)
      const { money, moving, stuck, suggestions } = yield* ann.status.get()

      expect(money).toMatchObject({ right: true, because: [] })
      expect(money.currencies.map(({ balances, currency }) => ({ balances, currency }))).toEqual([
        { balances: true, currency: "EUR" },
        { balances: true, currency: "USD" }
      ])
      // Nobody works for these shards.
      expect(moving.well).toBe(false)
      expect(moving.because).toContain("nobody works as the ledger of shard 1")
      expect(moving.shards.map(({ answers, partitions }) => ({ answers, partitions }))).toEqual([
        { answers: true, partitions: 32 },
        { answers: true, partitions: 32 }
      ])
      expect(moving.shards[0]?.unfinished?.held).toBeGreaterThan(0)

      const { transfer } = books.transfer("held")
      expect(stuck.nothing).toBe(false)
      expect(stuck.transfers.find((one) => one.transfer === transfer)).toMatchObject({ shard: 0, status: "held" })
      expect(suggestions.map(({ command }) => command)).toContain("counterpoise doctor")
    }))

  it.effect("says which shard does not balance", () =>
    Effect.gen(function*() {
      const shards = yield* (yield* TestPostgres).freshShards(2)
      const { at } = yield* fill(shards)
      const [url] = shards.urls
      if (url === undefined) return yield* Effect.die("there is no shard")
      const sql = yield* connect({ url, maxConnections: 1 })
      yield* sql`SET session_replication_role = replica`
      yield* sql`UPDATE balance SET posted = posted + 5 WHERE account_id = ${at.bob0}`

      const { money, suggestions } = yield* (yield* annOver(shards)).status.get()
      expect(money.right).toBe(false)
      expect(money.breaks).toEqual({ critical: 0, warning: 0 })
      expect(money.because).toEqual([expect.stringMatching(/^shard 0 does not balance in EUR: /)])
      expect(suggestions.map(({ command }) => command)).toContain("counterpoise breaks list")
    }))

  it.effect("answers while a shard is down, and says which one", () =>
    Effect.gen(function*() {
      const { map, urls } = yield* (yield* TestPostgres).freshShards(2)
      const [url = nowhere] = urls
      const ann = yield* annOver({ map, urls: [url, nowhere] })
      const { money, moving } = yield* ann.status.get()
      expect(money.right).toBe(null)
      expect(moving.because).toContain("shard 1 does not answer")
      expect((yield* ann.shards.list()).data.map(({ answers, id }) => ({ answers, id }))).toEqual([
        { answers: true, id: "shard_0" },
        { answers: false, id: "shard_1" }
      ])
    }))

  it.effect("says how many records a shard's worker has still to read", () =>
    Effect.gen(function*() {
      const shards = yield* (yield* TestPostgres).freshShards(1)
      const [url] = shards.urls
      if (url === undefined) return yield* Effect.die("there is no shard")
      const sql = yield* connect({ url, maxConnections: 1 })
      // Offsets of a log that is no more: it begins anew in the one that there is.
      yield* sql`INSERT INTO consumer_position (partition, log, next_offset) VALUES (3, 'a lost log', 17)`
      const ann = yield* annOver(shards, MemoryEventLog.layer)
      const lag = yield* Effect.repeat(Effect.map(ann.shards.list(), ({ data }) => data[0]?.consumer_lag), {
        until: (lag) => lag !== null
      })
      expect(lag).toBe(0)
    }))
})
