/**
 * The search: breadth first through every state that a scenario can reach, by every order in which its letters may
 * arrive and its actors may act. Each step is taken by the real worker's turn, and held to the invariants; so is every
 * state.
 *
 * Two states are one if all that can make a difference is equal: balances, transfers, verdicts, open holds, journals by
 * transfer and step, what is on its way, and what the actors may still do. What depends on history beyond that (the
 * numbers of entries and the balances after them, the event log) is checked on every step, before states are told apart.
 */
import { Result } from "effect"
import { type LedgerEvent, subjectOf } from "#domain/ledger/LedgerEvent.ts"
import type { Changes } from "#domain/ledger/Batch.ts"
import { type ShardId, shardOfAccount } from "#domain/sharding/ShardMap.ts"
import * as Invariants from "./Invariants.ts"
import type { Broken, Invariant } from "./Invariants.ts"
import { type Letter, lettersOf, nameOf, type Network, numberOfLetter } from "./Network.ts"
import type { Scenario } from "./Scenario.ts"
import type { Shard } from "./ShardModel.ts"
import * as ShardModel from "./ShardModel.ts"

export interface Found extends Broken {
  /** How it came to that: every step from the beginning. It is a shortest way. */
  readonly path: ReadonlyArray<string>
}

/** One message that changed something: what a drawing of the states shows as an arrow. */
export interface Arrow {
  readonly of: "transfer" | "verdict" | "account"
  readonly from: string
  readonly to: string
  readonly message: string
  readonly told: string
}

export interface Report {
  readonly scenario: string
  readonly network: string
  readonly states: number
  readonly steps: number
  /** In how many of them everything is at rest. */
  readonly resting: number
  /** The longest of the shortest ways to a state, in steps. */
  readonly depth: number
  /** How everything can end: the states of all transfers. */
  readonly endings: ReadonlySet<string>
  readonly arrows: ReadonlyMap<string, Arrow>
  /** What instructions were answered: what is asked, and "done" or the code of the refusal. */
  readonly answers: ReadonlySet<string>
  /** The codes that transfers were rejected with. */
  readonly rejections: { readonly ofTransfers: ReadonlySet<string>; readonly ofReversals: ReadonlySet<string> }
  /** How often a shard stopped, rather than go on from what cannot be. */
  readonly stops: number
  /** What broke in the first state where anything did, in which the search ended. */
  readonly found: ReadonlyArray<Found>
}

const keyOfShard = (shard: Shard): string => {
  const accounts = Array.from(
    shard.accounts.values(),
    ({ balance, id, status }) => `${id}:${balance.posted}:${balance.held}:${status.charAt(0)}`
  )
  const transfers = Array.from(
    shard.transfers.values(),
    ({ moving, reason, status, terms }) => `${nameOf(terms.transfer)}${status}${moving}${reason?.code ?? ""}`
  )
  const verdicts = Array.from(
    shard.verdicts.values(),
    ({ reason, ruling, terms }) => `${nameOf(terms.transfer)}${ruling}${terms.amount}${reason?.code ?? ""}`
  )
  const instructions = Array.from(
    shard.instructions.values(),
    ({ id, reason, status }) => `${id.slice(-3)}${status}${reason?.code ?? ""}`
  )
  const journals = shard.journals.map(({ amount, step, transfer }) => `${nameOf(transfer)}${step}${amount}`)
  const holds = shard.holds.map(({ amount, change, transfer }) => `${nameOf(transfer)}${change}${amount}`)
  return [
    shard.id,
    ...[accounts, transfers, verdicts, instructions, journals, holds].map((parts) => parts.toSorted().join())
  ].join(
    "|"
  )
}

/** Gives equal values one number, from 0 on, and keeps one of them for it. */
interface Registry<A extends object> {
  readonly numberOf: (value: A) => number
  readonly at: (number: number) => A
  /** Values that are no longer as they were when they got their number. */
  readonly changed: () => ReadonlyArray<A>
}

const registry = <A extends object>(keyOf: (value: A) => string): Registry<A> => {
  const numbers = new Map<string, number>()
  const values: Array<A> = []
  /** Of those that are kept. */
  const known = new Map<A, number>()
  return {
    numberOf: (value) => {
      const kept = known.get(value)
      if (kept !== undefined) return kept
      const key = keyOf(value)
      let number = numbers.get(key)
      if (number === undefined) {
        number = values.push(value) - 1
        numbers.set(key, number)
        known.set(value, number)
      }
      return number
    },
    at: (number) => {
      const value = values[number]
      if (value === undefined) throw new RangeError(`nothing has the number ${number}`)
      return value
    },
    changed: () => values.filter((value) => numbers.get(keyOf(value)) !== known.get(value))
  }
}

