/**
 * The port to the event log that all shards share: partitioned, ordered within a partition, readable from any offset.
 *
 * It is a copy of the shards' own logs and can be lost. No promise rests on what its adapter does beyond this: what was
 * appended and acknowledged is delivered at least once, and per partition and source shard positions arrive in order,
 * with replays only. `test/laws/EventLogLaws.ts` holds every adapter to it.
 */
import { Context, type Effect, Predicate, Schema, type Scope } from "effect"
import type { ShardId } from "../sharding/ShardMap.ts"

/** An event on its way: what stands in a shard's log, and how it travels. */
export interface LogRecord {
  /** The partition of the account that acts next. */
  readonly partition: number
  /** The shard in whose log the event stands. */
  readonly source: ShardId
  /** Its place in that log; ascending, with gaps. */
  readonly position: bigint
  /** The account that acts next. */
  readonly key: string
  /** The event's type, such as `transfer.held`. */
  readonly type: string
  /** The transfer or account that the event is about. */
  readonly subject: string
  /** The event as JSON. */
  readonly payload: string
  /** When the shard wrote it, in milliseconds since 1970. */
  readonly occurredAtMillis: number
  /** W3C trace context of the request that began it. */
  readonly traceparent: string | null
  /** The id of the request that began it. */
  readonly requestId: string | null
}

/** A record as it was read. Offsets ascend within a partition, possibly with gaps. */
export interface Delivered extends LogRecord {
  readonly offset: bigint
}

/** What a cause says of itself; a message must not fail over what it was given. */
const said = (cause: unknown): string =>
  Predicate.hasProperty(cause, "message") && typeof cause.message === "string"
    ? cause.message
    : typeof cause === "string"
    ? cause
    : "for an unknown reason"

/** The log cannot be reached now. Nothing is known to have been appended; trying again later may help. */
export class EventLogUnavailable extends Schema.TaggedError<EventLogUnavailable>()("EventLogUnavailable", {
  operation: Schema.String,
  cause: Schema.Defect()
}) {
  override get message() {
    return `the event log did not ${this.operation}: ${said(this.cause)}`
  }
}

/**
 * An append may or may not have taken place. The writer is of no more use: open a new one and append again from the last
 * acknowledged position; readers drop what they have seen.
 */
export class AppendAmbiguous extends Schema.TaggedError<AppendAmbiguous>()("AppendAmbiguous", {
  cause: Schema.Defect()
}) {
  override get message() {
    return `it is unknown whether events were appended: ${said(this.cause)}`
  }
}

/** A newer writer of the same source shard has been opened. This one must stop. */
export class WriterFenced extends Schema.TaggedError<WriterFenced>()("WriterFenced", { source: Schema.Int }) {
  override get message() {
    return `another writer publishes shard ${this.source} now`
  }
}

/** The log does not have the offset that is asked for: it was truncated, or lost and made anew under the same name. */
export class OffsetOutOfRange extends Schema.TaggedError<OffsetOutOfRange>()("OffsetOutOfRange", {
  partition: Schema.Int,
  asked: Schema.BigInt,
  begin: Schema.BigInt,
  end: Schema.BigInt
}) {
  override get message() {
    return `partition ${this.partition} holds offsets ${this.begin} to ${this.end}, asked for ${this.asked}`
  }
}

export interface EventLogWriter {
  /**
   * Appends records of one source shard, in ascending order of position; returns when they are durable. Each call is
   * awaited before the next: one append in flight. An append that was interrupted has an unknown outcome too.
   */
  readonly append: (
    records: ReadonlyArray<LogRecord>
  ) => Effect.Effect<void, WriterFenced | AppendAmbiguous | EventLogUnavailable>
}

export interface EventLogReader {
  /**
   * Waits until there is at least one record, and takes at most `most` of those that are there: the next batch forms
   * while the last one is worked on. Records of a partition come in order; partitions are merged without any promise.
   * A take that was interrupted while it waited took nothing. After EventLogUnavailable the same reader may be asked
   * again; if it goes on failing, open another: that will say whether the log still has the offsets.
   */
  readonly take: (most: number) => Effect.Effect<ReadonlyArray<Delivered>, EventLogUnavailable>
  /** The next offset of a partition: everything below it was taken, or is no record. */
  readonly next: (partition: number) => bigint | undefined
}

/** The offsets a partition holds: from `begin` up to, not including, `end`. */
export interface Bounds {
  readonly begin: bigint
  readonly end: bigint
}

export class EventLog extends Context.Service<EventLog, {
  /** Names this log for its life: offsets mean something only within it. A log lost and made anew has another name. */
  readonly identity: string
  readonly capabilities: {
    /** Offsets of a partition have no gaps. */
    readonly denseOffsets: boolean
    /** An append is visible as a whole or not at all, over all partitions. */
    readonly atomicAppends: boolean
    /** Opening a writer stops earlier writers of the same source. */
    readonly fencesWriters: boolean
    /** What was appended survives the process. */
    readonly durable: boolean
  }
  /** Opens the writer of a source shard; earlier writers of that shard are fenced where the log can. */
  readonly writer: (source: ShardId) => Effect.Effect<EventLogWriter, EventLogUnavailable, Scope.Scope>
  /** Opens a reader of some partitions, each from an offset. */
  readonly reader: (
    from: ReadonlyMap<number, bigint>
  ) => Effect.Effect<EventLogReader, EventLogUnavailable | OffsetOutOfRange, Scope.Scope>
  /** The highest position of a shard that this log is known to hold; 0 where it holds none. */
  readonly frontier: (source: ShardId) => Effect.Effect<bigint, EventLogUnavailable>
  /** The offsets that partitions hold now. */
  readonly bounds: (
    partitions: ReadonlyArray<number>
  ) => Effect.Effect<ReadonlyMap<number, Bounds>, EventLogUnavailable>
}>()("counterpoise/domain/messaging/EventLog") {}
