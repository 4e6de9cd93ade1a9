/**
 * Verifying: every block is computed anew from the rows as they stand now, and compared with what was sealed. Nothing that
 * the shard says of itself is believed but what carries a signature of a key that the caller trusts.
 */
import { Effect, Option } from "effect"
import type { ShardId } from "../sharding/ShardMap.ts"
import { type Head, headOf, listHashOf, nothing, rootOf, type SealedBlock, textOf, type Witness } from "./Block.ts"
import type { Hash } from "./Hash.ts"
import { type JournalRow, type Listed, listed, listOf, type Logged, sameBytes } from "./Leaf.ts"
import { type End, Seals, type Snapshot } from "./Seals.ts"

/** One thing that is not as it was sealed. */
export interface Finding {
  readonly shard: ShardId
  /** The number of the block; `null` for what is in none. */
  readonly block: bigint | null
  /** What happened to the subject: a row (edited, deleted, inserted) or a block (unsigned, unchained, unlisted, gone). */
  readonly what: "edited" | "deleted" | "inserted" | "unsigned" | "unchained" | "unlisted" | "gone"
  readonly subject: string
  readonly detail: string
}

/** Whether a text was signed with a key: `unknown` where the key is not among those that are trusted. */
export type Trusted = (keyId: string, text: string, signature: string) => "valid" | "invalid" | "unknown"

/** A head that somebody has kept: from a log, a receipt, or the page of public keys. */
export interface KnownHead extends Head {
  readonly shard: ShardId
}

export interface VerifyOptions {
  readonly hash: Hash
  readonly trusted: Trusted
  readonly heads: ReadonlyArray<KnownHead>
  /** Told after each block. */
  readonly progress?: (shard: ShardId, block: bigint) => Effect.Effect<void>
}

/** What was found on one shard. */
export interface Report {
  readonly shard: ShardId
  readonly head: Head
  /** The position up to which the log is sealed. */
  readonly upTo: bigint
  readonly events: number
  /** The events, and the journals beside them. */
  readonly leaves: number
  /** Events that came after the last block: nothing is known of them yet. */
  readonly unsealed: bigint
  /** At most {@link mostFindings}. */
  readonly findings: ReadonlyArray<Finding>
}

/** A shard of which this many things are wrong needs no longer list. */
export const mostFindings = 1_000

const oneOf = (journals: ReadonlyArray<JournalRow>, at: number) => {
  const journal = journals[at]
  return journal === undefined ? "a journal" : `journal ${journal.step} of ${journal.transfer}, leg ${journal.leg}`
}

const nameOf = ({ event }: Logged) => `event ${event.position}, ${event.type} of ${event.subject}`

/** The leaves at one position: an event first, then its journals. */
type Leaves = ReadonlyArray<Listed>

const byPosition = (list: Uint8Array): ReadonlyMap<bigint, Leaves> =>
  Map.groupBy(listed(list), ({ position }) => position)

