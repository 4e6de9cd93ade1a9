import { Effect, Layer, Schema } from "effect"
import { Command, Flag } from "effect/cli"
import { type Carried, isHeld, type Pulse, Pulses } from "#domain/sharding/Pulse.ts"
import * as PgPulses from "#infra/postgres/PgPulses.ts"
import { ShardDatabases } from "#infra/postgres/ShardDatabases.ts"
import { Admin, ask } from "../Admin.ts"
import * as Deciding from "../Deciding.ts"
import { Found } from "../ExitCode.ts"
import * as Output from "../Output.ts"
import * as Platform from "../Platform.ts"

/** An event that waits longer than this waits for somebody. */
const patienceMillis = 30_000

const nobody = (pulse: Pulse) => !pulse.leases.some((lease) => lease.role === "relay" && isHeld(pulse, lease))

type Line = Output.Row & { readonly shard: number; readonly is: string }

const rowOf = (pulse: Pulse, { log, movedAtMillis, position, waiting, waitingSinceMillis }: Carried): Line => {
  const waited = waitingSinceMillis === null ? 0 : pulse.atMillis - waitingSinceMillis
  return {
    shard: pulse.shard,
    is: waited > patienceMillis ? "stuck" : nobody(pulse) ? "warning" : "ok",
    log,
    position,
    log_end: pulse.lastPosition,
    waiting,
    oldest_waits: Output.duration(waited),
    moved_at: Output.time(movedAtMillis),
    lease: nobody(pulse) ? "nobody" : "held"
  }
}

const untouched = (pulse: Pulse): Line => ({
  shard: pulse.shard,
  is: pulse.lastPosition === 0n ? "ok" : "stuck",
  log: null,
  position: null,
  log_end: pulse.lastPosition,
  waiting: null,
  oldest_waits: null,
  moved_at: null,
  lease: nobody(pulse) ? "nobody" : "held"
})

/** `counterpoise relay status` */
const status = Command.make(
  "status",
  {},
  Effect.fnUntraced(function*() {
    const { shards } = yield* ShardDatabases
    const pulses = yield* Effect.forEach(shards, (shard) => Pulses.use(({ of }) => of(shard)), { concurrency: 8 })
    const rows = pulses.flatMap((pulse) =>
      pulse.carried.length === 0 ? [untouched(pulse)] : pulse.carried.map((cursor) => rowOf(pulse, cursor))
    )
    yield* Output.list(rows)
    // A cursor of a log that was given up does not move, and need not: what counts is the one that moved last.
    const stuck = [...Map.groupBy(rows, ({ shard }) => shard).values()]
      .filter((ofShard) => ofShard.every(({ is }) => is === "stuck")).length
    if (stuck > 0) return yield* Found.make({ what: `the logs of ${stuck} shard(s) are not carried` })
  })
).pipe(
  Command.provide(Layer.provideMerge(PgPulses.layer, Platform.shards)),
  Command.withDescription(
    [
      "How far each shard's log was carried into the event log that all share, how many events wait, and for how long. A line for",
      "each event log that a shard was ever carried into. Exit code 6: a shard's events have waited for longer than 30 seconds."
    ].join("\n")
  ),
  Command.withShortDescription("Are the shards' logs carried?"),
  Command.withExamples([{ command: "counterpoise relay status", description: "A line for each shard" }])
)

/** `counterpoise relay republish` */
const republish = Command.make(
  "republish",
  {
    shard: Flag.Int("shard").pipe(Flag.withDescription("The number of the shard")),
    from: Flag.Int("from").pipe(
      Flag.withSchema(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }))),
      Flag.withMetavar("position"),
      Flag.withDescription("The first position of the shard's log that is carried again")
    ),
    ...Deciding.flags
  },
  Effect.fnUntraced(function*({ from, shard, ...decision }) {
    const payload = { from, ...Deciding.payloadOf(decision) }
    yield* Deciding.tell(yield* ask((client) => client.shards.republish({ params: { id: `shard_${shard}` }, payload })))
  })
).pipe(
  Command.provide(Admin.layer),
  Command.withDescription(
    [
      "Sends a shard's relay back: its events from a position on are appended to the event log anew, in their order. For an event",
      "log that lost records and kept its name; one that was made anew is filled from the beginning without being asked. Relays may",
      "run: whoever works as the relay loses its lease, and begins there. Readers drop what they have seen, so no money moves twice.",
      "Exit codes: 3, there is no such shard; 4, the relay has not come so far."
    ].join("\n")
  ),
  Command.withShortDescription("Has a shard's events carried again, from a position on"),
  Command.withExamples([
    {
      command: "counterpoise relay republish --shard 0 --from 17000 --reason \"a broker lost its disk\" --dry-run",
      description: "How many events that would be, from where to where"
    }
  ])
)

export const relay = Command.make("relay").pipe(
  Command.withDescription("What carries the shards' logs to each other"),
  Command.withSubcommands([status, republish])
)
