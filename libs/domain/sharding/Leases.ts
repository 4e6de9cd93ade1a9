/**
 * Leases: who works for a shard in a role. At most one process at a time in health; and because "at a time" cannot be had
 * from clocks alone, every lease has an epoch that what it protects checks again.
 */
import { Context, Duration, Effect, type Option, Schedule, Schema } from "effect"
import type { ShardId } from "./ShardMap.ts"
import type { ShardUnavailable } from "./Shards.ts"

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
  /** Gives a lease back, so that another process need not wait for it to run out. */
  readonly release: (lease: Lease) => Effect.Effect<void, ShardUnavailable>
}>()("counterpoise/domain/sharding/Leases") {}

/**
 * Does `work` for as long as this process holds the lease, for ever: waits for the lease, renews it, interrupts the work
 * when it is lost, and begins again whenever the work fails with an error that passes. It ends only by a defect, or by
 * being interrupted, and gives the lease back then.
 */
export const whileHolding = Effect.fnUntraced(
  function*<E extends { readonly _tag: string; readonly message: string }, R>(
    shard: ShardId,
    role: Role,
    work: (lease: Lease) => Effect.Effect<never, E, R>
  ) {
    const leases = yield* Leases
    const every = Duration.divideUnsafe(leases.timeToLive, 4)

    const renewal = (lease: Lease) =>
      leases.renew(lease).pipe(
        // A shard that does not answer may be back before the lease runs out; after that the lease is lost to us.
        Effect.retry({ while: (error) => error._tag === "ShardUnavailable", schedule: Schedule.spaced("100 millis") }),
        Effect.timeoutOrElse({
          duration: Duration.divideUnsafe(leases.timeToLive, 2),
          orElse: () => Effect.fail(LeaseLost.make({ shard, role }))
        }),
        Effect.delay(every),
        Effect.forever
      )

    const once = leases.acquire(shard, role).pipe(
      Effect.flatMap((acquired) => {
        if (acquired._tag === "None") return Effect.sleep(Duration.divideUnsafe(leases.timeToLive, 10))
        const lease = acquired.value
        return Effect.logInfo("lease taken", { epoch: lease.epoch }).pipe(
          Effect.andThen(Effect.raceFirst(work(lease), renewal(lease))),
          Effect.ensuring(Effect.ignore(leases.release(lease)))
        )
      }),
      Effect.catch((error) =>
        Effect.logWarning("work stopped, will begin again", { because: error._tag, why: error.message }).pipe(
          Effect.andThen(Effect.sleep("200 millis"))
        )
      )
    )
    return yield* Effect.forever(once)
  },
  (effect, shard, role) => Effect.annotateLogs(effect, { shard, role })
)
