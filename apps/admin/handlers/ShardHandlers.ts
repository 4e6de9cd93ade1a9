/**
 * The shards, one by one; and their relays, sent back.
 */
import { Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { type Republished, Republishing } from "#domain/operations/Republishing.ts"
import type { ShardId } from "#domain/sharding/ShardMap.ts"
import * as Answer from "#infra/http/Answer.ts"
import { answered, Refusal } from "#infra/http/Refusal.ts"
import { page } from "#infra/http/Values.ts"
import { AdminApi } from "../contract/AdminApi.ts"
import { Shard } from "../contract/Shards.ts"
import { Overview } from "../Overview.ts"
import { operate } from "./Operating.ts"
import * as Views from "./Views.ts"

const Shards = page(Shard)

const stretch = (shard: ShardId, { from, log, to }: Republished) =>
  `shard ${shard}'s events at positions ${from} to ${to} into ${log}`

export const layer = (shards: ReadonlyArray<ShardId>) =>
  HttpApiBuilder.group(
    AdminApi,
    "shards",
    Effect.fn(function*(handlers) {
      const overview = yield* Overview
      const republishing = yield* Republishing

      const find = (id: string) => {
        const found = shards.find((shard) => id === `shard_${shard}`)
        return found === undefined ? Effect.fail(new Refusal({ code: "shard_not_found" })) : Effect.succeed(found)
      }

      return handlers.handleAll({
        list: Effect.fnUntraced(function*() {
          const data = (yield* overview.shards).map(Views.shard)
          return Answer.json(Shards, { object: "list", data, has_more: false, next_cursor: null })
        }),

        republish: Effect.fnUntraced(function*({ params: { id }, payload: { from, ...decision } }) {
          const shard = yield* find(id)
          const what = { action: "relay.republish", subject: id }
          return yield* operate({
            ...what,
            shard,
            tried: Effect.map(
              republishing.look(shard, BigInt(from)),
              (found) => `would carry ${stretch(shard, found)} again: ${found.events} events`
            ),
            done: (operation) =>
              Effect.map(
                republishing.sendBack(shard, BigInt(from), operation, what),
                (sent) => ({ changed: true, says: `the relay carries ${stretch(shard, sent)} again` })
              )
          }, decision)
        }, answered)
      })
    })
  )
