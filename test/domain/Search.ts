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
import { shardOfAccount } from "#domain/sharding/ShardMap.ts"
import { ended } from "#domain/transfer/Transfer.ts"
import * as Invariants from "./Invariants.ts"
import type { Broken, Invariant } from "./Invariants.ts"
import { type Letter, lettersOf, nameOf, type Network } from "./Network.ts"
import type { Scenario } from "./Scenario.ts"
import type { Shard } from "./ShardModel.ts"
import * as ShardModel from "./ShardModel.ts"

export interface Found extends Broken {
  /** How it came to that: every step from the beginning. It is a shortest way. */
  readonly path: ReadonlyArray<string>
}

/** One message that changed something: what a drawing of the states shows as an arrow. */
export interface Arrow {
  readonly of: "transfer" | "verdict"
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
  /** How often a shard stopped, rather than go on from what cannot be. */
  readonly stops: number
  /** What broke in the first state where anything did, in which the search ended. */
  readonly found: ReadonlyArray<Found>
}

interface World<Mail> {
  readonly shards: ReadonlyArray<Shard>
  readonly mail: Mail
  /** How often each actor may still act. */
  readonly left: ReadonlyArray<number>
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

/** Gives each state of a shard a number, and keeps one shard for it: equal states are then the same value. */
const registry = () => {
  const numbers = new Map<string, number>()
  const shards: Array<Shard> = []
  const known = new WeakMap<Shard, number>()
  const numberOf = (shard: Shard): number => {
    let number = known.get(shard)
    if (number === undefined) {
      const key = keyOfShard(shard)
      number = numbers.get(key)
      if (number === undefined) {
        number = shards.push(shard) - 1
        numbers.set(key, number)
      }
      known.set(shard, number)
    }
    return number
  }
  return {
    numberOf,
    same: (shard: Shard): Shard => shards[numberOf(shard)] ?? shard,
    /** Is every shard still as it was when it got its number? */
    changed: (): ReadonlyArray<Shard> => shards.filter((shard) => numbers.get(keyOfShard(shard)) !== known.get(shard))
  }
}

/** What a message does to a shard, with all that is wrong about it. The same message does the same to the same state. */
interface Taken {
  readonly after: Shard
  readonly told: ReadonlyArray<Letter>
  readonly broken: ReadonlyArray<Broken>
  /** It cannot be: the shard stopped. */
  readonly stopped: boolean
}

/**
 * Explores a scenario over a network to the end, or to the first state in which an invariant is broken; with `watched`,
 * only those are looked at.
 */
export const explore = <Mail>(scenario: Scenario, network: Network<Mail>, watched?: ReadonlySet<Invariant>): Report => {
  const { actors, transfers } = scenario
  const wealth = Invariants.wealth(scenario.shards)
  const arrows = new Map<string, Arrow>()
  const endings = new Set<string>()
  const { changed, numberOf, same } = registry()
  const together = (shards: ReadonlyArray<Shard>) => shards.map(numberOf).join()
  const known = new Map<string, number>()
  const sound = new Map<string, ReadonlyArray<Broken>>()
  const taken = new Map<string, Taken>()
  const queue: Array<World<Mail> | undefined> = []
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

  /** What is wrong with the shards together. */
  const wrong = (shards: ReadonlyArray<Shard>): ReadonlyArray<Broken> => {
    const key = together(shards)
    let broken = sound.get(key)
    if (broken === undefined) {
      broken = Invariants.ofState(shards, transfers, wealth)
      sound.set(key, broken)
    }
    return broken
  }

  const take = (shards: ReadonlyArray<Shard>, before: Shard, { event, from, to }: Letter): Taken => {
    const stop = (invariant: Invariant, detail: string): Taken => ({
      after: before,
      told: [],
      broken: [{ invariant, detail }],
      stopped: true
    })
    const result = attempt(before, { event, from })
    if (typeof result === "string") return stop("the worker changes only what it has read", result)
    if (Result.isFailure(result)) return stop("no message is one that cannot be", result.failure.message)
    const { changes, shard: after } = result.success
    note(arrows, before, after, event, changes)
    return {
      after: same(after),
      told: lettersOf(after, changes.events.map((announcement) => announcement.event)),
      // All of what the shard wrote is looked at here, also where it comes to a state that is known.
      broken: Invariants.ofStep(shards, to, after, changes).concat(
        Invariants.ofState(shards.map((shard) => shard.id === to ? after : shard), transfers, wealth)
      ),
      stopped: false
    }
  }

  /** The number of a world, which joins the queue if it was not seen before. */
  const visit = (world: World<Mail>, parent: number, label: string): number => {
    const key = `${together(world.shards)} ${network.key(world.mail)} ${world.left.join("")}`
    const seen = known.get(key)
    if (seen !== undefined) return seen
    const state = queue.push(world) - 1
    known.set(key, state)
    parents.push(parent)
    labels.push(label)
    depths.push(parent < 0 ? 0 : (depths[parent] ?? 0) + 1)
    blame(wrong(world.shards), () => pathTo(state))
    return state
  }

  const isAtRest = (world: World<Mail>): boolean => {
    if (!network.quiet(world.mail)) return false
    const lost = network.lossy(world.mail)
    return !actors.some(({ act, duty, shard }, index) => {
      const must = duty === "always" || (duty === "where something was lost" && lost)
      const at = world.shards[shard]
      return must && (world.left[index] ?? 0) > 0 && at !== undefined && act(at) !== undefined
    })
  }

  const begin: World<Mail> = {
    shards: scenario.shards.map(same),
    mail: network.send(
      network.empty,
      scenario.requests.map(({ event, shard }) => ({ event, from: shard, to: shard }))
    ),
    left: actors.map(({ times }) => times)
  }
  visit(begin, -1, "")

  for (let state = 0; state < queue.length && found.length === 0; state++) {
    const world = queue[state]
    if (world === undefined) continue
    queue[state] = undefined
    const { left, mail, shards } = world

    if (isAtRest(world)) {
      resting++
      endings.add(statuses(world.shards, scenario).join(" "))
      if (blame(Invariants.ofRest(shards, transfers), () => pathTo(state))) break
    } else if (network.quiet(mail) && !network.lossy(mail) && !scenario.losesData) {
      // Nobody was ever needed for what is on its way, only for an authorization that nobody captures.
      const waiting = statuses(shards, scenario).filter((status) => status !== "authorized" && !isEnded(status))
      const broken = waiting.map((status): Broken => ({ invariant: "every transfer ends", detail: `one is ${status}` }))
      if (blame(broken, () => pathTo(state))) break
    }

    for (const move of network.moves(mail)) {
      steps++
      if (move.letter === undefined) {
        visit({ ...world, mail: move.mail }, state, move.label)
      } else {
        const { letter } = move
        const before = shards[letter.to]
        if (before === undefined) continue
        const key = `${together(shards)} ${move.number}`
        const known = taken.get(key)
        const { after, broken, stopped, told } = known ?? take(shards, before, letter)
        if (known === undefined) taken.set(key, { after, broken, stopped, told })
        if (stopped) stops++
        if (blame(broken, () => pathTo(state, move.label))) break
        if (stopped) continue
        const next = visit(
          {
            shards: shards.map((shard) => shard.id === letter.to ? after : shard),
            mail: network.send(move.mail, told),
            left
          },
          state,
          move.label
        )
        if (move.plain) plain.push(state, next)
      }
      if (found.length > 0) break
    }

    for (const [index, { act, name, shard }] of actors.entries()) {
      if (found.length > 0) break
      const at = shards[shard]
      const times = left[index] ?? 0
      const acted = times === 0 || at === undefined ? undefined : act(at)
      if (acted === undefined) continue
      steps++
      visit(
        {
          shards: shards.map((other) => other.id === shard ? same(acted.shard) : other),
          mail: network.send(mail, lettersOf(acted.shard, acted.events)),
          left: left.map((times, other) => other === index ? times - 1 : times)
        },
        state,
        name
      )
    }
  }

  // A worker may die after it decided and before it committed. Each state was decided on for every message that could
  // come, and then gone on from as if it had not been: it must be as it was.
  if (found.length === 0) {
    const broken = changed().map((shard): Broken => ({
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
    arrows,
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

const isEnded = (status: string): boolean => Array.from<string>(ended).includes(status)

const statuses = (shards: ReadonlyArray<Shard>, { transfers }: Scenario): ReadonlyArray<string> =>
  transfers.map(({ source, transfer }) => {
    const home = shards.find(({ id, map }) => shardOfAccount(map, source) === id)
    return home?.transfers.get(transfer)?.status ?? ""
  })

/** Takes down what a message did, as arrows of the drawing. */
const note = (
  arrows: Map<string, Arrow>,
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
