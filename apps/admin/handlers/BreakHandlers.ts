/**
 * Breaks: listed, shown with their evidence and history, resolved.
 */
import { Effect, Option } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import {
  type Break as Found,
  BreakClosed,
  breakId,
  BreakNotFound,
  Breaks,
  placeOfBreak
} from "#domain/reconciliation/Breaks.ts"
import type { ShardId } from "#domain/sharding/ShardMap.ts"
import * as Answer from "#infra/http/Answer.ts"
import * as Cursor from "#infra/http/Cursor.ts"
import { answered, ofPort } from "#infra/http/Refusal.ts"
import { page } from "#infra/http/Values.ts"
import { AdminApi } from "../contract/AdminApi.ts"
import { Break, BreakWithHistory } from "../contract/Breaks.ts"
import { isPlace, shardByShard } from "./AcrossShards.ts"
import { operate, refusalOf } from "./Operating.ts"
import { time } from "./Views.ts"

const Page = page(Break)

const view = (found: Found): typeof Break.Encoded => ({
  id: breakId(found),
  object: "break",
  shard: found.shard,
  invariant: found.invariant,
  severity: found.severity,
  subject: found.subject,
  detail: found.detail,
  status: found.status,
  times_seen: found.timesSeen,
  created_at: time(found.openedAtMillis),
  seen_at: time(found.seenAtMillis),
  closed_at: found.closedAtMillis === null ? null : time(found.closedAtMillis)
})

export const layer = (shards: ReadonlyArray<ShardId>) =>
  HttpApiBuilder.group(
    AdminApi,
    "breaks",
    Effect.fn(function*(handlers) {
      const breaks = yield* Breaks

      const placeOf = (id: string) => {
        const place = placeOfBreak(id)
        return place === undefined || !shards.includes(place.shard)
          ? Effect.fail(BreakNotFound.make({ id }))
          : Effect.succeed(place)
      }

      const shown = Effect.fnUntraced(function*(id: string) {
        const found = yield* breaks.show(yield* placeOf(id))
        return Option.isNone(found) ? yield* BreakNotFound.make({ id }) : found.value
      })

      return handlers.handleAll({
        list: Effect.fnUntraced(function*({ query: { after, limit = Answer.defaultPageLimit, severity, status } }) {
          const filters = Answer.filters({ severity: severity ?? null, status: status ?? null })
          const list = `breaks?${filters}`
          const place = yield* Cursor.decode(list, after, isPlace)
          const wanted = { status: status ?? null, severity: severity ?? null }
          const found = yield* shardByShard(shards, place, limit + 1, (shard, number, most) =>
            breaks.list(shard, wanted, number, most)).pipe(Effect.mapError(ofPort))
          const page = Answer.page(found, limit, view, ({ number, shard }) =>
            Cursor.encode(list, `${shard} ${number}`))
          return Answer.json(Page, page, { headers: Answer.pageHeaders("/admin/v1/breaks", limit, page, filters) })
        }, answered),

        get: Effect.fnUntraced(function*({ params: { id } }) {
          const { found, history } = yield* Effect.mapError(shown(id), refusalOf)
          return Answer.json(BreakWithHistory, {
            ...view(found),
            history: history.map(({ atMillis, by, detail, evidence, what }) => ({
              what,
              detail,
              evidence,
              actor: by?.name ?? null,
              reason: by?.reason ?? null,
              request_id: by?.requestId ?? null,
              created_at: time(atMillis)
            }))
          })
        }, answered),

        resolve: Effect.fnUntraced(function*({ params: { id }, payload }) {
          const place = yield* Effect.mapError(placeOf(id), refusalOf)
          return yield* operate({
            action: "break.resolve",
            subject: id,
            shard: place.shard,
            tried: Effect.gen(function*() {
              const { found } = yield* shown(id)
              if (found.status === "closed") {
                return yield* BreakClosed.make({ id })
              }
              return found.status === "resolved"
                ? `${id} is resolved already: nothing would change`
                : `would mark ${id} as resolved: ${found.invariant} of ${found.subject}; no money changes`
            }),
            done: (operation) =>
              Effect.map(breaks.resolve(place, operation), (changed) => ({
                changed,
                says: changed ? `marked ${id} as resolved` : `${id} was resolved before`
              }))
          }, payload)
        }, answered)
      })
    })
  )
