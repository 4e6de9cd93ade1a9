#!/usr/bin/env node
/** `npm run counterpoise -- …`: the operators' command. */
import { NodeRuntime } from "@effect/platform-node"
import { Effect, Exit } from "effect"
import { run } from "./Counterpoise.ts"

// Who reads only the first lines of a long list has what he wanted.
process.stdout.on("error", () => process.exit(0))

const program = Effect.map(run(process.argv.slice(2), process.env), (code) => {
  process.exitCode = code
})

NodeRuntime.runMain(program, {
  disableErrorReporting: true,
  // ^C ends it as a shell expects; what was said is written to its end first.
  teardown: (exit, onExit) => {
    process.stdout.write("", () => onExit(Exit.isSuccess(exit) ? Number(process.exitCode ?? 0) : 130))
  }
})
