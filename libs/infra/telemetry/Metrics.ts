/** Every metric of the platform, named once. Base units; labels of few values, never ids. */
import { Effect, Metric } from "effect"
import type { Changes } from "#domain/ledger/Batch.ts"
import type { Severity } from "#domain/reconciliation/Checks.ts"

export const transfersEnded = Metric.counter("transfers_total", {
  description: "transfers that reached a state, by status",
  incremental: true
})
export const batchSeconds = Metric.histogram("ledger_batch_seconds", {
  description: "from taking a batch of messages to its commit",
  boundaries: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5]
})
export const batchMessages = Metric.histogram("ledger_batch_messages", {
  description: "messages decided in one transaction",
  boundaries: [1, 2, 5, 10, 25, 50, 100, 250, 500, 1000]
})
export const entriesWritten = Metric.counter("ledger_entries_total", {
  description: "entries written, two for each journal",
  incremental: true
})
export const lostRaces = Metric.counter("ledger_lost_races_total", {
  description: "batches read and decided again, because another writer changed what they assumed",
  incremental: true
})
export const partitionsStopped = Metric.gauge("ledger_partitions_stopped", {
  description: "partitions of a shard that stopped at a message which cannot be processed"
})
export const eventsPublished = Metric.counter("relay_published_total", {
  description: "events carried from shards' logs to the event log",
  incremental: true
})
export const relayPosition = Metric.gauge("relay_position", {
  description: "how far a shard's log has been carried",
  bigint: true
})
export const askedAgain = Metric.counter("reconciler_asked_again_total", {
  description: "events appended because a transfer or an instruction got no answer, by type",
  incremental: true
})
export const breaksOpen = Metric.gauge("breaks_open", {
  description: "disagreements that stand and nobody has explained, by severity"
})
export const lastChecked = Metric.gauge("reconciler_last_success_timestamp_seconds", {
  description: "when all checks, or a sample of them, were last run to their end, since 1970"
})
export const violations = Metric.gauge("reconciler_violations", {
  description: "rows that break an invariant, found by the last check"
})
export const eventsSealed = Metric.counter("sealer_events_total", {
  description: "events put into sealed blocks",
  incremental: true
})
export const sealedPosition = Metric.gauge("sealer_position", {
  description: "how far a shard's log has been sealed",
  bigint: true
})
export const sealingStopped = Metric.gauge("sealer_stopped", {
  description: "1 where a shard is not sealed any more, because its chain was changed"
})

export const deliveries = Metric.counter("webhook_deliveries_total", {
  description: "notifications posted to the receiver, by outcome: accepted, failed (tried again), refused",
  incremental: true
})
export const deliverySeconds = Metric.histogram("webhook_delivery_seconds", {
  description: "from posting a notification to the receiver's answer, or to giving up on it",
  boundaries: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15]
})
export const oldestPending = Metric.gauge("webhook_oldest_pending_seconds", {
  description: "how long ago the oldest fact happened that was read and is not delivered, parked ones left out"
})
export const parkedKeys = Metric.gauge("notifier_parked_keys", {
  description: "accounts with messages that wait for a person, or are being retried"
})
export const notifierStopped = Metric.gauge("notifier_stopped", {
  description: "1 while more keys would be parked than may be, and nothing more is read"
})
export const notifierPartitionsStopped = Metric.gauge("notifier_partitions_stopped", {
  description: "partitions that stopped at a record which cannot be read"
})

const shardLabel = (shard: number) => ({ shard: String(shard) })

/** Says how many partitions of a shard this process has stopped at a message. */
export const stopped = (shard: number, partitions: number) =>
  Metric.update(Metric.withAttributes(partitionsStopped, shardLabel(shard)), partitions)

/** Counts what one batch of the ledger worker wrote. */
export const batchWritten = Effect.fnUntraced(
  function*(shard: number, messages: number, changes: Changes, millis: number) {
    if (messages === 0) return
    const label = shardLabel(shard)
    yield* Metric.update(Metric.withAttributes(batchSeconds, label), millis / 1000)
    yield* Metric.update(Metric.withAttributes(batchMessages, label), messages)
    yield* Metric.update(Metric.withAttributes(entriesWritten, label), changes.journals.length * 2)
    const byStatus = new Map<string, number>()
    for (const { transfer } of changes.transfers) {
      byStatus.set(transfer.status, (byStatus.get(transfer.status) ?? 0) + 1)
    }
    for (const [status, count] of byStatus) {
      yield* Metric.update(Metric.withAttributes(transfersEnded, { ...label, status }), count)
    }
  }
)

/** Counts what one step of the relay carried. */
export const carried = Effect.fnUntraced(function*(shard: number, events: number, upTo: bigint) {
  yield* Metric.update(Metric.withAttributes(eventsPublished, shardLabel(shard)), events)
  yield* Metric.update(Metric.withAttributes(relayPosition, shardLabel(shard)), upTo)
})

/** Takes note that checks were run to their end; what all of them found is shown until they are run again. */
export const checked = Effect.fnUntraced(function*(kind: "full" | "sample", found: number, atMillis: number) {
  if (kind === "full") yield* Metric.update(violations, found)
  yield* Metric.update(Metric.withAttributes(lastChecked, { kind }), Math.floor(atMillis / 1000))
})

/** Counts the open breaks of all shards. */
export const breaks = (severities: ReadonlyArray<Severity>) =>
  Effect.forEach(["critical", "warning"] as const, (severity) =>
    Metric.update(
      Metric.withAttributes(breaksOpen, { severity }),
      severities.filter((each) => each === severity).length
    ), { discard: true })

/** What the notifier shows of itself while it has the lease. */
export interface NotifierState {
  readonly parkedKeys: number
  readonly isStopped: boolean
  readonly partitionsStopped: number
  readonly oldestPendingSeconds: number
}

export const notifierState = Effect.fnUntraced(function*(state: NotifierState) {
  yield* Metric.update(parkedKeys, state.parkedKeys)
  yield* Metric.update(notifierStopped, state.isStopped ? 1 : 0)
  yield* Metric.update(notifierPartitionsStopped, state.partitionsStopped)
  yield* Metric.update(oldestPending, state.oldestPendingSeconds)
})

/** Counts what one block sealed. */
export const sealed = Effect.fnUntraced(function*(shard: number, events: number, upTo: bigint) {
  yield* Metric.update(Metric.withAttributes(eventsSealed, shardLabel(shard)), events)
  yield* Metric.update(Metric.withAttributes(sealedPosition, shardLabel(shard)), upTo)
})
