/** Shards checked with the auditor's role, as an auditor would. */
import { Duration, Effect, Layer } from "effect"
import { type CheckOptions, Checks } from "#domain/reconciliation/Checks.ts"
import * as PgChecks from "#infra/postgres/PgChecks.ts"
import { ShardDatabases } from "#infra/postgres/ShardDatabases.ts"
import type { TestShards } from "../support/TestPostgres.ts"

/** The books have no relay, so their events wait; an hour is longer than any test. */
const patient: CheckOptions = { atRest: true, grace: Duration.hours(1) }

export const check = (shards: TestShards, options: CheckOptions = patient) =>
  Checks.use((checks) => checks.run(options)).pipe(
    Effect.provide(
      Layer.provide(PgChecks.layer, ShardDatabases.layer({ ...shards, role: "counterpoise_auditor" })),
      { local: true }
    ),
    Effect.orDie
  )
