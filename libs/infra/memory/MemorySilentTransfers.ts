/** Silent transfers and instructions, found by age on a shard in memory. */
import { Duration, Effect, Layer } from "effect"
import { SilentTransfers } from "#domain/reconciliation/SilentTransfers.ts"
import { MemoryDatabases } from "./MemoryDatabases.ts"

export const layer = Layer.effect(
  SilentTransfers,
  Effect.gen(function*() {
    const databases = yield* MemoryDatabases
    return SilentTransfers.of({
      find: Effect.fnUntraced(function*(shard, patience, sinceMillis, most) {
        const now = yield* databases.nowMillis(shard)
        const [requested, held] = [Duration.toMillis(patience.requested), Duration.toMillis(patience.held)]
        const rows = yield* databases.look(shard, (database) => [...database.open()])
        return rows.filter((row) => {
          if (row.createdAtMillis < sinceMillis && (row.expiresAtMillis ?? 0) < sinceMillis) return false
          switch (row.transfer.status) {
            case "requested":
              return row.statusChangedAtMillis < now - requested
            case "held":
              return row.statusChangedAtMillis < now - held
            case "authorized":
              return row.expiresAtMillis !== null && row.expiresAtMillis <= now
            default:
              return false
          }
        })
          .toSorted((a, b) => a.statusChangedAtMillis - b.statusChangedAtMillis)
          .slice(0, most)
          .map(({ client, createdAtMillis, expiresAtMillis, transfer }) => ({
            transfer,
            client,
            expired: expiresAtMillis !== null && expiresAtMillis <= now,
            openSinceMillis: Math.max(createdAtMillis, expiresAtMillis ?? 0)
          }))
      }),

      findInstructions: Effect.fnUntraced(function*(shard, patience, most) {
        const before = (yield* databases.nowMillis(shard)) - Duration.toMillis(patience.requested)
        const rows = yield* databases.look(shard, ({ instructions }) => [...instructions.rows.values()])
        return rows.filter(({ createdAtMillis, instruction }) =>
          instruction.status === "open" && createdAtMillis < before
        )
          .toSorted((a, b) => a.createdAtMillis - b.createdAtMillis)
          .slice(0, most)
          .map(({ event, instruction }) => ({ instruction, event }))
      })
    })
  })
)
