/** What the shards hold of a transfer, from their logs, their entries and their idempotency keys. */
import { Effect, Layer, Result, Schema } from "effect"
import { type Trace, type TracedEvent, Traces } from "#domain/audit/Trace.ts"
import { fromJson } from "#domain/ledger/LedgerEvent.ts"
import { Currency } from "#domain/money/Currency.ts"
import { type ShardId, shardOfAccount, shardOfPartition } from "#domain/sharding/ShardMap.ts"
import { partitionOf, type TransferId } from "#domain/transfer/TransferId.ts"
import { millis, Numeric } from "./Rows.ts"
import { ShardDatabases } from "./ShardDatabases.ts"

interface EventRow {
  readonly position: bigint
  readonly type: string
  readonly payload: string
  readonly request_id: string | null
  readonly traceparent: string | null
  readonly occurred_at_millis: number
}

const eventOf = (row: EventRow): TracedEvent => ({
  position: row.position,
  type: row.type,
  event: Result.getOrElse(fromJson(row.payload), () => null),
  payload: row.payload,
  requestId: row.request_id,
  traceparent: row.traceparent,
  occurredAtMillis: row.occurred_at_millis
})

const entryRows = Schema.decodeUnknownSync(Schema.Array(Schema.Struct({
  account: Schema.String,
  sequence: Schema.BigInt,
  transfer: Schema.String,
  step: Schema.Literals(["direct", "credit", "commit"]),
  direction: Schema.Literals(["DEBIT", "CREDIT"]),
  amount: Numeric,
  currency: Currency,
  posted: Numeric,
  createdAtMillis: Schema.Finite
})))

interface KeyRow {
  readonly resource: string
  readonly client: string
  readonly key: string
  readonly fingerprint: string
}

export const layer = Layer.effect(
  Traces,
  Effect.gen(function*() {
    const databases = yield* ShardDatabases
    const { map } = databases

    const on = (shard: ShardId, transfer: TransferId) =>
      databases.on(
        shard,
        Effect.fnUntraced(function*(sql) {
          const events = yield* sql<EventRow>`
            SELECT position, type, payload::text, request_id, traceparent,
              ${sql.literal(millis("occurred_at"))} AS occurred_at_millis
            FROM event WHERE subject = ${transfer} ORDER BY position`
          const entries = yield* sql`
            SELECT account_id AS account, sequence, transfer_id AS transfer, step, direction, amount, currency, posted,
              ${sql.literal(millis("created_at"))} AS "createdAtMillis"
            FROM entry WHERE transfer_id = ${transfer} ORDER BY created_at, direction DESC`
          // By the client and the scope that the events name, which is how the keys are found without going through all of
          // them. Whose an instruction was stands beside it only; where that is gone, it is looked for as the transfer's client's.
          const keys = yield* sql<KeyRow>`
            WITH asked AS (
              SELECT payload ->> 'client' AS client, 'transfer:' || (payload ->> 'source') AS scope, subject AS resource
              FROM event WHERE subject = ${transfer} AND type = 'transfer.requested'
              UNION
              SELECT coalesce(instruction.client, requested.payload ->> 'client'), asks.what || ':' || event.subject,
                event.payload ->> 'instruction'
              FROM event
              JOIN (VALUES ('transfer.capture_requested', 'capture'), ('transfer.void_requested', 'void')) AS asks (type, what)
                ON asks.type = event.type
              LEFT JOIN event AS requested ON requested.subject = event.subject AND requested.type = 'transfer.requested'
              LEFT JOIN instruction ON instruction_id = event.payload ->> 'instruction'
              WHERE event.subject = ${transfer}
            )
            SELECT resource_id AS resource, client, key, encode(fingerprint, 'hex') AS fingerprint
            FROM asked JOIN idempotency_key USING (client, scope)
            WHERE resource_id = resource`
          return { shard, events: events.map(eventOf), entries: entryRows(entries), keys }
        })
      )

    const isSomething = ({ entries, events }: Trace) => events.length > 0 || entries.length > 0

    return Traces.of({
      of: Effect.fnUntraced(function*(transfer) {
        const home = shardOfPartition(map, partitionOf(transfer) % map.partitions)
        const first = yield* on(home, transfer)
        const terms = first.events.flatMap(({ event }) => event !== null && "destination" in event ? [event] : [])[0]
        // Without a word of it at home it is looked for everywhere: what should not be is what an audit is for.
        const others = terms === undefined
          ? databases.shards.filter((shard) => shard !== home)
          : [shardOfAccount(map, terms.destination)].filter((shard) => shard !== home)
        const further = yield* Effect.forEach(others, (shard) => on(shard, transfer), { concurrency: 8 })
        return [first, ...further].filter(isSomething)
      })
    })
  })
)
