/**
 * What is asked of the platform, how fast, and what must come of it: the same for k6 and for the generator in Node. Nothing
 * but data and arithmetic, because k6 runs it too.
 */

/** Goes from the rate before to `perSecond`, evenly, within so many seconds. */
export interface Stage {
  readonly seconds: number
  readonly perSecond: number
}

export interface Profile {
  readonly title: string
  readonly stages: ReadonlyArray<Stage>
  readonly accounts: number
  /** The share of transfers that have the hottest account on one side. */
  readonly hot: number
  /** How often each transfer is asked for, all at once and under one key. */
  readonly asks: number
  /** Every so many-th transfer is waited for: from asking to its end. */
  readonly sampled: number
  /** Is it an answer to be asked to come again later? Only where more is asked than can be done. */
  readonly mayRefuse: boolean
  readonly bars: Bars
}

/** What a run must keep, or it failed. Whatever the profile: books that balance, and each accepted transfer settled, once. */
export interface Bars {
  readonly acceptedP95Millis: number
  readonly settledP95Millis: number
  /** Of what was asked: answered otherwise than it should be. */
  readonly failedShare: number
  /** Of what was due: not asked, because all askers waited for answers. A slow server must not slow the load. */
  readonly droppedShare: number
}

const bars: Bars = { acceptedP95Millis: 100, settledP95Millis: 1_000, failedShare: 0, droppedShare: 0.001 }
const steady = (perSecond: number, seconds: number): ReadonlyArray<Stage> => [
  { seconds: 0, perSecond },
  { seconds, perSecond }
]
/** What the others differ from. */
export const usual: Profile = {
  title: "",
  stages: steady(200, 120),
  accounts: 1_000,
  hot: 0,
  asks: 1,
  sampled: 20,
  mayRefuse: false,
  bars
}

export const profiles: Readonly<Record<string, Profile>> = {
  smoke: {
    ...usual,
    title: "does it work at all",
    stages: steady(20, 10),
    accounts: 20,
    sampled: 5,
    bars: { ...bars, acceptedP95Millis: 1_000, settledP95Millis: 5_000 }
  },
  load: { ...usual, title: "a busy day" },
  stress: {
    ...usual,
    title: "more and more, until it is too much",
    stages: [
      ...steady(200, 20),
      { seconds: 120, perSecond: 4_000 },
      { seconds: 0, perSecond: 200 },
      { seconds: 30, perSecond: 200 }
    ],
    sampled: 100,
    mayRefuse: true,
    // What is refused is refused at once; what is accepted may take its time.
    bars: { acceptedP95Millis: 2_000, settledP95Millis: 30_000, failedShare: 0, droppedShare: 0.2 }
  },
  spike: {
    ...usual,
    title: "everybody at once, and then nobody",
    stages: [
      ...steady(50, 15),
      { seconds: 2, perSecond: 1_500 },
      { seconds: 15, perSecond: 1_500 },
      { seconds: 2, perSecond: 50 },
      { seconds: 30, perSecond: 50 }
    ],
    sampled: 50,
    mayRefuse: true,
    bars: { acceptedP95Millis: 1_000, settledP95Millis: 15_000, failedShare: 0, droppedShare: 0.05 }
  },
  soak: { ...usual, title: "an hour without a break", stages: steady(100, 3_600) },
  "hot-account": { ...usual, title: "four of five from or to one account", stages: steady(200, 60), hot: 0.8 },
  "retry-storm": { ...usual, title: "everything is asked three times over", stages: steady(100, 60), asks: 3 }
}

/** The same profile, with another rate and another length. */
export const scaled = (profile: Profile, rate: number, seconds: number | undefined): Profile => {
  const whole = profile.stages.reduce((sum, stage) => sum + stage.seconds, 0)
  const stretch = seconds === undefined ? 1 : seconds / whole
  return {
    ...profile,
    stages: profile.stages.map((stage) => ({ seconds: stage.seconds * stretch, perSecond: stage.perSecond * rate }))
  }
}

export const secondsOf = ({ stages }: Profile): number => stages.reduce((sum, { seconds }) => sum + seconds, 0)

/** Most that may wait for an answer at one time. */
export const askersOf = ({ stages }: Profile): number =>
  Math.max(50, Math.ceil(Math.max(...stages.map(({ perSecond }) => perSecond)) / 2))

/** How many are due when so many seconds have passed. */
export const dueAfter = ({ stages }: Profile, seconds: number): number => {
  let [due, begun, before] = [0, 0, 0]
  for (const { perSecond, seconds: length } of stages) {
    const passed = Math.min(length, Math.max(0, seconds - begun))
    const reached = length === 0 ? perSecond : before + (perSecond - before) * passed / length
    due += passed * (before + reached) / 2
    begun += length
    before = perSecond
  }
  return Math.floor(due)
}

/** Chance in [0, 1): the same for the same number. */
const chance = (number: number): number => {
  let mixed = Math.imul(number ^ (number >>> 16), 0x45d9f3b)
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x45d9f3b)
  return ((mixed ^ (mixed >>> 16)) >>> 0) / 2 ** 32
}

export const bankOf = (run: string): string => `load-${run}-bank`
export const accountOf = (run: string, number: number): string => `load-${run}-${number}`

export interface Asked {
  readonly key: string
  readonly body: {
    readonly source: string
    readonly destination: string
    readonly amount: string
    readonly currency: string
  }
}

/** The `n`th transfer of a run: between two accounts, drawn by chance. The hottest is number 0. */
export const askedOf = ({ accounts, hot }: Profile, run: string, n: number): Asked => {
  const isHot = chance(4 * n) < hot
  const one = isHot ? 0 : Math.floor(chance(4 * n + 1) * accounts)
  const other = (one + 1 + Math.floor(chance(4 * n + 2) * (accounts - 1))) % accounts
  const [source, destination] = chance(4 * n + 3) < 0.5 ? [one, other] : [other, one]
  return {
    key: `${run}-${n}`,
    body: { source: accountOf(run, source), destination: accountOf(run, destination), amount: "1", currency: "EUR" }
  }
}

export interface Percentiles {
  readonly p50: number
  readonly p95: number
  readonly p99: number
  readonly max: number
}

/** What a generator found. Times are in milliseconds. */
export interface Summary {
  /** Requests that were sent. */
  readonly asked: number
  /** Transfers for which there was a 202. */
  readonly accepted: number
  /** Answered with 429 or 503 and the time after which to come again. */
  readonly refused: number
  /** Answered otherwise: any other status, none at all, or told to go without being told for how long. */
  readonly failed: number
  /** Transfers that were asked for more than once, and became more than one. */
  readonly doubled: number
  /** Not asked though it was time. */
  readonly dropped: number
  readonly acceptedMillis: Percentiles
  readonly settledMillis: Percentiles
  /** How many were waited for. */
  readonly samples: number
}
