/** Breaks by the operators' command: found, looked at from both sides, explained with a reason, and on record for ever. */
import { expect, layer } from "@effect/vitest"
import { Duration, Effect, Layer, Redacted } from "effect"
import * as PgBreaks from "#infra/postgres/PgBreaks.ts"
import * as PgChecks from "#infra/postgres/PgChecks.ts"
import * as PgShards from "#infra/postgres/PgShards.ts"
import { connect } from "#infra/postgres/Postgres.ts"
import { ShardDatabases } from "#infra/postgres/ShardDatabases.ts"
import { proveOnce } from "../../apps/reconciler/Reconciler.ts"
import { keys, served } from "../admin/Harness.ts"
import { fill } from "../checks/Books.ts"
import { TestPostgres } from "../support/TestPostgres.ts"
import { ask, json } from "./Asking.ts"

layer(TestPostgres.layer, { excludeTestServices: true, timeout: "2 minutes" })("counterpoise breaks", (it) => {
  it.effect("lists, shows and resolves; a dry run does nothing, and what was done is in the audit", () =>
    Effect.gen(function*() {
      const shards = yield* (yield* TestPostgres).freshShards(2)
      const { at } = yield* fill(shards)
      const { url } = yield* served(shards)
      const operate = (line: string, key = keys.ann) => ask(line, { ADMIN_URL: url, ADMIN_KEY: key })
      expect(yield* operate("breaks list")).toMatchObject({ code: 0, out: "no breaks" })

      const sql = yield* connect({ url: shards.urls[0] ?? Redacted.make(""), maxConnections: 1 })
      yield* sql`SET session_replication_role = replica`
      yield* sql`UPDATE balance SET posted = posted + 5 WHERE account_id = ${at.bob0}`
      yield* proveOnce({ atRest: false, grace: Duration.hours(1) }).pipe(
        Effect.provide(
          Layer.mergeAll(PgBreaks.layer, PgChecks.layer, PgShards.layer).pipe(
            Layer.provide(ShardDatabases.layer({ ...shards, role: "counterpoise_reconciler" }))
          ),
          { local: true }
        )
      )

      const rows = json(yield* operate("breaks list -o json")) as ReadonlyArray<
        { readonly id: string; readonly subject: string; readonly invariant: string }
      >
      expect(rows.map(({ invariant }) => invariant)).toContain("balances_equal_their_entries")
      expect((yield* operate("breaks list --limit 1 -o ndjson")).out.split("\n")).toHaveLength(1)
      const id = rows.find(({ subject }) => subject === at.bob0)?.id ?? ""

      const shown = yield* operate(`breaks show ${id}`)
      expect(shown.code).toBe(0)
      expect(shown.out).toMatch(/shard 0: \{/)
      expect(json(yield* operate(`breaks show ${id} -o json`))).toMatchObject({ id, history: [{ what: "opened" }] })

      expect(yield* operate(`breaks resolve ${id}`)).toMatchObject({ code: 2 })
      expect((yield* operate(`breaks resolve ${id} --reason ""`)).code).toBe(2)
      const tried = yield* operate(`breaks resolve ${id} --reason "planted by a test" --dry-run -o json`)
      expect(tried.code).toBe(0)
      expect(json(tried)).toMatchObject({ dry_run: "yes", changed: "no", subject: id })
      expect(yield* operate("audit")).toMatchObject({ code: 0, out: "nobody did anything" })

      const done = yield* operate(`breaks resolve ${id} --reason "planted by a test" -o json`)
      expect(json(done)).toMatchObject({ dry_run: "no", changed: "yes", action: "break.resolve" })
      const all = json(yield* operate("breaks list --status any -o json")) as ReadonlyArray<Record<string, string>>
      expect(all.find((found) => found["id"] === id)).toMatchObject({ status: "resolved" })
      const records = json(yield* operate(`audit --subject ${id} -o json`, keys.ben))
      expect(records).toMatchObject([{ actor: "ann", reason: "planted by a test", outcome: "done", subject: id }])

      expect(yield* operate("breaks show brk_0_9999")).toMatchObject({ code: 3, out: "" })
      expect(yield* operate("breaks resolve brk_0_9999 --reason \"who knows\"")).toMatchObject({ code: 3 })
      expect(yield* operate("breaks list", "cp_admin_key_of_eve")).toMatchObject({ code: 5 })
    }))
})
