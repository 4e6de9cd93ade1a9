/** `npm run migrate`: brings every shard to the newest schema; and the embedded event log and the notifier's, where used. */
import { Effect, Option, Redacted } from "effect"
import { migrate, migrateConsumer, migrateShard } from "#infra/postgres/Migrations.ts"
import { main } from "#infra/Program.ts"
import * as Settings from "#infra/Settings.ts"

export const migrateAll = Effect.gen(function*() {
  const settings = yield* Settings.read({
    ...Settings.shards,
    eventLogUrl: Settings.eventLog.url,
    notifierUrl: Settings.notifier.database
  })
  const { map, urls } = Settings.shardMapOf(settings)
  // One after the other: shards on one server share its roles.
  yield* Effect.forEach(urls, (url, shard) =>
    migrateShard(url, shard, map.partitions).pipe(
      Effect.tap((applied) => Effect.logInfo("migrated", { shard, applied: applied.join(" ") || "nothing to do" }))
    ))
  if (Option.isSome(settings.eventLogUrl)) {
    const applied = yield* migrate(Redacted.make(settings.eventLogUrl.value), "log")
    yield* Effect.logInfo("migrated", { database: "event log", applied: applied.join(" ") || "nothing to do" })
  }
  if (Option.isSome(settings.notifierUrl)) {
    const applied = yield* migrateConsumer(Redacted.make(settings.notifierUrl.value), "notifier")
    yield* Effect.logInfo("migrated", { database: "notifier", applied: applied.join(" ") || "nothing to do" })
  }
})

if (import.meta.main) main("migrate", migrateAll)
