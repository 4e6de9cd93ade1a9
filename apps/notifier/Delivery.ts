/**
 * Deliveries: how often and how long it is tried to tell the receiver something, and when a message is at fault rather than
 * the receiver.
 */
import { Clock, Duration, Effect, Metric, Random, Result, Semaphore } from "effect"
import type { LogRecord } from "#domain/messaging/EventLog.ts"
import type { Trouble } from "#domain/messaging/Parked.ts"
import { type Notification, notificationOf, Receiver } from "#domain/notification/Notification.ts"
import * as Metrics from "#infra/telemetry/Metrics.ts"

export interface DeliveryOptions {
  /** How many notifications may be on their way at once. */
  readonly atOnce: number
  /** After how many tries in vain a message is given up, if the receiver took others meanwhile. */
  readonly tries: number
  /** How long a receiver that takes nothing at all is waited for, before messages are given up all the same. */
  readonly patience: Duration.Duration
  /** The pauses between tries; from half a second, doubled each time, to a minute unless given. */
  readonly pauses?: { readonly shortest: Duration.Duration; readonly longest: Duration.Duration }
}

/** Where a record stands, for the logs. */
export const whereabouts = (record: LogRecord) => ({
  key: record.key,
  type: record.type,
  subject: record.subject,
  partition: record.partition,
  source: record.source,
  position: record.position,
  requestId: record.requestId
})

/**
 * A way to deliver one record after the other, or several at once. What is on its way when the scope is closed is let
 * arrive, for a moment; nothing else sets out then.
 *
 * @param isAlone does whatever is being delivered hold up everything there is?
 */
export const deliverer = Effect.fnUntraced(function*(options: DeliveryOptions, isAlone: () => boolean) {
  const receiver = yield* Receiver
  const shortest = Duration.toMillis(options.pauses?.shortest ?? "500 millis")
  const longest = Duration.toMillis(options.pauses?.longest ?? "1 minute")
  const permits = yield* Semaphore.make(options.atOnce)
  yield* Effect.addFinalizer(() =>
    permits.take(options.atOnce).pipe(Effect.interruptible, Effect.timeout("2 seconds"), Effect.ignore)
  )
  /** Counts what the receiver took, of any key. */
  let accepted = 0

  const attempt = Effect.fnUntraced(function*(notification: Notification) {
    const begun = yield* Clock.currentTimeMillis
    const acceptedBefore = accepted
    const result = yield* Effect.result(receiver.deliver(notification))
    if (Result.isSuccess(result)) accepted++
    const outcome = Result.isSuccess(result) ? "accepted" : outcomeOf[result.failure._tag]
    yield* Metric.update(Metric.withAttributes(Metrics.deliveries, { outcome }), 1)
    yield* Metric.update(Metrics.deliverySeconds, ((yield* Clock.currentTimeMillis) - begun) / 1000)
    return { result, acceptedBefore }
  }, permits.withPermits(1))

  /** Delivers a record, however often that must be tried; answers why it was given up, or nothing. */
  const deliver = Effect.fnUntraced(function*(record: LogRecord): Effect.fn.Return<Trouble | null> {
    const notification = notificationOf(record)
    if (Result.isFailure(notification)) return { class: "undecodable", detail: notification.failure.message, tries: 0 }
    const begun = yield* Clock.currentTimeMillis
    const acceptedAtFirst = accepted
    for (let tries = 1;; tries++) {
      const { acceptedBefore, result } = yield* attempt(notification.success)
      if (Result.isSuccess(result)) return null
      const detail = result.failure.message
      if (result.failure._tag === "DeliveryRefused") return { class: "refused", detail, tries }
      // Others got through before this try set out, so the receiver is there, and the fault is this message's.
      const isAtFault = acceptedBefore > acceptedAtFirst || isAlone()
      const waited = (yield* Clock.currentTimeMillis) - begun
      if ((isAtFault && tries >= options.tries) || waited >= Duration.toMillis(options.patience)) {
        return { class: "failing", detail, tries }
      }
      const log = tries === 1 ? Effect.logWarning : Effect.logDebug
      yield* log("not delivered, will be tried again", { ...whereabouts(record), tries, why: detail })
      const pause = Math.min(longest, shortest * 2 ** (tries - 1)) * (0.5 + 0.5 * (yield* Random.next))
      const asked = result.failure.after === null ? 0 : Duration.toMillis(result.failure.after)
      yield* Effect.sleep(Duration.millis(Math.max(pause, asked)))
    }
  })

  return deliver
})

const outcomeOf = { DeliveryFailed: "failed", DeliveryRefused: "refused" } as const
