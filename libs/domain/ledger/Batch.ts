/**
 * A batch: messages decided one after the other in memory, over what one shard knows, to be written in one transaction.
 *
 * Order inside the batch is message order, and a later message sees the effect of an earlier one. The batch is the one
 * place where decisions are applied; it is mutable because a batch of a thousand messages would else copy its maps a
 * thousand times, and it lives no longer than its transaction.
 */
import { Result } from "effect"
import type { Account, AccountStatus } from "../account/Account.ts"
import * as ClearingAccount from "../account/ClearingAccount.ts"
import type { ShardId } from "../sharding/ShardMap.ts"
import { failed, type Transfer, type TransferStatus, type Verdict } from "../transfer/Transfer.ts"
import * as Balance from "./Balance.ts"
import type { Change, Message, Origin, ProtocolViolation, ShardView } from "./Decision.ts"
import type { Instruction, InstructionId, Reason } from "./Instruction.ts"
import type { LedgerEvent } from "./LedgerEvent.ts"
import { decide } from "./Protocol.ts"
import type { HoldRecord, Journal, Posting } from "./Journal.ts"

/** What must be read before messages can be decided. */
export interface Needs {
  readonly accounts: ReadonlySet<string>
  readonly transfers: ReadonlySet<string>
  readonly verdicts: ReadonlySet<string>
  readonly instructions: ReadonlySet<string>
  /** Transfers to be reversed: how much of them was brought back, or is on its way back. */
  readonly reversed: ReadonlySet<string>
}

/** What was read: the state that the decisions assume, and that the writes are guarded by. */
export interface Known {
  readonly accounts: ReadonlyMap<string, Account>
  readonly transfers: ReadonlyMap<string, Transfer>
  readonly verdicts: ReadonlyMap<string, Verdict>
  readonly instructions: ReadonlyMap<string, Instruction>
  readonly reversed: ReadonlyMap<string, bigint>
}

/** What was read, with what has changed since then laid over it. */
export const overlaid = (known: Known, changed: Known): Known => ({
  accounts: new Map([...known.accounts, ...changed.accounts]),
  transfers: new Map([...known.transfers, ...changed.transfers]),
  verdicts: new Map([...known.verdicts, ...changed.verdicts]),
  // In the order in which they were given: what was read is older.
  instructions: new Map([...known.instructions, ...changed.instructions]),
  reversed: new Map([...known.reversed, ...changed.reversed])
})

/** What a batch writes. */
export interface Changes {
  /** Clearing accounts that have their first entry in this batch. */
  readonly opened: ReadonlyArray<Account>
  /** Accounts whose balance changed; `balance.version` is still the version that was read. */
  readonly balances: ReadonlyArray<Account>
  readonly transfers: ReadonlyArray<{ readonly was: TransferStatus; readonly transfer: Transfer }>
  readonly holds: ReadonlyArray<HoldRecord>
  readonly journals: ReadonlyArray<Journal>
  readonly verdicts: ReadonlyArray<Verdict>
  readonly statuses: ReadonlyArray<{ readonly was: AccountStatus; readonly account: Account }>
  /** Instructions that were open and have their answer now. */
  readonly instructions: ReadonlyArray<Instruction>
  readonly events: ReadonlyArray<Announcement>
}

/** An event to be written to the shard's log, with the request it began with. */
export interface Announcement {
  readonly event: LedgerEvent
  readonly origin: Origin
}

/** What the messages ask about, seen from the shard that will decide them. */
export const needsOf = (
  messages: ReadonlyArray<Message>,
  shard: ShardId,
  isHome: (account: string) => boolean
): Needs => {
  const accounts = new Set<string>()
  const transfers = new Set<string>()
  const verdicts = new Set<string>()
  const instructions = new Set<string>()
  const reversed = new Set<string>()
  for (const { event, from } of messages) {
    if ("instruction" in event) instructions.add(event.instruction)
    switch (event.type) {
      case "transfer.requested":
        if (event.reverses !== undefined) {
          verdicts.add(event.reverses)
          reversed.add(event.reverses)
        }
        transfers.add(event.transfer)
        accounts.add(event.source)
        if (isHome(event.destination)) accounts.add(event.destination)
        break
      case "transfer.capture_requested":
        transfers.add(event.transfer)
        accounts.add(event.source)
        if (isHome(event.destination)) accounts.add(event.destination)
        break
      case "transfer.void_requested":
      case "transfer.expiry_due":
      case "transfer.refused":
        transfers.add(event.transfer)
        accounts.add(event.source)
        break
      case "transfer.credited":
        transfers.add(event.transfer)
        accounts.add(event.source)
        accounts.add(ClearingAccount.toShard(shard, from, event.currency))
        break
      case "transfer.held":
        verdicts.add(event.transfer)
        accounts.add(event.destination)
        accounts.add(ClearingAccount.fromShard(shard, from, event.currency))
        break
      case "transfer.recalled":
        verdicts.add(event.transfer)
        break
      case "account.freeze_requested":
      case "account.unfreeze_requested":
      case "account.close_requested":
        accounts.add(event.account)
        break
    }
  }
  return { accounts, transfers, verdicts, instructions, reversed }
}

export class Batch implements ShardView {
  readonly shard: ShardId
  readonly isHome: (account: string) => boolean
  readonly #known: Known
  readonly #accounts = new Map<string, Account>()
  readonly #transfers = new Map<string, Transfer>()
  readonly #verdicts = new Map<string, Verdict>()
  readonly #instructions = new Map<string, Instruction>()
  readonly #reversed = new Map<string, bigint>()
  readonly #holds: Array<HoldRecord> = []
  readonly #journals: Array<Journal> = []
  readonly #events: Array<Announcement> = []

