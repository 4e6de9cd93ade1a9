/** The ledger worker on real PostgreSQL: exactly once, whoever delivers twice; stopped, never skipped; fenced, not trusted. */
import { expect, layer } from "@effect/vitest"
import { expectTypeOf } from "vitest"
import { Duration, Effect, Fiber, Layer, Metric, Option } from "effect"
import type { Needs } from "#domain/ledger/Batch.ts"
import { InstructionId } from "#domain/ledger/Instruction.ts"
import { Ledger } from "#domain/ledger/Ledger.ts"
import { Queries } from "#domain/ledger/Queries.ts"
import { ConsumerPositions } from "#domain/messaging/ConsumerPositions.ts"
import { EventLog } from "#domain/messaging/EventLog.ts"
import { type Lease, Leases } from "#domain/sharding/Leases.ts"
import { partitionOf } from "#domain/sharding/Partition.ts"
import { Shards } from "#domain/sharding/Shards.ts"
import { SilentTransfers } from "#domain/reconciliation/SilentTransfers.ts"
import { Intake } from "#domain/transfer/Intake.ts"
import { ShardDatabases } from "#infra/postgres/ShardDatabases.ts"
import * as Metrics from "#infra/telemetry/Metrics.ts"
import { BatchSize, ledgerWorker } from "../../apps/ledger/LedgerWorker.ts"
import { relay } from "../../apps/relay/Relay.ts"
import { TestPostgres } from "../support/TestPostgres.ts"
import {
  accountId,
  ask,
  ended,
  everybodyWorks,
  logOf,
  nameOn,
  open,
  partitions,
  postedOf,
  publish,
  request,
  somebodyOn,
  wish,
  world
} from "./World.ts"

const unknown = "trf_01KDVDNA001Z00000000000000"

const nothing: Needs = {
  accounts: new Set(),
  transfers: new Set(),
  verdicts: new Set(),
  instructions: new Set(),
  reversed: new Set()
}

