/**
 * Clients of a simulated platform. Each asks for one thing after the other, and keeps what it asked and what it heard. One
 * that has no answer asks again under the same key, at whatever process answers, until it knows: nothing stays unknown.
 */
import { Effect, Exit, Option, Schedule } from "effect"
import { defaultsOf } from "#domain/account/Account.ts"
import { InstructionId } from "#domain/ledger/Instruction.ts"
import { Amount } from "#domain/money/Amount.ts"
import { Currency } from "#domain/money/Currency.ts"
import { partitionOf } from "#domain/sharding/Partition.ts"
import type { ShardMap } from "#domain/sharding/ShardMap.ts"
import {
  type InstructionEvent,
  Intake,
  type Recorded,
  type Request,
  type TransferIntent
} from "#domain/transfer/Intake.ts"
import type { Terms } from "#domain/transfer/TransferEvent.ts"
import * as TransferId from "#domain/transfer/TransferId.ts"
import type { Chance } from "./Chance.ts"
import type { Accounts, HowOften, Wish } from "./Plan.ts"
import type { Process } from "./Processes.ts"

const EUR = Currency.make("EUR")

/** What a client heard: what it asked for was recorded under this id. */
export interface Heard {
  readonly key: string
  readonly asked: TransferIntent
  readonly recorded: TransferId.TransferId
}

type Asked = Pick<TransferIntent, "capture" | "expiresInSeconds" | "reverses"> & Omit<Terms, "transfer" | "currency">

const plain = { capture: "automatic", expiresInSeconds: null, reverses: null } as const

export interface ClientsOptions {
  readonly map: ShardMap
  readonly accounts: Accounts
  readonly chance: Chance
  readonly servers: ReadonlyArray<Process>
  readonly tell: (line: () => string) => void
}

export class Clients {
  /** By the number of the wish, where it was one. */
  readonly transfers: Map<string, Heard> = new Map()
  readonly instructions: Array<InstructionId> = []
  /** What should not have been answered so. */
  readonly astonished: Array<string> = []
  readonly #options: ClientsOptions
  #ids = 0

  constructor(options: ClientsOptions) {
    this.#options = options
  }

