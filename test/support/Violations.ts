/** The invariants of a platform at rest, asked of its shards with the auditor's role. */
import { Duration, Effect, Layer, Redacted } from "effect"
import { Checks, type Violation, violationsOf as found } from "#domain/reconciliation/Checks.ts"
import { even } from "#domain/sharding/ShardMap.ts"
import * as PgChecks from "#infra/postgres/PgChecks.ts"
import { ShardDatabases } from "#infra/postgres/ShardDatabases.ts"

export const violationsOf = (urls: ReadonlyArray<string>): Promise<ReadonlyArray<Violation>> =>
  Checks.use((checks) => checks.run({ atRest: true, grace: Duration.minutes(1) })).pipe(
    Effect.map(found),
    Effect.provide(
      PgChecks.layer.pipe(
        Layer.provide(ShardDatabases.layer({
          urls: urls.map((url) => Redacted.make(url)),
          map: even(urls.length, 64),
          role: "counterpoise_auditor"
        }))
      )
    ),
    Effect.runPromise
  )
