/** The checks over all shards, on shards in memory. Those that a shard answers by itself are queries (sql/checks/shard). */
import { Effect, Layer } from "effect"
import {
  acrossChecks,
  checkAcross,
  Checks,
  type ClearingEvidence,
  type VerdictEvidence
} from "#domain/reconciliation/Checks.ts"
import { partitionOf } from "#domain/sharding/Partition.ts"
import type { Terms } from "#domain/transfer/TransferEvent.ts"
import type { Verdict } from "#domain/transfer/Transfer.ts"
import { MemoryDatabases } from "./MemoryDatabases.ts"
import type { MemoryShard } from "./MemoryShard.ts"

export const layer = Layer.effect(
  Checks,
  Effect.gen(function*() {
    const databases = yield* MemoryDatabases
    const { map } = databases
    return Checks.of({
      all: acrossChecks,
      run: (options) =>
        checkAcross(map, {
          ruled: (shard) =>
            databases.look(shard, (database) => ({
              verdicts: [...database.verdicts.rows.values()].flatMap((verdict) => evidenceOf(shard, verdict)),
              clearing: clearingOf(database)
            })),
          stood: (shard) =>
            databases.look(shard, (database) => ({
              transfers: transfersOf(database),
              clearing: clearingOf(database),
              accounts: [...database.accounts.rows.values()].flatMap(({ account: { id, kind } }) =>
                kind === "clearing" ? [] : [{ shard, account: id, partition: partitionOf(id, map.partitions) }]
              ),
              sums: sumsOf(database)
            })),
          late: (shard, transfers) =>
            databases.look(shard, ({ verdicts }) =>
              transfers.flatMap((transfer) => {
                const verdict = verdicts.rows.get(transfer)
                return verdict === undefined ? [] : evidenceOf(shard, verdict)
              }))
        }, options)
    })
  })
)

/** A verdict on another shard's transfer. */
const evidenceOf = (shard: number, { from, ruling, terms }: Verdict): ReadonlyArray<VerdictEvidence> =>
  from === shard ? [] : [{ shard, from, ruling, terms }]

const clearingOf = ({ accounts, balances, id: shard }: MemoryShard): ReadonlyArray<ClearingEvidence> =>
  [...accounts.rows.values()].flatMap(({ account: { currency, id } }) => {
    const [, direction, other] = /^clearing:\d+:(to|from):(\d{1,4}):/.exec(id) ?? []
    return direction !== "to" && direction !== "from"
      ? []
      : [{ shard, direction, other: Number(other), currency, posted: balances.rows.get(id)?.posted ?? 0n }]
  })

/** Transfers that their own shard did not rule on. */
const transfersOf = ({ events, id: shard, transfers, verdicts }: MemoryShard) => {
  const asked = new Set(events.flatMap(({ subject, type }) => type === "transfer.held" ? [subject] : []))
  return [...transfers.rows.values()].flatMap(({ transfer: { moving, status, terms } }) =>
    verdicts.rows.get(terms.transfer)?.from === shard
      ? []
      : [{ shard, status, asked: asked.has(terms.transfer), terms: { ...terms, amount: moving } satisfies Terms }]
  )
}

const sumsOf = ({ accounts, balances, id: shard }: MemoryShard) => {
  const sums = new Map<string, bigint>()
  for (const { account: { currency, id } } of accounts.rows.values()) {
    sums.set(currency, (sums.get(currency) ?? 0n) + (balances.rows.get(id)?.posted ?? 0n))
  }
  return [...sums].map(([currency, posted]) => ({ shard, currency, posted }))
}
