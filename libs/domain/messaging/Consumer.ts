/**
 * The port to the database of a consumer's own: its lease, its places in the event log, and what it has parked. For
 * consumers that are not about balances; the ledger worker's places are kept on the shards that they guard.
 */
import { Context, type Duration, Effect, type Option, Schema } from "effect"
import { whileHeld } from "../sharding/Leases.ts"
import type { Place } from "./ConsumerPositions.ts"
import type { LogRecord } from "./EventLog.ts"
import type { ParkedMessage, Trouble } from "./Parked.ts"

/** The right to work as this consumer, for a time, unless renewed. */
export interface ConsumerLease {
  /** Grows with every new holder. */
  readonly epoch: bigint
}

/**
 * The consumer's database cannot be reached, or gave up on the work. Whether a commit that was on its way took place is
 * unknown: begin anew from what the database says.
 */
export class ConsumerUnavailable extends Schema.TaggedError<ConsumerUnavailable>()("ConsumerUnavailable", {
  consumer: Schema.String,
  cause: Schema.Defect()
}) {
  override get message() {
    return `the database of the ${this.consumer} is not available: ${
      this.cause instanceof Error ? this.cause.message : String(this.cause)
    }`
  }
}

/** Another process works as this consumer now, or has moved a place of ours: what we know is stale. */
export class StaleConsumer extends Schema.TaggedError<StaleConsumer>()("StaleConsumer", { consumer: Schema.String }) {
  override get message() {
    return `another process works as the ${this.consumer} now`
  }
}

/** A record that goes to the park: with the trouble that it has, or because its key is parked. */
export interface Parking {
  readonly record: LogRecord
  readonly trouble: Trouble | null
}

/** The consumer's state, as its worker sees it: only inside {@link Consumer}`.transact`. */
export class ConsumerState extends Context.Service<ConsumerState, {
  /**
   * The places of `partitions` in the log named `log`, and the keys that are parked. In a log never read before every place
   * begins at offset 0, with what was seen of each source kept: a lost log that is published again is not delivered again.
   */
  readonly load: (log: string, partitions: ReadonlyArray<number>) => Effect.Effect<
    { readonly places: ReadonlyArray<Place>; readonly parked: ReadonlySet<string> },
    ConsumerUnavailable
  >
  /** Moves places by compare-and-set on `next`. */
  readonly advance: (
    log: string,
    moves: ReadonlyArray<{ readonly was: Place; readonly now: Place }>
  ) => Effect.Effect<void, StaleConsumer | ConsumerUnavailable>
  /** Parks records, in this order. One that is parked already stays as it is. */
  readonly park: (records: ReadonlyArray<Parking>) => Effect.Effect<void, ConsumerUnavailable>
  /** For each of the keys, the first `most` of the messages that wait, in order; keys without any are left out. */
  readonly waiting: (
    keys: ReadonlyArray<string>,
    most: number
  ) => Effect.Effect<ReadonlyMap<string, ReadonlyArray<ParkedMessage>>, ConsumerUnavailable>
  /** Takes note that parked messages were delivered. */
  readonly delivered: (numbers: ReadonlyArray<bigint>) => Effect.Effect<void, ConsumerUnavailable>
  /** Takes note that parked messages are in trouble, again. */
  readonly troubled: (
    troubles: ReadonlyArray<{ readonly number: bigint; readonly trouble: Trouble }>
  ) => Effect.Effect<void, ConsumerUnavailable>
}>()("counterpoise/domain/messaging/ConsumerState") {}

export class Consumer extends Context.Service<Consumer, {
  readonly name: string
  /** How long the lease stands without renewal, by the database's clock. */
  readonly timeToLive: Duration.Duration
  /** Takes the lease if nobody holds it, or if it ran out. */
  readonly acquire: Effect.Effect<Option.Option<ConsumerLease>, ConsumerUnavailable>
  readonly renew: (lease: ConsumerLease) => Effect.Effect<void, StaleConsumer | ConsumerUnavailable>
  readonly release: (lease: ConsumerLease) => Effect.Effect<void, ConsumerUnavailable>
  /** Runs `work` in one transaction, if the lease still stands: all of it happens, or none of it. */
  readonly transact: <A, E, R>(
    lease: ConsumerLease,
    work: Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E | StaleConsumer | ConsumerUnavailable, Exclude<R, ConsumerState>>
}>()("counterpoise/domain/messaging/Consumer") {}

/** Does `work` as this consumer, for as long as this process holds its lease; see {@link whileHeld}. */
export const whileConsuming = Effect.fnUntraced(
  function*<E extends { readonly _tag: string; readonly message: string }, R>(
    work: (lease: ConsumerLease) => Effect.Effect<never, E, R>
  ) {
    const { acquire, name, release, renew, timeToLive } = yield* Consumer
    return yield* whileHeld(
      { timeToLive, acquire, renew, release, lost: StaleConsumer.make({ consumer: name }) },
      work
    ).pipe(Effect.annotateLogs({ consumer: name }))
  }
)