  constructor(shard: ShardId, isHome: (account: string) => boolean, known: Known) {
    this.shard = shard
    this.isHome = isHome
    this.#known = known
  }

  account(id: string): Account | undefined {
    return this.#accounts.get(id) ?? this.#known.accounts.get(id)
  }

  transfer(id: string): Transfer | undefined {
    return this.#transfers.get(id) ?? this.#known.transfers.get(id)
  }

  verdict(id: string): Verdict | undefined {
    return this.#verdicts.get(id) ?? this.#known.verdicts.get(id)
  }

  instruction(id: string): Instruction | undefined {
    return this.#instructions.get(id) ?? this.#known.instructions.get(id)
  }

  reversed(id: string): bigint {
    return this.#reversed.get(id) ?? this.#known.reversed.get(id) ?? 0n
  }

  /** Decides one message and applies what was decided. A message that fails leaves the batch as it was. */
  take(message: Message): Result.Result<void, ProtocolViolation> {
    return Result.map(decide(this, message), (changes) => {
      for (const change of changes) this.#apply(change, message.origin)
    })
  }

  /** Refuses an instruction, of which it is known that it was not followed, and no more. */
  refuse(id: InstructionId, reason: Reason): void {
    this.#answer(id, reason)
  }

  get changes(): Changes {
    const balances = [...this.#accounts.values()]
    return {
      opened: balances.filter((account) => !this.#known.accounts.has(account.id)),
      balances,
      transfers: [...this.#transfers.values()].flatMap((transfer) => {
        const was = this.#known.transfers.get(transfer.terms.transfer)
        return was === undefined ? [] : [{ was: was.status, transfer }]
      }),
      holds: this.#holds,
      journals: this.#journals,
      verdicts: [...this.#verdicts.values()],
      statuses: balances.flatMap((account) => {
        const was = this.#known.accounts.get(account.id)?.status ?? account.status
        return was === account.status ? [] : [{ was, account }]
      }),
      instructions: [...this.#instructions.values()],
      events: this.#events
    }
  }

  /** What is known of all that was changed, once it is written. What a transfer's reversals come to is not among it. */
  get after(): Known {
    const written = [...this.#accounts].map(([id, account]): [string, Account] => [
      id,
      { ...account, balance: { ...account.balance, version: account.balance.version + 1n } }
    ])
    return {
      accounts: new Map(written),
      transfers: this.#transfers,
      verdicts: this.#verdicts,
      instructions: this.#instructions,
      reversed: new Map()
    }
  }

  #apply(change: Change, origin: Origin): void {
    switch (change._tag) {
      case "Moved":
        this.#move(change.transfer)
        return
      case "Ruled":
        this.#verdicts.set(change.verdict.terms.transfer, change.verdict)
        return
      case "Announced":
        this.#events.push({ event: change.event, origin })
        return
      case "Held": {
        const { account, amount, change: what } = change.record
        this.#change(this.#existing(account), (balance) => Balance.hold(balance, what === "placed" ? amount : -amount))
        this.#holds.push(change.record)
        return
      }
      case "Posted":
        this.#post(change.posting)
        return
      case "StatusChanged":
        this.#accounts.set(change.account, { ...this.#existing(change.account), status: change.status })
        return
      case "Answered":
        this.#answer(change.instruction, change.refusal)
        return
    }
  }

  #answer(id: InstructionId, refusal: Reason | null): void {
    const instruction = this.instruction(id)
    if (instruction === undefined) throw new Error(`the protocol answered ${id}, which it had not read`)
    const status = refusal === null ? "done" : "refused"
    this.#instructions.set(id, { ...instruction, status, reason: refusal })
  }

  #move(transfer: Transfer): void {
    const { reverses, terms } = transfer
    if (reverses !== null) {
      const before = this.transfer(terms.transfer)
      const change = bringsBack(transfer) - (before === undefined ? 0n : bringsBack(before))
      this.#reversed.set(reverses, this.reversed(reverses) + change)
    }
    this.#transfers.set(terms.transfer, transfer)
  }

  #post(posting: Posting): void {
    const debited = this.#change(
      this.#party(posting.debit, posting),
      (balance) => Balance.debit(balance, posting.amount)
    )
    const credited = this.#change(
      this.#party(posting.credit, posting),
      (balance) => Balance.credit(balance, posting.amount)
    )
    this.#journals.push({
      ...posting,
      debitSequence: debited.sequence,
      debitPosted: debited.posted,
      creditSequence: credited.sequence,
      creditPosted: credited.posted
    })
  }

  #change(account: Account, change: (balance: Account["balance"]) => Account["balance"]): Account["balance"] {
    const balance = change(account.balance)
    this.#accounts.set(account.id, { ...account, balance })
    return balance
  }

  /** A customer's account was found by the decision; a clearing account may have its first entry now. */
  #party(id: string, posting: Posting): Account {
    return this.account(id) ?? (id.startsWith("clearing:")
      ? ClearingAccount.opening(id, posting.currency)
      : this.#existing(id))
  }

  #existing(id: string): Account {
    const account = this.account(id)
    if (account === undefined) throw new Error(`the protocol changed ${id}, an account it had not read`)
    return account
  }
}

/** What a reversal counts for: nothing before it is decided, nor when it failed. */
const bringsBack = ({ moving, status }: Transfer): bigint => status === "requested" || failed.has(status) ? 0n : moving
