/**
 * Whoever has the database, but not the key, cannot change what was sealed without being found out. Each case takes a copy
 * of sealed books, tampers with it as only a superuser with the triggers off can, and says exactly what is found.
 */
import type { PgClient } from "@effect/sql-pg"
import { expect, layer } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import type { Head } from "#domain/sealing/Block.ts"
import { Seals } from "#domain/sealing/Seals.ts"
import type { KnownHead } from "#domain/sealing/Verification.ts"
import type { ShardId } from "#domain/sharding/ShardMap.ts"
import { connect } from "#infra/postgres/Postgres.ts"
import { type Books, fill, settle, type TransferName } from "../checks/Books.ts"
import { TestPostgres, type TestShards } from "../support/TestPostgres.ts"
import { makeSigner, sealing, sealShard, verifyAll } from "./Sealing.ts"

const signer = makeSigner()
const thief = makeSigner()

const on = <A, E>(shards: TestShards, shard: ShardId, work: (sql: PgClient.PgClient) => Effect.Effect<A, E>) =>
  Effect.suspend(() => {
    const url = shards.urls[shard]
    return url === undefined
      ? Effect.die(`there is no shard ${shard}`)
      : Effect.scoped(Effect.flatMap(connect({ url, maxConnections: 1 }), work))
  })

/** Seals what a shard has, in small blocks, each of which names the other shard's last one. */
const sealOn = (
  shards: TestShards,
  shard: ShardId,
  options: { readonly key?: typeof signer; readonly blocks?: number } = {}
) =>
  Effect.provide(
    sealShard(shard, options.key ?? signer, { most: 15, witness: 1 - shard, blocks: options.blocks ?? Infinity }),
    sealing(shards),
    { local: true }
  )

const endOf = (shards: TestShards, shard: ShardId) =>
  Effect.provide(Seals.use((seals) => seals.end(shard)), sealing(shards), { local: true })

class SealedBooks extends Context.Service<SealedBooks, {
  readonly books: Books
  readonly shards: TestShards
  /** A position of shard 0 that was drawn and never used. */
  readonly gap: bigint
  /** As they were when shard 0 had this head, and shard 1 nothing sealed. */
  readonly earlier: TestShards
  readonly earlierHead: Head
}>()("counterpoise/test/SealedBooks") {
  static readonly layer = Layer.effect(
    SealedBooks,
    Effect.gen(function*() {
      const postgres = yield* TestPostgres
      const shards = yield* postgres.freshShards(2)
      const books = yield* fill(shards)
      const gap = yield* on(
        shards,
        0,
        (sql) =>
          Effect.map(
            sql<{ readonly gap: bigint }>`SELECT nextval('event_position_seq') AS gap`,
            ([row]) => row?.gap ?? 0n
          )
      )
      yield* sealOn(shards, 0)
      const earlierHead = yield* endOf(shards, 0)
      const earlier = yield* postgres.copy(shards)
      yield* settle(shards, books)
      yield* sealOn(shards, 0)
      // Shard 1 goes last: its blocks name the end of shard 0, and its own end is known to nobody.
      yield* sealOn(shards, 1)
      return { books, shards, gap, earlier, earlierHead }
    })
  )
}

interface Names {
  readonly id: (name: TransferName) => string
  readonly gap: bigint
}

interface Case {
  readonly name: string
  readonly plant: (names: Names) => Partial<Record<ShardId, ReadonlyArray<string>>>
  readonly found: (names: Names) => ReadonlyArray<string | RegExp>
}

const payloadOf = (id: string, type: string) => `subject = '${id}' AND type = 'transfer.${type}'`

const journal = "INSERT INTO journal (transfer_id, leg, step, amount, currency, debit_account, debit_sequence, " +
  "debit_posted, credit_account, credit_sequence, credit_posted)"

