/**
 * A transaction on a shard in memory. It waits where a database's would: for who claimed a row that it wants, and no longer
 * than a database lets it. Between its statements anything may happen, so a simulator can put anything there.
 */
import { Clock, Deferred, Effect, Option } from "effect"
import type { ShardId } from "#domain/sharding/ShardMap.ts"
import { ShardUnavailable } from "#domain/sharding/Shards.ts"

/** For how long the database waits, in milliseconds; libs/infra/postgres/Postgres.ts asks the same of PostgreSQL. */
export const patience = {
  /** for a row that another transaction has claimed */
  lock: 5_000,
  /** for a statement to end */
  statement: 15_000,
  /** for a client that fell silent in a transaction; then it is ended, so that a frozen process holds nobody up for long */
  silence: 10_000
}

export const unavailable = (shard: ShardId, why: string) => ShardUnavailable.make({ shard, cause: new Error(why) })

const passed = (clock: Clock.Clock): number => Number(clock.monotonicTimeNanosUnsafe()) / 1_000_000

export class MemoryTransaction {
  readonly shard: ShardId
  readonly begunAtMillis: number
  /** The time by the shard's clock, which may jump. */
  readonly nowMillis: () => number
  /** Has it claimed a row, or drawn a position? */
  hasWritten = false
  /** The way of a statement to the shard, on which anything may happen. */
  readonly arrival: Effect.Effect<void, ShardUnavailable>
  readonly #reach: Effect.Effect<void, ShardUnavailable>
  readonly #atEnd: Array<(isCommitted: boolean) => void> = []
  #state: "open" | "committed" | "rolled back" = "open"
  /** In time that only ever passes, as what a database waits for is. */
  #heardOfAtMillis: number | undefined
  #waitsFor: MemoryTransaction | undefined
  #ended: Deferred.Deferred<void> | undefined

  /** `reach` is the way from the process to the shard, which every statement takes. */
  constructor(shard: ShardId, nowMillis: () => number, reach: Effect.Effect<void, ShardUnavailable>) {
    this.shard = shard
    this.begunAtMillis = nowMillis()
    this.nowMillis = nowMillis
    this.#reach = Effect.tapError(reach, () => Effect.sync(() => this.rollBack()))
    this.arrival = this.statement(() => {})
  }

  /** Has it ended, by itself or by somebody else? */
  get hasEnded(): boolean {
    return this.#state !== "open"
  }

  /** One statement: once it is there it is done at once. What it throws is a defect. */
  statement<A>(body: () => A): Effect.Effect<A, ShardUnavailable> {
    return Effect.andThen(this.#reach, this.#atOnce(body))
  }

  /**
   * Makes rows this transaction's own until it ends, in a part of a statement that is done at once. It names the owner of a
   * row that is another's: then this waits for that one, and begins it again.
   */
  claim(rows: () => MemoryTransaction | undefined): Effect.Effect<void, ShardUnavailable> {
    return Effect.suspend(() => {
      if (this.hasEnded) return this.#wasEnded
      const owner = rows()
      this.hasWritten = true
      return owner === undefined ? Effect.void : Effect.andThen(this.#waitFor(owner), this.claim(rows))
    })
  }

  /** Does something when the transaction ends, in the order in which it was asked for. */
  atEnd(then: (isCommitted: boolean) => void): void {
    this.#atEnd.push(then)
  }

  /** Makes all that was written visible, at once. */
  get commit(): Effect.Effect<void, ShardUnavailable> {
    return this.#atOnce(() => this.end(true))
  }

  /** Ends it as if it had never begun. */
  rollBack(): void {
    this.end(false)
  }

  /** Waits until it has ended, or for so long; answers whether it has. Ends it where its client has fallen silent. */
  ended(withinMillis: number): Effect.Effect<boolean> {
    return Clock.clockWith((clock) =>
      Effect.suspend(() => {
        if (this.#state !== "open") return Effect.succeed(true)
        const heard = this.#waitsFor === undefined
          ? (this.#heardOfAtMillis ?? passed(clock)) + patience.silence - passed(clock)
          : patience.silence
        if (heard <= 0) {
          this.rollBack()
          return Effect.succeed(true)
        }
        this.#ended ??= Deferred.makeUnsafe()
        const within = Math.min(heard, withinMillis)
        return Deferred.await(this.#ended).pipe(
          Effect.timeoutOption(within),
          Effect.flatMap((ended) =>
            Option.isSome(ended) || within === withinMillis
              ? Effect.succeed(Option.isSome(ended))
              : this.ended(withinMillis - within)
          )
        )
      })
    )
  }

  /** Does something in a transaction that is open, unless its client was silent for too long; nobody can come between. */
  #atOnce<A>(body: () => A): Effect.Effect<A, ShardUnavailable> {
    return Clock.clockWith((clock) => {
      const nowMillis = passed(clock)
      if (nowMillis - (this.#heardOfAtMillis ?? nowMillis) >= patience.silence) this.rollBack()
      this.#heardOfAtMillis = nowMillis
      return this.hasEnded ? this.#wasEnded : Effect.succeed(body())
    })
  }

  get #wasEnded(): Effect.Effect<never, ShardUnavailable> {
    return Effect.suspend(() => Effect.fail(unavailable(this.shard, "the transaction was ended")))
  }

  #waitFor(owner: MemoryTransaction): Effect.Effect<void, ShardUnavailable> {
    for (let next: MemoryTransaction | undefined = owner; next !== undefined; next = next.#waitsFor) {
      if (next === this) return this.#giveUp("deadlock detected")
    }
    this.#waitsFor = owner
    return owner.ended(patience.lock).pipe(
      Effect.ensuring(Effect.sync(() => this.#waitsFor = undefined)),
      Effect.flatMap((hasEnded) => hasEnded ? this.#atOnce(() => {}) : this.#giveUp("lock timeout"))
    )
  }

  #giveUp(why: string): Effect.Effect<never, ShardUnavailable> {
    return Effect.suspend(() => {
      this.rollBack()
      return Effect.fail(unavailable(this.shard, why))
    })
  }

  /** Ends it, unless it has ended: all that was written is visible at once, or it is as if it had never begun. */
  end(isCommitted: boolean): void {
    if (this.#state !== "open") return
    this.#state = isCommitted ? "committed" : "rolled back"
    for (const then of this.#atEnd) then(isCommitted)
    if (this.#ended !== undefined) Deferred.doneUnsafe(this.#ended, Effect.void)
  }
}
