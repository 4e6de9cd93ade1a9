/** Chance from a seed: the same seed, the same choices. */

/** A number from 0 up to, not including, 1. */
export type Chance = () => number

/** Mulberry32: small, seeded, good enough to choose victims and amounts. */
export const chanceFrom = (seed: number): Chance => {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
}

/** A whole number from `least` to `most`. */
export const between = (chance: Chance, least: number, most: number): number =>
  least + Math.floor(chance() * (most - least + 1))

/** One of several; there must be one. */
export const oneOf = <A>(chance: Chance, all: ReadonlyArray<A>): A => {
  const chosen = all[Math.floor(chance() * all.length)]
  if (chosen === undefined) throw new RangeError("there is nothing to choose from")
  return chosen
}

/** All of them, in an order of chance. */
export const shuffled = <A>(chance: Chance, all: ReadonlyArray<A>): ReadonlyArray<A> =>
  all.map((each) => ({ each, at: chance() })).toSorted((a, b) => a.at - b.at).map(({ each }) => each)
