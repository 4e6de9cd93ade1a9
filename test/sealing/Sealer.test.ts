/** What the sealer does while others write, and when it must not go on. */
import { expect, layer } from "@effect/vitest"
import { Duration, Effect, Fiber, Metric, Option, type Redacted, Schedule } from "effect"
import { nothing, seal, timeOf } from "#domain/sealing/Block.ts"
import { Seals } from "#domain/sealing/Seals.ts"
import { Leases } from "#domain/sharding/Leases.ts"
import { connect, sqlState } from "#infra/postgres/Postgres.ts"
import { newSecret, sha256 } from "#infra/Signatures.ts"
import * as Metrics from "#infra/telemetry/Metrics.ts"
import { makeSealer, mostEvents } from "../../apps/reconciler/Sealer.ts"
import { fill, traffic } from "../checks/Books.ts"
import { TestPostgres, type TestShards } from "../support/TestPostgres.ts"
import { makeSigner, sealing, sealShard, verifyAll } from "./Sealing.ts"

const signer = makeSigner()

const oneShard = Effect.gen(function*() {
  const shards = yield* (yield* TestPostgres).freshShards(1)
  const [url] = shards.urls
  return url === undefined ? yield* Effect.die("there is no shard") : { shards, url }
})

const superuser = (url: Redacted.Redacted<string>) => connect({ url, maxConnections: 1 })

const write = (url: Redacted.Redacted<string>, events: number) =>
  Effect.scoped(Effect.flatMap(superuser(url), (sql) =>
    sql`INSERT INTO event (type, subject, key, partition, payload)
        SELECT 'test', 'test', 'test', 0, '{}' FROM generate_series(1, ${events}::int)`))

/** Works as the sealer of a shard, until it is interrupted. */
const working = (shards: TestShards, every: Duration.Duration, shard = 0) =>
  Effect.gen(function*() {
    const leases = yield* Leases
    const lease = Option.getOrThrow(yield* leases.acquire(shard, "reconciler"))
    const sealer = yield* makeSealer(shard, { signer, shards: shards.urls.length, every })
    return yield* sealer(lease)
  }).pipe(Effect.provide(sealing(shards), { local: true }))

const endOf = (shards: TestShards, shard = 0) =>
  Effect.provide(Seals.use((seals) => seals.end(shard)), sealing(shards), { local: true })

/** Asks until it is so. */
const until = <A, E, R>(probe: Effect.Effect<A, E, R>, isSo: (found: A) => boolean) =>
  probe.pipe(
    Effect.repeat({ until: isSo, schedule: Schedule.spaced("20 millis") }),
    Effect.timeout("30 seconds")
  )

layer(TestPostgres.layer, { excludeTestServices: true, timeout: "2 minutes" })("the sealer", (it) => {
  it.effect("seals while money moves, and leaves nothing out", () =>
    Effect.gen(function*() {
      const shards = yield* (yield* TestPostgres).freshShards(2)
      const books = yield* fill(shards)
      const moving = yield* Effect.forkChild(traffic(shards, books))
      const sealers = yield* Effect.forkChild(
        Effect.all([0, 1].map((shard) => working(shards, Duration.millis(20), shard)), { concurrency: 2 })
      )
      yield* until(endOf(shards, 0), ({ number }) => number > 20n)
      yield* Fiber.interrupt(moving)
      yield* Fiber.interrupt(sealers)
      const reports = yield* verifyAll(shards, signer)
      expect(reports.map(({ findings }) => findings)).toEqual([[], []])
      expect(reports.every(({ head }) => head.number > 5n)).toBe(true)
    }))

  it.effect("waits for an event that is slow to commit, and never seals past it", () =>
    Effect.gen(function*() {
      const { shards, url } = yield* oneShard
      const slow = yield* (yield* superuser(url)).reserve
      const run = (statement: string) => slow.executeUnprepared(statement, [], undefined)
      yield* run("BEGIN")
      yield* run("SELECT pg_current_xact_id()::text")
      yield* run("INSERT INTO event (type, subject, key, partition, payload) VALUES ('test', 'slow', 'slow', 0, '{}')")
      yield* write(url, 1)
      const unsealed = yield* Effect.forkChild(
        Effect.provide(Seals.use((seals) => seals.unsealed(0, 0n, 10)), sealing(shards), { local: true })
      )
      yield* until(
        Effect.scoped(Effect.flatMap(superuser(url), (sql) =>
          sql`SELECT 1 FROM pg_stat_activity WHERE query LIKE '%event_barrier%' AND state = 'active'
              AND datname = current_database() AND pid <> pg_backend_pid()`)),
        (rows) =>
          rows.length > 0
      )
      expect(unsealed.pollUnsafe()).toBeUndefined()
      yield* run("COMMIT")
      const { rows, upTo } = yield* Fiber.join(unsealed)
      expect(rows.map(({ event }) => event.subject)).toEqual(["slow", "test"])
      expect(upTo).toBe(2n)
    }))

  it.effect("seals a block as soon as it is full, however long events may wait", () =>
    Effect.gen(function*() {
      const { shards, url } = yield* oneShard
      const sealer = yield* Effect.forkChild(working(shards, Duration.hours(1)))
      yield* write(url, mostEvents + 10)
      const end = yield* until(endOf(shards), ({ number }) => number >= 2n)
      yield* Fiber.interrupt(sealer)
      expect(end.upTo).toBe(BigInt(mostEvents + 10))
      expect((yield* verifyAll(shards, signer)).map(({ findings }) => findings)).toEqual([[]])
    }))

  it.effect("stops where a block of its own is gone, and says so; signing on would bless what was changed", () =>
    Effect.gen(function*() {
      const { shards, url } = yield* oneShard
      const sealer = yield* Effect.forkChild(working(shards, Duration.millis(20)))
      yield* write(url, 5)
      yield* until(endOf(shards), ({ upTo }) => upTo === 5n)
      yield* Effect.scoped(Effect.flatMap(superuser(url), (sql) =>
        sql.withTransaction(Effect.andThen(
          sql`SET LOCAL session_replication_role = replica`,
          sql`DELETE FROM sealed_block`
        ))))
      yield* write(url, 5)
      yield* until(
        Metric.value(Metric.withAttributes(Metrics.sealingStopped, { shard: "0" })),
        ({ value }) => value === 1
      )
      expect((yield* endOf(shards)).number).toBe(0n)
      expect(sealer.pollUnsafe()).toBeUndefined()
      yield* Fiber.interrupt(sealer)
    }))

  it.effect("goes on where another process has sealed meanwhile", () =>
    Effect.gen(function*() {
      const { shards, url } = yield* oneShard
      const other = sealing(shards)
      yield* write(url, 5)
      yield* Effect.provide(sealShard(0, signer), other, { local: true })
      const sealer = yield* Effect.forkChild(working(shards, Duration.millis(20)))
      yield* write(url, 5)
      yield* until(endOf(shards), ({ upTo }) => upTo === 10n)
      yield* Fiber.interrupt(sealer)
      expect((yield* verifyAll(shards, signer)).map(({ findings, head }) => [head.number, findings])).toEqual([[
        2n,
        []
      ]])
    }))
})

