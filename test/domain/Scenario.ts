/**
 * What the exhaustive check begins with, and who acts beside the workers: a few accounts on two shards of one partition
 * each, the transfers that clients wish for, and the clients and reconcilers who may do something at any time.
 */
import { Result } from "effect"
import type { Account, AccountId } from "#domain/account/Account.ts"
import { type Instruction, InstructionId } from "#domain/ledger/Instruction.ts"
import type { LedgerEvent } from "#domain/ledger/LedgerEvent.ts"
import { Amount } from "#domain/money/Amount.ts"
import { Currency } from "#domain/money/Currency.ts"
import { question } from "#domain/reconciliation/SilentTransfers.ts"
import { even, type ShardId, shardOfAccount } from "#domain/sharding/ShardMap.ts"
import type { Capture, Terms } from "#domain/transfer/TransferEvent.ts"
import type { InstructionEvent } from "#domain/transfer/Intake.ts"
import type { Transfer, TransferStatus } from "#domain/transfer/Transfer.ts"
import { lettersOf, nameOf } from "./Network.ts"
import * as ShardModel from "./ShardModel.ts"
import type { Shard } from "./ShardModel.ts"

/** Somebody who may act so many times, at any moment when there is something to act on. */
export interface Actor {
  readonly name: string
  readonly shard: ShardId
  readonly times: number
  /** Must they act before all can be at rest? A reconciler must where something was lost; or, to end what waits, always. */
  readonly duty: "none" | "where something was lost" | "always"
  /** What becomes of the shard, and what is appended to its log; `undefined` when there is nothing to do now. */
  readonly act: (shard: Shard) => { readonly shard: Shard; readonly events: ReadonlyArray<LedgerEvent> } | undefined
}

export interface Scenario {
  readonly name: string
  readonly shards: ReadonlyArray<Shard>
  readonly transfers: ReadonlyArray<Terms>
  /** What the clients have requested before anything else happens, by shard. */
  readonly requests: ReadonlyArray<{ readonly shard: ShardId; readonly event: LedgerEvent }>
  readonly actors: ReadonlyArray<Actor>
  /** May a shard lose what it once wrote? Then only what each shard can hold on its own is asked of it. */
  readonly losesData: boolean
}

export const map = even(2, 2)
export const EUR = Currency.make("EUR")
export const USD = Currency.make("USD")

/** Alice and Anna live on shard 0, Bob and Bill on shard 1. */
export const alice = ShardModel.accountOn(map, 0, "alice")
export const anna = ShardModel.accountOn(map, 0, "anna")
export const bob = ShardModel.accountOn(map, 1, "bob")
export const bill = ShardModel.accountOn(map, 1, "bill")
export const nobody = ShardModel.accountOn(map, 1, "nobody")

export interface Opening {
  readonly id: AccountId
  readonly funds?: bigint
  readonly currency?: Currency
  readonly more?: Partial<Account>
}

export interface Wish {
  readonly source: AccountId
  readonly destination: AccountId
  readonly amount: bigint
  readonly capture?: Capture
  /** The number of the wish whose money it brings back, from 1 on. */
  readonly reverses?: number
  /** Has it gone its way before anything else happens? */
  readonly settled?: boolean
}

