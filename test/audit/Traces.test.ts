/** Timelines of transfers of every ending, from real books, as the auditor; and from books that have lost all the rest. */
import { expect, layer } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { timelineOf } from "#domain/audit/Timeline.ts"
import { Traces } from "#domain/audit/Trace.ts"
import { connect } from "#infra/postgres/Postgres.ts"
import * as PgTraces from "#infra/postgres/PgTraces.ts"
import { ShardDatabases } from "#infra/postgres/ShardDatabases.ts"
import { type Books, fill, type TransferName } from "../checks/Books.ts"
import { ask, json, variablesOf } from "../counterpoise/Asking.ts"
import { TestPostgres, type TestShards } from "../support/TestPostgres.ts"

class Filled extends Context.Service<Filled, { readonly books: Books; readonly shards: TestShards }>()(
  "counterpoise/test/audit/Filled"
) {
  static readonly layer = Layer.effect(
    Filled,
    Effect.gen(function*() {
      const shards = yield* (yield* TestPostgres).freshShards(2)
      return { shards, books: yield* fill(shards) }
    })
  )
}

const timelineIn = (shards: TestShards, books: Books, name: TransferName) =>
  Traces.use(({ of }) => of(books.transfer(name).transfer)).pipe(
    Effect.map(timelineOf),
    Effect.provide(
      Layer.provide(
        PgTraces.layer,
        ShardDatabases.layer({ ...shards, role: "counterpoise_auditor", maxConnections: 1 })
      ),
      { local: true }
    )
  )

/** Each ending, and the way to it: `event@shard`, with what was written to the books as a step of a journal. */
const ways: ReadonlyArray<readonly [TransferName, string]> = [
  ["local", "requested@0 committed@0+direct"],
  ["localRejected", "requested@0 rejected@0"],
  ["localCaptured", "requested@0 authorized@0 capture_requested@0 committed@0+direct void_requested@0"],
  ["cross", "requested@0 held@0 credited@1+credit committed@0+commit"],
  ["crossBack", "requested@1 held@1 credited@0+credit committed@1+commit"],
  [
    "crossCaptured",
    "requested@0 authorized@0 capture_requested@0 held@0 credited@1+credit committed@0+commit capture_requested@0"
  ],
  ["crossRejected", "requested@1 rejected@1"],
  ["crossUnknown", "requested@0 held@0 refused@1 cancelled@0"],
  ["recalled", "requested@0 held@0 recalled@0 refused@1 cancelled@0 refused@1"],
  ["voided", "requested@0 authorized@0 void_requested@0 cancelled@0"],
  ["expired", "requested@1 authorized@1 expiry_due@1 cancelled@1"],
  ["requested", "requested@0"],
  ["held", "requested@0 held@0"],
  ["inFlight", "requested@0 held@0 credited@1+credit"],
  ["repaid", "requested@1 held@1 credited@0+credit committed@1+commit"]
]

/** Events of one shard keep their order; those of the other may be told at another place among them. */
const wayOf = ({ steps }: ReturnType<typeof timelineOf>) =>
  steps.map(({ entries, shard, type }) =>
    `${type.replace("transfer.", "")}@${shard}${entries.length === 0 ? "" : `+${entries[0]?.step}`}`
  ).join(" ")

layer(Filled.layer.pipe(Layer.provideMerge(TestPostgres.layer)), { excludeTestServices: true })("a timeline", (it) => {
  it.effect.each(ways)("of the transfer %s tells its way: %s", ([name, way]) =>
    Effect.gen(function*() {
      const { books, shards } = yield* Filled
      const timeline = yield* timelineIn(shards, books, name)
      const sorted = (text: string) => text.split(" ").toSorted()
      expect(sorted(wayOf(timeline))).toEqual(sorted(way))
      expect(timeline.untold).toEqual([])
      const told = timeline.steps.map(({ type }) => type)
      for (const [cause, answer] of [["held", "credited"], ["credited", "committed"], ["refused", "cancelled"]]) {
        if (!told.includes(`transfer.${cause}`) || !told.includes(`transfer.${answer}`)) continue
        expect(told.indexOf(`transfer.${cause}`)).toBeLessThan(told.indexOf(`transfer.${answer}`))
      }
    }))

  it.effect("says who asked, under which key, and the hash of what was asked", () =>
    Effect.gen(function*() {
      const { books, shards } = yield* Filled
      const { steps } = yield* timelineIn(shards, books, "voided")
      expect(steps[0]).toMatchObject({
        author: "client",
        client: "shop",
        requestId: "req voided",
        key: { key: "voided", fingerprint: "00".repeat(32) }
      })
      expect(steps[2]).toMatchObject({ author: "client", client: "shop", key: { key: books.instruction("void") } })
      const expired = yield* timelineIn(shards, books, "expired")
      expect(expired.steps.map(({ author }) => author)).toEqual(["client", "ledger", "reconciler", "ledger"])
    }))

  it.effect("is the same when everything but the logs, the entries and the keys is gone", () =>
    Effect.gen(function*() {
      const { books, shards } = yield* Filled
      const bare = yield* (yield* TestPostgres).copy(shards)
      for (const url of bare.urls) {
        yield* Effect.scoped(Effect.gen(function*() {
          const sql = yield* connect({ url, maxConnections: 1 })
          yield* sql`SET session_replication_role = replica`
          for (const table of ["transfer", "verdict", "hold", "instruction", "balance", "consumer_position"]) {
            yield* sql`DELETE FROM ${sql(table)}`
          }
        }))
      }
      for (const [name] of ways) {
        expect(yield* timelineIn(bare, books, name), name).toEqual(yield* timelineIn(shards, books, name))
      }
    }))

  it.effect("is told by `counterpoise transfers timeline`, to people and to programs", () =>
    Effect.gen(function*() {
      const { books, shards } = yield* Filled
      const { transfer } = books.transfer("cross")
      const said = yield* ask(`transfers timeline ${transfer}`, variablesOf(shards))
      expect(said.code).toBe(0)
      expect(said.out).toContain("client shop")
      expect(said.out).toContain("req cross, key \"cross\"")
      expect(said.out).toMatch(/CREDIT .* 30\.00 EUR → \d/)
      const rows = json(yield* ask(`transfers timeline ${transfer} -o json`, variablesOf(shards)))
      expect(rows).toMatchObject([
        {
          event: "transfer.requested",
          shard: 0,
          after: null,
          request: { request_id: "req cross", idempotency_key: "cross", request_hash: "00".repeat(32) }
        },
        { event: "transfer.held", by: "ledger of shard 0", request: null },
        { event: "transfer.credited", shard: 1, entries: [{ amount: "3000" }, { amount: "3000" }] },
        { event: "transfer.committed", shard: 0, entries: [{ direction: "DEBIT" }, { direction: "CREDIT" }] }
      ])
    }))

  it.effect("of what is no transfer is none: 3, and 2 where it cannot be one", () =>
    Effect.gen(function*() {
      const { shards } = yield* Filled
      expect((yield* ask("transfers timeline trf_01KB0000000000000000000000", variablesOf(shards))).code).toBe(3)
      const said = yield* ask("transfers timeline trf_1", variablesOf(shards))
      expect(said.code).toBe(2)
      expect(said.err).toContain("must be trf_ and a ULID")
    }))
})
