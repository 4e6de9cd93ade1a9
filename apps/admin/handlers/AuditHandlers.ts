/**
 * What operators did, over all shards.
 */
import { Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { Audit, type AuditRecord as Found } from "#domain/operations/Operation.ts"
import type { ShardId } from "#domain/sharding/ShardMap.ts"
import * as Answer from "#infra/http/Answer.ts"
import * as Cursor from "#infra/http/Cursor.ts"
import { answered, ofPort } from "#infra/http/Refusal.ts"
import { page } from "#infra/http/Values.ts"
import { AdminApi } from "../contract/AdminApi.ts"
import { AuditRecord } from "../contract/Audit.ts"
import { time } from "./Views.ts"

const Page = page(AuditRecord)

const view = (found: Found): typeof AuditRecord.Encoded => ({
  id: `act_${found.shard}_${found.number}`,
  object: "audit_record",
  shard: found.shard,
  actor: found.name,
  request_id: found.requestId,
  action: found.action,
  subject: found.subject,
  reason: found.reason,
  outcome: found.refusedWith === null ? "done" : "refused",
  code: found.refusedWith,
  created_at: time(found.atMillis)
})

/** The number below which each shard's list goes on; nothing of a shard that was not reached yet. */
type Place = string & { readonly ofAudit: never }
const isPlace = (text: string): text is Place => /^(?:\d{1,18}|-)(?: (?:\d{1,18}|-))*$/.test(text)

export const layer = (shards: ReadonlyArray<ShardId>) =>
  HttpApiBuilder.group(
    AdminApi,
    "audit",
    Effect.fn(function*(handlers) {
      const audit = yield* Audit
      return handlers.handleAll({
        list: Effect.fnUntraced(function*({ query }) {
          const { after, limit = Answer.defaultPageLimit } = query
          const wanted = { actor: query.actor ?? null, subject: query.subject ?? null }
          const filters = Answer.filters(wanted)
          const list = `audit?${filters}`
          const below = (yield* Cursor.decode(list, after, isPlace))?.split(" ") ?? []
          const found = yield* Effect.forEach(shards, (shard, index) => {
            const from = below[index] ?? "-"
            return audit.list(shard, wanted, from === "-" ? null : BigInt(from), limit + 1)
          }).pipe(Effect.mapError(ofPort))
          const merged = found.flat().toSorted((one, other) =>
            other.atMillis - one.atMillis || one.shard - other.shard || Number(other.number - one.number)
          )
          const shown = merged.slice(0, limit)
          const places = shards.map((shard, index) =>
            shown.findLast((one) => one.shard === shard)?.number.toString() ?? below[index] ?? "-"
          )
          const page = Answer.page(merged, limit, view, () => Cursor.encode(list, places.join(" ")))
          return Answer.json(Page, page, { headers: Answer.pageHeaders("/admin/v1/audit", limit, page, filters) })
        }, answered)
      })
    })
  )
