/**
 * Every order in which the letters of a scenario can arrive and its actors act, each as a list of steps to its very end:
 * for those who try each order on something that, unlike the model, cannot be in many states at once.
 */
import { Result } from "effect"
import type { LedgerEvent } from "#domain/ledger/LedgerEvent.ts"
import type { ShardId } from "#domain/sharding/ShardMap.ts"
import type { TransferStatus } from "#domain/transfer/Transfer.ts"
import { type Letter, lettersOf, type Network } from "./Network.ts"
import type { Scenario } from "./Scenario.ts"
import * as ShardModel from "./ShardModel.ts"

export type Step =
  | { readonly does: "delivers"; readonly letter: Letter }
  | { readonly does: "asks"; readonly shard: ShardId; readonly events: ReadonlyArray<LedgerEvent> }

export interface Order {
  readonly steps: ReadonlyArray<Step>
  /** How the first transfer ends in it. */
  readonly ending: TransferStatus
}

export const ordersOf = <Mail>(scenario: Scenario, network: Network<Mail>): ReadonlyArray<Order> => {
  const orders: Array<Order> = []

  const goOn = (
    shards: ReadonlyArray<ShardModel.Shard>,
    mail: Mail,
    left: ReadonlyArray<number>,
    steps: ReadonlyArray<Step>
  ): void => {
    const withShard = (shard: ShardModel.Shard) => shards.map((other) => other.id === shard.id ? shard : other)
    let isEnd = true
    for (const move of network.moves(mail)) {
      const { letter } = move
      const before = letter === undefined ? undefined : shards[letter.to]
      if (letter === undefined || before === undefined) continue
      isEnd = false
      const { changes, shard } = Result.getOrThrow(ShardModel.work(before, [letter]))
      const sent = lettersOf(shard, changes.events.map(({ event }) => event))
      goOn(withShard(shard), network.send(move.mail, sent), left, [...steps, { does: "delivers", letter }])
    }
    for (const [index, { act, shard: at }] of scenario.actors.entries()) {
      const before = shards[at]
      const acted = (left[index] ?? 0) === 0 || before === undefined ? undefined : act(before)
      if (acted === undefined) continue
      isEnd = false
      goOn(
        withShard(acted.shard),
        network.send(mail, lettersOf(acted.shard, acted.events)),
        left.with(index, (left[index] ?? 0) - 1),
        [...steps, { does: "asks", shard: at, events: acted.events }]
      )
    }
    if (!isEnd) return
    const [first] = scenario.transfers
    const status = shards.flatMap(({ transfers }) => transfers.get(first?.transfer ?? "")?.status ?? [])[0]
    if (status !== undefined) orders.push({ steps, ending: status })
  }

  const requested = scenario.requests.map(({ event, shard }) => ({ event, from: shard, to: shard }))
  goOn(scenario.shards, network.send(network.empty, requested), scenario.actors.map(({ times }) => times), [])
  return orders
}
