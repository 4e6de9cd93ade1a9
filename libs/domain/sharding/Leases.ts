/**
 * Leases: who works for a shard in a role. At most one process at a time in health; and because "at a time" cannot be had
 * from clocks alone, every lease has an epoch that what it protects checks again.
 */
import { Context, Duration, Effect, type Option, Predicate, Schedule, Schema } from "effect"
import type { ShardId } from "./ShardMap.ts"
import { isBehind, type ShardUnavailable } from "./Shards.ts"

export type Role = "relay" | "ledger" | "reconciler"

export interface Lease {
  readonly shard: ShardId
  readonly role: Role
  /** Grows with every new holder. */
  readonly epoch: bigint
}

/** The lease ran out, or another process took it. What it allowed must stop. */
export class LeaseLost extends Schema.TaggedError<LeaseLost>()("LeaseLost", {
  shard: Schema.Int,
  role: Schema.String
}) {
  override get message() {
    return `the ${this.role} lease of shard ${this.shard} is lost`
  }
}

export class Leases extends Context.Service<Leases, {
  /** How long a lease stands without renewal, by the shard's clock. */
  readonly timeToLive: Duration.Duration
  /** Takes a lease that nobody holds, or that ran out. */
  readonly acquire: (shard: ShardId, role: Role) => Effect.Effect<Option.Option<Lease>, ShardUnavailable>
  readonly renew: (lease: Lease) => Effect.Effect<void, LeaseLost | ShardUnavailable>
  /** Fails, and lets nobody work for the shard before it has caught up, if somebody has seen more of its log than it has. */
  readonly examine: (
    lease: Lease,
    seen: { readonly position: bigint; readonly by: string }
  ) => Effect.Effect<void, ShardUnavailable>
  /** Gives a lease back, so that another process need not wait for it to run out. */
  readonly release: (lease: Lease) => Effect.Effect<void, ShardUnavailable>
}>()("counterpoise/domain/sharding/Leases") {}

/** Does `work` for a shard in a role, for as long as this process holds the lease of it; see {@link whileHeld}. */
export const whileHolding = Effect.fnUntraced(
  function*<E extends { readonly _tag: string; readonly message: string }, R>(
    shard: ShardId,
    role: Role,
    work: (lease: Lease) => Effect.Effect<never, E, R>
  ) {
    const leases = yield* Leases
    return yield* whileHeld({
      timeToLive: leases.timeToLive,
      acquire: leases.acquire(shard, role),
      renew: leases.renew,
      release: leases.release,
      lost: LeaseLost.make({ shard, role })
    }, work)
  },
  (effect, shard, role) => Effect.annotateLogs(effect, { shard, role })
)

/**
 * Does `work` for as long as this process holds a lease, for ever: waits for the lease, renews it, interrupts the work
 * when it is lost, and begins again whenever the work fails with an error that passes. It ends only by a defect, or by
 * being interrupted, and gives the lease back then.
 */
export const whileHeld = Effect.fnUntraced(function*<
  Held extends { readonly epoch: bigint },
  Trouble extends { readonly _tag: string; readonly message: string },
  E extends { readonly _tag: string; readonly message: string },
  R
>(
  lease: {
    readonly timeToLive: Duration.Duration
    readonly acquire: Effect.Effect<Option.Option<Held>, Trouble>
    readonly renew: (held: Held) => Effect.Effect<void, Trouble>
    readonly release: (held: Held) => Effect.Effect<void, Trouble>
    /** The one trouble that says that the lease is not ours any more; any other may pass. */
    readonly lost: Trouble
  },
  work: (held: Held) => Effect.Effect<never, E, R>
) {
  const every = Duration.divideUnsafe(lease.timeToLive, 4)

  const renewal = (held: Held) =>
    lease.renew(held).pipe(
      // What keeps the lease and does not answer may be back before the lease runs out; after that it is lost to us.
      Effect.retry({ while: (error) => error._tag !== lease.lost._tag, schedule: Schedule.spaced("100 millis") }),
      Effect.timeoutOrElse({
        duration: Duration.divideUnsafe(lease.timeToLive, 2),
        orElse: () => Effect.fail(lease.lost)
      }),
      Effect.delay(every),
      Effect.forever
    )

  const once = lease.acquire.pipe(
    Effect.flatMap((acquired) => {
      if (acquired._tag === "None") return Effect.sleep(Duration.divideUnsafe(lease.timeToLive, 10))
      const held = acquired.value
      return Effect.logInfo("lease taken", { epoch: held.epoch }).pipe(
        Effect.andThen(Effect.raceFirst(work(held), renewal(held))),
        Effect.ensuring(Effect.ignore(lease.release(held)))
      )
    }),
    Effect.catch((error) =>
      Effect.logWarning("work stopped, will begin again", { because: error._tag, why: error.message }).pipe(
        // A shard that lost data waits for a person: it is said again, but not all the time.
        Effect.andThen(
          Effect.sleep(Predicate.hasProperty(error, "cause") && isBehind(error) ? "5 seconds" : "200 millis")
        )
      )
    )
  )
  return yield* Effect.forever(once)
})
