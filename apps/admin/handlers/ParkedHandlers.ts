/**
 * Parked messages of the notifier: listed, shown, tried again, given up.
 */
import { Effect, Option } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import type { ConsumerUnavailable } from "#domain/messaging/Consumer.ts"
import { type Actor, NotParked, Parked, type ParkedMessage as Found } from "#domain/messaging/Parked.ts"
import { Audit, type Operation } from "#domain/operations/Operation.ts"
import * as Answer from "#infra/http/Answer.ts"
import * as Cursor from "#infra/http/Cursor.ts"
import { answered, Refusal } from "#infra/http/Refusal.ts"
import { page } from "#infra/http/Values.ts"
import { AdminApi } from "../contract/AdminApi.ts"
import { ParkedMessage, ParkedMessageWithRetries } from "../contract/Parked.ts"
import { operate, type Refused } from "./Operating.ts"
import { time } from "./Views.ts"

const Page = page(ParkedMessage)

/** What is done in the notifier's database is kept on the first shard. */
const auditShard = 0

const idOf = (number: bigint): string => `msg_${number}`

type Place = `${bigint}`
const isPlace = (text: string): text is Place => /^[1-9][0-9]{0,17}$/.test(text)

const view = (
  { discarded, key, number, parkedAtMillis, position, source, status, subject, trouble, type }: Found
): typeof ParkedMessage.Encoded => ({
  id: idOf(number),
  object: "parked_message",
  status,
  key,
  type,
  subject,
  shard: source,
  position: Number(position),
  trouble,
  created_at: time(parkedAtMillis),
  discarded_by: discarded?.name ?? null,
  discarded_because: discarded?.reason ?? null
})

const unavailable = (error: ConsumerUnavailable): Refused => ({
  _tag: error._tag,
  code: "notifier_unavailable",
  message: "the notifier's database does not answer"
})

const notWaiting = ({ _tag, message }: NotParked): Refused => ({ _tag, code: "message_not_waiting", message })

const refused = ({ code, message }: Refused) => new Refusal({ code, detail: message })

export const layer = HttpApiBuilder.group(
  AdminApi,
  "parked",
  Effect.fn(function*(handlers) {
    const parked = yield* Parked
    const audit = yield* Audit

    const find = Effect.fnUntraced(function*(id: string) {
      const [, number] = /^msg_([1-9][0-9]{0,17})$/.exec(id) ?? []
      if (number === undefined) return yield* new Refusal({ code: "message_not_found" })
      const shown = yield* parked.show(BigInt(number)).pipe(
        Effect.mapError((error) => refused(unavailable(error)))
      )
      return Option.isNone(shown) ? yield* new Refusal({ code: "message_not_found" }) : shown.value
    })

    /** Decides about one message: noted first, as it is done in another database than the one that keeps the audit. */
    const decide = Effect.fnUntraced(function*(
      how: "retry" | "discard",
      says: { readonly would: string; readonly did: string },
      id: string,
      payload: { readonly reason: string; readonly dry_run?: boolean }
    ) {
      const { message } = yield* find(id)
      const action = `parked.${how}`
      const waits = message.status === "waiting" && (how === "discard" || message.trouble !== null)
      const tried: Effect.Effect<void, Refused> = waits
        ? Effect.void
        : Effect.fail(notWaiting(NotParked.make({ numbers: [message.number] })))
      const done = (by: Actor): Effect.Effect<void, Refused> =>
        parked[how]([message.number], by).pipe(
          Effect.catchTags({
            NotParked: (error) => Effect.fail(notWaiting(error)),
            ConsumerUnavailable: (error) => Effect.fail(unavailable(error)),
            ActorMissing: Effect.die
          })
        )
      return yield* operate({
        action,
        subject: id,
        shard: auditShard,
        tried: Effect.as(tried, `would ${says.would} ${id}, ${message.type} of ${message.key}`),
        done: (operation: Operation) =>
          tried.pipe(
            Effect.andThen(audit.note(auditShard, operation, { action, subject: id, refusedWith: null })),
            Effect.andThen(done(operation)),
            Effect.as({ changed: true, says: `${says.did} ${id}, ${message.type} of ${message.key}` })
          )
      }, payload)
    })

    return handlers.handleAll({
      list: Effect.fnUntraced(
        function*({ query: { after, key = null, limit = Answer.defaultPageLimit, status = "waiting" } }) {
          const filters = Answer.filters({ key, status })
          const list = `parked?${filters}`
          const place = yield* Cursor.decode(list, after, isPlace)
          const found = yield* parked.list({ status, key, after: BigInt(place ?? 0), most: limit + 1 }).pipe(
            Effect.mapError((error) => refused(unavailable(error)))
          )
          const page = Answer.page(found, limit, view, ({ number }) => Cursor.encode(list, `${number}`))
          return Answer.json(Page, page, { headers: Answer.pageHeaders("/admin/v1/parked", limit, page, filters) })
        },
        answered
      ),

      get: Effect.fnUntraced(function*({ params: { id } }) {
        const { message, retries } = yield* find(id)
        return Answer.json(ParkedMessageWithRetries, {
          ...view(message),
          payload: message.payload,
          retries: retries.map(({ atMillis, name, reason, trouble }) => ({
            actor: name,
            reason,
            trouble,
            created_at: time(atMillis)
          }))
        })
      }, answered),

      retry: ({ params: { id }, payload }) =>
        answered(
          decide("retry", { would: "have the notifier try again", did: "the notifier tries again" }, id, payload)
        ),

      discard: ({ params: { id }, payload }) =>
        answered(decide("discard", { would: "give up", did: "gave up" }, id, payload))
    })
  })
)
