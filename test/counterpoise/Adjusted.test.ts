/**
 * An adjustment from its proposal to its end: two operators, everybody at work, and who it was in the audit and in the
 * transfer's own story.
 */
import { expect, layer } from "@effect/vitest"
import { Effect, Layer, Option, Schema } from "effect"
import { Queries } from "#domain/ledger/Queries.ts"
import { violationsOf } from "#domain/reconciliation/Checks.ts"
import * as TransferId from "#domain/transfer/TransferId.ts"
import { keys, served } from "../admin/Harness.ts"
import { check } from "../checks/Checking.ts"
import { ask as transfer, ended, everybodyWorks, nameOn, open, postedOf, World, world } from "../ledger/World.ts"
import { TestPostgres } from "../support/TestPostgres.ts"
import { ask, json, variablesOf } from "./Asking.ts"

const idOf = Schema.decodeUnknownSync(TransferId.TransferId)
const Resource = Schema.decodeUnknownSync(Schema.Struct({ resource: Schema.String }))

layer(TestPostgres.layer, { excludeTestServices: true, timeout: "2 minutes" })("an adjustment", (it) => {
  it.effect("is proposed by one operator, approved by another, committed across shards, and told by the audit and the timeline", () =>
    Effect.gen(function*() {
      const shards = yield* World
      yield* Effect.forkScoped(everybodyWorks)
      const bank = yield* open(nameOn(0, "bank"), "external")
      const [anna, ben] = [yield* open(nameOn(0, "anna")), yield* open(nameOn(1, "ben"))]
      yield* ended(yield* transfer(bank, anna, "100"))

      const admin = yield* served(shards)
      const as = (key: string) => (line: string) =>
        ask(line, { ...variablesOf(shards), ADMIN_URL: admin.url, ADMIN_KEY: key })
      const [byAnn, byBen] = [as(keys.ann), as(keys.ben)]
      const terms = `--source ${anna} --destination ${ben} --amount 70 --currency EUR`

      const proposed = yield* byAnn(
        `adjustments propose ${terms} --key ticket-4711 --reason "booked to the wrong one" -o json`
      )
      const adjustment = Resource(json(proposed)).resource
      expect(yield* postedOf(anna)).toMatchObject({ posted: 100n, held: 0n })
      expect(yield* byAnn(`adjustments approve ${adjustment} --reason "mine is right" --yes`)).toMatchObject({
        code: 4
      })
      const approved = yield* byBen(`adjustments approve ${adjustment} --reason "checked with the bank" --yes -o json`)
      const id = idOf(Resource(json(approved)).resource)

      expect((yield* ended(id)).status).toBe("committed")
      expect(yield* postedOf(anna)).toMatchObject({ posted: 30n, held: 0n })
      expect(yield* postedOf(ben)).toMatchObject({ posted: 70n })

      const said = { proposed_by: "ann", approved_by: "ben" }
      expect(json(yield* byBen("adjustments list -o json"))).toMatchObject([{
        ...said,
        id: adjustment,
        status: "approved"
      }])
      const found = Option.getOrThrow(yield* Queries.use((queries) => queries.transfer(id)))
      expect(found).toMatchObject({ reference: adjustment, metadata: { ...said, adjustment } })
      const audit = json(yield* byAnn(`audit --subject ${adjustment} -o json`))
      expect(audit).toMatchObject([
        { action: "adjustment.approve", actor: "ben", outcome: "done", reason: "checked with the bank" },
        { action: "adjustment.approve", actor: "ann", outcome: "refused", reason: "mine is right" },
        { action: "adjustment.propose", actor: "ann", outcome: "done", reason: "booked to the wrong one" }
      ])

      // Its story is told as the auditor, from the logs and the entries alone.
      const story = (yield* byBen(`transfers timeline ${id} -o json`)).out
      for (const step of ["transfer.requested", "transfer.held", "transfer.credited", "transfer.committed"]) {
        expect(story).toContain(step)
      }
      expect(story).toContain("operators:adjustments")
      expect(story).toContain(adjustment)
      expect(violationsOf(yield* check(shards))).toEqual([])
    }).pipe(Effect.provide(Layer.fresh(world))))
})
