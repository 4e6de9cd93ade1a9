import { Command } from "effect/cli"
import { timeline } from "./Timeline.ts"

export const transfers = Command.make("transfers").pipe(
  Command.withDescription("What clients asked to be moved, and what became of it"),
  Command.withSubcommands([timeline])
)
