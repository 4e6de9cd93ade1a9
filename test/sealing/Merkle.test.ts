/** The tree is that of RFC 6962: its published roots, its paths, and that nothing else can be shown with them. */
import { describe, expect, it } from "vitest"
import { hexOf } from "#domain/sealing/Hash.ts"
import { hashOfLeaf, treeOf } from "#domain/sealing/Merkle.ts"
import { sha256 } from "#infra/Signatures.ts"

/** The leaves and roots with which Certificate Transparency tests its own trees. */
const published = [
  ["", "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"],
  ["\u0000", "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"],
  ["\u0010", "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"],
  [" !", "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"],
  ["01", "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4"],
  ["@ABC", "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef"],
  ["PQRSTUVW", "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c"],
  ["`abcdefghijklmno", "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"]
] as const

const leavesOf = (size: number) => Array.from({ length: size }, (_, at) => hashOfLeaf(sha256, `leaf ${at}`))

/** Walks a path as RFC 9162 §2.1.3.2 says; nothing where it has the wrong length. */
const walk = (leaf: Uint8Array, index: number, size: number, path: ReadonlyArray<Uint8Array>): string | undefined => {
  const siblings = [...path]
  let node = leaf
  for (let at = index, last = size - 1; last > 0; at >>= 1, last >>= 1) {
    if (at % 2 === 0 && at === last) continue
    const sibling = siblings.shift()
    if (sibling === undefined) return undefined
    node = sha256.bytes(Uint8Array.of(1, ...(at % 2 === 1 ? [...sibling, ...node] : [...node, ...sibling])))
  }
  return siblings.length === 0 ? hexOf(node) : undefined
}

const sizes = [1, 2, 3, 4, 5, 6, 7, 8, 9, 15, 16, 17, 31, 33, 64, 100]

describe("the tree", () => {
  it.each(published.map(([, root], at) => [at + 1, root] as const))(
    "over %i published leaves has their root",
    (size, root) => {
      const leaves = published.slice(0, size).map(([text]) => hashOfLeaf(sha256, text))
      expect(hexOf(treeOf(sha256, leaves).root)).toBe(root)
    }
  )

  it("over nothing has the root that the RFC gives it", () => {
    expect(hexOf(treeOf(sha256, []).root)).toBe("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
  })

  it.each(sizes)("over %i leaves leads from each of them to its root, and from nowhere else", (size) => {
    const leaves = leavesOf(size)
    const tree = treeOf(sha256, leaves)
    const root = hexOf(tree.root)
    const stranger = hashOfLeaf(sha256, "not among them")
    leaves.forEach((leaf, index) => {
      const path = tree.pathOf(index)
      expect(walk(leaf, index, size, path)).toBe(root)
      expect(walk(stranger, index, size, path)).not.toBe(root)
      leaves.forEach((_, other) => {
        if (other !== index) expect(walk(leaf, other, size, path)).not.toBe(root)
      })
    })
  })

  it("tells inner nodes from leaves: what two leaves are hashed to is not the hash of any leaf", () => {
    const [one, other] = leavesOf(2)
    const text = Buffer.concat([one ?? new Uint8Array(), other ?? new Uint8Array()]).toString("latin1")
    expect(hexOf(hashOfLeaf(sha256, text))).not.toBe(hexOf(treeOf(sha256, leavesOf(2)).root))
  })

  it("has another root when leaves change places, or one is doubled", () => {
    const leaves = leavesOf(5)
    const roots = [leaves, leaves.toReversed(), [...leaves, ...leaves.slice(-1)]].map((each) =>
      hexOf(treeOf(sha256, each).root)
    )
    expect(new Set(roots).size).toBe(3)
  })
})
