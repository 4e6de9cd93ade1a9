/**
 * The invariants as checks: what must hold of the books at any moment, looked for in the data itself. A check answers
 * what is wrong; silence means that it holds. docs/invariants.md lists them.
 *
 * Most are held by one shard and are queries (sql/checks/shard). Those over all shards are decided here, from evidence
 * that each shard gives (sql/checks/across). Shards have no common snapshot, so the evidence is taken in an order that
 * makes up for it: first what destinations ruled, then where transfers stand. A verdict comes before what follows from it,
 * so whatever was ruled at the first look has its transfer at the second, in a state that agrees. Only a transfer that
 * went on between the two can seem to lack its verdict; a third look at the destination settles that, and what is still
 * missing is missing. Nothing is tolerated for being recent.
 */
import { Clock, Context, type Duration, Effect } from "effect"
import { partitionOf } from "../sharding/Partition.ts"
import { type ShardId, type ShardMap, shardOfAccount } from "../sharding/ShardMap.ts"
import type { ShardUnavailable } from "../sharding/Shards.ts"
import type { TransferStatus, Verdict } from "../transfer/Transfer.ts"

/** One thing that is not as it must be. */
export interface Violation {
  /** The check's name, which is the invariant in words. */
  readonly check: string
  /** Where it was found; `null` for what concerns all shards together. */
  readonly shard: ShardId | null
  /** The account, the transfer or the currency that it is about. */
  readonly subject: string
  readonly detail: string
}

/** Critical: money is not where the books say. Warning: it does not move. */
export type Severity = "critical" | "warning"

export interface Check {
  readonly name: string
  /** As in docs/invariants.md: I01, I02, … */
  readonly number: string
  readonly sentence: string
  readonly severity: Severity
}

export interface CheckOptions {
  /** Nothing writes to the shards now: what seems to be missing is missing, and need not be looked for again. */
  readonly atRest: boolean
  /** For how long a transfer may be silent, or an event wait for the relay. */
  readonly grace: Duration.Duration
  /** The checks to run, by name; all of them unless given. */
  readonly only?: ReadonlySet<string>
}

/** Is the check to be run? */
export const isWanted = ({ only }: CheckOptions, { name }: Check): boolean => only === undefined || only.has(name)

/** One check as it was run, on one shard or over all. */
export interface Run {
  readonly check: Check
  readonly shard: ShardId | null
  /** How long it took; the checks over all shards share their evidence, and so its time. */
  readonly millis: number
  /** What it found: at most {@link mostViolations}. */
  readonly violations: ReadonlyArray<Violation>
}

/** A check that found this many has found enough. */
export const mostViolations = 1_000

export class Checks extends Context.Service<Checks, {
  /** All checks that there are. */
  readonly all: ReadonlyArray<Check>
  /** Runs the checks on every shard and over all shards. It only reads. */
  readonly run: (options: CheckOptions) => Effect.Effect<ReadonlyArray<Run>, ShardUnavailable>
}>()("counterpoise/domain/reconciliation/Checks") {}

/** Everything that was found, in the order of the checks. */
export const violationsOf = (runs: ReadonlyArray<Run>): ReadonlyArray<Violation> =>
  runs.flatMap(({ violations }) => violations)

// over all shards ────────────────────────────────────────────────────────────────────────────────────────────────────

/** What a destination's shard ruled on a transfer of another shard. */
export interface VerdictEvidence {
  readonly shard: ShardId
  readonly from: ShardId
  readonly ruling: Verdict["ruling"]
  readonly terms: EvidenceTerms
}

/** Where a transfer stands that its own shard did not rule on. */
export interface TransferEvidence {
  readonly shard: ShardId
  readonly status: TransferStatus
  /** Was its destination ever asked to credit it? */
  readonly asked: boolean
  /** With what is moving as the amount. */
  readonly terms: EvidenceTerms
}

/** The terms of a transfer as a shard has them, right or wrong. */
export interface EvidenceTerms {
  readonly transfer: string
  readonly source: string
  readonly destination: string
  readonly amount: bigint
  readonly currency: string
}

