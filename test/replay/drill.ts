/**
 * `npm run drill -- [transfers]`: the disaster drill, with a verdict. Two shards over an event log; one is backed up, works on for so
 * many transfers (2,000 unless given), is destroyed, and is there again as it was in the backup. It must notice, take nothing,
 * catch up, and be what it was, digest for digest; then everybody works again, and no check may find anything.
 */
import { Cause, Clock, Effect, Exit } from "effect"
import { violationsOf } from "#domain/reconciliation/Checks.ts"
import { check } from "../checks/Checking.ts"
import { TestPostgres } from "../support/TestPostgres.ts"
import { digestsOf, isRefused, load, platform, recover, restored } from "./Disaster.ts"

const transfers = Number(process.argv[2] ?? 2_000)

const say = (what: string, isWell: boolean, detail: string) => {
  console.log(`${isWell ? "✔" : "✘"} ${what.padEnd(52)} ${detail}`)
  if (!isWell) process.exitCode = 1
}

const program = Effect.gen(function*() {
  const postgres = yield* TestPostgres
  const ours = yield* platform
  yield* load(ours, ours.shards, Math.ceil(transfers / 4))
  const backup = yield* postgres.copy(ours.shards)
  yield* load(ours, ours.shards, transfers)
  const before = yield* digestsOf(ours.shards, 0)

  const shards = restored(ours.shards, backup)
  const begun = yield* Clock.currentTimeMillis
  say("the restored shard refuses writes", yield* isRefused(ours, shards), "before anybody worked on it")
  const caughtUp = yield* recover(ours, shards)
  const recoveredIn = ((yield* Clock.currentTimeMillis) - begun) / 1000
  say(
    "it has caught up from the event log",
    caughtUp.wasBehind,
    `${caughtUp.events} events in ${caughtUp.seconds.toFixed(1)} s, ` +
      `${Math.round(caughtUp.events / caughtUp.seconds)}/s; positions ${caughtUp.from} to ${caughtUp.to}`
  )
  const after = yield* digestsOf(shards, 0)
  for (const [index, { digest, rows, table }] of before.entries()) {
    say(
      `${table} is what it was`,
      after[index]?.digest === digest,
      `${rows} rows before, ${after[index]?.rows ?? 0} after`
    )
  }
  yield* load(ours, shards, 100)
  const violations = violationsOf(yield* check(shards))
  say("everybody works again, and no check finds anything", violations.length === 0, `${violations.length} violations`)
  console.log(`RPO 0 for published events; RTO ${recoveredIn.toFixed(1)} s from the restored database to an open shard`)
})

const exit = await program.pipe(Effect.provide(TestPostgres.layer), Effect.scoped, Effect.runPromiseExit)
// Who raced against the workers, and lost, is interrupted: that is no failure.
if (Exit.isFailure(exit) && !Cause.hasInterruptsOnly(exit.cause)) throw Cause.squash(exit.cause)
