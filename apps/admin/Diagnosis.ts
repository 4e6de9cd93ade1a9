/**
 * What the platform looks like to somebody who was woken up: is the money right, is it moving, what is stuck, and what may
 * they press. Pure: from what was seen, to sentences.
 */
import { breakId } from "#domain/reconciliation/Breaks.ts"
import type { Severity } from "#domain/reconciliation/Checks.ts"
import type { TrialBalance } from "#domain/ledger/Queries.ts"
import { type Carried, isHeld } from "#domain/sharding/Pulse.ts"
import type { Seen, ShardSeen } from "./Overview.ts"

/** An event that waits longer for the relay waits in vain. */
const longestWaitMillis = 30_000

const roles = ["relay", "ledger", "reconciler"] as const

export interface CurrencySums {
  readonly currency: string
  readonly debits: bigint
  readonly credits: bigint
  readonly balances: boolean
  readonly held: bigint
  readonly inFlight: bigint
}

/** The sums of all shards by currency. */
export const sumsOf = (sums: ReadonlyArray<TrialBalance>): ReadonlyArray<CurrencySums> =>
  [...Map.groupBy(sums, ({ currency }) => currency)].toSorted(([one], [other]) => one < other ? -1 : 1)
    .map(([currency, shards]) => {
      const total = (of: (shard: TrialBalance) => bigint) => shards.reduce((sum, shard) => sum + of(shard), 0n)
      return {
        currency,
        debits: total(({ debits }) => debits),
        credits: total(({ credits }) => credits),
        balances: shards.every(({ credits, debits }) => debits === credits),
        held: total(({ held }) => held),
        inFlight: total(({ clearingFrom, clearingTo }) => -clearingTo - clearingFrom)
      }
    })

/** Why the money is not right; nothing where it is. */
export const wrongs = ({ shards, sums }: Seen): ReadonlyArray<string> => [
  ...(sums ?? []).flatMap(({ credits, currency, debits, shard }) =>
    debits === credits ? [] : [`shard ${shard} does not balance in ${currency}: debits ${debits}, credits ${credits}`]
  ),
  ...shards.flatMap(({ pulse, shard }) =>
    pulse === null || pulse.behind === null
      ? []
      : [
        `shard ${shard} lost data: its log ends at position ${pulse.behind.logEnd}, and ${pulse.behind.seenBy} has seen ` +
        `${pulse.behind.seenTo}; it takes nothing before it has caught up`
      ]
  ),
  ...shards.flatMap(({ breaks }) => breaks).flatMap((found) =>
    found.severity === "critical" ? [`${breakId(found)}: ${found.invariant}, ${found.subject}`] : []
  )
]

/** How many open breaks there are of a severity. */
export const breaksOf = ({ shards }: Seen, severity: Severity): number =>
  shards.flatMap(({ breaks }) => breaks).filter((found) => found.severity === severity).length

/**
 * How far the relay has come, and what waits for it: into the event log that it carried to last. Another may have come further,
 * before it was lost.
 */
export const carriedOf = ({ pulse }: ShardSeen): Carried | null =>
  pulse?.carried.toSorted((one, other) => other.movedAtMillis - one.movedAtMillis)[0] ?? null

const haltsOf = (seen: ShardSeen): ReadonlyArray<string> => {
  const { lag, pulse, shard } = seen
  if (pulse === null) return [`shard ${shard} does not answer`]
  const standing = new Set(pulse.leases.flatMap((lease) => isHeld(pulse, lease) ? [lease.role] : []))
  const carried = carriedOf(seen)
  const waitedMillis = pulse.atMillis - (carried?.waitingSinceMillis ?? pulse.atMillis)
  return [
    ...roles.flatMap((role) => standing.has(role) ? [] : [`nobody works as the ${role} of shard ${shard}`]),
    ...(waitedMillis > longestWaitMillis
      ? [`events of shard ${shard} have waited for the relay for ${Math.round(waitedMillis / 1000)} s`]
      : []),
    ...(lag !== null && lag > 0 && !standing.has("ledger")
      ? [`shard ${shard} has ${lag} records to read, and no worker`]
      : [])
  ]
}

/** Why money is not moving as it should; nothing where it is. */
export const halts = ({ shards }: Seen): ReadonlyArray<string> => shards.flatMap(haltsOf)

/** Parked messages that wait for a person, and not only behind another of their key. */
export const troubled = ({ parked }: Seen): number => (parked ?? []).filter(({ trouble }) => trouble !== null).length

export interface Suggestion {
  readonly because: string
  readonly command: string
}

/** Lines that are safe to press: each of them looks, or asks, or fills up what was lost from what is known; none decides. */
export const suggestions = (seen: Seen): ReadonlyArray<Suggestion> => [
  ...(wrongs(seen).length === 0 ? [] : [{
    because: "the money is not right: somebody must see where",
    command: "counterpoise breaks list"
  }]),
  ...seen.shards.flatMap(({ pulse, shard }) =>
    pulse === null || pulse.behind === null ? [] : [{
      because:
        `shard ${shard} can be filled again from the event log; where it cannot, this says so and changes nothing`,
      command: `counterpoise shards recover --shard ${shard}`
    }]
  ),
  ...seen.shards.flatMap(({ silent }) =>
    silent.slice(0, 3).flatMap(({ transfer: { status, terms: { transfer } } }): ReadonlyArray<Suggestion> => [
      {
        because: `${transfer} is ${status} for too long: what happened to it?`,
        command: `counterpoise transfers timeline ${transfer}`
      },
      status === "held"
        ? {
          because: "its destination can be asked to rule; the verdict decides",
          command: `counterpoise transfers recall ${transfer} --reason "…"`
        }
        : {
          because: "its shard can be asked again",
          command: `counterpoise transfers requeue ${transfer} --reason "…"`
        }
    ])
  ),
  ...seen.stopped.slice(0, 3).flatMap(({ offset, partition, record, shard }): ReadonlyArray<Suggestion> => [
    {
      because: `partition ${partition} of shard ${shard} has stopped at offset ${offset}: ` +
        "nothing is skipped there, and the worker's log says why",
      command: "counterpoise consumers lag --partitions"
    },
    ...(record === null ? [] : [{
      because: `it stands before ${record.type} of ${record.subject}: is that the event that was written?`,
      command: record.type.startsWith("transfer.")
        ? `counterpoise transfers timeline ${record.subject}`
        : `counterpoise accounts get ${record.subject}`
    }])
  ]),
  ...(troubled(seen) === 0 ? [] : [{
    because: "messages wait for a person, who may retry or discard them: which, and why?",
    command: "counterpoise parked list"
  }]),
  ...(seen.parked !== null ? [] : [{
    because: "the notifier's database does not answer: how many messages are parked is not known",
    command: "counterpoise doctor"
  }]),
  ...(halts(seen).length === 0 ? [] : [{
    because: "something does not move: what does not answer?",
    command: "counterpoise doctor"
  }])
]
