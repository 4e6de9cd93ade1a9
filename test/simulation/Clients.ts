/**
 * Clients of a simulated platform. Each asks for one thing after the other, and keeps what it asked and what it heard. One
 * that has no answer asks again under the same key, at whatever process answers, until it knows: nothing stays unknown.
 */
import { Effect, Exit, Option, Schedule } from "effect"
import { AccountId, defaultsOf } from "#domain/account/Account.ts"
import { InstructionId } from "#domain/ledger/Instruction.ts"
import { Amount } from "#domain/money/Amount.ts"
import { Currency } from "#domain/money/Currency.ts"
import { partitionOf } from "#domain/sharding/Partition.ts"
import { type ShardMap, shardOfAccount } from "#domain/sharding/ShardMap.ts"
import {
  type InstructionEvent,
  Intake,
  type Recorded,
  type Request,
  type TransferIntent
} from "#domain/transfer/Intake.ts"
import type { Capture, Terms } from "#domain/transfer/TransferEvent.ts"
import * as TransferId from "#domain/transfer/TransferId.ts"
import type { Chance } from "./Chance.ts"
import type { Process } from "./Processes.ts"

const EUR = Currency.make("EUR")

/** What a client heard: what it asked for was recorded under this id, or will not be. */
export interface Heard {
  readonly key: string
  readonly asked: TransferIntent
  readonly recorded: TransferId.TransferId
}

export class Clients {
  readonly bank: AccountId
  readonly customers: ReadonlyArray<AccountId>
  /** Names at home on each shard that no account has. */
  readonly nobody: ReadonlyArray<AccountId>
  readonly transfers: Array<Heard> = []
  readonly instructions: Array<InstructionId> = []
  /** What should not have been answered so. */
  readonly astonished: Array<string> = []
  readonly #map: ShardMap
  readonly #chance: Chance
  readonly #servers: ReadonlyArray<Process>
  #asked = 0

  constructor(map: ShardMap, chance: Chance, servers: ReadonlyArray<Process>, customers: number) {
    this.#map = map
    this.#chance = chance
    this.#servers = servers
    const shards = Math.max(...map.homes) + 1
    this.bank = this.#nameOn(0, "bank")
    this.customers = Array.from(
      { length: customers },
      (_, number) => this.#nameOn(number % shards, `customer-${number}`)
    )
    this.nobody = Array.from({ length: shards }, (_, shard) => this.#nameOn(shard, "nobody"))
  }

  #nameOn(shard: number, name: string): AccountId {
    for (let number = 1;; number++) {
      const id = `${name}.${number}`
      if (shardOfAccount(this.#map, id) === shard) return AccountId.make(id)
    }
  }

  #request(key = `key-${++this.#asked}`): Request {
    return {
      client: "client",
      idempotencyKey: key,
      fingerprint: "ab".repeat(32),
      requestId: `req-${++this.#asked}`,
      traceparent: null
    }
  }

  /** Asks one process after the other, until one says what has become of it. */
  #insist<A, E extends { readonly _tag: string }>(
    what: () => Effect.Effect<A, E, Intake>
  ): Effect.Effect<Exit.Exit<A, E>> {
    const once = Effect.suspend(() => {
      const server = this.#chance.any(this.#servers.filter(({ isUp }) => isUp))
      if (server === undefined) return Effect.as(Effect.sleep(100), Option.none<Exit.Exit<A, E>>())
      return Effect.timeoutOption(Effect.exit(server.ask(what())), 1 + this.#chance.magnitude(10, 5_000))
    })
    const isKnown = (heard: Option.Option<Exit.Exit<A, E>>) =>
      Option.isSome(heard) &&
      !(Exit.isFailure(heard.value) &&
        heard.value.cause.reasons.some((reason) => reason._tag === "Fail" && reason.error._tag === "ShardUnavailable"))
    return once.pipe(
      Effect.repeat({ until: isKnown, schedule: Schedule.spaced("50 millis") }),
      Effect.map(Option.getOrThrow)
    )
  }

  /** Opens all accounts, and gives every customer something, one at a time. */
  get moveIn(): Effect.Effect<void> {
    return Effect.gen({ self: this }, function*() {
      const limits = (number: number) => number % 5 === 4 ? { ceiling: 150n } : number % 5 === 3 ? { floor: -60n } : {}
      const accounts = [
        { id: this.bank, kind: "external" as const, ...defaultsOf("external") },
        ...this.customers.map((id, number) => ({
          id,
          kind: "customer" as const,
          ...defaultsOf("customer"),
          ...limits(number)
        }))
      ]
      for (const account of accounts) {
        const request = this.#request()
        yield* this.#insist(() =>
          Intake.use((intake) =>
            intake.open({ request, named: true, metadata: {}, account: { currency: EUR, ceiling: null, ...account } })
          )
        )
      }
      for (const customer of this.customers) yield* this.#transfer(this.bank, customer, 100n, "automatic", null)
    })
  }

