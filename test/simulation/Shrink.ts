/**
 * Delta debugging: leaves out of a plan that fails whatever it fails without. What is left shows what the failure needs, and
 * can be read by people.
 */
import { healthy, type Plan } from "./Plan.ts"

/** Does a plan still fail? */
export type Fails = (plan: Plan) => boolean

/** The smallest plan that was found to fail within so many runs; the plan itself, where nothing can be left out. */
export const shrink = (failing: Plan, fails: Fails, mostRuns = 300): Plan => {
  let smallest = failing
  let runs = 0

  /** Takes a smaller plan for the smallest, if it fails too. What is left out changes who meets whom, so it may try again. */
  const accept = (smaller: Plan): boolean => {
    for (const order of new Set([smallest.order, 1, 2])) {
      if (++runs > mostRuns) return false
      const candidate = { ...smaller, order }
      if (!fails(candidate)) continue
      smallest = candidate
      return true
    }
    return false
  }

  /** Leaves out as many at a time as can be: halves first, then smaller parts, in the end one by one. */
  const leaveOut = <A>(from: (plan: Plan) => ReadonlyArray<A>, having: (rest: ReadonlyArray<A>) => Partial<Plan>) => {
    let size = from(smallest).length
    while (size > 0) {
      let at = 0
      while (at < from(smallest).length) {
        const rest = from(smallest).toSpliced(at, size)
        if (!accept({ ...smallest, ...having(rest) })) at += size
      }
      size = Math.floor(size / 2)
    }
  }

  for (let before: Plan | undefined; before !== smallest;) {
    before = smallest
    leaveOut(({ strikes }) => strikes, (strikes) => ({ strikes }))
    leaveOut(({ wishes }) => wishes, (wishes) => ({ wishes }))
    for (const simpler of simplifications) {
      const candidate = { ...smallest, ...simpler(smallest) }
      if (JSON.stringify(candidate) !== JSON.stringify(smallest)) accept(candidate)
    }
  }
  return smallest
}

/** What else can be taken out of a plan: each kind of fault by itself, and whatever makes the platform bigger or slower. */
const simplifications: ReadonlyArray<(plan: Plan) => Partial<Plan>> = [
  () => ({ rates: healthy }),
  ...Object.keys(healthy).map((fault) => ({ rates }: Plan) => ({ rates: { ...rates, [fault]: 0 } })),
  () => ({ interruption: 0 }),
  () => ({ latencyMillis: 0 }),
  () => ({ oversleptMillis: 0 }),
  () => ({ processes: 1 }),
  () => ({ batchSize: 1_000 }),
  () => ({ fencesWriters: true }),
  () => ({ keepsReplays: false })
]
