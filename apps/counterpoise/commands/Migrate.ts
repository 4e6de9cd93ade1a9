import { Effect, Option, Redacted } from "effect"
import { Command, Flag } from "effect/cli"
import { migratePlatform } from "#infra/postgres/MigratePlatform.ts"
import { type SchemaKind, type SchemaMismatch, verifySchema } from "#infra/postgres/Migrations.ts"
import { connect } from "#infra/postgres/Postgres.ts"
import * as Settings from "#infra/Settings.ts"
import { hostOf } from "../doctor/Databases.ts"
import { Found } from "../ExitCode.ts"
import * as Output from "../Output.ts"
import { required } from "../Platform.ts"

const databases = Effect.gen(function*() {
  const { eventLogUrl, notifierUrl, shardUrls } = yield* Settings.read({
    ...Settings.shards,
    eventLogUrl: Settings.eventLog.url,
    notifierUrl: Settings.notifier.database
  })
  const optional = (name: string, kind: SchemaKind, url: Option.Option<string>) =>
    Option.isNone(url) ? [] : [{ name, kind, url: url.value }]
  return [
    ...shardUrls.map((url, shard) => ({ name: `shard ${shard}`, kind: "shard" as const, url })),
    ...optional("event log", "log", eventLogUrl),
    ...optional("notifier", "consumer", notifierUrl)
  ]
})

type Differences = Pick<SchemaMismatch, "missing" | "unknown">

/** What each database lacks, and what it has that this version does not know. */
const differences = Effect.gen(function*() {
  yield* required
  return yield* Effect.forEach(
    yield* databases,
    ({ kind, name, url }) =>
      connect({ url: Redacted.make(url), maxConnections: 1, name: "counterpoise migrate" }).pipe(
        Effect.flatMap((sql) => verifySchema(sql, kind)),
        Effect.scoped,
        Effect.as<Differences>({ missing: [], unknown: [] }),
        Effect.catchTag("SchemaMismatch", (mismatch) => Effect.succeed<Differences>(mismatch)),
        Effect.map(({ missing, unknown }) => ({ name, url, missing, unknown }))
      )
  )
})

/** `counterpoise migrate status` */
const status = Command.make(
  "status",
  {},
  Effect.fnUntraced(function*() {
    const rows = (yield* differences).map(({ missing, name, unknown, url }) => ({
      database: name,
      address: hostOf(url),
      is: missing.length + unknown.length === 0 ? "ok" : "wrong",
      missing: Output.several(missing, missing.join(" ") || "-"),
      unknown: Output.several(unknown, unknown.join(" ") || "-")
    }))
    yield* Output.list(rows)
    const behind = rows.filter(({ is }) => is === "wrong").length
    if (behind > 0) return yield* Found.make({ what: `${behind} database(s) are not at the newest schema` })
  })
).pipe(
  Command.withDescription(
    "Which migrations each database lacks, and which it has that this version does not know. Exit code 6: there are any."
  ),
  Command.withShortDescription("Which migrations each database lacks"),
  Command.withExamples([{ command: "counterpoise migrate status -o json", description: "For a script" }])
)

/** `counterpoise migrate up` */
const up = Command.make(
  "up",
  {
    dryRun: Flag.Boolean("dry-run").pipe(
      Flag.withDefault(false),
      Flag.withDescription("Says what would be applied, and does nothing")
    )
  },
  Effect.fnUntraced(function*({ dryRun }) {
    yield* required
    const found = dryRun
      ? (yield* differences).map(({ missing, name }) => ({ database: name, migrations: missing }))
      : (yield* migratePlatform).map(({ applied, database }) => ({ database, migrations: applied }))
    yield* Output.list(found.map(({ database, migrations }) => ({
      database,
      [dryRun ? "would_apply" : "applied"]: Output.several(migrations, migrations.join(" ") || "nothing to do")
    })))
  })
).pipe(
  Command.withDescription(
    "Brings the shards, the event log and the notifier's database to the newest schema. Two at once wait for each other. " +
      "Processes refuse a schema that is not the one they know: stop them before, and start the new version after."
  ),
  Command.withShortDescription("Brings every database to the newest schema"),
  Command.withExamples([{ command: "counterpoise migrate up", description: "The same as npm run migrate" }, {
    command: "counterpoise migrate up --dry-run",
    description: "Which migrations it would apply"
  }])
)

export const migrate = Command.make("migrate").pipe(
  Command.withDescription("The schemas of the databases"),
  Command.withSubcommands([status, up])
)
