/** The four answers: of healthy books, of books that are wrong, and while a shard is down. */
import { expect, layer } from "@effect/vitest"
import { Duration, Effect, Layer, Redacted } from "effect"
import { EventLog, type LogRecord } from "#domain/messaging/EventLog.ts"
import * as MemoryEventLog from "#infra/memory/MemoryEventLog.ts"
import * as PgConsumer from "#infra/postgres/PgConsumer.ts"
import { connect } from "#infra/postgres/Postgres.ts"
import * as ParkedAtHand from "../../apps/admin/ParkedAtHand.ts"
import { fill } from "../checks/Books.ts"
import { TestPostgres } from "../support/TestPostgres.ts"
import { annOver, clientOf, keys, served } from "./Harness.ts"

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

  it.effect("names the partitions that have stopped, where somebody works on them, and what they stand before", () =>
    Effect.gen(function*() {
      const shards = yield* (yield* TestPostgres).freshShards(1)
      const [url] = shards.urls
      if (url === undefined) return yield* Effect.die("there is no shard")
      const sql = yield* connect({ url, maxConnections: 1 })
      const log = yield* MemoryEventLog.makeLog()
      const eventLog = MemoryEventLog.over(log)
      const written = (partition: number, position: bigint, occurredAtMillis: number): LogRecord => ({
        partition,
        source: 0,
        position,
        key: "anna",
        type: "transfer.held",
        subject: "trf_1",
        payload: "{}",
        occurredAtMillis,
        traceparent: null,
        requestId: null
      })
      const now = yield* Effect.clockWith(({ currentTimeMillis }) => currentTimeMillis)
      yield* Effect.scoped(Effect.flatMap(eventLog.writer(0), ({ append }) =>
        append([
          ...[1n, 2n].map((position) => written(3, position, now - 60_000)), // stopped at its second
          written(4, 3n, now - 60_000), // never begun
          written(5, 4n, now - 60_000), // read
          written(6, 5n, now + 3_600_000) // too young
        ])))
      yield* sql`
        INSERT INTO consumer_position (partition, log, next_offset)
        VALUES (3, ${log.identity}, 1), (5, ${log.identity}, 1), (7, ${log.identity}, 900)`
      const ann = yield* annOver(shards, Layer.succeed(EventLog, eventLog))
      yield* Effect.repeat(ann.shards.list(), { until: ({ data }) => data[0]?.consumer_lag !== null })
      // While nobody works nobody has stopped.
      expect((yield* ann.status.get()).stuck.partitions).toEqual([])

      yield* sql`INSERT INTO lease (role, holder, epoch, expires_at) VALUES ('ledger', 'somebody', 1, now() + interval '1 hour')`
      const { stuck, suggestions } = yield* ann.status.get()
      const before = { shard: 0, type: "transfer.held", subject: "trf_1" }
      expect(stuck.nothing).toBe(false)
      expect(stuck.partitions.toSorted((one, other) => one.partition - other.partition)).toMatchObject([
        { ...before, partition: 3, offset: 1, waiting_since: new Date(now - 60_000).toISOString() },
        { ...before, partition: 4, offset: 0 },
        { shard: 0, partition: 7, offset: 900, type: null, subject: null, waiting_since: null }
      ])
      const commands = suggestions.map(({ command }) => command)
      expect(commands).toContain("counterpoise consumers lag --partitions")
      expect(commands).toContain("counterpoise transfers timeline trf_1")

      // Who is only behind moves on between two looks.
      const moves = Effect.delay(sql`UPDATE consumer_position SET next_offset = 2 WHERE partition = 3`, "500 millis")
      const [moved] = yield* Effect.all([ann.status.get(), moves], { concurrency: 2 })
      expect(moved.stuck.partitions.map(({ partition }) => partition).toSorted()).toEqual([4, 7])
    }))

  it.effect("counts the messages that are parked, and says when nobody knows", () =>
    Effect.gen(function*() {
      const postgres = yield* TestPostgres
      const shards = yield* postgres.freshShards(1)
      const never = Layer.effectContext(Effect.never)
      const seenWith = Effect.fnUntraced(function*(url: Redacted.Redacted<string>) {
        const database = PgConsumer.layer({
          url,
          consumer: "notifier",
          holder: "nobody",
          timeToLive: Duration.minutes(1)
        })
        const { url: api } = yield* served(shards, never, ParkedAtHand.layer(database))
        return yield* (yield* clientOf(api, keys.ann)).status.get()
      })
      const url = yield* postgres.freshConsumer("notifier")
      expect((yield* seenWith(url)).stuck).toMatchObject({ nothing: true, parked: { waiting: 0, troubled: 0 } })
      const owner = yield* connect({ url, maxConnections: 1 })
      yield* owner`
        INSERT INTO parked_message (source_shard, position, partition, key, type, subject, payload, occurred_at, trouble,
          detail)
        VALUES (0, 1, 0, 'anna', 'transfer.committed', 'trf', '{}', now(), 'refused', '410'),
          (0, 2, 0, 'anna', 'transfer.committed', 'trf', '{}', now(), NULL, NULL)`
      const { stuck, suggestions } = yield* seenWith(url)
      expect(stuck).toMatchObject({ nothing: false, parked: { waiting: 2, troubled: 1 } })
      expect(suggestions.map(({ command }) => command)).toContain("counterpoise parked list")

      const unknown = yield* seenWith(nowhere)
      expect(unknown.stuck.parked).toBe(null)
      // Money moves all the same.
      expect(unknown.moving.because.filter((each) => each.includes("notifier"))).toEqual([])
      expect(unknown.suggestions.map(({ because }) => because).join()).toContain(
        "the notifier's database does not answer"
      )
    }))
})
