/**
 * What deciding is: what a shard knows and a message in, changes out.
 */
import { Result, Schema } from "effect"
import type { Account, AccountStatus } from "../account/Account.ts"
import type { ShardId } from "../sharding/ShardMap.ts"
import type { Transfer, Verdict } from "../transfer/Transfer.ts"
import { type Instruction, type InstructionId, type Reason, reasonOf } from "./Instruction.ts"
import type { HoldRecord, Posting } from "./Journal.ts"
import { type LedgerEvent, subjectOf } from "./LedgerEvent.ts"

/** What a shard knows while it decides. */
export interface ShardView {
  readonly shard: ShardId
  /** Is this account at home on this shard? */
  readonly isHome: (account: string) => boolean
  readonly transfer: (id: string) => Transfer | undefined
  readonly verdict: (id: string) => Verdict | undefined
  readonly account: (id: string) => Account | undefined
  readonly instruction: (id: string) => Instruction | undefined
  /** How much of what a transfer credited here was brought back, or is on its way back, in minor units. */
  readonly reversed: (id: string) => bigint
}

/** The request that something began with: what follows from it carries the same. */
export interface Origin {
  readonly requestId: string | null
  /** W3C trace context. */
  readonly traceparent: string | null
}

/** An event, the shard in whose log it was written, and the request it began with. */
export interface Message {
  readonly event: LedgerEvent
  readonly from: ShardId
  readonly origin: Origin
}

/** One thing that a decision changes on its shard. All changes of a batch are written in one transaction. */
export type Change =
  | { readonly _tag: "Moved"; readonly transfer: Transfer }
  | { readonly _tag: "Held"; readonly record: HoldRecord }
  | { readonly _tag: "Posted"; readonly posting: Posting }
  | { readonly _tag: "Ruled"; readonly verdict: Verdict }
  | { readonly _tag: "StatusChanged"; readonly account: string; readonly status: AccountStatus }
  /** `refusal` is null where it was done. */
  | { readonly _tag: "Answered"; readonly instruction: InstructionId; readonly refusal: Reason | null }
  | { readonly _tag: "Announced"; readonly event: LedgerEvent }

export type Decision = Result.Result<ReadonlyArray<Change>, ProtocolViolation>

/**
 * A message that cannot be, if every shard still has what it once wrote: a shard lost data, or was written to by something
 * else. Whoever reads it must stop and say so; to go on would be to guess.
 */
export class ProtocolViolation extends Schema.TaggedError<ProtocolViolation>()("ProtocolViolation", {
  event: Schema.String,
  subject: Schema.String,
  found: Schema.String
}) {
  override get message() {
    return `${this.event} of ${this.subject} cannot be: ${this.found}`
  }
}

export const violation = (event: LedgerEvent, found: string) =>
  ProtocolViolation.make({ event: event.type, subject: subjectOf(event), found })

/** Nothing to do: seen before, or not for us. */
export const nothing: Decision = Result.succeed([])

/**
 * The changes that answer an instruction, whether it can be followed or not. One that was answered already came again:
 * its answer stands, whatever it would be today.
 */
export const answering = (
  view: ShardView,
  event: LedgerEvent & { readonly instruction: InstructionId },
  follow: () => Result.Result<ReadonlyArray<Change>, { readonly code: string; readonly message: string }>
): Decision => {
  const instruction = view.instruction(event.instruction)
  if (instruction === undefined) return Result.fail(violation(event, "its shard does not know the instruction"))
  if (instruction.status !== "open") return nothing
  const answered = (refusal: Reason | null): Change => ({ _tag: "Answered", instruction: instruction.id, refusal })
  return Result.succeed(Result.match(follow(), {
    onSuccess: (changes) => [...changes, answered(null)],
    onFailure: (refusal) => [answered(reasonOf(refusal))]
  }))
}
