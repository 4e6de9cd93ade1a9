/**
 * The auditor keeps a second set of books, from what clients asked and heard alone, and compares.
 */
import { shardOfAccount } from "#domain/sharding/ShardMap.ts"
import type { Machines } from "../memory/Platform.ts"
import type { Clients } from "./Clients.ts"
import type { Plan } from "./Plan.ts"

export const audit = ({ log, map, shards }: Machines, clients: Clients, plan: Plan): ReadonlyArray<string> => {
  const clocksJump = plan.strikes.some(({ does }) => does === "shard's clock")
  const wrong: Array<string> = []
  const has = new Map<string, bigint>()
  const add = (account: string, minor: bigint) => has.set(account, (has.get(account) ?? 0n) + minor)

  for (const { asked: { terms, capture }, key, recorded } of clients.transfers.values()) {
    const row = shards[shardOfAccount(map, terms.source)]?.transfers.rows.get(recorded)
    if (row === undefined) {
      wrong.push(`${key} was acknowledged as ${recorded}, which is nowhere`)
      continue
    }
    const { expiresAtMillis, statusChangedAtMillis, transfer } = row
    if (!clocksJump && transfer.reason?.code === "expired" && statusChangedAtMillis < (expiresAtMillis ?? 0)) {
      wrong.push(`${key} expired ${(expiresAtMillis ?? 0) - statusChangedAtMillis} ms before its time`)
    }
    const kept = transfer.terms
    if (
      kept.source !== terms.source || kept.destination !== terms.destination || kept.amount !== terms.amount ||
      kept.currency !== terms.currency || transfer.capture !== capture
    ) wrong.push(`${key} asked for something else than ${recorded} is`)
    if (transfer.status !== "committed") continue
    add(terms.source, -transfer.moving)
    add(terms.destination, transfer.moving)
  }

  const known = new Set<string>([...clients.transfers.values()].map(({ recorded }) => recorded))
  if (known.size < clients.transfers.size) wrong.push("two wishes were told of one transfer")
  const asked = new Set<string>(clients.instructions)
  for (const { balances, events, id, instructions, transfers } of shards) {
    for (const transfer of transfers.rows.keys()) {
      if (!known.has(transfer)) wrong.push(`nobody was told of ${transfer} on shard ${id}`)
    }
    for (const { instruction } of instructions.rows.values()) {
      if (!asked.has(instruction.id)) wrong.push(`nobody was told of ${instruction.id} on shard ${id}`)
      if (instruction.status === "open") wrong.push(`${instruction.asks} of ${instruction.subject} was never answered`)
    }
    for (const [account, { held, posted }] of balances.rows) {
      if (account.startsWith("clearing:")) continue
      const expected = has.get(account) ?? 0n
      if (posted !== expected) wrong.push(`${account} has ${posted}, by the auditor's books ${expected}`)
      if (held !== 0n) wrong.push(`${held} of ${account} are held in the end`)
    }
    // Every event was carried to the event log, and in the order of its shard's own.
    const seen = new Map<number, bigint>()
    const carried = new Set<bigint>()
    for (const [partition, records] of log.partitions) {
      for (const { position, source } of records) {
        if (source !== id) continue
        carried.add(position)
        const highest = seen.get(partition) ?? 0n
        if (position > highest) seen.set(partition, position)
      }
    }
    const missing = events.filter(({ position }) => !carried.has(position))
    if (missing.length > 0) {
      wrong.push(`${missing.length} events of shard ${id} were never carried away: ${missing[0]?.type}`)
    }
  }
  return wrong
}
