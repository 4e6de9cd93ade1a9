/**
 * The reconciler: asks again what got no answer, by appending events only; proves the invariants, and keeps a break for each
 * disagreement that it finds, until it is gone; and seals what was written. It never touches a balance, and releases nothing by age: it asks, and the destination's verdict decides.
 */
import { Clock, Duration, Effect, Metric, Random } from "effect"
import type { LedgerEvent } from "#domain/ledger/LedgerEvent.ts"
import { ShardLog } from "#domain/messaging/ShardLog.ts"
import { Breaks, decideBreaks } from "#domain/reconciliation/Breaks.ts"
import { type CheckOptions, Checks, type Run, type Severity, violationsOf } from "#domain/reconciliation/Checks.ts"
import { idOf, type Patience, question, SilentTransfers } from "#domain/reconciliation/SilentTransfers.ts"
import { type Lease, whileHolding } from "#domain/sharding/Leases.ts"
import type { ShardId } from "#domain/sharding/ShardMap.ts"
import { Shards } from "#domain/sharding/Shards.ts"
import * as Metrics from "#infra/telemetry/Metrics.ts"
import type { Sealer } from "./Sealer.ts"

export interface ReconcilerOptions {
  readonly patience: Patience
  /** How often to look for silent transfers. */
  readonly every: Duration.Duration
  /** How often to prove the invariants. */
  readonly checkEvery: Duration.Duration
  /** How often to prove some of them; only all at once unless given. */
  readonly sampleEvery?: Duration.Duration
  /** Without one, nothing is sealed. */
  readonly sealer?: Sealer
}

const mostPerLook = 500
/** A check that found this many need not say more in the logs. */
const mostReported = 20
/** How many checks are run between two runs of all of them. */
const checksInASample = 5
/** Of so many breaks that are opened at once the evidence is taken down; where there are more, these tell enough. */
const mostExplained = 100
const longestPauseMillis = 10 * 60_000

/** Looks after a shard's transfers and instructions for as long as this process holds the reconciler's lease. */
export const reconciler = (shard: ShardId, options: ReconcilerOptions) =>
  whileHolding(shard, "reconciler", (lease) =>
    Effect.raceAllFirst([
      askAgain(lease, options),
      // The invariants are proved over all shards at once, by whoever looks after the first.
      ...(shard === 0 ? [prove(options)] : []),
      ...(options.sealer === undefined ? [] : [options.sealer(lease)])
    ]))

const askAgain = Effect.fnUntraced(function*({ shard }: Lease, { every, patience }: ReconcilerOptions) {
  const silent = yield* SilentTransfers
  const log = yield* ShardLog
  /** When a transfer or an instruction was last asked about; each question doubles the wait for the next, with jitter. */
  const asked = new Map<string, { readonly times: number; readonly againAtMillis: number }>()

  /** Everything from before this time has ended: a look need not go through the whole history. */
  let sinceMillis = 0
  const longestPatience = Math.max(Duration.toMillis(patience.requested), Duration.toMillis(patience.held))

  const look = Effect.gen(function*() {
    const now = yield* Clock.currentTimeMillis
    const transfers = yield* silent.find(shard, patience, sinceMillis, mostPerLook)
    const oldest = Math.min(...transfers.map(({ openSinceMillis }) => openSinceMillis))
    // An hour more than needed, so that clocks that differ between this process and the shard do no harm.
    if (transfers.length < mostPerLook) sinceMillis = Math.min(oldest, now - longestPatience) - 3_600_000
    // A transfer before what is asked of it: where both were lost, its request must be heard first.
    const found = [...transfers, ...yield* silent.findInstructions(shard, patience, mostPerLook)]
    const questions = found.flatMap((one) => {
      const id = idOf(one)
      const event = (asked.get(id)?.againAtMillis ?? 0) <= now ? question(one) : undefined
      return event === undefined ? [] : [{ id, event }]
    })
    if (questions.length > 0) {
      yield* log.append(shard, questions.map(({ event }) => event))
      for (const { event, id } of questions) {
        const times = (asked.get(id)?.times ?? 0) + 1
        const pause = Math.min(longestPauseMillis, Duration.toMillis(every) * 2 ** times)
        asked.set(id, { times, againAtMillis: now + pause * (0.75 + 0.5 * (yield* Random.next)) })
        yield* Effect.logInfo("asked again", { ...about(event), type: event.type, times })
        yield* Metric.update(Metric.withAttributes(Metrics.askedAgain, { type: event.type }), 1)
      }
    }
    const open = new Set(found.map(idOf))
    for (const id of asked.keys()) if (!open.has(id)) asked.delete(id)
    yield* Effect.sleep(every)
  })
  return yield* Effect.forever(look)
})

