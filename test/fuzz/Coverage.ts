/**
 * Which code was reached, by V8's precise coverage. What is loaded after {@link Coverage} was made is counted block by block;
 * what was loaded before, function by function.
 */
import { type Profiler, Session } from "node:inspector"

/** Each function that was entered, and of each of its characters whether it was reached. */
export type Reach = ReadonlyMap<string, Uint8Array>

/** Of what is tried, not of what tries it. */
const isCounted = (url: string) => url.startsWith("file:") && (!url.includes("/test/") || url.endsWith("/Planted.ts"))

const options = { callCount: true, detailed: true, allowTriggeredUpdates: false }

export class Coverage {
  readonly #session = new Session()

  constructor() {
    this.#session.connect()
    this.#session.post("Profiler.enable")
    this.#session.post("Profiler.startPreciseCoverage", options)
  }

  /** What was reached since it was last asked. It takes some milliseconds, however little that is. */
  take(): Reach {
    // A session of the process's own answers before `post` returns.
    let found: ReadonlyArray<Profiler.ScriptCoverage> | undefined
    this.#session.post("Profiler.takePreciseCoverage", (error, taken) => {
      if (error !== null) throw error
      found = taken.result
    })
    if (found === undefined) throw new Error("the profiler has not answered")
    const reach = new Map<string, Uint8Array>()
    for (const { functions, scriptId, url } of found) {
      if (!isCounted(url)) continue
      for (const { ranges } of functions) {
        const [whole] = ranges
        if (whole === undefined || whole.count === 0) continue
        const from = whole.startOffset
        const painted = new Uint8Array(whole.endOffset - from)
        // Each range lies in one before it, and knows better.
        for (const { count, endOffset, startOffset } of ranges) {
          painted.fill(count > 0 ? 1 : 0, startOffset - from, endOffset - from)
        }
        reach.set(`${scriptId}:${from}:${whole.endOffset}`, painted)
      }
    }
    return reach
  }
}

/** All that was ever reached. */
export class Reached {
  readonly #functions = new Map<string, Uint8Array>()
  /** How many characters of code that is. */
  characters = 0

  /** Does it reach what was never reached before? */
  isNew(reach: Reach): boolean {
    for (const [name, painted] of reach) {
      const known = this.#functions.get(name)
      if (known === undefined) return true
      for (let at = 0; at < painted.length; at++) if (painted[at] === 1 && known[at] === 0) return true
    }
    return false
  }

  /** What of it was never reached before; from now on, it was. */
  learn(reach: Reach): Reach {
    const fresh = new Map<string, Uint8Array>()
    for (const [name, painted] of reach) {
      const known = this.#functions.get(name) ?? new Uint8Array(painted.length)
      this.#functions.set(name, known)
      let added: Uint8Array | undefined
      for (let at = 0; at < painted.length; at++) {
        if (painted[at] !== 1 || known[at] !== 0) continue
        added ??= new Uint8Array(painted.length)
        added[at] = known[at] = 1
        this.characters++
      }
      if (added !== undefined) fresh.set(name, added)
    }
    return fresh
  }
}

/** Does one reach all that the other does? */
export const covers = (one: Reach, other: Reach): boolean => {
  for (const [name, wanted] of other) {
    const painted = one.get(name)
    if (painted === undefined) return false
    for (let at = 0; at < wanted.length; at++) if (wanted[at] === 1 && painted[at] === 0) return false
  }
  return true
}
