/** What operators decide by hand: adjustments by two of them, and questions about transfers that got no answer. */
import { expect, layer } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { Amount } from "#domain/money/Amount.ts"
import { Currency } from "#domain/money/Currency.ts"
import { connect } from "#infra/postgres/Postgres.ts"
import { fill } from "../checks/Books.ts"
import { TestPostgres, type TestShards } from "../support/TestPostgres.ts"
import { clientOf, keys, served } from "./Harness.ts"

const nowhere = Redacted.make("postgres://nobody@127.0.0.1:1/nothing")

const asking = Effect.fnUntraced(function*({ urls: [url = nowhere] }: TestShards, statement: string) {
  return yield* (yield* connect({ url, maxConnections: 1 })).unsafe(statement)
}, Effect.scoped)

const twoOperators = Effect.gen(function*() {
  const shards = yield* (yield* TestPostgres).freshShards(2)
  const books = yield* fill(shards)
  const { url } = yield* served(shards)
  return { shards, books, ann: yield* clientOf(url, keys.ann), ben: yield* clientOf(url, keys.ben) }
})

layer(TestPostgres.layer, { excludeTestServices: true, timeout: "2 minutes" })("operators", (it) => {
  it.effect("make an adjustment only by two, and one transfer of it, however often it is approved", () =>
    Effect.gen(function*() {
      const { ann, ben, books: { at }, shards } = yield* twoOperators
      const payload = {
        source: at.bob0,
        destination: at.ann0,
        amount: Amount.make(70n),
        currency: Currency.make("EUR"),
        reason: "ticket 4711: booked to the wrong account"
      }
      const propose = (more: { readonly amount?: Amount; readonly dry_run?: boolean } = {}) =>
        ann.adjustments.propose({
          headers: { "idempotency-key": "ticket-4711" },
          payload: { ...payload, ...more }
        })

      expect(yield* propose({ dry_run: true })).toMatchObject({ changed: false, resource: null })
      const proposed = yield* propose()
      expect(yield* propose()).toMatchObject({ changed: false, resource: proposed.resource })
      expect(yield* Effect.flip(propose({ amount: Amount.make(71n) }))).toMatchObject({
        code: "idempotency_key_reused"
      })
      const id = proposed.resource ?? ""
      expect((yield* ann.adjustments.list({ query: { status: "proposed" } })).data).toMatchObject([{
        id,
        amount: "70"
      }])

      const agreed = { reason: "checked with the bank" }
      expect(yield* Effect.flip(ann.adjustments.approve({ params: { id }, payload: agreed }))).toMatchObject({
        code: "two_operators_needed",
        status: 409
      })
      const approve = ben.adjustments.approve({ params: { id }, payload: agreed })
      const both = yield* Effect.all([approve, approve], { concurrency: 2 })
      expect(both[0].resource).toBe(both[1].resource)
      expect(yield* approve).toMatchObject({ changed: false, resource: both[0].resource })
      expect(yield* asking(shards, `SELECT count(*)::int4 FROM transfer WHERE reference = '${id}'`)).toEqual([
        { count: 1 }
      ])

      const found = yield* ann.adjustments.get({ params: { id } })
      expect(found).toMatchObject({
        status: "approved",
        proposed_by: "ann",
        approved_by: "ben",
        transfer: both[0].resource,
        transfer_status: "requested"
      })
      const audit = (yield* ann.audit.list({ query: { subject: id } })).data
      expect(audit.map(({ action, actor, code }) => [action, actor, code])).toEqual([
        ["adjustment.approve", "ben", null],
        ["adjustment.approve", "ann", "two_operators_needed"],
        ["adjustment.propose", "ann", null]
      ])
    }))

  it.effect("recall what is held, ask again about what is requested, and nothing else", () =>
    Effect.gen(function*() {
      const { ann, books, shards } = yield* twoOperators
      const reason = "it has been like this for an hour"
      const [held, requested] = [books.transfer("held").transfer, books.transfer("requested").transfer]
      const lastEventOf = (subject: string) =>
        asking(
          shards,
          `SELECT type FROM event WHERE subject = '${subject}'
          ORDER BY position DESC LIMIT 1`
        )

      const tried = yield* ann.transfers.recall({ params: { id: held }, payload: { reason, dry_run: true } })
      expect(tried).toMatchObject({ action: "transfer.recall", dry_run: true, changed: false })
      expect(yield* lastEventOf(held)).toEqual([{ type: "transfer.held" }])

      yield* ann.transfers.recall({ params: { id: held }, payload: { reason } })
      expect(yield* lastEventOf(held)).toEqual([{ type: "transfer.recalled" }])
      yield* ann.transfers.requeue({ params: { id: requested }, payload: { reason } })
      expect(yield* lastEventOf(requested)).toEqual([{ type: "transfer.requested" }])

      const refusals = yield* Effect.forEach([
        ann.transfers.recall({ params: { id: requested }, payload: { reason } }),
        ann.transfers.requeue({ params: { id: held }, payload: { reason } }),
        ann.transfers.recall({ params: { id: "trf_0000000000000000000000000F" }, payload: { reason } })
      ], Effect.flip)
      expect(refusals.map((refusal) => "code" in refusal ? refusal.code : refusal._tag)).toEqual([
        "transfer_not_held",
        "transfer_not_waiting",
        "transfer_not_found"
      ])
      expect((yield* ann.audit.list({ query: {} })).data.map(({ action, outcome }) => `${action} ${outcome}`)).toEqual([
        "transfer.requeue refused",
        "transfer.recall refused",
        "transfer.requeue done",
        "transfer.recall done"
      ])
    }))
})