layer(TestPostgres.layer, { excludeTestServices: true })("the ledger worker", (it) => {
  it.effect("settles transfers within a shard, across shards, to nobody and beyond one's means", () =>
    Effect.gen(function*() {
      yield* Effect.forkScoped(everybodyWorks)
      const bank = yield* open(nameOn(0, "bank"), "external")
      const alice = yield* open(nameOn(0, "alice"))
      const bob = yield* open(nameOn(1, "bob"))
      expect((yield* ended(yield* ask(bank, alice, "100"))).status).toBe("committed")
      expect((yield* ended(yield* ask(alice, bob, "30"))).status).toBe("committed")
      const lost = yield* ended(yield* ask(alice, nameOn(1, "nobody"), "10"))
      expect([lost.status, lost.reason?.code]).toEqual(["cancelled", "account_not_found"])
      const tooMuch = yield* ended(yield* ask(alice, bob, "71"))
      expect([tooMuch.status, tooMuch.reason?.code]).toEqual(["rejected", "insufficient_funds"])
      expect(yield* postedOf(alice)).toEqual({ posted: 70n, held: 0n, sequence: 2n })
      expect(yield* postedOf(bob)).toEqual({ posted: 30n, held: 0n, sequence: 1n })
    }).pipe(Effect.provide(Layer.fresh(world))))

  it.effect("applies a log that is published a second time once", () =>
    Effect.gen(function*() {
      const bank = yield* open(nameOn(0, "bank"), "external")
      const carol = yield* open(nameOn(0, "carol"))
      yield* ask(bank, carol, "5")
      yield* ask(bank, carol, "6")
      const records = yield* logOf(0)
      yield* publish(0, records)
      yield* publish(0, records)
      yield* Effect.forkScoped(ledgerWorker(0))
      const third = yield* ask(bank, carol, "7")
      const again = yield* logOf(0)
      yield* publish(0, again)
      expect((yield* ended(third)).status).toBe("committed")
      expect(yield* postedOf(carol)).toEqual({ posted: 18n, held: 0n, sequence: 3n })
    }).pipe(Effect.provide(Layer.fresh(world))))

  it.effect("authorizes and voids in one batch, and gives the money back", () =>
    Effect.gen(function*() {
      const bank = yield* open(nameOn(0, "bank"), "external")
      const terms = yield* wish(bank, nameOn(1, "shop"), "9", "manual")
      const instruction = InstructionId.make("ins_00000000000000000000000001")
      const intake = yield* Intake
      yield* intake.instruct({ request: request(), event: { type: "transfer.void_requested", ...terms, instruction } })
      yield* publish(0, yield* logOf(0))
      yield* Effect.forkScoped(ledgerWorker(0))
      const end = yield* ended(terms.transfer)
      expect([end.status, end.reason?.code]).toEqual(["cancelled", "voided"])
      expect(yield* postedOf(bank)).toEqual({ posted: 0n, held: 0n, sequence: 0n })
    }).pipe(Effect.provide(Layer.fresh(world))))

  it.effect("reads for the next batch while it writes one, and decides it over what that one changed", () =>
    Effect.gen(function*() {
      const bank = yield* open(nameOn(0, "bank"), "external")
      const heidi = yield* open(nameOn(0, "heidi"))
      const ivan = yield* open(nameOn(0, "ivan"))
      const judy = yield* open(nameOn(1, "judy"))
      const asked = [yield* ask(bank, heidi, "10")]
      for (let n = 0; n < 6; n++) asked.push(yield* ask(heidi, ivan, "1"), yield* ask(heidi, judy, "1"))
      yield* publish(0, yield* logOf(0))
      const races = yield* Metric.value(Metrics.lostRaces)
      yield* Effect.forkScoped(everybodyWorks.pipe(Effect.provideService(BatchSize, 3)))
      const ends = yield* Effect.forEach(asked, ended, { concurrency: "unbounded" })
      expect(ends.map(({ status }) => status)).toEqual([
        ...Array.from({ length: 11 }, () => "committed"),
        "rejected",
        "rejected"
      ])
      expect((yield* postedOf(heidi)).posted).toBe(0n)
      expect((yield* Metric.value(Metrics.lostRaces)).count).toBe(races.count)
    }).pipe(Effect.provide(Layer.fresh(world))))

  it.effect.each<readonly [string, number, (payload: string) => string]>([
    ["that it cannot read", 1_000, () => `{"type":"?"}`],
    ["that it cannot read while it writes what came before", 1, () => `{"type":"?"}`],
    // Whoever may write requests could say by that what only a destination's shard may.
    [
      "that is another than it is said to be",
      1_000,
      (payload) => payload.replace("transfer.requested", "transfer.expiry_due")
    ],
    ["about a transfer that nobody knows", 1_000, (payload) => payload.replace(/trf_.{26}/, unknown)],
    [
      "about a transfer that nobody knows, with what comes after it taken already",
      1,
      (payload) => payload.replace(/trf_.{26}/, unknown)
    ]
  ])("stops a partition at a message %s, and goes on with the others", ([, size, forge]) =>
    Effect.gen(function*() {
      const bank = yield* open(nameOn(0, "bank"), "external")
      const dave = yield* open(nameOn(0, "dave"))
      const otherBank = accountId(
        yield* open(
          // another partition of the same shard
          ["other-1", "other-2", "other-3", "other-4", "other-5", "other-6", "other-7", "other-8", "other-9"].map((
            name
          ) => accountId(name)).find((name) =>
            partitionOf(name, partitions) < partitions / 2 &&
            partitionOf(name, partitions) !== partitionOf(bank, partitions)
          ) ?? nameOn(0, "other"),
          "external"
        )
      )
      const before = yield* ask(bank, dave, "3")
      const stuck = yield* ask(bank, dave, "5")
      const behind = yield* ask(bank, dave, "6")
      const records = yield* logOf(0)
      yield* publish(
        0,
        records.map((record) => record.subject === stuck ? { ...record, payload: forge(record.payload) } : record)
      )
      yield* Effect.forkScoped(ledgerWorker(0).pipe(Effect.provideService(BatchSize, size)))
      const flowing = yield* ask(otherBank, dave, "7")
      yield* publish(0, yield* logOf(0))
      expect((yield* ended(flowing)).status).toBe("committed")
      // What came before it, in the same batch and partition, is not lost with it.
      expect((yield* ended(before)).status).toBe("committed")
      const queries = yield* Queries
      for (const id of [stuck, behind]) {
        expect(Option.getOrThrow(yield* queries.transfer(id)).status).toBe("requested")
      }
      // The place stands at the message: whoever comes next meets it again, nobody has passed it by.
      const shards = yield* Shards
      const log = yield* EventLog
      const partition = partitionOf(bank, partitions)
      const reader = yield* log.reader(new Map([[partition, 0n]]))
      const offset = (yield* reader.take(100)).find(({ subject }) => subject === stuck)?.offset
      const [place] = yield* shards.transact(
        0,
        ConsumerPositions.use((positions) => positions.load(log.identity, [partition]))
      )
      expect(place?.next).toBe(offset)
    }).pipe(Effect.scoped, Effect.provide(Layer.fresh(world))))

  it.effect("lets no worker move a place under a lease that another has taken since", () =>
    Effect.gen(function*() {
      const leases = yield* Leases
      const shards = yield* Shards
      const old: Lease = Option.getOrThrow(yield* leases.acquire(0, "ledger"))
      yield* leases.release(old)
      const current = Option.getOrThrow(yield* leases.acquire(0, "ledger"))
      const move = (lease: Lease) =>
        shards.transact(
          0,
          Effect.gen(function*() {
            const positions = yield* ConsumerPositions
            const [was] = yield* positions.load("memory:test", [0])
            if (was === undefined) return
            yield* positions.advance("memory:test", lease.epoch, [{ was, now: { ...was, next: was.next + 1n } }])
          })
        )
      expect((yield* Effect.flip(move(old)))._tag).toBe("StaleOwner")
      yield* move(current)
      expect((yield* Effect.flip(leases.renew(old)))._tag).toBe("LeaseLost")
    }).pipe(Effect.provide(Layer.fresh(world))))

  it.effect("loses the race where another writer changed a balance that it had read", () =>
    Effect.gen(function*() {
      const shards = yield* Shards
      const erin = yield* open(nameOn(0, "erin"), "external")
      const known = yield* shards.transact(
        0,
        Ledger.use((ledger) => ledger.read({ ...nothing, accounts: new Set([erin]) }))
      )
      const account = known.accounts.get(erin)
      if (account === undefined) return expect.fail("no account")
      const write = shards.transact(
        0,
        Ledger.use((ledger) =>
          ledger.write({
            opened: [],
            balances: [{ ...account, balance: { ...account.balance, held: 1n } }],
            transfers: [],
            holds: [],
            journals: [],
            verdicts: [],
            statuses: [],
            instructions: [],
            events: []
          })
        )
      )
      yield* write
      expect((yield* Effect.flip(write))._tag).toBe("LostRace")
    }).pipe(Effect.provide(Layer.fresh(world))))

  it.effect("writes all of a transaction or none of it", () =>
    Effect.gen(function*() {
      const shards = yield* Shards
      const bank = yield* open(nameOn(0, "bank"), "external")
      const before = (yield* logOf(0)).length
      const exit = yield* Effect.exit(shards.transact(
        0,
        Effect.gen(function*() {
          const positions = yield* ConsumerPositions
          yield* positions.load("memory:none", [0])
          return yield* Effect.fail("changed my mind")
        })
      ))
      expect(exit._tag).toBe("Failure")
      const { on } = yield* ShardDatabases
      expect(yield* on(0, (sql) => sql`SELECT 1 FROM consumer_position WHERE log = 'memory:none'`)).toEqual([])
      expect((yield* logOf(0)).length).toBe(before)
      expect((yield* postedOf(bank)).sequence).toBe(0n)
    }).pipe(Effect.provide(Layer.fresh(world))))

  it.effect("takes a connection that is lost inside a transaction for a shard that is away, and for nothing worse", () =>
    Effect.gen(function*() {
      const shards = yield* Shards
      const somebodyElse = yield* somebodyOn(0)
      const read = Ledger.use((ledger) => ledger.read({ ...nothing, accounts: new Set(["nobody"]) }))
      const end = somebodyElse`
        SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
        WHERE datname = current_database() AND state = 'idle in transaction'`
      const lost = shards.transact(0, read.pipe(Effect.andThen(end), Effect.andThen(read)))
      expect((yield* Effect.flip(lost))._tag).toBe("ShardUnavailable")
      expect((yield* shards.transact(0, read)).accounts.size).toBe(0)
    }).pipe(Effect.provide(Layer.fresh(world))))

  it.effect("two workers that both believe to own a shard apply everything once", () =>
    Effect.gen(function*() {
      const bank = yield* open(nameOn(0, "bank"), "external")
      const frank = yield* open(nameOn(0, "frank"))
      // The lease says one; a zombie does not ask. Both read the same log and write the same shard.
      const zombie = yield* Effect.forkScoped(ledgerWorker(0).pipe(Effect.provide(unguardedLeases)))
      const other = yield* Effect.forkScoped(ledgerWorker(0).pipe(Effect.provide(unguardedLeases)))
      yield* Effect.forkScoped(relay(0))
      const ids = yield* Effect.forEach(Array.from({ length: 200 }), () => ask(bank, frank, "1"), { concurrency: 20 })
      const ends = yield* Effect.forEach(ids, ended, { concurrency: "unbounded" })
      expect(ends.every(({ status }) => status === "committed")).toBe(true)
      expect(yield* postedOf(frank)).toEqual({ posted: 200n, held: 0n, sequence: 200n })
      yield* Fiber.interrupt(zombie)
      yield* Fiber.interrupt(other)
    }).pipe(Effect.provide(Layer.fresh(world))), 60_000)

  it.effect("has its books only inside a transaction: the compiler knows no other way", () =>
    Effect.gen(function*() {
      const shards = yield* Shards
      const read = Ledger.use((ledger) => ledger.read(nothing))
      const inside = shards.transact(0, read)
      expectTypeOf<Effect.Services<typeof read>>().toEqualTypeOf<Ledger>()
      expectTypeOf<Effect.Services<typeof inside>>().toEqualTypeOf<never>()
      expect((yield* inside).accounts.size).toBe(0)
    }).pipe(Effect.provide(Layer.fresh(world))))

  it.effect("finds transfers that got no answer, and those alone", () =>
    Effect.gen(function*() {
      const bank = yield* open(nameOn(0, "bank"), "external")
      const grace = yield* open(nameOn(0, "grace"))
      const waiting = yield* ask(bank, grace, "5")
      const silent = yield* SilentTransfers
      const never = { requested: Duration.hours(1), held: Duration.hours(1) }
      const now = { requested: Duration.zero, held: Duration.zero }
      expect(yield* silent.find(0, never, 0, 10)).toEqual([])
      expect((yield* silent.find(0, now, 0, 10)).map(({ transfer }) => transfer.terms.transfer)).toEqual([waiting])
      expect(yield* silent.find(1, now, 0, 10)).toEqual([])
    }).pipe(Effect.provide(Layer.fresh(world))))
})

/** Leases that anybody has at any time, all with the epoch that the shard knows. */
const unguardedLeases = Layer.effect(
  Leases,
  Effect.gen(function*() {
    const { on } = yield* ShardDatabases
    yield* on(0, (sql) =>
      sql`
      INSERT INTO lease (role, holder, epoch, expires_at) VALUES ('ledger', 'everybody', 1, 'infinity')
      ON CONFLICT DO NOTHING`)
    return Leases.of({
      timeToLive: Duration.seconds(2),
      acquire: (shard, role) => Effect.succeedSome({ shard, role, epoch: 1n }),
      renew: () => Effect.void,
      examine: () => Effect.void,
      release: () => Effect.void
    })
  })
)
