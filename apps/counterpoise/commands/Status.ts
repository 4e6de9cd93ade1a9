import { Console, Effect, Schedule, Schema } from "effect"
import { Command, Flag, TerminalCapabilities } from "effect/cli"
import type { Status } from "../../admin/contract/Status.ts"
import { Admin, ask } from "../Admin.ts"
import { Found } from "../ExitCode.ts"
import * as Output from "../Output.ts"

type Seen = typeof Status.Type

const answer = Effect.fnUntraced(function*(question: string, is: "ok" | "warning" | "wrong", say: string) {
  yield* Console.log(`${yield* Output.bold(question)}  ${yield* Output.coloured(is, say)}`)
})

const because = (reasons: ReadonlyArray<string>) => Effect.forEach(reasons, (reason) => Console.log(`  ${reason}`))

/** The four answers for a person, in the order in which they are asked. */
const show = Effect.fnUntraced(function*({ money, moving, stuck, suggestions }: Seen) {
  yield* answer(
    "Is the money right?",
    money.right === null ? "warning" : money.right ? "ok" : "wrong",
    money.right === null ? "nobody can say: a shard does not answer" : money.right ? "yes" : "NO"
  )
  yield* because(money.because)
  if (money.currencies.length > 0) {
    yield* Output.list(money.currencies.map(({ balances, credits, currency, debits, held, in_flight }) => ({
      currency,
      debits: Output.minor(debits, currency),
      credits: Output.minor(credits, currency),
      held: Output.minor(held, currency),
      in_flight: Output.minor(in_flight, currency),
      balances: balances ? "yes" : "no"
    })))
  }
  yield* Console.log("")
  yield* answer("Is it moving?", moving.well ? "ok" : "wrong", moving.well ? "yes" : "NO")
  yield* because(moving.because)
  yield* Output.list(moving.shards.map((shard) => ({
    shard: shard.shard,
    answers: shard.answers ? "yes" : "no",
    relay_waits: shard.relay?.waiting ?? null,
    worker_lag: shard.consumer_lag,
    requested: shard.unfinished?.requested ?? null,
    held: shard.unfinished?.held ?? null,
    authorized: shard.unfinished?.authorized ?? null,
    works: (shard.leases ?? []).filter(({ held }) => held).map(({ role }) => role).join(" ") || "nobody"
  })))
  yield* Console.log("")
  yield* answer("What is stuck?", stuck.nothing ? "ok" : "wrong", stuck.nothing ? "nothing" : "")
  if (money.breaks.critical + money.breaks.warning > 0) {
    yield* Console.log(`  ${money.breaks.critical} critical and ${money.breaks.warning} other breaks are open`)
  }
  if (stuck.partitions.length > 0) {
    yield* Console.log(`  ${stuck.partitions.length} partitions have stopped`)
    yield* Output.list(stuck.partitions.map(({ offset, partition, shard, subject, type, waiting_since }) => ({
      shard,
      partition,
      offset,
      stands_before: type === null ? "nothing: the event log does not have this" : `${type} of ${subject}`,
      since: waiting_since
    })))
  }
  if (stuck.parked !== null && stuck.parked.waiting > 0) {
    yield* Console.log(
      `  ${stuck.parked.waiting} messages are parked, ${stuck.parked.troubled} of them wait for a person`
    )
  }
  if (stuck.transfers.length > 0) {
    yield* Output.list(stuck.transfers.map(({ open_since, shard, status, transfer }) => ({
      transfer,
      status,
      shard,
      since: open_since
    })))
  }
  yield* Console.log("")
  yield* Console.log(
    `${yield* Output.bold("What may I press?")}  ${suggestions.length === 0 ? "nothing needs to be" : ""}`
  )
  yield* Effect.forEach(suggestions, ({ because, command }) => Console.log(`  ${command}\n      ${because}`))
})

const isWell = ({ money, moving, stuck }: Seen) => money.right === true && moving.well && stuck.nothing

const tell = Effect.gen(function*() {
  const seen = yield* ask((client) => client.status.get())
  if ((yield* Output.Format) === "table") yield* show(seen)
  else yield* Output.value(seen)
  return seen
})

const watched = Effect.fnUntraced(function*(seconds: number) {
  const { canAnimate } = yield* TerminalCapabilities.TerminalCapabilities
  const again = Effect.gen(function*() {
    // What goes wrong while somebody watches is told, and tried again.
    if (canAnimate) yield* Console.log("\u001b[2J\u001b[H")
    yield* tell
  }).pipe(Effect.catch(({ message }) => Console.error(`counterpoise: ${message}`)))
  return yield* Effect.repeat(again, Schedule.spaced(`${seconds} seconds`))
})

/** `counterpoise status` */
export const status = Command.make(
  "status",
  {
    watch: Flag.Boolean("watch").pipe(
      Flag.withAlias("w"),
      Flag.withDefault(false),
      Flag.withDescription("Again and again, until ^C; with -o ndjson a line each time")
    ),
    every: Flag.Int("every").pipe(
      Flag.withSchema(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 3_600 }))),
      Flag.withDefault(2),
      Flag.withMetavar("seconds"),
      Flag.withDescription("How often it is looked while watching")
    )
  },
  Effect.fnUntraced(function*({ every, watch }) {
    if (watch) return yield* watched(every)
    const seen = yield* tell
    if (!isWell(seen)) return yield* Found.make({ what: "not all is well" })
  })
).pipe(
  Command.provide(Admin.layer),
  Command.withDescription(
    [
      "Four answers, in this order: is the money right, is it moving, what is stuck, and what may I press. What it suggests looks or",
      "asks, and decides nothing. Exit code 6: one of the first three is not as it should be."
    ].join("\n")
  ),
  Command.withShortDescription("Is the money right, is it moving, what is stuck, what may I press"),
  Command.withExamples([
    { command: "counterpoise status --watch", description: "Every two seconds, on a terminal" },
    { command: "counterpoise status -o json", description: "For a script" }
  ])
)
