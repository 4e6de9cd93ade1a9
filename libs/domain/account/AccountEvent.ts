/**
 * The events of accounts: facts, and what clients ask of an account.
 */
import { Schema } from "effect"
import { InstructionId } from "../ledger/Instruction.ts"
import { Sum } from "../money/Amount.ts"
import { Currency } from "../money/Currency.ts"
import { askedWith } from "../transfer/IdempotencyKey.ts"
import { AccountId, AccountKind, Side } from "./Account.ts"

const fact = <const Type extends string>(type: Type) =>
  Schema.Struct({ type: Schema.Literal(type), account: AccountId })

const instruction = <const Type extends string>(type: Type) =>
  Schema.Struct({ type: Schema.Literal(type), account: AccountId, instruction: InstructionId, ...askedWith })

export const AccountEvent = Schema.Union([
  Schema.Struct({
    type: Schema.Literal("account.opened"),
    account: AccountId,
    kind: AccountKind,
    normalSide: Side,
    currency: Currency,
    floor: Schema.NullOr(Sum),
    ceiling: Schema.NullOr(Sum),
    ...askedWith
  }),
  instruction("account.freeze_requested"),
  instruction("account.unfreeze_requested"),
  instruction("account.close_requested"),
  fact("account.frozen"),
  fact("account.unfrozen"),
  fact("account.closed")
])
export type AccountEvent = typeof AccountEvent.Type
