/** A shard's own log in memory: read up to the position barrier. */
import { Effect, Layer } from "effect"
import { ShardLog } from "#domain/messaging/ShardLog.ts"
import { LeaseLost } from "#domain/sharding/Leases.ts"
import { MemoryDatabases } from "./MemoryDatabases.ts"

const nobody = { requestId: null, traceparent: null }

export const layer = Layer.effect(
  ShardLog,
  Effect.gen(function*() {
    const databases = yield* MemoryDatabases
    return ShardLog.of({
      after: Effect.fnUntraced(function*(shard, position, most) {
        const barrier = yield* databases.watch(shard, (database) => database.barrier(position))
        if (barrier === undefined) return { records: [], upTo: position }
        const records = yield* databases.look(shard, (database) => database.eventsBetween(position, barrier, most))
        const last = records.at(-1)
        return { records, upTo: records.length === most && last !== undefined ? last.position : barrier }
      }),

      cursor: (shard, log) => databases.look(shard, ({ cursors }) => cursors.rows.get(log) ?? 0n),

      advance: ({ epoch, role, shard }, log, to) =>
        databases.transact(shard, (transaction, { cursors, leases }) =>
          Effect.gen(function*() {
            yield* transaction.arrival
            yield* transaction.claim(() => cursors.claim(transaction, [log]))
            const isCurrent = leases.rows.get(role)?.epoch === epoch
            if (!isCurrent || to < (cursors.get(transaction, log) ?? to)) return yield* LeaseLost.make({ shard, role })
            cursors.put(transaction, log, to)
          })),

      append: (shard, events) =>
        databases.transact(
          shard,
          (transaction, database) =>
            transaction.statement(() =>
              database.announce(transaction, events.map((event) => ({ event, origin: nobody })))
            )
        )
    })
  })
)
