/** What every command that changes something has in common: a reason, a dry run, and what is said of it afterwards. */
import { Effect, Schema } from "effect"
import { Flag } from "effect/cli"
import { Description } from "#infra/http/Values.ts"
import type { Operation } from "../admin/contract/Operations.ts"
import { exitCodes } from "./ExitCode.ts"
import * as Output from "./Output.ts"

/** Nothing is done without a reason; nothing need be done to know what would be. */
export const flags = {
  reason: Flag.String("reason").pipe(
    Flag.withSchema(Description),
    Flag.withMetavar("text"),
    Flag.withDescription("Why: it is kept for ever, with your name")
  ),
  dryRun: Flag.Boolean("dry-run").pipe(
    Flag.withDefault(false),
    Flag.withDescription("Says what would be done, and does nothing")
  )
}

/** For what cannot be taken back. */
export const yes = Flag.Boolean("yes").pipe(
  Flag.withAlias("y"),
  Flag.withDefault(false),
  Flag.withDescription("Really: this cannot be taken back")
)

/** It cannot be taken back, and nobody said that it is meant. */
export class NotConfirmed extends Schema.TaggedError<NotConfirmed>()("NotConfirmed", { what: Schema.String }) {
  readonly exitCode = exitCodes.usage
  override get message() {
    return `${this.what} cannot be taken back: say --yes, or --dry-run to see what would be done`
  }
}

/** Fails where what cannot be taken back was not confirmed. */
export const confirmed = (what: string, { dryRun, yes }: { readonly dryRun: boolean; readonly yes: boolean }) =>
  dryRun || yes ? Effect.void : Effect.fail(NotConfirmed.make({ what }))

/** The flags as the operators' API wants them. */
export const payloadOf = ({ dryRun, reason }: { readonly dryRun: boolean; readonly reason: string }) => ({
  reason,
  dry_run: dryRun
})

/** What was done, or would be. */
export const tell = ({ action, changed, dry_run, resource, says, subject }: typeof Operation.Type) =>
  Output.one({
    says,
    action,
    subject,
    resource,
    dry_run: dry_run ? "yes" : "no",
    changed: changed ? "yes" : "no"
  })