/** What a clearing account of `shard` stands at, as credits − debits. */
export interface ClearingEvidence {
  readonly shard: ShardId
  readonly direction: "to" | "from"
  readonly other: ShardId
  readonly currency: string
  readonly posted: bigint
}

export interface AccountEvidence {
  readonly shard: ShardId
  readonly account: string
  readonly partition: number
}

export interface SumEvidence {
  readonly shard: ShardId
  readonly currency: string
  readonly posted: bigint
}

/** What the shards say, each look taken after the one before. */
export interface Evidence {
  /** The first look, at the shards as destinations. */
  readonly ruled: {
    readonly verdicts: ReadonlyArray<VerdictEvidence>
    /** Of the accounts for what comes from other shards, in the snapshots of the verdicts. */
    readonly clearing: ReadonlyArray<ClearingEvidence>
  }
  /** The second look, at the shards as sources. */
  readonly stood: {
    readonly transfers: ReadonlyArray<TransferEvidence>
    /** Of the accounts for what goes to other shards, in the snapshots of the transfers. */
    readonly clearing: ReadonlyArray<ClearingEvidence>
    readonly accounts: ReadonlyArray<AccountEvidence>
    readonly sums: ReadonlyArray<SumEvidence>
  }
  /** The third look: verdicts on the transfers that {@link withoutVerdict} named, where there are some by now. */
  readonly late: ReadonlyArray<VerdictEvidence>
}

/** A check over all shards, and what decides it. */
export interface AcrossCheck extends Check {
  readonly decide: (evidence: Evidence, map: ShardMap) => ReadonlyArray<Omit<Violation, "check">>
}

/** Transfers that went on as if their destination had ruled, and whose verdict the first look did not see. */
export const withoutVerdict = ({ ruled, stood }: Pick<Evidence, "ruled" | "stood">): ReadonlyArray<string> => {
  const ruledOn = byTransfer(ruled.verdicts)
  return stood.transfers.flatMap((transfer) =>
    needsVerdict(transfer) && !ruledOn.has(transfer.terms.transfer) ? [transfer.terms.transfer] : []
  )
}

const needsVerdict = ({ asked, status }: TransferEvidence) =>
  status === "committed" || (status === "cancelled" && asked)

const byTransfer = <A extends { readonly terms: EvidenceTerms }>(evidence: ReadonlyArray<A>) =>
  new Map(evidence.map((one) => [one.terms.transfer, one]))

const say = (terms: EvidenceTerms) => `${terms.amount} ${terms.currency} from ${terms.source} to ${terms.destination}`

const committedWereCredited = ({ late, ruled, stood }: Evidence) => {
  const verdicts = byTransfer([...ruled.verdicts, ...late])
  return stood.transfers.flatMap(({ shard, status, terms }) => {
    if (status !== "committed") return []
    const ruling = verdicts.get(terms.transfer)?.ruling
    return ruling === "CREDITED" ? [] : [{
      shard,
      subject: terms.transfer,
      detail: `committed, ${say(terms)}; the verdict is ${ruling ?? "nowhere"}`
    }]
  })
}

const creditedAreHeldOrCommitted = ({ late, ruled, stood }: Evidence) => {
  const transfers = byTransfer(stood.transfers)
  return [...ruled.verdicts, ...late].flatMap(({ ruling, shard, terms }) => {
    const transfer = transfers.get(terms.transfer)
    if (ruling !== "CREDITED" || transfer === undefined) return []
    return transfer.status === "held" || transfer.status === "committed" ? [] : [{
      shard: transfer.shard,
      subject: terms.transfer,
      detail: `${transfer.status}, though shard ${shard} credited ${say(terms)}`
    }]
  })
}

const releasedAfterRefusal = ({ late, ruled, stood }: Evidence) => {
  const verdicts = byTransfer([...ruled.verdicts, ...late])
  return stood.transfers.flatMap(({ asked, shard, status, terms }) =>
    status !== "cancelled" || !asked || verdicts.has(terms.transfer)
      ? []
      : [{
        shard,
        subject: terms.transfer,
        detail: `cancelled, ${say(terms)}; its destination was asked, and never ruled`
      }]
  )
}

