/**
 * The relay: carries a shard's event log to the event log that all shards share, in order.
 *
 * It reads up to the position barrier, awaits each append, then moves its cursor. So per partition the positions of a
 * shard arrive in order, with replays only, whatever dies when; two relays of one shard (one of them a zombie) change
 * nothing about that, and the lease's epoch keeps the zombie from moving the cursor.
 */
import { Duration, Effect } from "effect"
import { EventLog } from "#domain/messaging/EventLog.ts"
import { ShardLog } from "#domain/messaging/ShardLog.ts"
import { type Lease, Leases, whileHolding } from "#domain/sharding/Leases.ts"
import type { ShardId } from "#domain/sharding/ShardMap.ts"
import * as Metrics from "#infra/telemetry/Metrics.ts"

const mostPerAppend = 1_000
const shortestPauseMillis = 1
const usualPauseMillis = 20
/** Reached when nothing was written for a second: who is idle should cost next to nothing. */
const longestPauseMillis = 100

/** The pause after one in which nothing was written. */
const longer = (pause: number) => pause < usualPauseMillis ? pause * 1.5 : Math.min(longestPauseMillis, pause * 1.1)

/** Carries a shard's log for as long as this process holds the relay's lease. */
export const relay = (shard: ShardId) => whileHolding(shard, "relay", work)

const work = Effect.fnUntraced(function*(lease: Lease) {
  const log = yield* EventLog
  const leases = yield* Leases
  const shardLog = yield* ShardLog
  const { shard } = lease
  yield* leases.examine(lease, { position: yield* log.frontier(shard), by: "the event log" })
  const writer = yield* log.writer(shard)
  let position = yield* shardLog.cursor(shard, log.identity)
  let pause = shortestPauseMillis

  const step = Effect.gen(function*() {
    const { records, upTo } = yield* shardLog.after(shard, position, mostPerAppend)
    if (records.length === 0) {
      position = upTo
      yield* Effect.sleep(Duration.millis(pause))
      pause = longer(pause)
      return
    }
    yield* writer.append(records)
    yield* shardLog.advance(lease, log.identity, upTo)
    position = upTo
    pause = shortestPauseMillis
    yield* Metrics.carried(shard, records.length, upTo)
  })
  return yield* Effect.forever(step)
}, Effect.scoped)
