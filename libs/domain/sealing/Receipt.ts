/**
 * Receipts: everything that was sealed of one transfer, with what it takes to verify it offline, by whoever has the public
 * key and nothing else. docs/evidence.md has the form, receipts/verify.mjs the verifier.
 */
import { Effect, Result, Schema } from "effect"
import { type ShardId, type ShardMap, shardOfAccount } from "../sharding/ShardMap.ts"
import type { Terms } from "../transfer/TransferEvent.ts"
import { rootOf, type SealedBlock, textOf } from "./Block.ts"
import { type Hash, hexOf } from "./Hash.ts"
import {
  type EventRow,
  hiddenOfEvent,
  hiddenOfJournal,
  type JournalRow,
  listed,
  listOf,
  type Logged,
  sameBytes
} from "./Leaf.ts"
import { treeOf } from "./Merkle.ts"
import { type Part, Seals } from "./Seals.ts"
import type { Trusted } from "./Verification.ts"

/** Where the leaf of a row stands in its block, and how it leads to the block's root. */
export interface LeafPath {
  readonly shard: ShardId
  readonly block: bigint
  /** From 0. */
  readonly index: number
  readonly path: ReadonlyArray<string>
}

export interface ReceiptEvent {
  readonly leaf: LeafPath
  readonly event: EventRow
  /** Stands for the columns that are not shown. */
  readonly hidden: string
}

export interface ReceiptJournal {
  readonly leaf: LeafPath
  /** Of the event that it was written with. */
  readonly position: bigint
  readonly journal: JournalRow
  readonly hidden: string
}

export interface Receipt {
  readonly transfer: string
  readonly events: ReadonlyArray<ReceiptEvent>
  readonly journals: ReadonlyArray<ReceiptJournal>
  /** Every block that a row stands in. */
  readonly blocks: ReadonlyArray<SealedBlock>
}

/** A public key as it is published: named, and as SPKI in base64. */
export interface PublicKey {
  readonly id: string
  readonly publicKey: string
}

/** A receipt as it is handed out, and read by receipts/verify.mjs: a form that is kept, whatever becomes of the rest. */
export const documentOf = ({ blocks, events, journals, transfer }: Receipt, keys: ReadonlyArray<PublicKey>) => ({
  id: transfer,
  object: "receipt" as const,
  format: "counterpoise receipt 1" as const,
  events: events.map(({ event, hidden, leaf }) => ({
    position: Number(event.position),
    occurred_at: kept(event.occurredAt),
    type: kept(event.type),
    subject: kept(event.subject),
    request_id: event.requestId,
    payload: kept(event.payload),
    hidden,
    leaf: leafOf(leaf)
  })),
  journals: journals.map(({ hidden, journal, leaf, position }) => ({
    position: Number(position),
    created_at: kept(journal.createdAt),
    transfer: kept(journal.transfer),
    leg: kept(journal.leg),
    step: kept(journal.step),
    amount: kept(journal.amount),
    currency: kept(journal.currency),
    debit: kept(journal.debit),
    credit: kept(journal.credit),
    hidden,
    leaf: leafOf(leaf)
  })),
  blocks: blocks.map((block) => ({
    shard: block.shard,
    number: Number(block.number),
    after: Number(block.after),
    up_to: Number(block.upTo),
    leaves: block.leaves,
    root: block.root,
    list: block.list,
    previous: block.previous,
    witness_shard: block.witness?.shard ?? null,
    witness_number: block.witness === null ? null : Number(block.witness.number),
    witness_hash: block.witness?.hash ?? null,
    sealed_at: block.sealedAt,
    key: block.keyId,
    signature: block.signature
  })),
  // To look up, never to trust: who verifies has the public keys from elsewhere.
  keys: keys.filter(({ id }) => blocks.some(({ keyId }) => keyId === id)).map(({ id, publicKey }) => ({
    id,
    public_key: publicKey
  }))
})

/** A column that is never null: no row without it is sealed, or passes for one that was. */
const kept = (text: string | null): string => text ?? ""

const leafOf = ({ block, index, path, shard }: LeafPath) => ({ shard, block: Number(block), index, path })

/** Something of the transfer waits to be sealed. */
export class NotSealed extends Schema.TaggedError<NotSealed>()("NotSealed", { transfer: Schema.String }) {
  override get message() {
    return `something of ${this.transfer} is not sealed yet`
  }
}

