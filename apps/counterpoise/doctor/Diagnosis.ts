/** What the doctor says of one thing: how it is, and what to do where it is not as it should be. */

export interface Diagnosis {
  /** What was looked at: `settings`, `shard 0`, `event log`, … */
  readonly what: string
  readonly is: "ok" | "warning" | "wrong"
  readonly detail: string
  /** What mends it; null where nothing needs to be. */
  readonly fix: string | null
}

export const well = (what: string, detail: string): Diagnosis => ({ what, is: "ok", detail, fix: null })
export const warning = (what: string, detail: string, fix: string): Diagnosis => ({ what, is: "warning", detail, fix })
export const wrong = (what: string, detail: string, fix: string): Diagnosis => ({ what, is: "wrong", detail, fix })
