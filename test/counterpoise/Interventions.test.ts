/** What operators do about transfers, by the command: they ask, the shards answer; and two of them make an adjustment. */
import { expect, layer } from "@effect/vitest"
import { Effect } from "effect"
import { keys, served } from "../admin/Harness.ts"
import { fill } from "../checks/Books.ts"
import { TestPostgres } from "../support/TestPostgres.ts"
import { ask, json } from "./Asking.ts"

layer(TestPostgres.layer, { excludeTestServices: true, timeout: "2 minutes" })("the operators' command", (it) => {
  it.effect("recalls and requeues: 4 where it is not so, 3 where there is none, and a dry run does nothing", () =>
    Effect.gen(function*() {
      const shards = yield* (yield* TestPostgres).freshShards(2)
      const { transfer } = yield* fill(shards)
      const { url } = yield* served(shards)
      const operate = (line: string) => ask(line, { ADMIN_URL: url, ADMIN_KEY: keys.ann })
      const held = transfer("held").transfer
      const requested = transfer("requested").transfer
      const why = "--reason \"a test\""

      const tried = yield* operate(`transfers recall ${held} ${why} --dry-run -o json`)
      expect(json(tried)).toMatchObject({ action: "transfer.recall", subject: held, dry_run: "yes", changed: "no" })
      const recalled = yield* operate(`transfers recall ${held} ${why} -o json`)
      expect(json(recalled)).toMatchObject({ subject: held, dry_run: "no", changed: "yes" })
      const requeued = yield* operate(`transfers requeue ${requested} ${why} -o json`)
      expect(json(requeued)).toMatchObject({ action: "transfer.requeue", subject: requested, changed: "yes" })

      expect(yield* operate(`transfers recall ${requested} ${why}`)).toMatchObject({ code: 4, out: "" })
      expect(yield* operate(`transfers requeue ${transfer("local").transfer} ${why}`)).toMatchObject({
        code: 4,
        out: ""
      })
      expect(yield* operate(`transfers recall trf_01KB0000000000000000000000 ${why}`)).toMatchObject({ code: 3 })
      expect(yield* operate(`transfers recall ${held}`)).toMatchObject({ code: 2 })

      const records = json(yield* operate("audit -o json")) as ReadonlyArray<Record<string, string>>
      expect(records.map(({ action, outcome }) => `${action} ${outcome}`)).toContain("transfer.recall refused")
    }))

  it.effect("adjusts with two operators, and only when it is meant", () =>
    Effect.gen(function*() {
      const shards = yield* (yield* TestPostgres).freshShards(2)
      const { at } = yield* fill(shards)
      const { url } = yield* served(shards)
      const operate = (line: string, key = keys.ann) => ask(line, { ADMIN_URL: url, ADMIN_KEY: key })
      const terms = `--source ${at.bob0} --destination ${at.ann0} --amount 25 --currency EUR`
      const why = "--reason \"a test\""

      expect(yield* operate(`adjustments propose ${terms} ${why} --dry-run`)).toMatchObject({ code: 0 })
      expect(yield* operate("adjustments list")).toMatchObject({ code: 0, out: "no adjustments" })
      expect(yield* operate(`adjustments propose ${terms} ${why} --key once`)).toMatchObject({ code: 0 })
      expect(yield* operate(`adjustments propose ${terms} ${why} --key once`)).toMatchObject({ code: 0 })
      const waiting = json(yield* operate("adjustments list --status proposed -o json")) as ReadonlyArray<
        Record<string, string>
      >
      expect(waiting).toMatchObject([{ amount: "25", source: at.bob0, proposed_by: "ann", approved_by: null }])
      const id = waiting[0]?.["id"]

      expect(yield* operate(`adjustments approve ${id} ${why}`, keys.ben)).toMatchObject({ code: 2, out: "" })
      expect(yield* operate(`adjustments approve ${id} ${why} --yes`)).toMatchObject({ code: 4, out: "" })
      expect(yield* operate(`adjustments approve adj_0_9999 ${why} --yes`, keys.ben)).toMatchObject({ code: 3 })
      const approved = json(yield* operate(`adjustments approve ${id} ${why} --yes -o json`, keys.ben))
      expect(approved).toMatchObject({ changed: "yes", resource: expect.stringMatching(/^trf_/) })
      expect(json(yield* operate("adjustments list -o json"))).toMatchObject([{
        status: "approved",
        approved_by: "ben"
      }])
      expect(yield* operate(`adjustments propose ${terms.replace("25", "1.5")} ${why}`)).toMatchObject({ code: 2 })
    }))
})
