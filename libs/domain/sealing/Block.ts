/**
 * Blocks: sealed stretches of a shard's log. A block says where it begins and ends, the root over its leaves, and the hash
 * of the block before it; who signs the last one has signed them all.
 */
import type { ShardId } from "../sharding/ShardMap.ts"
import { canonical, digestBytes, type Hash, hexOf } from "./Hash.ts"
import { listed, listOf, type Logged } from "./Leaf.ts"
import { treeOf } from "./Merkle.ts"

/** A block by its number and its hash: who has kept it notices when the chain is cut off below it, or made anew. */
export interface Head {
  readonly number: bigint
  readonly hash: string
}

/** The head of another shard, named in a block: a shard that is taken back alone is contradicted by its neighbour. */
export interface Witness extends Head {
  readonly shard: ShardId
}

/** What is signed. */
export interface Block {
  readonly shard: ShardId
  /** From 1, without a gap. */
  readonly number: bigint
  /** The block holds the events after one position and up to another: everything that is there, and ever will be. */
  readonly after: bigint
  readonly upTo: bigint
  /** How many leaves there are. */
  readonly leaves: number
  /** The root of the Merkle tree over them. */
  readonly root: string
  /** Stands for the list of the leaves, and the secret beside it. */
  readonly list: string
  /** The hash of the block before. */
  readonly previous: string
  readonly witness: Witness | null
  /** RFC 3339 in UTC, to the microsecond. */
  readonly sealedAt: string
  /** Names the key that it is signed with. */
  readonly keyId: string
}

/** A block as it is kept. */
export interface SealedBlock extends Block {
  readonly signature: string
  /** The list of the leaves: it says which row is not as it was, where the root only says that one is not. */
  readonly leafList: Uint8Array
  /** What the hidden parts of rows are hashed with. It keeps receipts from telling more than they show, and proves nothing. */
  readonly secret: string
}

/** What is before the first block. */
export const nothing: Head = { number: 0n, hash: "0".repeat(2 * digestBytes) }

/** The text that is signed, and whose hash is the block's. */
export const textOf = (block: Block): string =>
  canonical([
    "counterpoise block 1",
    String(block.shard),
    String(block.number),
    String(block.after),
    String(block.upTo),
    String(block.leaves),
    block.root,
    block.list,
    block.previous,
    block.witness === null ? null : String(block.witness.shard),
    block.witness === null ? null : String(block.witness.number),
    block.witness === null ? null : block.witness.hash,
    block.sealedAt,
    block.keyId
  ])

export const headOf = (hash: Hash, block: Block): Head => ({ number: block.number, hash: hash.hex(textOf(block)) })

/** The root over listed leaves. */
export const rootOf = (hash: Hash, list: Uint8Array): string =>
  hexOf(treeOf(hash, listed(list).map((leaf) => leaf.hash)).root)

/** What stands for a list of leaves and the secret that they were made with. */
export const listHashOf = (hash: Hash, { leafList, secret }: Pick<SealedBlock, "leafList" | "secret">): string =>
  hash.hex(canonical(["list", secret, hash.hex(leafList)]))

/** A time as it stands in blocks and leaves: RFC 3339 in UTC, to the microsecond. */
export const timeOf = (millis: number): string => new Date(millis).toISOString().replace("Z", "000Z")

/** Whoever holds the private key. */
export interface Signer {
  readonly keyId: string
  /** The signature of a text, as hexadecimal digits. */
  readonly sign: (text: string) => string
}

/** Seals what stands in a shard's log after its head: the next block, signed. */
export const seal = (
  hash: Hash,
  signer: Signer,
  { after, head, rows, shard, upTo }: Pick<Block, "after" | "shard" | "upTo"> & {
    readonly head: Head
    readonly rows: ReadonlyArray<Logged>
  },
  { sealedAt, secret, witness }: Pick<SealedBlock, "sealedAt" | "secret" | "witness">
): SealedBlock => {
  const leafList = listOf(hash, secret, rows)
  const block: Block = {
    shard,
    number: head.number + 1n,
    after,
    upTo,
    leaves: listed(leafList).length,
    root: rootOf(hash, leafList),
    list: listHashOf(hash, { leafList, secret }),
    previous: head.hash,
    witness,
    sealedAt,
    keyId: signer.keyId
  }
  return { ...block, signature: signer.sign(textOf(block)), leafList, secret }
}