/** What a question is about, as the logs name it. */
const about = (event: LedgerEvent) => ({
  ...("account" in event ? { accountId: event.account } : { transferId: event.transfer }),
  ...("instruction" in event ? { instructionId: event.instruction } : {})
})

/** Runs every check at intervals, and some of them, drawn at random, more often. What they find is opened as breaks. */
const prove = Effect.fnUntraced(function*({ checkEvery, every, patience, sampleEvery }: ReconcilerOptions) {
  const checks = yield* Checks
  const grace = Duration.sum(Duration.max(patience.held, patience.requested), Duration.times(every, 4))

  const run = (only?: ReadonlySet<string>) =>
    proveOnce({ atRest: false, grace, ...(only === undefined ? {} : { only }) }).pipe(
      // The invariants over all shards need all shards. While one is down they wait; asking again does not.
      Effect.catchTag(
        "ShardUnavailable",
        (error) => Effect.logWarning("invariants not checked", { why: error.message })
      )
    )

  const sample = Effect.gen(function*() {
    const drawn = yield* Random.shuffle(checks.all.map(({ name }) => name))
    yield* run(new Set([...drawn].slice(0, checksInASample)))
  })

  let fullyAgainAtMillis = 0
  const next = Effect.gen(function*() {
    const now = yield* Clock.currentTimeMillis
    const isDue = now >= fullyAgainAtMillis
    if (isDue) fullyAgainAtMillis = now + Duration.toMillis(checkEvery)
    yield* isDue ? run() : sample
    yield* Effect.sleep(sampleEvery === undefined ? checkEvery : Duration.min(sampleEvery, checkEvery))
  })
  return yield* Effect.forever(next)
})

/** Runs checks on all shards, and books what they find. */
export const proveOnce = Effect.fnUntraced(function*(options: CheckOptions) {
  const checks = yield* Checks
  const runs = yield* checks.run(options)
  const found = violationsOf(runs)
  yield* Effect.forEach(found.slice(0, mostReported), (violation) => Effect.logError("invariant broken", violation), {
    discard: true
  })
  yield* bookBreaks(runs)
  const kind = options.only === undefined ? "full" : "sample"
  yield* Metrics.checked(kind, found.length, yield* Clock.currentTimeMillis)
  yield* Effect.logInfo("invariants checked", { kind, violations: found.length })
})

/** Opens, keeps and closes the breaks of all shards, as the runs say. */
const bookBreaks = Effect.fnUntraced(function*(runs: ReadonlyArray<Run>) {
  const breaks = yield* Breaks
  const { map } = yield* Shards
  const shards = [...new Set(map.homes)]
  const severities: Array<Severity> = []
  for (const shard of shards) {
    const standing = yield* breaks.standing(shard)
    const changes = decideBreaks(shard, standing, runs)
    const closed = new Set(changes.close)
    severities.push(
      ...standing.flatMap(({ number, severity, status }) => status === "open" && !closed.has(number) ? [severity] : []),
      ...changes.open.map(({ severity }) => severity)
    )
    if (changes.open.length + changes.see.length + changes.close.length === 0) continue
    const subjects = [...new Set(changes.open.map(({ subject }) => subject))].slice(0, mostExplained)
    const evidence = subjects.length === 0 ?
      [] :
      yield* Effect.forEach(
        shards,
        (other) =>
          Effect.map(
            breaks.evidence(other, subjects),
            (found) => [...found].map(([subject, says]) => ({ subject, shard: other, says }))
          )
      )
    const bySubject = Map.groupBy(evidence.flat(), ({ subject }) => subject)
    yield* breaks.record(
      shard,
      changes,
      new Map([...bySubject].map(([subject, all]) => [subject, all.map(({ says, shard }) => ({ shard, says }))]))
    )
  }
  yield* Metrics.breaks(severities)
})
