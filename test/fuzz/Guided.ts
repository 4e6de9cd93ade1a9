/**
 * Fuzzing that is guided by coverage: a text that reaches code which none before it reached is kept, made smaller, and
 * changed further. So what stands behind ten conditions is found one after the other, and not all ten at once.
 *
 * To ask what was reached takes a hundred times as long as to try a text. So texts are tried by the batch, and one by one only
 * where the batch has reached something new.
 */
import { type Chance, oneOf } from "../support/Chance.ts"
import { type Coverage, covers, type Reach, Reached } from "./Coverage.ts"
import { mutator } from "./Mutation.ts"

/** Something that takes texts from outside. */
export interface Target {
  readonly name: string
  /** The files whose words are put into texts. */
  readonly sources: ReadonlyArray<string>
  /** What is tried first. */
  readonly seeds: ReadonlyArray<string>
  /** Gives it a text, and throws where it does not keep what is promised of it. Answers whether the text was taken. */
  readonly attempt: (text: string) => boolean
}

/** A text for which a target does not keep what is promised of it. */
export interface Broken {
  readonly text: string
  readonly why: string
}

export interface Outcome {
  readonly tries: number
  readonly taken: number
  /** Those that each reached something new, the smallest that do. */
  readonly kept: ReadonlyArray<string>
  /** How many characters of code were reached. */
  readonly reached: number
  readonly broken: Broken | undefined
}

export interface Options {
  readonly coverage: Coverage
  readonly chance: Chance
  /** What was kept by runs before. */
  readonly corpus: ReadonlyArray<string>
  readonly isEnough: (tries: number) => boolean
  /** Keeps nothing: tries what is made of the seeds alone. */
  readonly isBlind?: boolean
}

/** The most that one text may take, of the processor's time and while nothing is optimised; a usual one takes 0.05 ms. */
export const mostMillis = 200

const batchSize = 64

/** Tries a text. Answers whether it was taken, or how the target is broken. */
export const tried = (
  { attempt }: Pick<Target, "attempt">,
  text: string,
  most: number = mostMillis
): boolean | Broken => {
  let least = Infinity
  let isTaken = false
  try {
    // What took long once may have been the garbage of others.
    for (let times = 0; times < 3 && least > most; times++) {
      const before = process.threadCpuUsage()
      isTaken = attempt(text)
      const { system, user } = process.threadCpuUsage(before)
      least = Math.min(least, (user + system) / 1_000)
    }
  } catch (error) {
    return { text, why: error instanceof Error ? `${error.name}: ${error.message}` : String(error) }
  }
  return least > most ? { text, why: `took more than ${most} ms` } : isTaken
}

export const fuzz = (target: Target, options: Options): Outcome => {
  const { chance, corpus, coverage, isBlind = false, isEnough } = options
  const mutate = mutator(chance, target.sources)
  const reached = new Reached()
  let kept: Array<string> = []
  let tries = 0
  let taken = 0

  const outcome = (broken?: Broken): Outcome => ({ tries, taken, kept, reached: reached.characters, broken })
  const attempt = (text: string): Broken | undefined => {
    tries++
    const result = tried(target, text)
    if (typeof result === "object") return smallest(target, result)
    if (result) taken++
    return undefined
  }
  const reachOf = (texts: ReadonlyArray<string>): Reach => {
    for (const text of texts) tried(target, text)
    return coverage.take()
  }
  /** Keeps those of a batch that reach something new, by trying each half of it again. */
  const keep = (batch: ReadonlyArray<string>, together: Reach): void => {
    if (!reached.isNew(together)) return
    const [text = ""] = batch
    if (batch.length <= 1) {
      const fresh = reached.learn(together)
      kept.push(shrunk(text, (smaller) => covers(reachOf([smaller]), fresh)))
      return
    }
    const middle = batch.length >>> 1
    for (const half of [batch.slice(0, middle), batch.slice(middle)]) keep(half, reachOf(half))
  }

  // Loading it reached much that no text reaches.
  coverage.take()
  // The smallest first: what they reach, a longer one is not kept for.
  for (const text of [...target.seeds, ...corpus].toSorted((one, other) => one.length - other.length)) {
    const broken = attempt(text)
    if (broken !== undefined) return outcome(broken)
    if (reached.learn(reachOf([text])).size > 0) kept.push(text)
  }
  if (isBlind) kept = [...target.seeds]

  while (!isEnough(tries)) {
    const batch: Array<string> = []
    for (let number = 0; number < batchSize; number++) {
      // What was found last leads on.
      const from = chance() < 0.5 ? kept.slice(-8) : kept
      const text = mutate(oneOf(chance, from), kept)
      const broken = attempt(text)
      if (broken !== undefined) return outcome(broken)
      batch.push(text)
    }
    if (isBlind) continue
    const together = coverage.take()
    keep(batch, together)
    // What is done once in a process, such as filling a cache, is not done again for the text that did it.
    reached.learn(together)
  }
  return outcome()
}

/** A part of a text that still does what the whole does. */
export const shrunk = (text: string, still: (smaller: string) => boolean, mostTries = 40): string => {
  let smallest = text
  let tries = 0
  for (let size = Math.ceil(text.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let at = 0; at < smallest.length && tries < mostTries;) {
      const smaller = smallest.slice(0, at) + smallest.slice(at + size)
      tries++
      if (still(smaller)) smallest = smaller
      else at += size
    }
  }
  return smallest
}

const smallest = (target: Target, broken: Broken): Broken => {
  const kind = ({ why }: Broken) => why.slice(0, 40)
  const breaks = (text: string) => {
    const result = tried(target, text)
    return typeof result === "object" && kind(result) === kind(broken)
  }
  return { ...broken, text: shrunk(broken.text, breaks, 500) }
}
