/** The notifier process: tells the receiver of webhooks every fact, if it can hold the notifier's lease. */
import { Effect, Layer, Option, Redacted } from "effect"
import * as Processes from "#infra/Processes.ts"
import * as Settings from "#infra/Settings.ts"
import * as WebhookReceiver from "#infra/webhook/WebhookReceiver.ts"
import { notifier } from "./Notifier.ts"

/** What the notifier is to do, or all that is wrong with what it was told. */
export const settings = Effect.gen(function*() {
  const { database, secrets, url, ...rest } = yield* Settings.read({
    ...Settings.webhook,
    ...Settings.notifier,
    partitions: Settings.shards.partitions
  })
  if (Option.isNone(url) || Option.isNone(secrets) || Option.isNone(database)) {
    return yield* Settings.InvalidSettings.make({
      mistakes: [
        ...(Option.isSome(url) ? [] : ["WEBHOOK_URL: the notifier needs an address at which to tell"]),
        ...(Option.isSome(secrets) ? [] : ["WEBHOOK_SECRET: the notifier needs a secret to sign with"]),
        ...(Option.isSome(database) ? [] : ["NOTIFIER_URL: the notifier needs the address of a database of its own"])
      ]
    })
  }
  return { ...rest, url: url.value, secrets: secrets.value, database: database.value }
})

/** Everything the process stands on but the event log. */
export const layer = Layer.unwrap(Effect.map(settings, ({ database, secrets, url }) =>
  Layer.merge(
    Processes.consumer("notifier", database),
    WebhookReceiver.layer({ url: Redacted.make(url), secrets })
  )))

export const work = Effect.flatMap(settings, notifier)

export const run = Effect.provide(work, layer)
