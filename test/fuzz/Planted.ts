/**
 * A bug that stands behind one condition after the other, for seeing that coverage leads to it. What it waits for stands in no
 * source as text, so that no word of a dictionary gives it away.
 */
import type { Target } from "./Guided.ts"

const waitsFor: ReadonlyArray<number> = [0x63, 0x3f, 0x37, 0x7e, 0x51, 0x2b]

const planted = (text: string): boolean => {
  if (text.charCodeAt(0) !== waitsFor[0]) return false
  if (text.charCodeAt(1) !== waitsFor[1]) return false
  if (text.charCodeAt(2) !== waitsFor[2]) return false
  if (text.charCodeAt(3) !== waitsFor[3]) return false
  if (text.charCodeAt(4) !== waitsFor[4]) return false
  if (text.charCodeAt(5) !== waitsFor[5]) return false
  throw new Error("the planted bug")
}

export const target: Target = { name: "planted", sources: [], seeds: ["nothing of it"], attempt: planted }