/** What would be shown is not what was sealed. Nobody who asks for a receipt can act on it; the operators must. */
export class NotAsSealed extends Schema.TaggedError<NotAsSealed>()("NotAsSealed", {
  transfer: Schema.String,
  found: Schema.String
}) {
  override get message() {
    return `there can be no receipt of ${this.transfer}: ${this.found}`
  }
}

/** The rows of a part that stand in one block, with their paths. */
const inBlock = (
  hash: Hash,
  trusted: Trusted,
  transfer: string,
  block: SealedBlock,
  rows: ReadonlyArray<Logged>
): Result.Result<Omit<Receipt, "transfer">, NotAsSealed> => {
  const { keyId, leafList, number, root, secret, shard, signature } = block
  const fail = (found: string) => Result.fail(NotAsSealed.make({ transfer, found: `${found} (block ${number})` }))
  if (trusted(keyId, textOf(block), signature) !== "valid") return fail(`no signature of a trusted key (${keyId})`)
  if (rootOf(hash, leafList) !== root) return fail("the leaves of a block are not those that were sealed")
  const leaves = listed(leafList)
  const tree = treeOf(hash, leaves.map((leaf) => leaf.hash))
  const leafAt = (index: number): LeafPath => ({
    shard,
    block: number,
    index,
    path: tree.pathOf(index).map(hexOf)
  })
  const events: Array<ReceiptEvent> = []
  const journals: Array<ReceiptJournal> = []
  for (const row of rows) {
    const { event } = row
    const first = leaves.findIndex(({ position }) => position === event.position)
    const own = listed(listOf(hash, secret, [row]))
    const isAsSealed = own.every((leaf, at) => {
      const sealed = leaves[first + at]
      return sealed?.position === event.position && sameBytes(sealed.hash, leaf.hash)
    })
    if (!isAsSealed) return fail(`event ${event.position} of shard ${shard}, or a journal beside it, was changed`)
    events.push({ leaf: leafAt(first), event, hidden: hiddenOfEvent(hash, secret, event) })
    row.journals.forEach((journal, at) =>
      journals.push({
        leaf: leafAt(first + 1 + at),
        position: event.position,
        journal,
        hidden: hiddenOfJournal(hash, secret, event.position, journal)
      })
    )
  }
  return Result.succeed({ events, journals, blocks: [block] })
}

/** The receipt of a transfer, from what its shards have of it. */
export const receiptOf = (
  hash: Hash,
  trusted: Trusted,
  transfer: string,
  parts: ReadonlyArray<Part>
): Result.Result<Receipt, NotSealed | NotAsSealed> =>
  Result.gen(function*() {
    const found: Array<Omit<Receipt, "transfer">> = []
    for (const { blocks, rows } of parts) {
      const blockOf = ({ event }: Logged) =>
        blocks.find(({ after, upTo }) => after < event.position && event.position <= upTo)
      if (rows.length === 0 || rows.some((row) => blockOf(row) === undefined)) {
        return yield* Result.fail(NotSealed.make({ transfer }))
      }
      for (const block of blocks) {
        found.push(yield* inBlock(hash, trusted, transfer, block, rows.filter((row) => blockOf(row) === block)))
      }
    }
    return {
      transfer,
      events: found.flatMap(({ events }) => events),
      journals: found.flatMap(({ journals }) => journals),
      blocks: found.flatMap(({ blocks }) => blocks)
    }
  })

/** Makes the receipt of a transfer out of what was sealed on the shards of its source and of its destination. */
export const receiptFor = Effect.fn("receiptFor")(function*(
  { destination, source, transfer }: Pick<Terms, "destination" | "source" | "transfer">,
  options: { readonly hash: Hash; readonly trusted: Trusted; readonly map: ShardMap }
) {
  const seals = yield* Seals
  const { hash, map, trusted } = options
  const home = shardOfAccount(map, source)
  const parts = yield* Effect.forEach(
    new Set([home, shardOfAccount(map, destination)]),
    (shard) => seals.partOf(shard, transfer),
    { concurrency: 2 }
  )
  // A destination that was never asked has nothing of the transfer.
  const known = parts.filter(({ rows, shard }) => shard === home || rows.length > 0)
  return yield* Effect.fromResult(receiptOf(hash, trusted, transfer, known))
})
