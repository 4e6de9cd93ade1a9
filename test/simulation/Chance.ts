/** Chance from a seed: the same seed draws the same, on every machine. Each purpose has a stream of its own. */

const hash = (text: string): number => {
  let hash = 0x811c9dc5
  for (let index = 0; index < text.length; index++) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193)
  return hash >>> 0
}

export class Chance {
  readonly #seed: number
  #a: number
  #b: number
  #c: number
  #count = 1

  /** A stream for a purpose: what is drawn for one never changes what is drawn for another. */
  constructor(seed: number, purpose = "") {
    this.#seed = seed
    this.#a = seed >>> 0
    this.#b = Math.floor(seed / 2 ** 32) >>> 0
    this.#c = hash(purpose)
    for (let round = 0; round < 12; round++) this.next()
  }

  for(purpose: string): Chance {
    return new Chance(this.#seed, purpose)
  }

  /** A number in [0, 1), by sfc32. */
  next = (): number => {
    const sum = (this.#a + this.#b + this.#count) | 0
    this.#count = (this.#count + 1) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + sum | 0
    return (sum >>> 0) / 2 ** 32
  }

  /** A whole number in [0, most). */
  below(most: number): number {
    return Math.floor(this.next() * most)
  }

  /** A number in [least, most), more often a small one: each order of magnitude is as likely as the next. */
  magnitude(least: number, most: number): number {
    return least * (most / least) ** this.next()
  }

  happens(probability: number): boolean {
    return this.next() < probability
  }

  one<const A>(of: readonly [A, ...ReadonlyArray<A>]): A {
    return of[this.below(of.length)] ?? of[0]
  }

  /** One of several, or `undefined` where there is none. */
  any<A>(of: ReadonlyArray<A>): A | undefined {
    return of[this.below(of.length)]
  }
}