const ruledOnWhatIsKnown = ({ late, ruled, stood }: Evidence) => {
  const transfers = byTransfer(stood.transfers)
  const seen = new Map<string, ShardId>()
  return [...ruled.verdicts, ...late].flatMap(({ from, ruling, shard, terms }) => {
    const subject = terms.transfer
    const before = seen.get(subject)
    seen.set(subject, shard)
    if (before !== undefined && before !== shard) {
      return [{ shard, subject, detail: `${ruling} here, and ruled on by shard ${before} too` }]
    }
    const transfer = transfers.get(subject)
    if (transfer === undefined || transfer.shard !== from) {
      return [{
        shard,
        subject,
        detail: `${ruling}, ${say(terms)}; shard ${from} knows no such transfer to another shard`
      }]
    }
    const { terms: agreed } = transfer
    return agreed.amount === terms.amount && agreed.currency === terms.currency && agreed.source === terms.source &&
        agreed.destination === terms.destination && wasAsked(transfer)
      ? []
      : [{ shard, subject, detail: `${ruling}, ${say(terms)}; shard ${from} says ${transfer.status}, ${say(agreed)}` }]
  })
}

/** A transfer that was rejected, or not yet held, is nothing that its destination could have heard of. */
const wasAsked = ({ asked, status }: TransferEvidence) =>
  asked || status === "held" || status === "committed" || status === "cancelled"

/**
 * What a shard owes another is what it has committed towards it; what it is owed is what it has credited from it. The
 * difference is what was credited there and is still held here: what is in flight. Between the two looks it can only have
 * been committed here without its verdict in the first look; those are in `late`.
 */
const clearingIsInFlight = ({ late, ruled, stood }: Evidence) => {
  const transfers = byTransfer(stood.transfers)
  const pairs = new Map<
    string,
    { readonly from: ShardId; readonly to: ShardId; currency: string; sum: bigint; inFlight: bigint }
  >()
  const pair = (from: ShardId, to: ShardId, currency: string) => {
    const key = `${from} ${to} ${currency}`
    const found = pairs.get(key) ?? { from, to, currency, sum: 0n, inFlight: 0n }
    pairs.set(key, found)
    return found
  }
  for (const account of stood.clearing) {
    if (account.direction === "to") pair(account.shard, account.other, account.currency).sum += account.posted
  }
  for (const account of ruled.clearing) {
    if (account.direction === "from") pair(account.other, account.shard, account.currency).sum += account.posted
  }
  for (const { from, ruling, shard, terms } of ruled.verdicts) {
    if (ruling !== "CREDITED") continue
    const transfer = transfers.get(terms.transfer)
    if (transfer?.status === "held") pair(from, shard, terms.currency).inFlight += transfer.terms.amount
  }
  for (const { from, ruling, shard, terms } of late) {
    if (ruling === "CREDITED") pair(from, shard, terms.currency).inFlight -= terms.amount
  }
  return [...pairs.values()].flatMap(({ currency, from, inFlight, sum, to }) =>
    sum === -inFlight ? [] : [{
      shard: from,
      subject: `${from} → ${to} ${currency}`,
      detail: `clearing accounts show ${-sum} in flight, the transfers ${inFlight}`
    }]
  )
}

const accountsAtHome = ({ stood }: Evidence, map: ShardMap) =>
  stood.accounts.flatMap(({ account, partition, shard }) => {
    const home = shardOfAccount(map, account)
    return home === shard && partition === partitionOf(account, map.partitions) ? [] : [{
      shard,
      subject: account,
      detail: `lives on shard ${shard} in partition ${partition}; its home is shard ${home}, partition ${
        partitionOf(account, map.partitions)
      }`
    }]
  })

const allSumToZero = ({ stood }: Evidence) => {
  const sums = new Map<string, bigint>()
  for (const { currency, posted } of stood.sums) sums.set(currency, (sums.get(currency) ?? 0n) + posted)
  return [...sums].flatMap(([currency, sum]) =>
    sum === 0n ? [] : [{ shard: null, subject: currency, detail: `all balances of all shards add up to ${sum}` }]
  )
}

