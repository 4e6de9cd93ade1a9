/** What a run of the checks means for the breaks that stand. */
import { describe, expect, it } from "vitest"
import { breakId, decideBreaks, placeOfBreak, type StandingBreak } from "#domain/reconciliation/Breaks.ts"
import { type Check, mostViolations, type Run } from "#domain/reconciliation/Checks.ts"

const check: Check = { name: "held_is_the_sum", number: "I10", sentence: "It is.", severity: "critical" }

const run = (
  shard: number | null,
  violations: ReadonlyArray<readonly [shard: number | null, subject: string]>
): Run => ({
  check,
  shard,
  millis: 1,
  violations: violations.map(([shard, subject]) => ({ check: check.name, shard, subject, detail: "off" }))
})

const standing: StandingBreak = {
  number: 7n,
  invariant: check.name,
  severity: "critical",
  subject: "anna",
  detail: "off",
  status: "open"
}

describe("a run of the checks", () => {
  it("opens on each shard what was found there, and on the first what concerns all of them", () => {
    const runs = [run(null, [[0, "anna"], [1, "ben"], [null, "EUR"]])]
    expect(decideBreaks(0, [], runs).open.map(({ subject }) => subject)).toEqual(["anna", "EUR"])
    expect(decideBreaks(1, [], runs).open.map(({ subject }) => subject)).toEqual(["ben"])
  })

  it("makes one break of several violations of one subject", () => {
    const [opened, ...more] = decideBreaks(0, [], [run(0, [[0, "anna"], [0, "anna"]])]).open
    expect(more).toEqual([])
    expect(opened?.detail).toBe("off; off")
  })

  it("closes nothing whose check was not run there, or stopped looking", () => {
    expect(decideBreaks(0, [standing], []).close).toEqual([])
    expect(decideBreaks(0, [standing], [run(1, [])]).close).toEqual([])
    const many = Array.from({ length: mostViolations }, (_, number) => [0, `account-${number}`] as const)
    expect(decideBreaks(0, [standing], [run(0, many)]).close).toEqual([])
    expect(decideBreaks(0, [standing], [run(0, [])]).close).toEqual([7n])
  })

  it("leaves alone what somebody explained, for as long as it is what was explained", () => {
    const resolved: StandingBreak = { ...standing, status: "resolved" }
    const again = run(0, [[0, "anna"]])
    expect(decideBreaks(0, [resolved], [again]).see).toEqual([
      { number: 7n, detail: "off", status: "resolved", what: null }
    ])
    expect(decideBreaks(0, [{ ...resolved, detail: "off by one" }], [again]).see).toEqual([
      { number: 7n, detail: "off", status: "open", what: "reopened" }
    ])
  })
})

describe("the id of a break", () => {
  it("says where it is kept", () => {
    expect(placeOfBreak(breakId({ shard: 3, number: 42n }))).toEqual({ shard: 3, number: 42n })
    expect(["brk_01_2", "brk_1_0", "brk_1", "brk_1_2_3", "trf_1_2"].map(placeOfBreak)).toEqual(
      Array.from({ length: 5 }, () => undefined)
    )
  })
})
