/** `counterpoise relay republish`: a relay sent back by an operator, tried first, and on record. */
import { expect, layer } from "@effect/vitest"
import { Effect } from "effect"
import { connect } from "#infra/postgres/Postgres.ts"
import { keys, served } from "../admin/Harness.ts"
import { fill } from "../checks/Books.ts"
import { TestPostgres } from "../support/TestPostgres.ts"
import { ask, json } from "./Asking.ts"

layer(TestPostgres.layer, { excludeTestServices: true })("counterpoise relay republish", (it) => {
  it.effect("says from where to where when it is tried, and does it when it is meant: 3 and 4 where it cannot be", () =>
    Effect.gen(function*() {
      const shards = yield* (yield* TestPostgres).freshShards(2)
      yield* fill(shards)
      const [url] = shards.urls
      if (url === undefined) return yield* Effect.die("there is no shard")
      const sql = yield* connect({ url, maxConnections: 1 })
      const admin = yield* served(shards)
      const operate = (line: string) =>
        ask(`relay republish ${line} --reason "a broker lost its disk"`, { ADMIN_URL: admin.url, ADMIN_KEY: keys.ann })
      const cursor = Effect.map(
        sql<{ readonly position: bigint }>`SELECT position FROM relay_cursor`,
        ([row]) => row?.position
      )

      const early = yield* operate("--shard 0 --from 1")
      expect(early).toMatchObject({ code: 4, out: "" })
      expect(early.err).toContain("nothing of shard 0 was carried yet")

      yield* sql`INSERT INTO relay_cursor (log, position) SELECT 'the log', max(position) FROM event`
      const [{ events, last } = { events: 0, last: 0n }] = yield* sql<
        { readonly events: number; readonly last: bigint }
      >`
        SELECT count(*)::int4 AS events, max(position) AS last FROM event WHERE position >= 3`
      const stretch = `shard 0's events at positions 3 to ${last} into the log`

      expect(json(yield* operate("--shard 0 --from 3 --dry-run -o json"))).toMatchObject({
        says: `would carry ${stretch} again: ${events} events`,
        subject: "shard_0",
        dry_run: "yes",
        changed: "no"
      })
      expect(yield* cursor).toBe(last)
      expect(yield* operate(`--shard 0 --from ${last + 1n}`)).toMatchObject({
        code: 4,
        err: expect.stringContaining(`was carried up to position ${last}`)
      })
      expect(yield* operate("--shard 7 --from 3")).toMatchObject({ code: 3, out: "" })
      expect(yield* operate("--shard 0 --from 0")).toMatchObject({ code: 2 })
      expect(yield* cursor).toBe(last)

      expect(json(yield* operate("--shard 0 --from 3 -o json"))).toMatchObject({
        says: `the relay carries ${stretch} again`,
        changed: "yes"
      })
      expect(yield* cursor).toBe(2n)
      const record = { action: "relay.republish", subject: "shard_0", actor: "ann", reason: "a broker lost its disk" }
      expect(json(yield* ask("audit -o json", { ADMIN_URL: admin.url, ADMIN_KEY: keys.ann }))).toMatchObject([
        { ...record, outcome: "done" },
        { ...record, outcome: expect.stringContaining("refused") },
        { ...record, outcome: expect.stringContaining("refused") }
      ])
    }))
})