/** Remembers what a function of a whole number answered. */
const remembered = <A>(f: (number: number) => A): (number: number) => A => {
  const answers: Array<A | undefined> = []
  return (number) => answers[number] ??= f(number)
}

/** Two or three whole numbers in one: far more of each than a search that ends can reach. */
const pack = (high: number, low: number): number => high * 2 ** 22 + low
const packWorld = (shards: number, mail: number, left: number): number => pack(shards, mail) * 2 ** 9 + left

/** What a message does to the shards, with all that is wrong about it. The same does the same to the same shards. */
interface Taken {
  /** The shards after it, by number. */
  readonly after: number
  readonly told: ReadonlyArray<Letter>
  readonly broken: ReadonlyArray<Broken>
  /** It cannot be: the shard stopped. */
  readonly stopped: boolean
}

/**
 * Explores a scenario over a network to the end, or to the first state in which an invariant is broken; with `watched`,
 * only those are looked at.
 *
 * A state is three numbers: of the shards, of what is on its way, and of what the actors may still do. Far fewer of each
 * exist than of all together, so whatever is asked of one alone is asked once.
 */
export const explore = <Mail extends object>(
  scenario: Scenario,
  network: Network<Mail>,
  watched?: ReadonlySet<Invariant>
): Report => {
  const { actors, transfers } = scenario
  const wealth = Invariants.wealth(scenario.shards)
  const seen: Seen = {
    arrows: new Map(),
    answers: new Set(),
    rejections: { ofTransfers: new Set(), ofReversals: new Set() }
  }
  const endings = new Set<string>()
  const eachShard = registry(keyOfShard)
  const together = registry<ReadonlyArray<Shard>>((shards) => shards.map(eachShard.numberOf).join())
  const mails = registry<Mail>(network.key)
  const lefts = registry<ReadonlyArray<number>>((left) => left.join())
  const letters = registry<ReadonlyArray<Letter>>((letters) => letters.map(numberOfLetter).join())
  const known = new Map<number, number>()
  const taken = new Map<number, Taken>()
  const sent = new Map<number, number>()
  const spendings = new Map<number, number>()
  const acted = new Map<number, { readonly after: number; readonly told: ReadonlyArray<Letter> } | undefined>()
  const queue: Array<readonly [shards: number, mail: number, left: number]> = []
  const parents: Array<number> = []
  const labels: Array<string> = []
  const depths: Array<number> = []
  /** Pairs of states: from, to, by a step that happens in health. */
  const plain: Array<number> = []
  let [steps, resting, stops] = [0, 0, 0]
  let found: ReadonlyArray<Found> = []

  const pathTo = (state: number, ...more: ReadonlyArray<string>): ReadonlyArray<string> => {
    const path = [...more]
    for (let at = state; at > 0; at = parents[at] ?? 0) path.unshift(labels[at] ?? "")
    return path
  }

  const blame = (broken: ReadonlyArray<Broken>, path: () => ReadonlyArray<string>): boolean => {
    const held = broken.filter(({ invariant }) =>
      (watched?.has(invariant) ?? true) && (!scenario.losesData || Invariants.ofOneShard.has(invariant))
    )
    if (held.length === 0) return false
    const way = path()
    found = held.map((one) => ({ ...one, path: way }))
    return true
  }

  /** The number of shards of which one is another now. */
  const placed = (shards: ReadonlyArray<Shard>, which: ShardId, after: Shard): number => {
    const same = eachShard.at(eachShard.numberOf(after))
    return together.numberOf(shards.map((shard) => shard.id === which ? same : shard))
  }

  const wrong = remembered((shards) => Invariants.ofState(together.at(shards), transfers, wealth))
  const wrongAtRest = remembered((shards) => Invariants.ofRest(together.at(shards), transfers))
  const wrongWhenQuiet = remembered((shards) => Invariants.ofQuiet(together.at(shards), transfers))
  const standing = remembered((shards) => statuses(together.at(shards), scenario))
  const quiet = remembered((mail) => network.quiet(mails.at(mail)))
  const moves = remembered((mail) =>
    network.moves(mails.at(mail)).map((move) => ({ ...move, mail: mails.numberOf(move.mail) }))
  )

  const send = (mail: number, told: ReadonlyArray<Letter>): number => {
    if (told.length === 0) return mail
    const key = pack(mail, letters.numberOf(told))
    let after = sent.get(key)
    if (after === undefined) sent.set(key, after = mails.numberOf(network.send(mails.at(mail), told)))
    return after
  }

  const take = (number: number, { event, from, to }: Letter): Taken => {
    const shards = together.at(number)
    const before = shards[to]
    if (before === undefined) throw new RangeError(`there is no shard ${to}`)
    const stop = (invariant: Invariant, detail: string): Taken => ({
      after: number,
      told: [],
      broken: [{ invariant, detail }],
      stopped: true
    })
    const result = attempt(before, { event, from })
    if (typeof result === "string") return stop("the worker changes only what it has read", result)
    if (Result.isFailure(result)) return stop("no message is one that cannot be", result.failure.message)
    const { changes, shard: after } = result.success
    note(seen, before, after, event, changes)
    return {
      after: placed(shards, to, after),
      told: lettersOf(after, changes.events.map((announcement) => announcement.event)),
      // All of what the shard wrote is looked at here, also where it comes to a state that is known.
      broken: Invariants.ofStep(shards, to, after, changes).concat(
        Invariants.ofState(shards.map((shard) => shard.id === to ? after : shard), transfers, wealth)
      ),
      stopped: false
    }
  }

  const act = (number: number, index: number) => {
    const shards = together.at(number)
    const actor = actors[index]
    const at = actor === undefined ? undefined : shards[actor.shard]
    const acted = at === undefined ? undefined : actor?.act(at)
    return acted === undefined ? undefined : {
      after: placed(shards, acted.shard.id, acted.shard),
      told: lettersOf(acted.shard, acted.events)
    }
  }
  /** What an actor would do now; the same to the same shards. */
  const acting = (shards: number, index: number) => {
    const key = pack(shards, index)
    if (!acted.has(key)) acted.set(key, act(shards, index))
    return acted.get(key)
  }

  /** What the actors may still do after one of them acted. */
  const spent = (left: number, index: number): number => {
    const key = pack(left, index)
    let after = spendings.get(key)
    if (after === undefined) {
      after = lefts.numberOf(lefts.at(left).map((times, other) => other === index ? times - 1 : times))
      spendings.set(key, after)
    }
    return after
  }

  /** The number of a state, which joins the queue if it was not seen before. */
  const visit = (shards: number, mail: number, left: number, parent: number, label: string): number => {
    const key = packWorld(shards, mail, left)
    const seen = known.get(key)
    if (seen !== undefined) return seen
    const state = queue.push([shards, mail, left]) - 1
    known.set(key, state)
    parents.push(parent)
    labels.push(label)
    depths.push(parent < 0 ? 0 : (depths[parent] ?? 0) + 1)
    blame(wrong(shards), () => pathTo(state))
    return state
  }

  const isAtRest = (shards: number, mail: number, left: ReadonlyArray<number>): boolean => {
    if (!quiet(mail)) return false
    const lost = network.lossy(mails.at(mail))
    return !actors.some(({ duty }, index) => {
      const must = duty === "always" || (duty === "where something was lost" && lost)
      return must && (left[index] ?? 0) > 0 && acting(shards, index) !== undefined
    })
  }

  visit(
    together.numberOf(scenario.shards.map((shard) => eachShard.at(eachShard.numberOf(shard)))),
    mails.numberOf(
      network.send(
        network.empty,
        scenario.requests.map(({ event, shard }) => ({ event, from: shard, to: shard }))
      )
    ),
    lefts.numberOf(actors.map(({ times }) => times)),
    -1,
    ""
  )

  for (let state = 0; state < queue.length && found.length === 0; state++) {
    const [shards, mail, leftNumber] = queue[state] ?? [0, 0, 0]
    const left = lefts.at(leftNumber)

    if (isAtRest(shards, mail, left)) {
      resting++
      endings.add(standing(shards).join(" "))
      if (blame(wrongAtRest(shards), () => pathTo(state))) break
    } else if (quiet(mail) && !network.lossy(mails.at(mail)) && !scenario.losesData) {
      if (blame(wrongWhenQuiet(shards), () => pathTo(state))) break
    }

    for (const move of moves(mail)) {
      steps++
      if (move.letter === undefined) {
        visit(shards, move.mail, leftNumber, state, move.label)
      } else {
        const key = pack(shards, move.number)
        let outcome = taken.get(key)
        if (outcome === undefined) taken.set(key, outcome = take(shards, move.letter))
        if (outcome.stopped) stops++
        if (blame(outcome.broken, () => pathTo(state, move.label))) break
        if (outcome.stopped) continue
        const next = visit(outcome.after, send(move.mail, outcome.told), leftNumber, state, move.label)
        if (move.plain) plain.push(state, next)
      }
      if (found.length > 0) break
    }

    for (const [index, { name }] of actors.entries()) {
      if (found.length > 0) break
      const times = left[index] ?? 0
      const outcome = times === 0 ? undefined : acting(shards, index)
      if (outcome === undefined) continue
      steps++
      visit(outcome.after, send(mail, outcome.told), spent(leftNumber, index), state, name)
    }
  }

  // A worker may die after it decided and before it committed. Each state was decided on for every message that could
  // come, and then gone on from as if it had not been: it must be as it was.
  if (found.length === 0) {
    const broken = eachShard.changed().map((shard): Broken => ({
      invariant: "a decision that was not committed changed nothing",
      detail: `shard ${shard.id}`
    }))
    blame(broken, () => [])
  }

  // Deliveries in health lead on, never back: so from every state any order of them comes to an end, where all is quiet.
  if (found.length === 0 && !endsEverywhere(queue.length, plain)) {
    blame([{ invariant: "from everywhere, plain delivery comes to rest", detail: "it goes in a circle" }], () => [])
  }

  return {
    scenario: scenario.name,
    network: network.name,
    states: queue.length,
    steps,
    resting,
    depth: depths.reduce((most, depth) => Math.max(most, depth), 0),
    endings,
    ...seen,
    stops,
    found
  }
}