export const scenario = (options: {
  readonly name: string
  readonly accounts: ReadonlyArray<Opening>
  readonly wishes: ReadonlyArray<Wish>
  /** Who acts on each transfer, and beside them. */
  readonly actors?: (transfer: Terms) => ReadonlyArray<Actor>
  readonly others?: ReadonlyArray<Actor>
  /** A shard that may be restored, at any moment, from a backup that was taken before the first request. */
  readonly restored?: ShardId
}): Scenario => {
  const shards = [ShardModel.empty(map, 0), ShardModel.empty(map, 1)]
  const change = (shard: ShardId, f: (shard: Shard) => Shard) => {
    const before = shards[shard]
    if (before !== undefined) shards[shard] = f(before)
  }

  for (const [index, { currency = EUR, funds = 0n, id, more }] of options.accounts.entries()) {
    const home = shardOfAccount(map, id)
    change(home, (shard) => {
      const opened = ShardModel.withAccount(shard, ShardModel.customer(id, currency))
      const bank = ShardModel.accountOn(map, home, `bank:${currency}`)
      const funded = funds === 0n ? opened : ShardModel.deposit(
        ShardModel.withAccount(
          opened,
          opened.accounts.get(bank) ??
            ShardModel.customer(bank, currency, { kind: "external", normalSide: "debit", floor: null })
        ),
        {
          transfer: ShardModel.transferId(map, bank, 16 + index),
          source: bank,
          destination: id,
          amount: Amount.make(funds),
          currency
        }
      )
      const account = funded.accounts.get(id)
      return account === undefined ? funded : ShardModel.withAccount(funded, { ...account, ...more })
    })
  }

  const transfers = options.wishes.map(({ amount, destination, source }, index): Terms => ({
    transfer: ShardModel.transferId(map, source, index + 1),
    source,
    destination,
    amount: Amount.make(amount),
    currency: EUR
  }))
  const request = (terms: Terms, { capture = "automatic", reverses }: Wish) => {
    const home = shardOfAccount(map, terms.source)
    const reversed = reverses === undefined ? undefined : transfers[reverses - 1]
    const { event, shard } = ShardModel.requested(
      shards[home] ?? ShardModel.empty(map, home),
      terms,
      capture,
      reversed?.transfer
    )
    shards[home] = shard
    return { shard: home, event }
  }
  const wished = transfers.flatMap((terms, index) => {
    const wish = options.wishes[index]
    return wish === undefined ? [] : [{ terms, wish }]
  })
  for (const { terms, wish } of wished) if (wish.settled === true) settle(shards, request(terms, wish))

  const backups = [...shards]
  const requests = wished.flatMap(({ terms, wish }) => wish.settled === true ? [] : [request(terms, wish)])

  return {
    name: options.name,
    shards,
    transfers,
    requests,
    actors: [
      ...transfers.flatMap((terms) => options.actors?.(terms) ?? []),
      ...options.others ?? [],
      ...options.restored === undefined ? [] : backups.slice(options.restored, options.restored + 1).map(restores)
    ],
    losesData: options.restored !== undefined
  }
}

/** Delivers a request and all that follows from it, in order. */
const settle = (shards: Array<Shard>, request: { readonly shard: ShardId; readonly event: LedgerEvent }): void => {
  const letters = [{ event: request.event, from: request.shard, to: request.shard }]
  for (let letter = letters.shift(); letter !== undefined; letter = letters.shift()) {
    const { changes, shard } = Result.getOrThrow(
      ShardModel.work(shards[letter.to] ?? ShardModel.empty(map, letter.to), [letter])
    )
    shards[letter.to] = shard
    letters.push(...lettersOf(shard, changes.events.map(({ event }) => event)))
  }
}

// who acts ───────────────────────────────────────────────────────────────────────────────────────────────────────────

const onTransfer = (
  name: string,
  terms: Terms,
  times: number,
  duty: Actor["duty"],
  ask: (transfer: Transfer) => LedgerEvent | undefined
): Actor => ({
  name: `${name} ${nameOf(terms.transfer)}`,
  shard: shardOfAccount(map, terms.source),
  times,
  duty,
  act: (shard) => {
    const transfer = shard.transfers.get(terms.transfer)
    const event = transfer === undefined ? undefined : ask(transfer)
    return event === undefined ? undefined : { shard: { ...shard, log: [...shard.log, event] }, events: [event] }
  }
})

/** The reconciler's own question about a transfer, whenever it finds it in that state, however young it is. */
const reconciler =
  (name: string, status: TransferStatus, duty: Actor["duty"]) => (terms: Terms, times: number): Actor =>
    onTransfer(`reconciler ${name}`, terms, times, duty, (transfer) =>
      transfer.status === status
        ? question({ transfer, client: "client", expired: true, openSinceMillis: 0 })
        : undefined)

export const asksAgain = reconciler("asks again for", "requested", "where something was lost")
export const recalls = reconciler("recalls", "held", "where something was lost")
export const expires = reconciler("ends the authorization of", "authorized", "always")

