/**
 * Parked: a message that waits for a person, while others go on. For consumers that may go on without one: notifications,
 * read models. Balances never do; their partition stops.
 *
 * A message that cannot be delivered parks its key: it waits with its trouble, and everything that comes later for the same
 * key waits behind it, in order. Whoever has no trouble and nobody before it is delivered: so a message that is retried
 * releases its key, message by message, and one that is discarded makes way for the next. Nothing is ever deleted.
 */
import { Context, Effect, type Option, Result, Schema } from "effect"
import { AccountId } from "../account/Account.ts"
import type { Place } from "./ConsumerPositions.ts"
import type { ConsumerUnavailable } from "./Consumer.ts"
import type { Delivered, LogRecord } from "./EventLog.ts"

/**
 * Why a message could not be delivered: it does not say what its type promises; whom it is for will not have it; or would
 * not take it, so often that it held up the others.
 */
export interface Trouble {
  readonly class: "undecodable" | "refused" | "failing"
  /** For people. */
  readonly detail: string
  /** How often it was tried. */
  readonly tries: number
}

export interface ParkedMessage extends LogRecord {
  /** Ascends in the order of parking, which is the order of its key. */
  readonly number: bigint
  readonly status: "waiting" | "delivered" | "discarded"
  /** The last trouble; `null` where it only waits behind others, or is being retried. */
  readonly trouble: Trouble | null
  readonly parkedAtMillis: number
  /** Who discarded it, and why. */
  readonly discarded: Actor | null
}

/** Who decides something by hand, and why. */
export interface Actor {
  readonly name: string
  readonly reason: string
}

/** That a person asked for a message to be tried again, and the trouble that it had until then. */
export interface ParkedRetry extends Actor {
  readonly trouble: Trouble
  readonly atMillis: number
}

/** Some of the messages are not there, or do not wait for a person. Nothing was changed. */
export class NotParked extends Schema.TaggedError<NotParked>()("NotParked", {
  numbers: Schema.Array(Schema.BigInt)
}) {
  override get message() {
    return `no person is waited for by message ${
      this.numbers.join(", ")
    }: it is not there, has ended, is being retried, ` +
      "or (for a retry) only waits behind another of its key"
  }
}

/** A decision about messages does not say who made it, or why. */
export class ActorMissing extends Schema.TaggedError<ActorMissing>()("ActorMissing", {}) {
  override get message() {
    return "who decides about a parked message must say so, and why"
  }
}

/** Nobody decides anonymously, or for no reason. */
export const named = ({ name, reason }: Actor): Effect.Effect<void, ActorMissing> =>
  /\S/.test(name) && /\S/.test(reason) ? Effect.void : Effect.fail(ActorMissing.make({}))

/** A record that can neither be handled nor be parked: nobody can say which others it must stay in order with. */
export class Unreadable extends Schema.TaggedError<Unreadable>()("Unreadable", { why: Schema.String }) {
  override get message() {
    return `a record cannot be read: ${this.why}`
  }
}

const isAccountId = Schema.is(AccountId)

/** Why a record can be neither handled nor parked, if so. PostgreSQL keeps no U+0000; no shard writes any of this. */
const unreadable = ({ key, occurredAtMillis, payload, requestId, subject, traceparent, type }: LogRecord) =>
  !isAccountId(key)
    ? "its key is not the id of an account"
    : [payload, type, subject, traceparent, requestId].some((text) => text?.includes("\u0000"))
    ? "it holds the character U+0000"
    : !Number.isInteger(occurredAtMillis) || Math.abs(occurredAtMillis) > latestMillis
    ? "it happened at no time"
    : undefined

/** The end of JavaScript's time. */
const latestMillis = 8.64e15

/**
 * What becomes of a record at a place of its partition: it was seen before, it waits behind its key, which is parked, or
 * it is the next of its key to be delivered.
 */
export const decide = (
  record: Delivered,
  place: Place,
  parked: ReadonlySet<string>
): Result.Result<"seen" | "wait" | "deliver", Unreadable> => {
  if (record.offset < place.next) return Result.succeed("seen")
  if (record.position <= (place.seen.get(record.source) ?? 0n)) return Result.succeed("seen")
  const why = unreadable(record)
  if (why !== undefined) return Result.fail(Unreadable.make({ why }))
  return Result.succeed(parked.has(record.key) ? "wait" : "deliver")
}

/** What people do with the parked messages of a consumer. */
export class Parked extends Context.Service<Parked, {
  /** Messages in the order of their numbers, above `after` and at most `most` of them; of one key, or of all. */
  readonly list: (wanted: {
    readonly status: ParkedMessage["status"]
    readonly key: string | null
    readonly after: bigint
    readonly most: number
  }) => Effect.Effect<ReadonlyArray<ParkedMessage>, ConsumerUnavailable>
  /** A message, and how often it was retried before. */
  readonly show: (number: bigint) => Effect.Effect<
    Option.Option<{ readonly message: ParkedMessage; readonly retries: ReadonlyArray<ParkedRetry> }>,
    ConsumerUnavailable
  >
  /**
   * Lets the consumer try messages again that have trouble; what waits behind them follows, in order, for as long as all
   * goes well. All of them, or none.
   */
  readonly retry: (
    numbers: ReadonlyArray<bigint>,
    by: Actor
  ) => Effect.Effect<void, NotParked | ActorMissing | ConsumerUnavailable>
  /**
   * Gives up messages whose key waits for a person. They stay where they are, marked with who decided it and why; what
   * waits behind follows. All of them, or none.
   */
  readonly discard: (
    numbers: ReadonlyArray<bigint>,
    by: Actor
  ) => Effect.Effect<void, NotParked | ActorMissing | ConsumerUnavailable>
}>()("counterpoise/domain/messaging/Parked") {}