const rows: ReadonlyArray<Case> = [
  { name: "nothing, where nothing was done", plant: () => ({}), found: () => [] },
  {
    name: "the amount of a journal is edited",
    plant: ({ id }) => ({ 0: [`UPDATE journal SET amount = amount + 1 WHERE transfer_id = '${id("local")}'`] }),
    found: ({ id }) => [`edited: journal direct of ${id("local")}, leg 1`]
  },
  {
    name: "the balance after an entry is edited, which no receipt shows",
    plant: ({ id }) => ({
      1: [`UPDATE journal SET credit_posted = credit_posted + 1 WHERE transfer_id = '${id("cross")}'`]
    }),
    found: ({ id }) => [`edited: journal credit of ${id("cross")}, leg 1`]
  },
  {
    name: "money is led to another account",
    plant: ({ id }) => ({
      0: [`UPDATE journal SET credit_account = 'elsewhere' WHERE transfer_id = '${id("depositAnn")}'`]
    }),
    found: ({ id }) => [`edited: journal direct of ${id("depositAnn")}, leg 1`]
  },
  {
    name: "the payload of an event is edited",
    plant: ({ id }) => ({
      0: [
        `UPDATE event SET payload = replace(payload::text, '"1200"', '"9200"')::json WHERE ${
          payloadOf(id("local"), "requested")
        }`
      ]
    }),
    found: ({ id }) => [new RegExp(`^edited: event \\d+, transfer.requested of ${id("local")}$`)]
  },
  {
    name: "the payload of an event is only written differently",
    plant: ({ id }) => ({
      0: [`UPDATE event SET payload = (payload::text || ' ')::json WHERE ${payloadOf(id("local"), "requested")}`]
    }),
    found: ({ id }) => [new RegExp(`^edited: event \\d+, transfer.requested of ${id("local")}$`)]
  },
  {
    name: "a time is moved by a microsecond, or out of all bounds",
    plant: ({ id }) => ({
      0: [
        `UPDATE event SET occurred_at = occurred_at + interval '1 microsecond' WHERE ${
          payloadOf(id("local"), "requested")
        }`,
        `UPDATE event SET occurred_at = '-infinity' WHERE ${payloadOf(id("local"), "committed")}`
      ],
      1: [`UPDATE journal SET created_at = 'infinity' WHERE transfer_id = '${id("cross")}'`]
    }),
    found: ({ id }) => [
      new RegExp(`^edited: event \\d+, transfer.requested of ${id("local")}$`),
      new RegExp(`^edited: event \\d+, transfer.committed of ${id("local")}$`),
      `edited: journal credit of ${id("cross")}, leg 1`
    ]
  },
  {
    name: "an event is laid to another request, or led to another partition",
    plant: ({ id }) => ({
      0: [
        `UPDATE event SET request_id = 'another' WHERE ${payloadOf(id("local"), "requested")}`,
        `UPDATE event SET partition = partition + 1 WHERE ${payloadOf(id("local"), "committed")}`
      ]
    }),
    found: ({ id }) => [
      new RegExp(`^edited: event \\d+, transfer.requested of ${id("local")}$`),
      new RegExp(`^edited: event \\d+, transfer.committed of ${id("local")}$`)
    ]
  },
  {
    name: "a journal is deleted",
    plant: ({ id }) => ({ 0: [`DELETE FROM journal WHERE transfer_id = '${id("local")}'`] }),
    found: ({ id }) => [`deleted: a journal of ${id("local")}`]
  },
  {
    name: "an event is deleted",
    plant: ({ id }) => ({ 0: [`DELETE FROM event WHERE ${payloadOf(id("local"), "requested")}`] }),
    found: () => [/^deleted: event \d+$/]
  },
  {
    name: "an event and its journal are deleted together",
    plant: ({ id }) => ({
      0: [
        `DELETE FROM event WHERE ${payloadOf(id("local"), "committed")}`,
        `DELETE FROM journal WHERE transfer_id = '${id("local")}'`
      ]
    }),
    found: () => [/^deleted: event \d+$/]
  },
  {
    name: "an event is put into a gap of the positions",
    plant: ({ gap, id }) => ({
      0: [
        `INSERT INTO event (position, type, subject, key, partition, payload) OVERRIDING SYSTEM VALUE
         SELECT ${gap}, type, subject, key, partition, payload FROM event WHERE ${payloadOf(id("local"), "requested")}`
      ]
    }),
    found: ({ gap, id }) => [`inserted: event ${gap}, transfer.requested of ${id("local")}`]
  },
  {
    name: "an event is put before the first one",
    plant: ({ id }) => ({
      0: [
        `INSERT INTO event (position, type, subject, key, partition, payload) OVERRIDING SYSTEM VALUE
         SELECT 0, type, subject, key, partition, payload FROM event WHERE ${payloadOf(id("local"), "requested")}`
      ]
    }),
    found: ({ id }) => [`inserted: event 0, transfer.requested of ${id("local")}`]
  },
  {
    name: "a journal is added to one that was sealed",
    plant: ({ id }) => ({
      0: [
        `${journal} SELECT transfer_id, 2, step, amount, currency, debit_account, 100, 0, credit_account, 100, 0
         FROM journal WHERE transfer_id = '${id("local")}'`
      ]
    }),
    found: ({ id }) => [`inserted: journal direct of ${id("local")}, leg 2`]
  },
  {
    name: "a journal is added for a transfer that did not come about",
    plant: ({ id }) => ({
      0: [
        `${journal} SELECT '${
          id("localRejected")
        }', 1, 'direct', amount, currency, debit_account, 100, 0, credit_account, 100, 0
         FROM journal WHERE transfer_id = '${id("local")}'`
      ]
    }),
    found: ({ id }) => [`inserted: journal direct of ${id("localRejected")}, leg 1`]
  },
  {
    name: "two journals change places",
    plant: ({ id }) => ({
      0: [
        `UPDATE journal SET amount = other.amount FROM journal AS other
         WHERE (journal.transfer_id, other.transfer_id) IN
           (('${id("depositAnn")}', '${id("depositBob")}'), ('${id("depositBob")}', '${id("depositAnn")}'))`
      ]
    }),
    found: ({ id }) => [
      `edited: journal direct of ${id("depositAnn")}, leg 1`,
      `edited: journal direct of ${id("depositBob")}, leg 1`
    ]
  },
  {
    name: "two events change places",
    plant: ({ id }) => ({
      0: [
        `UPDATE event SET subject = other.subject, payload = other.payload FROM event AS other
         WHERE event.type = 'transfer.requested' AND other.type = event.type AND (event.subject, other.subject) IN
           (('${id("depositAnn")}', '${id("depositBob")}'), ('${id("depositBob")}', '${id("depositAnn")}'))`
      ]
    }),
    found: ({ id }) => [
      new RegExp(`^edited: event \\d+, transfer.requested of ${id("depositBob")}$`),
      new RegExp(`^edited: event \\d+, transfer.requested of ${id("depositAnn")}$`)
    ]
  }
]

