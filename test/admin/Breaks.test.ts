/** Breaks as operators see them: found by the reconciler's own run, explained by a person, closed when they are gone. */
import { expect, layer } from "@effect/vitest"
import { Duration, Effect, Layer } from "effect"
import { Breaks } from "#domain/reconciliation/Breaks.ts"
import * as PgBreaks from "#infra/postgres/PgBreaks.ts"
import * as PgChecks from "#infra/postgres/PgChecks.ts"
import * as PgShards from "#infra/postgres/PgShards.ts"
import { connect } from "#infra/postgres/Postgres.ts"
import { ShardDatabases } from "#infra/postgres/ShardDatabases.ts"
import { proveOnce } from "../../apps/reconciler/Reconciler.ts"
import { type Books, fill } from "../checks/Books.ts"
import { TestPostgres, type TestShards } from "../support/TestPostgres.ts"
import { annOver } from "./Harness.ts"

/** Has the reconciler run all checks once, with its own role. */
const reconciled = (shards: TestShards) =>
  proveOnce({ atRest: false, grace: Duration.hours(1) }).pipe(
    Effect.provide(
      Layer.fresh(
        Layer.mergeAll(PgBreaks.layer, PgChecks.layer, PgShards.layer).pipe(
          Layer.provide(ShardDatabases.layer({ ...shards, role: "counterpoise_reconciler" }))
        )
      ),
      { local: true }
    )
  )

/** Adds to a balance what no entry explains, as only a superuser can. */
const drift = Effect.fnUntraced(function*({ urls }: TestShards, { at }: Books, by: number) {
  const [url] = urls
  if (url === undefined) return yield* Effect.die("there is no shard")
  const sql = yield* connect({ url, maxConnections: 1 })
  yield* sql`SET session_replication_role = replica`
  yield* sql`UPDATE balance SET posted = posted + ${by} WHERE account_id = ${at.bob0}`
}, Effect.scoped)

layer(TestPostgres.layer, { excludeTestServices: true, timeout: "2 minutes" })("breaks", (it) => {
  it.effect("are opened with evidence of every shard, resolved with a reason, and closed when they are gone", () =>
    Effect.gen(function*() {
      const shards = yield* (yield* TestPostgres).freshShards(2)
      const books = yield* fill(shards)
      const ann = yield* annOver(shards)
      yield* reconciled(shards)
      expect((yield* ann.breaks.list({ query: {} })).data).toEqual([])

      yield* drift(shards, books, 5)
      yield* reconciled(shards)
      const { data } = yield* ann.breaks.list({ query: { status: "open" } })
      expect(data.map(({ invariant }) => invariant).toSorted()).toEqual([
        "all_shards_together_sum_to_zero",
        "balances_equal_their_entries",
        "each_shard_sums_to_zero"
      ])
      const { money } = yield* ann.status.get()
      expect(money.right).toBe(false)
      expect(money.breaks.critical).toBe(3)
      const of = data.find(({ subject }) => subject === books.at.bob0)
      const id = of?.id ?? ""
      const { history } = yield* ann.breaks.get({ params: { id } })
      expect(history.map(({ evidence, what }) => [what, evidence.map(({ shard }) => shard)])).toEqual([["opened", [0]]])

      const payload = { reason: "planted by a test" }
      const tried = yield* ann.breaks.resolve({ params: { id }, payload: { ...payload, dry_run: true } })
      expect(tried).toMatchObject({ action: "break.resolve", subject: id, dry_run: true, changed: false })
      expect((yield* ann.breaks.get({ params: { id } })).status).toBe("open")
      expect((yield* ann.audit.list({ query: {} })).data).toEqual([])

      expect(yield* ann.breaks.resolve({ params: { id }, payload })).toMatchObject({ dry_run: false, changed: true })
      expect(yield* ann.breaks.resolve({ params: { id }, payload })).toMatchObject({ changed: false })
      yield* reconciled(shards)
      expect((yield* ann.breaks.list({ query: { status: "open" } })).data.length).toBe(2)
      expect((yield* ann.audit.list({ query: { subject: id } })).data).toMatchObject([
        { actor: "ann", action: "break.resolve", reason: "planted by a test", outcome: "done" }
      ])

      yield* drift(shards, books, -5)
      yield* reconciled(shards)
      expect((yield* ann.breaks.get({ params: { id } })).history.map(({ actor, what }) => [what, actor])).toEqual([
        ["opened", null],
        ["resolved", "ann"],
        ["closed", null]
      ])
      const refused = yield* Effect.flip(ann.breaks.resolve({ params: { id }, payload }))
      expect(refused).toMatchObject({ code: "break_closed", status: 409 })
      const kept = (yield* ann.audit.list({ query: { actor: "ann", limit: 1 } })).data
      expect(kept).toMatchObject([{ outcome: "refused", code: "break_closed" }])
      expect(yield* Effect.flip(ann.breaks.get({ params: { id: "brk_0_999" } }))).toMatchObject({
        code: "break_not_found"
      })
    }))

  it.effect("are listed shard by shard, page by page", () =>
    Effect.gen(function*() {
      const shards = yield* (yield* TestPostgres).freshShards(2)
      const breaks = Layer.provide(
        Layer.fresh(PgBreaks.layer),
        ShardDatabases.layer({ ...shards, role: "counterpoise_reconciler" })
      )
      yield* Effect.forEach([0, 1], (shard) =>
        Breaks.use(({ record }) =>
          record(shard, {
            open: ["a", "b"].map((subject) => ({ invariant: "i", severity: "warning", subject, detail: "d" })),
            see: [],
            close: []
          }, new Map())
        )).pipe(Effect.provide(breaks, { local: true }))
      const ann = yield* annOver(shards)
      const first = yield* ann.breaks.list({ query: { severity: "warning", limit: 3 } })
      const second = yield* ann.breaks.list({
        query: { severity: "warning", limit: 3, after: first.next_cursor ?? "" }
      })
      expect([...first.data, ...second.data].map(({ shard, subject }) => `${shard}${subject}`)).toEqual([
        "0a",
        "0b",
        "1a",
        "1b"
      ])
      expect(second.next_cursor).toBe(null)
    }))
})