layer(TestPostgres.layer, { excludeTestServices: true, timeout: "2 minutes" })("a block", (it) => {
  /** What it takes to append the first block of a shard with one event. */
  const prepared = Effect.gen(function*() {
    const { shards, url } = yield* oneShard
    yield* write(url, 2)
    const seals = yield* Effect.provide(Seals, sealing(shards), { local: true })
    return { shards, url, seals }
  })

  it.effect("is appended once: who comes second, or has lost the lease, appends nothing", () =>
    Effect.gen(function*() {
      const { shards } = yield* prepared
      yield* Effect.gen(function*() {
        const seals = yield* Seals
        const lease = Option.getOrThrow(yield* (yield* Leases).acquire(0, "reconciler"))
        const { rows } = yield* seals.unsealed(0, 0n, 1)
        const stretch = { shard: 0, head: nothing, after: 0n, upTo: 1n, rows }
        const block = () => seal(sha256, signer, stretch, { witness: null, sealedAt: timeOf(1), secret: newSecret() })
        const appended = (epoch: bigint) =>
          Effect.match(seals.append({ ...lease, epoch }, block()), {
            onFailure: ({ _tag }) => _tag,
            onSuccess: () => "appended"
          })
        expect(yield* appended(lease.epoch - 1n)).toBe("LeaseLost")
        expect(yield* appended(lease.epoch)).toBe("appended")
        expect(yield* appended(lease.epoch)).toBe("LeaseLost")
      }).pipe(Effect.provide(sealing(shards), { local: true }))
    }))

  it.effect("follows the one before, or cannot be written, even by the owner", () =>
    Effect.gen(function*() {
      const { shards, url } = yield* prepared
      yield* Effect.provide(sealShard(0, signer), sealing(shards), { local: true })
      const sql = yield* superuser(url)
      const next = (changes: Readonly<Record<string, string>>) => {
        const columns = {
          number: "number + 1",
          begins_after: "up_to",
          up_to: "up_to + 5",
          leaves: "leaves",
          root: "root",
          list: "list",
          previous: "hash",
          sealed_at: "sealed_at",
          key_id: "key_id",
          signature: "signature",
          hash: "sha256(hash)",
          leaf_list: "leaf_list",
          secret: "secret",
          ...changes
        }
        const statement = `INSERT INTO sealed_block (${Object.keys(columns).join(", ")})
          SELECT ${Object.values(columns).join(", ")} FROM sealed_block ORDER BY number DESC LIMIT 1`
        return sql.withTransaction(Effect.andThen(sql.unsafe(statement).unprepared, Effect.fail("written" as const)))
          .pipe(
            Effect.catch((error) => Effect.succeed(error === "written" ? error : sqlState(error)))
          )
      }
      const [foreign, check] = ["23503", "23514"]
      expect(yield* next({})).toBe("written")
      expect(yield* next({ number: "number + 2" })).toBe(foreign)
      expect(yield* next({ begins_after: "up_to - 1" })).toBe(foreign)
      expect(yield* next({ begins_after: "up_to + 1" })).toBe(foreign)
      expect(yield* next({ previous: "root" })).toBe(foreign)
      expect(yield* next({ number: "0" })).toBe(check)
      expect(yield* next({ up_to: "up_to" })).toBe(check)
      expect(yield* next({ leaves: "leaves + 1" })).toBe(check)
      expect(yield* next({ signature: "root" })).toBe(check)
      expect(yield* next({ witness_shard: "1" })).toBe(check)
    }))
})
