/**
 * Plans that once went wrong, as small as they could be made, with what was wrong then: with the platform, or with it and a
 * planted bug. They are run before any seeds are. A plan is kept and not its seed, because what is drawn from a seed changes
 * whenever there is something new to draw.
 */
import { readFileSync } from "node:fs"
import path from "node:path"
import type { Plan } from "./Plan.ts"

export interface Regression {
  readonly found: string
  readonly plan: Plan
}

export const regressions: ReadonlyArray<Regression> = JSON.parse(
  readFileSync(path.join(import.meta.dirname, "regressions.json"), "utf8")
)
