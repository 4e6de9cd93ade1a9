/**
 * Breaks: disagreements that the reconciler found, from when a check finds one until the check finds it no more. What a run
 * of the checks means for them is decided here; a person may say of one that it is explained, and nobody else may.
 */
import { Context, type Effect, type Option, Schema } from "effect"
import type { Operation } from "../operations/Operation.ts"
import type { ShardId } from "../sharding/ShardMap.ts"
import type { ShardUnavailable } from "../sharding/Shards.ts"
import { mostViolations, type Run, type Severity } from "./Checks.ts"

export type BreakStatus = "open" | "resolved" | "closed"

export interface Break {
  /** Where it is kept: on the shard that it is about; on the first, if it is about all of them. */
  readonly shard: ShardId
  readonly number: bigint
  /** The name of the check. */
  readonly invariant: string
  readonly severity: Severity
  readonly subject: string
  /** As it was last found. */
  readonly detail: string
  readonly status: BreakStatus
  readonly timesSeen: number
  readonly openedAtMillis: number
  readonly seenAtMillis: number
  readonly closedAtMillis: number | null
}

/** What one shard has on record of what a break is about. */
export interface BreakEvidence {
  readonly shard: ShardId
  readonly says: unknown
}

/** One thing that happened to a break. */
export interface BreakRecord {
  readonly what: "opened" | "changed" | "resolved" | "reopened" | "closed"
  readonly detail: string
  /** What the shards had on record when it was opened. */
  readonly evidence: ReadonlyArray<BreakEvidence>
  /** Who resolved it. */
  readonly by: Operation | null
  readonly atMillis: number
}

export const breakId = ({ number, shard }: Pick<Break, "shard" | "number">): string => `brk_${shard}_${number}`

/** Where the break of an id would be kept. */
export const placeOfBreak = (id: string): Pick<Break, "shard" | "number"> | undefined => {
  const [, shard, number] = /^brk_(0|[1-9][0-9]{0,3})_([1-9][0-9]{0,17})$/.exec(id) ?? []
  return shard === undefined || number === undefined ? undefined : { shard: Number(shard), number: BigInt(number) }
}

// decisions ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/** What a run found of one subject. */
export interface BreakFinding {
  readonly invariant: string
  readonly severity: Severity
  readonly subject: string
  readonly detail: string
}

export type StandingBreak = Pick<Break, "number" | "invariant" | "subject" | "detail" | "status" | "severity">

/** What a run means for the breaks of a shard. */
export interface BreakChanges {
  readonly open: ReadonlyArray<BreakFinding>
  /** Those that were found again; `what` is null where nothing about them is new. */
  readonly see: ReadonlyArray<{
    readonly number: bigint
    readonly detail: string
    readonly status: BreakStatus
    readonly what: "changed" | "reopened" | null
  }>
  readonly close: ReadonlyArray<bigint>
}

const longestDetail = 2_000

const keyOf = (of: { readonly invariant: string; readonly subject: string }) => `${of.invariant} ${of.subject}`

/** The findings of a shard, one for each check and subject. */
const findingsOf = (shard: ShardId, runs: ReadonlyArray<Run>): ReadonlyMap<string, BreakFinding> => {
  const findings = new Map<string, BreakFinding>()
  for (const { check: { name: invariant, severity }, violations } of runs) {
    const here = violations.filter((violation) => (violation.shard ?? 0) === shard)
    for (const [subject, all] of Map.groupBy(here, (violation) => violation.subject)) {
      const detail = all.map((violation) => violation.detail).toSorted().join("; ").slice(0, longestDetail)
      findings.set(keyOf({ invariant, subject }), { invariant, severity, subject, detail })
    }
  }
  return findings
}

/**
 * What was found and does not stand is opened. What stands and was found stays; one that somebody explained is opened again
 * when it is not what was explained any more. What stands and was not found is closed, if its check was run to its end.
 *
 * @param standing the breaks of the shard that are not closed
 */
export const decideBreaks = (
  shard: ShardId,
  standing: ReadonlyArray<StandingBreak>,
  runs: ReadonlyArray<Run>
): BreakChanges => {
  const findings = findingsOf(shard, runs)
  const known = new Set(standing.map(keyOf))
  const here = runs.filter((run) => run.shard === null || run.shard === shard)
  const ran = new Set(here.map(({ check }) => check.name))
  // A check that stopped looking did not look for all that stands.
  for (const { check, violations } of here) if (violations.length >= mostViolations) ran.delete(check.name)
  return {
    open: [...findings].flatMap(([key, finding]) => known.has(key) ? [] : [finding]),
    see: standing.flatMap((one) => {
      const found = findings.get(keyOf(one))
      if (found === undefined) return []
      const { detail } = found
      const isNew = detail !== one.detail
      const what = !isNew ? null : one.status === "resolved" ? "reopened" as const : "changed" as const
      return [{ number: one.number, detail, status: isNew ? "open" as const : one.status, what }]
    }),
    close: standing.flatMap((one) => ran.has(one.invariant) && !findings.has(keyOf(one)) ? [one.number] : [])
  }
}

// port ───────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** There is no such break. */
export class BreakNotFound extends Schema.TaggedError<BreakNotFound>()("BreakNotFound", { id: Schema.String }) {
  readonly code = "break_not_found"
  override get message() {
    return `there is no break ${this.id}`
  }
}

/** What the break was about is gone: there is nothing left to explain. */
export class BreakClosed extends Schema.TaggedError<BreakClosed>()("BreakClosed", { id: Schema.String }) {
  readonly code = "break_closed"
  override get message() {
    return `${this.id} is closed: its check finds it no more`
  }
}

export class Breaks extends Context.Service<Breaks, {
  /** The breaks of a shard that are not closed. */
  readonly standing: (shard: ShardId) => Effect.Effect<ReadonlyArray<StandingBreak>, ShardUnavailable>
  /** What a shard has on record of subjects, by subject; those of which it knows nothing are left out. */
  readonly evidence: (
    shard: ShardId,
    subjects: ReadonlyArray<string>
  ) => Effect.Effect<ReadonlyMap<string, unknown>, ShardUnavailable>
  /** Writes down what a run came to, with the evidence of what it opens, by subject. What stands already is not opened again. */
  readonly record: (
    shard: ShardId,
    changes: BreakChanges,
    evidence: ReadonlyMap<string, ReadonlyArray<BreakEvidence>>
  ) => Effect.Effect<void, ShardUnavailable>
  /** Breaks of a shard in the order in which they were opened, with a number above `after`. */
  readonly list: (
    shard: ShardId,
    filter: { readonly status: BreakStatus | null; readonly severity: Severity | null },
    after: bigint,
    most: number
  ) => Effect.Effect<ReadonlyArray<Break>, ShardUnavailable>
  /** A break, and everything that happened to it, in order. */
  readonly show: (
    of: Pick<Break, "shard" | "number">
  ) => Effect.Effect<
    Option.Option<{ readonly found: Break; readonly history: ReadonlyArray<BreakRecord> }>,
    ShardUnavailable
  >
  /** Takes note that somebody explained it. One that was explained before stays as it was; `false` says so. */
  readonly resolve: (
    of: Pick<Break, "shard" | "number">,
    operation: Operation
  ) => Effect.Effect<boolean, BreakNotFound | BreakClosed | ShardUnavailable>
}>()("counterpoise/domain/reconciliation/Breaks") {}
