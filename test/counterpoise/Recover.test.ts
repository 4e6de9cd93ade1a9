/** `counterpoise shards recover`, and what is said of a shard until then. */
import { expect, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { Queries } from "#domain/ledger/Queries.ts"
import { isBehind } from "#domain/sharding/Shards.ts"
import * as PgEventLog from "#infra/postgres/PgEventLog.ts"
import * as PgQueries from "#infra/postgres/PgQueries.ts"
import { ShardDatabases } from "#infra/postgres/ShardDatabases.ts"
import { keys, served } from "../admin/Harness.ts"
import { nameOn, open } from "../ledger/World.ts"
import { digestsOf, isRefused, load, on, restored } from "../replay/Disaster.ts"
import { TestPostgres } from "../support/TestPostgres.ts"
import { ask, json, variablesOf } from "./Asking.ts"

layer(TestPostgres.layer, { excludeTestServices: true, timeout: "2 minutes" })("counterpoise shards recover", (it) => {
  it.effect("fills a shard that was restored from an older copy; the status says so until then, and 4 where it would have to guess", () =>
    Effect.gen(function*() {
      const postgres = yield* TestPostgres
      const shards = yield* postgres.freshShards(2, { partitions: 8 })
      const logUrl = yield* postgres.freshLog
      const accounts = yield* Effect.provide(
        Effect.gen(function*() {
          const banks = [yield* open(nameOn(0, "bank"), "external")]
          const customers = [yield* open(nameOn(0, "ann")), yield* open(nameOn(1, "ben"))]
          return { banks, customers }
        }),
        on(shards),
        { local: true }
      )
      const platform = { shards, accounts, log: PgEventLog.layer({ url: logUrl }) }
      yield* load(platform, shards, 20)
      const backup = yield* postgres.copy(shards)
      yield* load(platform, shards, 20)
      const before = yield* digestsOf(shards, 0)
      const older = restored(shards, backup)
      const variables = variablesOf(older, logUrl)
      expect(yield* isRefused(platform, older)).toBe(true)
      // Who answers clients reads nothing of it: what it has is out of date. Auditors may look.
      const readAs = (role: string) =>
        Queries.use((queries) => queries.account(nameOn(0, "ann"))).pipe(
          Effect.as("read"),
          Effect.catchTag("ShardUnavailable", (error) => Effect.succeed(isBehind(error) ? "behind" : "down")),
          Effect.provide(Layer.fresh(PgQueries.layer.pipe(Layer.provide(ShardDatabases.layer({ ...older, role })))), {
            local: true
          })
        )
      expect(yield* readAs("counterpoise_api")).toBe("behind")
      expect(yield* readAs("counterpoise_auditor")).toBe("read")

      const { url } = yield* served(older)
      const status = yield* ask("status", { ADMIN_URL: url, ADMIN_KEY: keys.ann })
      expect(status.code).toBe(6)
      expect(status.out).toContain("Is the money right?  NO")
      expect(status.out).toContain("shard 0 lost data")
      expect(status.out).toContain("counterpoise shards recover --shard 0")
      expect(json(yield* ask("shards list -o json", variables))).toMatchObject([{ answers: "behind" }, {
        answers: "yes"
      }])

      expect(yield* ask("shards recover --shard 7", variables)).toMatchObject({ code: 3, out: "" })
      expect(yield* ask("shards recover", variables)).toMatchObject({ code: 2 })
      const elsewhere = yield* ask("shards recover --shard 0", variablesOf(older, yield* postgres.freshLog))
      expect(elsewhere).toMatchObject({ code: 4, out: "" })

      const recovered = json(yield* ask("shards recover --shard 0 -o json", variables))
      expect(recovered).toMatchObject({ shard: 0, was_behind: true })
      expect(yield* digestsOf(older, 0)).toEqual(before)
      expect(yield* readAs("counterpoise_api")).toBe("read")
      const after = yield* ask("shards recover --shard 0", variables)
      expect(after).toMatchObject({ code: 0 })
      expect(after.out + after.err).toContain("there is nothing to do")
      expect(json(yield* ask("shards list -o json", variables))).toMatchObject([{ answers: "yes" }, { answers: "yes" }])
    }))
})
