/** Every database of the platform brought to its newest schema, as the settings name them. */
import { Effect, Option, Redacted } from "effect"
import * as Settings from "../Settings.ts"
import { migrate, migrateConsumer, migrateShard } from "./Migrations.ts"

/** The shards; and the embedded event log and the notifier's database, where they are used. Says what was applied to each. */
export const migratePlatform = Effect.gen(function*() {
  const settings = yield* Settings.read({
    ...Settings.shards,
    eventLogUrl: Settings.eventLog.url,
    notifierUrl: Settings.notifier.database
  })
  const { map, urls } = Settings.shardMapOf(settings)
  const report = (database: string) => (applied: ReadonlyArray<string>) =>
    Effect.as(
      Effect.logInfo("migrated", { database, applied: applied.join(" ") || "nothing to do" }),
      { database, applied }
    )
  // One after the other: shards on one server share its roles.
  return [
    ...(yield* Effect.forEach(
      urls,
      (url, shard) => Effect.flatMap(migrateShard(url, shard, map.partitions), report(`shard ${shard}`))
    )),
    ...(yield* Effect.forEach(
      Option.toArray(settings.eventLogUrl),
      (url) => Effect.flatMap(migrate(Redacted.make(url), "log"), report("event log"))
    )),
    ...(yield* Effect.forEach(
      Option.toArray(settings.notifierUrl),
      (url) => Effect.flatMap(migrateConsumer(Redacted.make(url), "notifier"), report("notifier"))
    ))
  ]
})