const chain: ReadonlyArray<Case> = [
  {
    name: "a block is deleted from the middle",
    plant: () => ({ 1: ["DELETE FROM sealed_block WHERE number = 2"] }),
    found: () => ["gone: block 3"]
  },
  {
    name: "what a block says of itself is edited",
    plant: () => ({ 1: ["UPDATE sealed_block SET sealed_at = sealed_at - interval '1 day' WHERE number = 2"] }),
    found: () => ["unsigned: block 2", "unchained: block 3"]
  },
  {
    name: "a row is edited, and the list of leaves with it",
    plant: () => ({
      0: [
        "UPDATE event SET payload = '{}' WHERE position = 1",
        "UPDATE sealed_block SET leaf_list = overlay(leaf_list PLACING '\\x0000' FROM 20) WHERE number = 1"
      ]
    }),
    found: () => ["unlisted: block 1"]
  },
  {
    name: "the secret of a block is edited",
    plant: () => ({ 1: ["UPDATE sealed_block SET secret = sha256(secret) WHERE number = 1"] }),
    found: () => ["unlisted: block 1"]
  }
]

/** As a superuser, past every trigger and foreign key. */
const tamper = (shards: TestShards, planted: Partial<Record<ShardId, ReadonlyArray<string>>>) =>
  Effect.forEach([0, 1], (shard) =>
    on(shards, shard, (sql) =>
      sql.withTransaction(Effect.gen(function*() {
        yield* sql`SET LOCAL session_replication_role = replica`
        for (const statement of planted[shard] ?? []) {
          const touched = yield* sql.unsafe(`${statement} RETURNING 1`).unprepared
          // To tamper with nothing would be found by nobody, and prove nothing.
          expect(touched.length, statement).toBeGreaterThan(0)
        }
      }))))

const foundIn = (shards: TestShards, heads: ReadonlyArray<KnownHead> = []) =>
  Effect.map(verifyAll(shards, signer, heads), (reports) => [
    // A journal stands beside every event that says it was posted, and a verdict may have been said twice.
    ...new Set(reports.flatMap(({ findings }) => findings.map(({ subject, what }) => `${what}: ${subject}`)))
  ])

const matching = (expected: ReadonlyArray<string | RegExp>) =>
  expected.map((each): unknown => typeof each === "string" ? each : expect.stringMatching(each))

const copied = Effect.gen(function*() {
  const sealed = yield* SealedBooks
  const names: Names = { gap: sealed.gap, id: (name) => sealed.books.transfer(name).transfer }
  return { ...sealed, names, copies: yield* (yield* TestPostgres).copy(sealed.shards) }
})