  #request(key: string): Request {
    return {
      client: "client",
      idempotencyKey: key,
      fingerprint: "ab".repeat(32),
      requestId: `req-${++this.#ids}`,
      traceparent: null
    }
  }

  /** Asks one process after the other, until one says what has become of it. */
  #insist<A, E extends { readonly _tag: string }>(
    what: () => Effect.Effect<A, E, Intake>
  ): Effect.Effect<Exit.Exit<A, E>> {
    const { chance, servers } = this.#options
    const once = Effect.suspend(() => {
      const server = chance.any(servers.filter(({ isUp }) => isUp))
      if (server === undefined) return Effect.as(Effect.sleep(100), Option.none<Exit.Exit<A, E>>())
      return Effect.timeoutOption(Effect.exit(server.ask(what())), 1 + chance.magnitude(10, 5_000))
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

  /** Opens all accounts, and gives every customer something, all at once. */
  get moveIn(): Effect.Effect<void> {
    const { bank, customers } = this.#options.accounts
    const limits = (number: number) => number % 5 === 4 ? { ceiling: 150n } : number % 5 === 3 ? { floor: -60n } : {}
    const accounts = [
      { id: bank, kind: "external" as const, ...defaultsOf("external") },
      ...customers.map((id, number) => ({
        id,
        kind: "customer" as const,
        ...defaultsOf("customer"),
        ...limits(number)
      }))
    ]
    const open = Effect.forEach(accounts, (account) => {
      const request = this.#request(`open ${account.id}`)
      return this.#insist(() =>
        Intake.use((intake) =>
          intake.open({ request, named: true, metadata: {}, account: { currency: EUR, ceiling: null, ...account } })
        )
      )
    }, { concurrency: "unbounded", discard: true })
    const deposit = Effect.forEach(
      customers,
      (destination) =>
        this.#transfer(
          `deposit ${destination}`,
          { ...plain, source: bank, destination, amount: Amount.make(100n) },
          "once"
        ),
      {
        concurrency: "unbounded",
        discard: true
      }
    )
    return Effect.andThen(open, deposit)
  }

  /** Asks for what is wished. A wish about another one is left where nothing is known of that one. */
  ask(wish: Wish): Effect.Effect<void> {
    const key = `wish ${wish.number}`
    switch (wish.asks) {
      case "transfer": {
        const { capture, destination, expiresInSeconds, howOften, minor, source } = wish
        const amount = Amount.make(BigInt(minor))
        return this.#transfer(key, { source, destination, amount, capture, expiresInSeconds, reverses: null }, howOften)
      }
      case "reversal": {
        const before = this.transfers.get(`wish ${wish.of}`)
        if (before === undefined) return Effect.void
        const { destination, source } = before.asked.terms
        const amount = Amount.make(BigInt(wish.minor))
        const asked = { ...plain, source: destination, destination: source, amount, reverses: before.recorded }
        return this.#transfer(key, asked, wish.howOften)
      }
      case "capture": {
        const before = this.transfers.get(`wish ${wish.of}`)
        if (before === undefined) return Effect.void
        const { asked: { terms }, recorded: transfer } = before
        const captured = wish.minor === null ? null : Amount.make(BigInt(wish.minor))
        return this.#instruct(key, (instruction) => ({
          type: "transfer.capture_requested",
          ...terms,
          transfer,
          captured,
          instruction
        }))
      }
      case "void": {
        const before = this.transfers.get(`wish ${wish.of}`)
        return before === undefined ? Effect.void : this.void(key, before)
      }
      default: {
        const { account, asks } = wish
        return this.#instruct(key, (instruction) => ({ type: `account.${asks}_requested`, account, instruction }))
      }
    }
  }

  void(key: string, { asked: { terms }, recorded: transfer }: Heard): Effect.Effect<void> {
    return this.#instruct(key, (instruction) => ({ type: "transfer.void_requested", ...terms, transfer, instruction }))
  }

  #transfer(key: string, { capture, expiresInSeconds, reverses, ...terms }: Asked, howOften: HowOften) {
    const { chance, map, tell } = this.#options
    // Whoever takes the request draws an id for it. All but one of them are for nothing.
    const intent = (): TransferIntent => ({
      request: this.#request(key),
      terms: {
        transfer: TransferId.make(
          1_000_000_000_000 + ++this.#ids,
          partitionOf(terms.source, map.partitions),
          chance.next
        ),
        currency: EUR,
        ...terms
      },
      capture,
      expiresInSeconds,
      reverses,
      reference: null,
      description: null,
      metadata: {}
    })
    return Effect.gen({ self: this }, function*() {
      const asked = intent()
      const { amount, destination, source } = asked.terms
      tell(() =>
        `${key} asks for ${amount} from ${source} to ${destination}` +
        (capture === "manual" ? `, captured within ${expiresInSeconds} s` : "") +
        (reverses === null ? "" : `, as a reversal of ${reverses}`)
      )
      const heard = yield* this.#insist(() => requested(intent(), howOften))
      if (Exit.isFailure(heard)) {
        this.astonished.push(`${key} was answered ${String(heard.cause)}`)
        return
      }
      const recorded = heard.value.record.terms.transfer
      tell(() => `${key} is ${recorded}`)
      this.transfers.set(key, { key, asked, recorded })
      if (howOften === "again") yield* this.#again(key, intent, recorded)
    })
  }

  /** A key that is known leads to what it led to, or refuses another request. */
  #again(key: string, intent: () => TransferIntent, recorded: TransferId.TransferId): Effect.Effect<void> {
    return Effect.gen({ self: this }, function*() {
      const again = yield* this.#insist(() => requested(intent(), "twice in a batch"))
      const same: Recorded<{ readonly terms: Terms }> | undefined = Exit.isSuccess(again) ? again.value : undefined
      if (same?.replayed !== true || same.record.terms.transfer !== recorded) {
        this.astonished.push(`${key} asked again did not lead to ${recorded}`)
      }
      const other = yield* this.#insist(() => {
        const asked = intent()
        return requested({ ...asked, request: { ...asked.request, fingerprint: "cd".repeat(32) } }, "once")
      })
      if (Exit.isSuccess(other)) this.astonished.push(`${key} was taken for another request`)
    })
  }

  #instruct(key: string, event: (id: InstructionId) => InstructionEvent): Effect.Effect<void> {
    const id = () => InstructionId.make(`ins_${String(++this.#ids).padStart(26, "0")}`)
    return Effect.gen({ self: this }, function*() {
      this.#options.tell(() => `${key} asks for ${event(id()).type}`)
      const heard = yield* this.#insist(() =>
        Intake.use((intake) => intake.instruct({ request: this.#request(key), event: event(id()) }))
      )
      if (Exit.isFailure(heard)) this.astonished.push(`${key} was answered ${String(heard.cause)}`)
      else {
        this.instructions.push(heard.value.record.id)
        this.#options.tell(() => `${key} is ${heard.value.record.id}`)
      }
    })
  }
}

const requested = (intent: TransferIntent, howOften: HowOften) =>
  Intake.use((intake) =>
    howOften === "once"
      ? intake.request(intent)
      : Effect.flatMap(intake.requestAll([intent, intent]), ([, second]) => second ?? Effect.die("no answer"))
  )
