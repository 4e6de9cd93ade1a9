/**
 * Instructions: what a client asks of a transfer or an account that exists. The worker of the partition answers each once
 * and for ever; never the API, which would race with it.
 */
import { Schema } from "effect"
import { type PRNG, ulid } from "ulid"

export const InstructionId = Schema.String.check(
  Schema.isPattern(/^ins_[0-7][0-9A-HJKMNP-TV-Z]{25}$/, { message: "must be ins_ and a ULID" })
).pipe(Schema.brand("InstructionId"))
export type InstructionId = typeof InstructionId.Type

/** Makes an id at a time in milliseconds since 1970, from a cryptographic source of numbers in [0, 1). */
export const makeId = (millis: number, random: PRNG): InstructionId => InstructionId.make(`ins_${ulid(millis, random)}`)

/** What may be asked: of a transfer to capture or void it, of an account to freeze, unfreeze or close it. */
export const Asks = Schema.Literals(["capture", "void", "freeze", "unfreeze", "close"])
export type Asks = typeof Asks.Type

/** Why something was not done: a stable code, and prose for people. */
export const Reason = Schema.Struct({ code: Schema.String, detail: Schema.String })
export type Reason = typeof Reason.Type

/** The reason in a refusal, as it is kept and told. */
export const reasonOf = (refusal: { readonly code: string; readonly message: string }): Reason => ({
  code: refusal.code,
  detail: refusal.message
})

export const InstructionStatus = Schema.Literals(["open", "done", "refused"])
export type InstructionStatus = typeof InstructionStatus.Type

/** An instruction as the shard of its subject knows it. */
export interface Instruction {
  readonly id: InstructionId
  readonly asks: Asks
  /** The transfer or account of which it is asked. */
  readonly subject: string
  /** What is to be captured, in minor units; `null` is all of it. */
  readonly amount: bigint | null
  readonly status: InstructionStatus
  /** Why it was refused. */
  readonly reason: Reason | null
}