/** The reconciler's question about what a client asks of a transfer, while that is open, however young it is. */
export const asksForAnswer = ({ source, transfer }: Terms, asks: Instruction["asks"], times: number): Actor => ({
  name: `reconciler asks again to ${asks} ${nameOf(transfer)}`,
  shard: shardOfAccount(map, source),
  times,
  duty: "where something was lost",
  act: (shard) => {
    for (const instruction of shard.instructions.values()) {
      if (instruction.subject !== transfer || instruction.asks !== asks) continue
      const event = carrierOf(shard, instruction)
      const again = event === undefined ? undefined : question({ instruction, event })
      if (again !== undefined) return { shard: { ...shard, log: [...shard.log, again] }, events: [again] }
    }
    return undefined
  }
})

/** What carried an instruction, as it stands in the shard's log. */
const carrierOf = ({ log }: Shard, { id }: Instruction): InstructionEvent | undefined => {
  for (const event of log) if ("instruction" in event && event.instruction === id) return event
  return undefined
}

/** A client asks something of what exists, once. What is asked late is delivered late. */
const client = (
  name: string,
  { amount, asks, subject }: Pick<Instruction, "amount" | "asks" | "subject">,
  home: ShardId,
  may: (shard: Shard) => boolean,
  eventOf: (instruction: InstructionId) => InstructionEvent
): Actor => {
  const id = instructionId(`${name} ${subject}`)
  const event = eventOf(id)
  const instruction: Instruction = { id, asks, subject, amount, status: "open", reason: null }
  return {
    name: `client ${name}`,
    shard: home,
    times: 1,
    duty: "none",
    act: (shard) =>
      may(shard) ? { shard: ShardModel.instructed(shard, instruction, event), events: [event] } : undefined
  }
}

/** An id for each name, always the same. */
const instructionId = (name: string): InstructionId => {
  const known = instructionIds.indexOf(name)
  const number = known === -1 ? instructionIds.push(name) - 1 : known
  return InstructionId.make(`ins_${String(number).padStart(26, "0")}`)
}
const instructionIds: Array<string> = []

/** A client who may still hope: the transfer is not yet on its way. */
const mayHope = ({ transfer }: Terms) => ({ transfers }: Shard): boolean => {
  const status = transfers.get(transfer)?.status
  return status === "requested" || status === "authorized"
}

export const voids = (terms: Terms, again = ""): Actor =>
  client(
    `voids ${nameOf(terms.transfer)}${again}`,
    { asks: "void", subject: terms.transfer, amount: null },
    shardOfAccount(map, terms.source),
    mayHope(terms),
    (instruction) => ({ type: "transfer.void_requested", ...terms, instruction })
  )

export const captures = (terms: Terms, captured: bigint | null): Actor =>
  client(
    `captures ${captured ?? "all"} of ${nameOf(terms.transfer)}`,
    { asks: "capture", subject: terms.transfer, amount: captured },
    shardOfAccount(map, terms.source),
    mayHope(terms),
    (instruction) => ({
      type: "transfer.capture_requested",
      ...terms,
      captured: captured === null ? null : Amount.make(captured),
      instruction
    })
  )

/** Of an account clients ask whatever its status is, and perhaps again. */
const ofAccount = (asks: "freeze" | "unfreeze" | "close", verb: string) => (account: AccountId, again = ""): Actor =>
  client(
    `${verb} ${account}${again}`,
    { asks, subject: account, amount: null },
    shardOfAccount(map, account),
    ({ accounts }) => accounts.has(account),
    (instruction) => ({ type: `account.${asks}_requested`, account, instruction })
  )

export const freezes = ofAccount("freeze", "freezes")
export const unfreezes = ofAccount("unfreeze", "unfreezes")
export const closes = ofAccount("close", "closes")

/** A shard's database is restored from a backup: what it wrote since is gone, what it sent is not. */
const restores = (backup: Shard): Actor => ({
  name: `shard ${backup.id} is restored from an old backup`,
  shard: backup.id,
  times: 1,
  duty: "none",
  act: () => ({ shard: backup, events: [] })
})
