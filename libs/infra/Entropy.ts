/**
 * A fast cryptographic source of chance: drawn from the operating system in pools, so that a number costs an array read.
 */
import { randomFillSync } from "node:crypto"

const pool = new Uint32Array(4096)
let next = pool.length

/** A number in [0, 1) with 32 bits of chance, from the system's cryptographic generator. */
export const random = (): number => {
  if (next === pool.length) {
    randomFillSync(pool)
    next = 0
  }
  const drawn = pool[next] ?? 0
  // What was given out is not kept.
  pool[next++] = 0
  return drawn / 0x1_0000_0000
}