/** The checks over all shards. Their numbers go on where those of sql/checks/shard end. */
export const acrossChecks: ReadonlyArray<AcrossCheck> = [
  {
    number: "I25",
    name: "committed_transfers_were_credited",
    sentence: "A transfer to another shard is committed only if its destination was credited.",
    severity: "critical",
    decide: committedWereCredited
  },
  {
    number: "I26",
    name: "credited_transfers_are_held_or_committed",
    sentence: "A transfer whose destination was credited is committed, or still held: never rejected, never cancelled.",
    severity: "critical",
    decide: creditedAreHeldOrCommitted
  },
  {
    number: "I27",
    name: "holds_are_released_only_after_a_refusal",
    sentence: "A transfer whose destination was asked is cancelled only if the destination ruled.",
    severity: "critical",
    decide: releasedAfterRefusal
  },
  {
    number: "I28",
    name: "verdicts_are_on_known_transfers",
    sentence:
      "A verdict is on a transfer that its source's shard knows in the same terms, and no other shard ruled on it.",
    severity: "critical",
    decide: ruledOnWhatIsKnown
  },
  {
    number: "I29",
    name: "clearing_accounts_show_what_is_in_flight",
    sentence: "The clearing accounts of two shards together show exactly what is in flight from one to the other.",
    severity: "critical",
    decide: clearingIsInFlight
  },
  {
    number: "I30",
    name: "accounts_live_at_home_and_nowhere_else",
    sentence: "An account lives on the shard that is home to its partition, and on no other.",
    severity: "critical",
    decide: accountsAtHome
  },
  {
    number: "I31",
    name: "all_shards_together_sum_to_zero",
    sentence: "All balances of all shards add up to zero in every currency: money is neither created nor destroyed.",
    severity: "critical",
    decide: allSumToZero
  }
]

/** How a shard is asked for its part of the evidence. Each answer is one snapshot of that shard. */
export interface Looks<E, R> {
  readonly ruled: (shard: ShardId) => Effect.Effect<Evidence["ruled"], E, R>
  readonly stood: (shard: ShardId) => Effect.Effect<Evidence["stood"], E, R>
  /** The verdicts on these transfers, where there are some by now. */
  readonly late: (
    shard: ShardId,
    transfers: ReadonlyArray<string>
  ) => Effect.Effect<ReadonlyArray<VerdictEvidence>, E, R>
}

/** Takes the evidence of all shards, in the order that makes up for their having no common snapshot, and decides. */
export const checkAcross = Effect.fnUntraced(function*<E, R>(
  map: ShardMap,
  { late, ruled, stood }: Looks<E, R>,
  options: CheckOptions
) {
  const wanted = acrossChecks.filter((check) => isWanted(options, check))
  if (wanted.length === 0) return []
  const shards = [...new Set(map.homes)]
  const everywhere = <A>(look: (shard: ShardId) => Effect.Effect<A, E, R>) =>
    Effect.forEach(shards, look, { concurrency: 2 })
  const begun = yield* Clock.currentTimeMillis
  const first = yield* everywhere(ruled)
  const second = yield* everywhere(stood)
  const looks = {
    ruled: {
      verdicts: first.flatMap((look) => look.verdicts),
      clearing: first.flatMap((look) => look.clearing)
    },
    stood: {
      transfers: second.flatMap((look) => look.transfers),
      clearing: second.flatMap((look) => look.clearing),
      accounts: second.flatMap((look) => look.accounts),
      sums: second.flatMap((look) => look.sums)
    }
  }
  const suspects = options.atRest ? [] : withoutVerdict(looks)
  const third = suspects.length === 0 ? [] : yield* everywhere((shard) => late(shard, suspects))
  const evidence: Evidence = { ...looks, late: third.flat() }
  const millis = (yield* Clock.currentTimeMillis) - begun
  return wanted.map((check): Run => ({
    check,
    shard: null,
    millis,
    violations: check.decide(evidence, map).slice(0, mostViolations).map((violation) => ({
      check: check.name,
      ...violation
    }))
  }))
})