/** The real worker's turn; or what it said when it fell over. */
const attempt = (shard: Shard, message: Pick<Letter, "event" | "from">) => {
  try {
    return ShardModel.work(shard, [message])
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

const statuses = (shards: ReadonlyArray<Shard>, { transfers }: Scenario): ReadonlyArray<string> =>
  transfers.map(({ source, transfer }) => {
    const home = shards.find(({ id, map }) => shardOfAccount(map, source) === id)
    return home?.transfers.get(transfer)?.status ?? ""
  })

/** What documents are compared with. */
interface Seen {
  readonly arrows: Map<string, Arrow>
  readonly answers: Set<string>
  readonly rejections: { readonly ofTransfers: Set<string>; readonly ofReversals: Set<string> }
}

/** Takes down what a message did. */
const note = (
  { answers, arrows, rejections }: Seen,
  before: Shard,
  after: Shard,
  event: LedgerEvent,
  changes: Changes
): void => {
  const { type } = event
  const id = subjectOf(event)
  const add = (arrow: Arrow) => arrows.set(Object.values(arrow).join(" "), arrow)
  const told = changes.events.map(({ event }) => event.type).join(" + ")
  const [was, is] = [before.transfers.get(id)?.status, after.transfers.get(id)?.status]
  if (was !== undefined && is !== undefined && changes.transfers.length > 0) {
    add({ of: "transfer", from: was, to: is, message: type, told })
  }
  const [ruled, ruling] = [before.verdicts.get(id)?.ruling, after.verdicts.get(id)?.ruling]
  if (ruling !== undefined && (ruled !== ruling || (changes.events.length > 0 && changes.transfers.length === 0))) {
    add({ of: "verdict", from: ruled ?? "[*]", to: ruling, message: type, told })
  }
  for (const { account, was } of changes.statuses) {
    add({ of: "account", from: was, to: account.status, message: type, told })
  }
  for (const { asks, reason } of changes.instructions) answers.add(`${asks}: ${reason?.code ?? "done"}`)
  for (const { transfer: { reason, reverses, status } } of changes.transfers) {
    if (status !== "rejected") continue
    const codes = reverses === null ? rejections.ofTransfers : rejections.ofReversals
    codes.add(reason?.code ?? "no reason")
  }
}

/** Kahn's algorithm: does a graph, given as pairs of states, have no circle? */
const endsEverywhere = (states: number, pairs: ReadonlyArray<number>): boolean => {
  const incoming = new Int32Array(states)
  const first = new Int32Array(states + 1)
  for (let at = 0; at < pairs.length; at += 2) {
    const [from, to] = [pairs[at] ?? 0, pairs[at + 1] ?? 0]
    first[from + 1] = (first[from + 1] ?? 0) + 1
    incoming[to] = (incoming[to] ?? 0) + 1
  }
  for (let state = 0; state < states; state++) first[state + 1] = (first[state + 1] ?? 0) + (first[state] ?? 0)
  const targets = new Int32Array(pairs.length / 2)
  const filled = first.slice()
  for (let at = 0; at < pairs.length; at += 2) {
    const from = pairs[at] ?? 0
    const slot = filled[from] ?? 0
    targets[slot] = pairs[at + 1] ?? 0
    filled[from] = slot + 1
  }
  const free: Array<number> = []
  for (let state = 0; state < states; state++) if (incoming[state] === 0) free.push(state)
  let ordered = 0
  for (let state = free.pop(); state !== undefined; state = free.pop()) {
    ordered++
    for (let at = first[state] ?? 0; at < (first[state + 1] ?? 0); at++) {
      const to = targets[at] ?? 0
      const rest = (incoming[to] ?? 0) - 1
      incoming[to] = rest
      if (rest === 0) free.push(to)
    }
  }
  return ordered === states
}