  /** One wish, whatever it is. */
  get wish(): Effect.Effect<void> {
    return Effect.suspend(() => {
      const chance = this.#chance
      const [source, destination] = [this.#party, this.#party]
      const minor = BigInt(1 + chance.below(chance.happens(0.2) ? 200 : 40))
      const before = chance.any(this.transfers)
      switch (chance.below(8)) {
        case 0:
        case 1:
          return this.#transfer(source, destination, minor, "manual", null)
        case 2:
          if (before === undefined || before.asked.terms.source === this.bank) break
          return this.#transfer(
            before.asked.terms.destination,
            before.asked.terms.source,
            minor,
            "automatic",
            before.recorded
          )
        case 3: {
          if (before?.asked.capture !== "manual") break
          const of = { ...before.asked.terms, transfer: before.recorded }
          return chance.happens(0.3)
            ? this.void(of)
            : this.#instruct((instruction) => ({
              type: "transfer.capture_requested",
              ...of,
              captured: chance.happens(0.5) ? null : Amount.make(minor),
              instruction
            }))
        }
        case 4: {
          if (!chance.happens(0.3)) break
          const account = chance.any(this.customers) ?? this.bank
          const type = chance.one([
            "account.freeze_requested",
            "account.unfreeze_requested",
            "account.unfreeze_requested"
          ])
          return this.#instruct((instruction) => ({ type, account, instruction }))
        }
      }
      return this.#transfer(source, destination, minor, "automatic", null)
    })
  }

  get #party(): AccountId {
    const all = this.#chance.happens(0.05) ? this.nobody : this.customers
    return this.#chance.any(all) ?? this.bank
  }

  #transfer(
    source: AccountId,
    destination: AccountId,
    minor: bigint,
    capture: Capture,
    reverses: TransferId.TransferId | null
  ): Effect.Effect<void> {
    if (source === destination) return Effect.void
    const chance = this.#chance
    return Effect.gen({ self: this }, function*() {
      const key = `key-${++this.#asked}`
      const expiresInSeconds = capture === "manual" ? chance.one([0, 1, 5, 600]) : null
      // Whoever takes the request draws an id for it. All but one of them are for nothing.
      const intent = (): TransferIntent => ({
        request: this.#request(key),
        terms: {
          transfer: TransferId.make(
            1_000_000_000_000 + ++this.#asked,
            partitionOf(source, this.#map.partitions),
            chance.next
          ),
          source,
          destination,
          amount: Amount.make(minor),
          currency: EUR
        },
        capture,
        expiresInSeconds,
        reverses,
        reference: null,
        description: null,
        metadata: {}
      })
      const asked = intent()
      const heard = yield* this.#insist(() => this.#requested(intent()))
      if (Exit.isFailure(heard)) {
        this.astonished.push(`${key} was answered ${String(heard.cause)}`)
        return
      }
      const recorded = heard.value.record.terms.transfer
      this.transfers.push({ key, asked, recorded })
      if (chance.happens(0.1)) yield* this.#again(key, intent, recorded)
    })
  }

  #requested(intent: TransferIntent) {
    return Intake.use((intake) =>
      this.#chance.happens(0.8)
        ? intake.request(intent)
        : Effect.flatMap(intake.requestAll([intent, intent]), ([, second]) => second ?? Effect.die("no answer"))
    )
  }

  /** A key that is known leads to what it led to, or refuses another request. */
  #again(key: string, intent: () => TransferIntent, recorded: TransferId.TransferId): Effect.Effect<void> {
    return Effect.gen({ self: this }, function*() {
      const again = yield* this.#insist(() => this.#requested(intent()))
      const same: Recorded<{ readonly terms: Terms }> | undefined = Exit.isSuccess(again) ? again.value : undefined
      if (same?.replayed !== true || same.record.terms.transfer !== recorded) {
        this.astonished.push(`${key} asked again did not lead to ${recorded}`)
      }
      const other = yield* this.#insist(() => {
        const asked = intent()
        return this.#requested({ ...asked, request: { ...asked.request, fingerprint: "cd".repeat(32) } })
      })
      if (Exit.isSuccess(other)) this.astonished.push(`${key} was taken for another request`)
    })
  }

  void(of: Terms): Effect.Effect<void> {
    return this.#instruct((instruction) => ({ type: "transfer.void_requested", ...of, instruction }))
  }

  #instruct(event: (id: InstructionId) => InstructionEvent): Effect.Effect<void> {
    return Effect.gen({ self: this }, function*() {
      const request = this.#request()
      const id = () => InstructionId.make(`ins_${String(++this.#asked).padStart(26, "0")}`)
      const heard = yield* this.#insist(() => Intake.use((intake) => intake.instruct({ request, event: event(id()) })))
      if (Exit.isSuccess(heard)) this.instructions.push(heard.value.record.id)
      else this.astonished.push(`an instruction was answered ${String(heard.cause)}`)
    })
  }
}
