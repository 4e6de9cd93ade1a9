/**
 * A walk: one way through a scenario, chosen step by step from what may happen next. Where the search sees every state of
 * something small, walks go far into something large.
 */
import { Result } from "effect"
import * as Invariants from "./Invariants.ts"
import type { Broken } from "./Invariants.ts"
import { type Letter, lettersOf, type Network } from "./Network.ts"
import type { Scenario } from "./Scenario.ts"
import type { Shard } from "./ShardModel.ts"
import * as ShardModel from "./ShardModel.ts"

export interface Walk {
  readonly shards: ReadonlyArray<Shard>
  /** What was delivered to each shard, in the order in which it was. */
  readonly delivered: ReadonlyArray<ReadonlyArray<Letter>>
  readonly steps: ReadonlyArray<string>
  readonly broken: ReadonlyArray<Broken>
}

/**
 * Takes a step for every choice, then delivers all that is left, and asks what has to be asked, until everything is at
 * rest. Each step is held to the invariants, and so is the rest.
 */
export const walk = <Mail>(scenario: Scenario, network: Network<Mail>, choices: ReadonlyArray<number>): Walk => {
  const { actors, requests, transfers } = scenario
  const wealth = Invariants.wealth(scenario.shards)
  const delivered: Array<Array<Letter>> = scenario.shards.map(() => [])
  const steps: Array<string> = []
  const broken: Array<Broken> = []
  const left = actors.map(({ times }) => times)
  let shards = scenario.shards
  let mail = network.send(network.empty, requests.map(({ event, shard }) => ({ event, from: shard, to: shard })))

  const deliver = ({ event, from, to }: Letter): void => {
    const before = shards[to]
    if (before === undefined) return
    const turn = ShardModel.work(before, [{ event, from }])
    if (Result.isFailure(turn)) {
      broken.push({ invariant: "no message is one that cannot be", detail: turn.failure.message })
      return
    }
    const { changes, shard } = turn.success
    delivered[to]?.push({ event, from, to })
    broken.push(...Invariants.ofStep(shards, to, shard, changes))
    shards = shards.map((other) => other.id === to ? shard : other)
    mail = network.send(mail, lettersOf(shard, changes.events.map((announcement) => announcement.event)))
    broken.push(...Invariants.ofState(shards, transfers, wealth))
  }

  const acts = (duty: boolean) =>
    actors.flatMap(({ act, duty: due, name, shard }, index) => {
      const at = shards[shard]
      if (at === undefined || (left[index] ?? 0) === 0 || (duty && due !== "always")) return []
      const acted = act(at)
      return acted === undefined ? [] : [{
        label: name,
        take: () => {
          left[index] = (left[index] ?? 0) - 1
          shards = shards.map((other) => other.id === shard ? acted.shard : other)
          mail = network.send(mail, lettersOf(acted.shard, acted.events))
        }
      }]
    })

  const moves = (plainOnly: boolean) =>
    network.moves(mail).filter(({ plain }) => plain || !plainOnly).map((move) => ({
      label: move.label,
      take: () => {
        mail = move.mail
        if (move.letter !== undefined) deliver(move.letter)
      }
    }))

  const step = (
    options: ReadonlyArray<{ readonly label: string; readonly take: () => void }>,
    choice: number
  ): boolean => {
    const option = options[choice % Math.max(1, options.length)]
    if (option === undefined || broken.length > 0) return false
    steps.push(option.label)
    option.take()
    return true
  }

  for (const choice of choices) if (!step([...moves(false), ...acts(false)], choice)) break
  while (step(moves(true), 0) || step(acts(true), 0)) continue
  if (broken.length === 0) broken.push(...Invariants.ofRest(shards, transfers))

  return { shards, delivered, steps, broken }
}
