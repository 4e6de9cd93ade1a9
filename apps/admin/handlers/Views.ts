/**
 * What is known of the platform, as operators see it.
 */
import { isHeld } from "#domain/sharding/Pulse.ts"
import type { Seen, ShardSeen } from "../Overview.ts"
import * as Diagnosis from "../Diagnosis.ts"
import type { Shard } from "../contract/Shards.ts"
import type { Status } from "../contract/Status.ts"

/** Where there are more, these tell enough; the lists have all. */
const mostReasons = 20

/** RFC 3339 in UTC, to the millisecond. */
export const time = (millis: number): string => new Date(millis).toISOString()

const timeOrNull = (millis: number | null): string | null => millis === null ? null : time(millis)

const nothingKnown = {
  answers: false,
  log_end: null,
  relay: null,
  consumer_lag: null,
  leases: null,
  unfinished: null,
  open_instructions: null,
  sealed_up_to: null,
  behind: null
}

export const shard = (seen: ShardSeen): typeof Shard.Encoded => {
  const { lag, partitions, pulse, shard, unfinished } = seen
  const named = { id: `shard_${shard}`, object: "shard" as const, shard, partitions }
  if (pulse === null) return { ...named, ...nothingKnown }
  const carried = Diagnosis.carriedOf(seen)
  return {
    ...named,
    answers: true,
    log_end: Number(pulse.lastPosition),
    relay: carried && {
      position: Number(carried.position),
      waiting: carried.waiting,
      waiting_since: timeOrNull(carried.waitingSinceMillis),
      moved_at: time(carried.movedAtMillis)
    },
    consumer_lag: lag,
    leases: pulse.leases.map((lease) => ({
      role: lease.role,
      holder: lease.holder,
      epoch: Number(lease.epoch),
      expires_at: time(lease.expiresAtMillis),
      held: isHeld(pulse, lease)
    })),
    unfinished: unfinished && {
      requested: unfinished.requested,
      authorized: unfinished.authorized,
      held: unfinished.held,
      oldest_at: timeOrNull(unfinished.oldestMillis)
    },
    open_instructions: unfinished && unfinished.openInstructions,
    sealed_up_to: pulse.sealed && Number(pulse.sealed.upTo),
    behind: pulse.behind && {
      log_end: Number(pulse.behind.logEnd),
      seen_to: Number(pulse.behind.seenTo),
      seen_by: pulse.behind.seenBy
    }
  }
}

/** @param createdAtMillis when it was looked */
export const status = (seen: Seen, createdAtMillis: number): typeof Status.Encoded => {
  const wrongs = Diagnosis.wrongs(seen)
  const halts = Diagnosis.halts(seen)
  const silent = seen.shards.flatMap(({ shard, silent }) =>
    silent.map(({ openSinceMillis, transfer: { status, terms } }) => ({
      transfer: terms.transfer,
      shard,
      status,
      open_since: time(openSinceMillis)
    }))
  )
  const stopped = seen.stopped.map(({ offset, partition, record, shard }) => ({
    shard,
    partition,
    offset: Number(offset),
    type: record && record.type,
    subject: record && record.subject,
    waiting_since: timeOrNull(record && record.occurredAtMillis)
  }))
  const troubled = Diagnosis.troubled(seen)
  return {
    id: "status",
    object: "status",
    created_at: time(createdAtMillis),
    money: {
      right: wrongs.length > 0 ? false : seen.sums === null ? null : true,
      because: wrongs.slice(0, mostReasons),
      breaks: { critical: Diagnosis.breaksOf(seen, "critical"), warning: Diagnosis.breaksOf(seen, "warning") },
      currencies: Diagnosis.sumsOf(seen.sums ?? []).map(({ credits, debits, held, inFlight, ...sums }) => ({
        ...sums,
        debits: debits.toString(),
        credits: credits.toString(),
        held: held.toString(),
        in_flight: inFlight.toString()
      }))
    },
    moving: { well: halts.length === 0, because: halts, shards: seen.shards.map(shard) },
    stuck: {
      nothing: silent.length === 0 && stopped.length === 0 && troubled === 0,
      transfers: silent,
      partitions: stopped,
      parked: seen.parked && { waiting: seen.parked.length, troubled }
    },
    suggestions: Diagnosis.suggestions(seen)
  }
}