/** The rows at one position that are not as they were sealed. */
const atPosition = (
  position: bigint,
  sealed: Leaves,
  live: Leaves,
  row: Logged | undefined
): ReadonlyArray<Pick<Finding, "what" | "subject" | "detail">> => {
  const journals = row?.journals ?? []
  if (row === undefined) {
    const beside = sealed.length === 1 ? "" : `, and ${sealed.length - 1} journal(s) beside it`
    return [{ what: "deleted", subject: `event ${position}`, detail: `was sealed${beside}, and is not there` }]
  }
  if (sealed.length === 0) {
    return [
      { what: "inserted", subject: nameOf(row), detail: "is not among what was sealed" },
      ...journals.map((_, at) => ({
        what: "inserted" as const,
        subject: oneOf(journals, at),
        detail: `stands beside event ${position}, and is not among what was sealed`
      }))
    ]
  }
  const [sealedEvent, ...sealedJournals] = sealed
  const [liveEvent, ...liveJournals] = live
  const edited = sealedEvent !== undefined && liveEvent !== undefined && !sameBytes(sealedEvent.hash, liveEvent.hash)
    ? [{ what: "edited" as const, subject: nameOf(row), detail: "is not as it was sealed" }]
    : []
  const isAmong = (leaf: Listed, leaves: Leaves) => leaves.some((other) => sameBytes(leaf.hash, other.hash))
  const lost = sealedJournals.filter((leaf) => !isAmong(leaf, liveJournals)).length
  const strange = liveJournals.flatMap((leaf, at) => isAmong(leaf, sealedJournals) ? [] : [oneOf(journals, at)])
  return [
    ...edited,
    ...strange.map((subject, at) =>
      at < lost
        ? { what: "edited" as const, subject, detail: `is not as it was sealed beside event ${position}` }
        : { what: "inserted" as const, subject, detail: `is not among what was sealed beside event ${position}` }
    ),
    ...Array.from({ length: Math.max(0, lost - strange.length) }, () => ({
      what: "deleted" as const,
      subject: `a journal of ${row.event.subject}`,
      detail: `was sealed beside ${nameOf(row)}, and is not there`
    }))
  ]
}

/** What is wrong with the rows of a block. */
const ofRows = (hash: Hash, block: SealedBlock, rows: ReadonlyArray<Logged>): ReadonlyArray<Finding> => {
  const { after, leafList, list, number, root, secret, shard, upTo } = block
  const at = { shard, block: number }
  const subject = `block ${number}`
  const live = listOf(hash, secret, rows)
  const isAsSealed = rootOf(hash, live) === root && listHashOf(hash, { leafList: live, secret }) === list
  const isListed = listHashOf(hash, { leafList, secret }) === list
  if (isAsSealed) {
    const detail = "its rows are as they were sealed, but the list of its leaves is not"
    return isListed ? [] : [{ ...at, what: "unlisted", subject, detail }]
  }
  if (!isListed) {
    const detail =
      `rows after position ${after} up to ${upTo} are not as they were sealed; which, cannot be said: the ` +
      "list of its leaves, or the secret beside it, is not as it was either"
    return [{ ...at, what: "unlisted", subject, detail }]
  }
  const sealedAt = byPosition(leafList)
  const liveAt = byPosition(live)
  const rowAt = new Map(rows.map((row) => [row.event.position, row]))
  const positions = [...new Set([...sealedAt.keys(), ...liveAt.keys()])].toSorted((a, b) => a < b ? -1 : 1)
  return positions.flatMap((position) =>
    atPosition(position, sealedAt.get(position) ?? [], liveAt.get(position) ?? [], rowAt.get(position))
      .map((finding) => ({ ...at, ...finding }))
  )
}

/** What is wrong with a block as such: its signature, and its place in the chain. */
const ofChain = (trusted: Trusted, before: End, block: SealedBlock): ReadonlyArray<Finding> => {
  const at = { shard: block.shard, block: block.number, subject: `block ${block.number}` }
  const findings: Array<Finding> = []
  const isNext = block.number === before.number + 1n
  if (!isNext) {
    findings.push({ ...at, what: "gone", detail: `follows on block ${before.number}: what was between them is gone` })
  }
  if (isNext && block.previous !== before.hash) {
    findings.push({
      ...at,
      what: "unchained",
      detail: `names another block ${before.number} than the one that is there`
    })
  }
  if (isNext && block.after !== before.upTo) {
    findings.push({
      ...at,
      what: "unchained",
      detail: `begins after ${block.after}; the one before ends at ${before.upTo}`
    })
  }
  const signed = trusted(block.keyId, textOf(block), block.signature)
  if (signed === "unknown") {
    findings.push({ ...at, what: "unsigned", detail: `is signed with key ${block.keyId}, which is not trusted` })
  }
  if (signed === "invalid") {
    findings.push({ ...at, what: "unsigned", detail: `does not carry the signature of key ${block.keyId}` })
  }
  return findings
}