layer(SealedBooks.layer.pipe(Layer.provideMerge(TestPostgres.layer)), {
  excludeTestServices: true,
  timeout: "2 minutes"
})("what is found when", (it) => {
  for (const { found, name, plant } of [...rows, ...chain]) {
    it.effect(name, () =>
      Effect.gen(function*() {
        const { copies, names } = yield* copied
        yield* tamper(copies, plant(names))
        expect(yield* foundIn(copies)).toEqual(matching(found(names)))
      }))
  }

  it.effect("the last block of a shard is deleted: its neighbour knows it", () =>
    Effect.gen(function*() {
      const { copies } = yield* copied
      const { number } = yield* endOf(copies, 0)
      yield* tamper(copies, { 0: [`DELETE FROM sealed_block WHERE number = ${number}`] })
      expect(yield* foundIn(copies)).toEqual([`gone: block ${number}`])
    }))

  it.effect("the last block of all is deleted: only who kept its head knows it", () =>
    Effect.gen(function*() {
      const { copies } = yield* copied
      const kept = { shard: 1, ...yield* endOf(copies, 1) }
      expect(yield* foundIn(copies, [kept])).toEqual([])
      yield* tamper(copies, { 1: [`DELETE FROM sealed_block WHERE number = ${kept.number}`] })
      expect(yield* foundIn(copies)).toEqual([])
      expect(yield* foundIn(copies, [kept])).toEqual([`gone: block ${kept.number}`])
    }))

  it.effect("the last block is deleted, a row edited, and the honest sealer seals it again", () =>
    Effect.gen(function*() {
      const { copies } = yield* copied
      const kept = { shard: 1, ...yield* endOf(copies, 1) }
      yield* tamper(copies, {
        1: [
          `DELETE FROM sealed_block WHERE number = ${kept.number}`,
          `UPDATE event SET payload = '{}' WHERE position = ${kept.upTo}`
        ]
      })
      yield* sealOn(copies, 1)
      expect((yield* endOf(copies, 1)).number).toBe(kept.number)
      expect(yield* foundIn(copies)).toEqual([])
      expect(yield* foundIn(copies, [kept])).toEqual([`gone: block ${kept.number}`])
    }))

  it.effect("the chain is made anew from a block on, with another key", () =>
    Effect.gen(function*() {
      const { copies, names } = yield* copied
      const { number: last } = yield* endOf(copies, 0)
      yield* tamper(copies, {
        0: [
          "DELETE FROM sealed_block WHERE number >= 2",
          `UPDATE journal SET amount = amount + 1 WHERE transfer_id = '${names.id("crossBack")}'`
        ]
      })
      yield* sealOn(copies, 0, { key: thief })
      const { number: anew } = yield* endOf(copies, 0)
      expect(anew).toBeGreaterThan(2n)
      const numbers = Array.from({ length: Number(anew) - 1 }, (_, at) => at + 2)
      const unsigned = numbers.map((number) => `unsigned: block ${number}`)
      const found = yield* foundIn(copies)
      expect(found.slice(0, unsigned.length)).toEqual(unsigned)
      // Shard 1 named the true one.
      expect(found.slice(unsigned.length)).toEqual([`gone: block ${last}`])
    }))

  it.effect("the chain is made anew with another key, under the name of the true one", () =>
    Effect.gen(function*() {
      const { copies } = yield* copied
      const { number } = yield* endOf(copies, 1)
      yield* tamper(copies, { 1: [`DELETE FROM sealed_block WHERE number = ${number}`] })
      yield* Effect.provide(sealShard(1, { ...thief, keyId: signer.keyId }), sealing(copies), { local: true })
      expect(yield* foundIn(copies)).toEqual([`unsigned: block ${number}`])
    }))

  it.effect("a shard is taken back to an older copy: its neighbour knows what came after", () =>
    Effect.gen(function*() {
      const { copies, earlier, shards } = yield* copied
      const { number } = yield* endOf(shards, 0)
      const older = yield* (yield* TestPostgres).copy(earlier)
      const mixed = { map: shards.map, urls: [...older.urls.slice(0, 1), ...copies.urls.slice(1)] }
      expect(yield* foundIn(mixed)).toEqual([`gone: block ${number}`])
      // Nor does it help to go on from there.
      yield* on(mixed, 0, (sql) =>
        sql`INSERT INTO event (type, subject, key, partition, payload)
            SELECT 'test', 'test', 'test', 0, '{}' FROM generate_series(1, 200)`)
      yield* sealOn(mixed, 0)
      expect((yield* endOf(mixed, 0)).number).toBeGreaterThan(number)
      expect(yield* foundIn(mixed)).toEqual([`gone: block ${number}`])
    }))

  it.effect("all shards are taken back together: only who kept a head knows it", () =>
    Effect.gen(function*() {
      const { earlier, earlierHead, shards } = yield* copied
      const older = yield* (yield* TestPostgres).copy(earlier)
      const head = { shard: 0, ...yield* endOf(shards, 0) }
      expect(yield* foundIn(older)).toEqual([])
      expect(yield* foundIn(older, [{ shard: 0, ...earlierHead }])).toEqual([])
      expect(yield* foundIn(older, [head])).toEqual([`gone: block ${head.number}`])
    }))

  it.effect("nobody kept the public key: then nothing is proved, and that is said", () =>
    Effect.gen(function*() {
      const { copies } = yield* copied
      const [report] = yield* verifyAll(copies, thief)
      expect(report?.findings.map(({ detail }) => detail)).toContain(
        `is signed with key ${signer.keyId}, which is not trusted`
      )
    }))

  it.effect("every journal and every event is edited: each is named", () =>
    Effect.gen(function*() {
      const { copies } = yield* copied
      const everything = yield* Effect.forEach([0, 1], (shard) =>
        on(copies, shard, (sql) =>
          Effect.map(
            sql<{ readonly name: string }>`
              SELECT format('journal %s of %s, leg 1', step, transfer_id) AS name FROM journal
              UNION ALL SELECT format('event %s, %s of %s', position, type, subject) FROM event`,
            (found) => found.map(({ name }) => `edited: ${name}`)
          )))
      const edits = [
        "UPDATE journal SET credit_posted = credit_posted + 1",
        "UPDATE event SET traceparent = concat(traceparent, 'x')"
      ]
      yield* tamper(copies, { 0: edits, 1: edits })
      expect((yield* foundIn(copies)).toSorted()).toEqual(everything.flat().toSorted())
    }))

  it.effect("any column of a journal or an event is edited, each on another row", () =>
    Effect.gen(function*() {
      const { copies } = yield* copied
      const columns = yield* on(copies, 0, (sql) =>
        sql<{ readonly table: "journal" | "event"; readonly name: string; readonly type: string }>`
          SELECT table_name::text AS table, column_name::text AS name, data_type::text AS type
          FROM information_schema.columns
          WHERE table_name IN ('journal', 'event') AND column_name <> 'position'`)
      const victims = yield* on(copies, 0, (sql) =>
        sql<{ readonly table: string; readonly name: string; readonly where: string }>`
          SELECT 'journal' AS table, format('journal.* of %s', transfer_id) AS name,
            format('transfer_id = %L', transfer_id) AS where
          FROM journal
          UNION ALL
          SELECT 'event', format('event %s,', position), format('position = %s', position)
          FROM event WHERE type = 'transfer.requested'`)
      const edited = (type: string, name: string) =>
        ({
          text: `concat(${name}, 'x')`,
          character: "'XXX'",
          json: `(${name}::text || ' ')::json`,
          "timestamp with time zone": `${name} + interval '1 microsecond'`
        })[type] ?? `${name} + 1000`
      const edits = (["journal", "event"] as const).flatMap((table) => {
        const rows = victims.filter((victim) =>
          victim.table === table
        )
        return columns.filter((column) =>
          column.table === table
        ).map(({ name, type }, at) => ({
          column: `${table}.${name}`,
          statement: `UPDATE ${table} SET ${name} = ${edited(type, name)} WHERE ${rows[at]?.where}`,
          named: new RegExp(rows[at]?.name ?? "no row is left")
        }))
      })
      expect(edits.length).toBeGreaterThan(18)
      yield* on(copies, 0, (sql) =>
        sql`ALTER TABLE journal DROP CONSTRAINT a_step_is_known`)
      yield* tamper(copies, {
        0: edits.map(({ statement }) =>
          statement
        )
      })
      const found = yield* foundIn(copies)
      expect(edits.filter(({ named }) => !found.some((each) => named.test(each))).map(({ column }) => column)).toEqual(
        []
      )
    }))

  it.effect("everything is as it was, while more comes in that is not sealed yet", () =>
    Effect.gen(function*() {
      const { copies } = yield* copied
      for (const { shard } of yield* verifyAll(copies, signer)) {
        yield* on(copies, shard, (sql) =>
          sql`INSERT INTO event (type, subject, key, partition, payload) VALUES ('test', 'test', 'test', 0, '{}')`)
      }
      const reports = yield* verifyAll(copies, signer)
      expect(reports.map(({ findings, unsealed }) => ({ findings, unsealed }))).toEqual([
        { findings: [], unsealed: 1n },
        { findings: [], unsealed: 1n }
      ])
    }))
})
