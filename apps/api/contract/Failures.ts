/**
 * Failures: why a transfer did not move money, as its `failure` says. They are no problems: the request was accepted, and
 * answered with 202; the money was not. A code is a promise here as well: it is never renamed.
 */
import { Schema } from "effect"
import type { Refusal } from "#domain/transfer/TransferProtocol.ts"

/** Cause and remedy by code: what the accounts refuse, and what ends a transfer besides. */
export const failures = {
  insufficient_funds: "The source has less available above its floor than the transfer needs.",
  ceiling_exceeded: "The account may not hold as much as it would after the transfer.",
  currency_mismatch: "The account holds another currency than the transfer's.",
  account_not_found: "There is no such account.",
  account_frozen:
    "The account is frozen: it neither sends nor takes what is new. Unfreeze it, and request another transfer.",
  account_closed: "The account is closed for ever. Use another one.",
  not_reversible:
    "The transfer named in `reverses` did not credit this source from this destination, or not yet. Only a " +
    "committed transfer is reversed, and only along the way it came.",
  reversal_exceeds_transfer: "More would come back than went. What is left to reverse is in `detail`; reversals that " +
    "failed count no more.",
  voided: "The client voided the authorization.",
  expired: "The authorization was not captured in time.",
  timeout: "The destination did not answer in time, was asked to rule, and had not been credited."
} as const satisfies Record<Refusal["code"] | "voided" | "expired" | "timeout", string>

export const Failure = Schema.Struct({
  code: Schema.String.annotate({
    description: Object.entries(failures).map(([code, explanation]) => `\`${code}\`: ${explanation}`).join("\n\n")
  }),
  detail: Schema.String
}).annotate({ identifier: "Failure" })
