/**
 * The Merkle tree of RFC 6962 (Certificate Transparency): a root that stands for all leaves in their order, and for each
 * leaf a short path that shows that it is among them.
 *
 * Leaves and inner nodes are hashed with different first bytes, so that an inner node never passes for a leaf. The tree over
 * n leaves has one shape only; whoever walks a path needs n, the leaf's index and nothing else.
 */
import { digestBytes, type Hash } from "./Hash.ts"

/** U+0000 is one byte of UTF-8: 0x00. */
const leafPrefix = "\u0000"
const nodePrefix = 0x01

/** What stands for a leaf in its tree. */
export const hashOfLeaf = (hash: Hash, text: string): Uint8Array => hash.bytes(leafPrefix + text)

export interface Tree {
  readonly root: Uint8Array
  /** What the hash of a leaf is hashed with on its way to the root, from below. */
  readonly pathOf: (index: number) => ReadonlyArray<Uint8Array>
}

/** The tree over the hashes of leaves. */
export const treeOf = (hash: Hash, leaves: ReadonlyArray<Uint8Array>): Tree => {
  const node = new Uint8Array(1 + 2 * digestBytes).fill(nodePrefix, 0, 1)
  const hashOfNode = (left: Uint8Array, right: Uint8Array): Uint8Array => {
    node.set(left, 1)
    node.set(right, 1 + digestBytes)
    return hash.bytes(node)
  }
  const levels = [leaves]
  for (let level = leaves; level.length > 1;) {
    const above: Array<Uint8Array> = []
    level.forEach((left, at) => {
      if (at % 2 === 1) return
      const right = level[at + 1]
      // The last of an odd number has no sibling, and goes up as it is.
      above.push(right === undefined ? left : hashOfNode(left, right))
    })
    levels.push(above)
    level = above
  }
  return {
    root: levels.at(-1)?.[0] ?? hash.bytes(""),
    pathOf: (index) => levels.flatMap((level, height) => level[Math.floor(index / 2 ** height) ^ 1] ?? [])
  }
}