const ofHead = (known: KnownHead, found: string | undefined, by: string): ReadonlyArray<Finding> =>
  found === known.hash ? [] : [{
    shard: known.shard,
    block: known.number,
    what: "gone",
    subject: `block ${known.number}`,
    detail: found === undefined
      ? `is not there, though ${by} knows it: ${known.hash}`
      : `is not the one that ${by} knows: ${known.hash}`
  }]

const lowest = -(2n ** 63n)

/** Verifies the chain of one shard, block by block: only one of them is in memory at any time. */
const verifyShard = Effect.fnUntraced(function*(shard: ShardId, options: VerifyOptions) {
  const { hash, heads, trusted } = options
  const seals = yield* Seals
  const findings: Array<Finding> = []
  const witnesses: Array<Witness> = []
  const known = new Map(heads.filter((head) => head.shard === shard).map((head) => [head.number, head]))
  const add = (found: ReadonlyArray<Finding>) => {
    findings.push(...found.slice(0, mostFindings - findings.length))
  }
  const report = yield* seals.look(
    shard,
    Effect.fnUntraced(function*(snapshot: Snapshot) {
      let end: End = { ...nothing, upTo: 0n }
      let events = 0
      let leaves = 0
      for (const row of yield* snapshot.rows(lowest, 0n)) {
        add([{ shard, block: null, what: "inserted", subject: nameOf(row), detail: "no position is below 1" }])
      }
      for (;;) {
        const next = yield* snapshot.blockAfter(end.number)
        if (Option.isNone(next)) break
        const block = next.value
        const rows = yield* snapshot.rows(block.after, block.upTo)
        add(ofChain(trusted, end, block))
        add(ofRows(hash, block, rows))
        end = { ...headOf(hash, block), upTo: block.upTo }
        events += rows.length
        leaves += block.leaves
        const kept = known.get(block.number)
        if (kept !== undefined) add(ofHead(kept, end.hash, "who keeps heads"))
        known.delete(block.number)
        if (block.witness !== null) witnesses.push(block.witness)
        yield* options.progress?.(shard, block.number) ?? Effect.void
      }
      for (const kept of known.values()) add(ofHead(kept, undefined, "who keeps heads"))
      for (const subject of yield* snapshot.strays(mostFindings)) {
        add([{ shard, block: null, what: "inserted", subject, detail: "has no event: nothing was ever sealed of it" }])
      }
      const { number, upTo } = end
      const head: Head = { number, hash: end.hash }
      return {
        shard,
        head,
        upTo,
        events,
        leaves,
        unsealed: yield* snapshot.countAfter(upTo),
        findings
      } satisfies Report
    })
  )
  return { report, witnesses }
})

/** What the chains of other shards know of a shard's, and that shard does not. */
const contradicted = Effect.fnUntraced(function*(shard: ShardId, witnesses: ReadonlyArray<Witness>) {
  const seals = yield* Seals
  const known = witnesses.filter((witness) => witness.shard === shard)
  const found = yield* seals.hashesOf(shard, known.map(({ number }) => number))
  return known.flatMap((witness) => ofHead(witness, found.get(witness.number), "another shard's chain"))
})

/**
 * Verifies the chains of shards, each as it is at one moment, and that they don't contradict each other. Rows are named
 * where the list of a block's leaves still fits its root.
 */
export const verify = Effect.fn("verify")(function*(shards: ReadonlyArray<ShardId>, options: VerifyOptions) {
  const looks = yield* Effect.forEach(shards, (shard) => verifyShard(shard, options), { concurrency: 2 })
  const witnesses = looks.flatMap((look) => look.witnesses)
  return yield* Effect.forEach(
    looks,
    ({ report }) =>
      Effect.map(contradicted(report.shard, witnesses), (found): Report => ({
        ...report,
        findings: [...report.findings, ...found].slice(0, mostFindings)
      }))
  )
})
