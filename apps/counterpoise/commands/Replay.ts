import { Effect, Layer, Option } from "effect"
import { Command, Flag } from "effect/cli"
import type { AccountDigest } from "#infra/postgres/PgDigests.ts"
import {
  fromEventLogOf,
  fromLog,
  isEqual,
  type ReplayReport,
  replayShard,
  shadowBeside
} from "#infra/postgres/PgReplay.ts"
import * as PgShardLog from "#infra/postgres/PgShardLog.ts"
import * as Processes from "#infra/Processes.ts"
import * as Settings from "#infra/Settings.ts"
import { Found, NotFound } from "../ExitCode.ts"
import * as Output from "../Output.ts"
import * as Platform from "../Platform.ts"

const flags = {
  shard: Flag.Int("shard").pipe(Flag.withDescription("The number of the shard")),
  from: Flag.Literals("from", ["log", "kafka"]).pipe(
    Flag.withDefault("log" as const),
    Flag.withDescription("Its own log; or kafka: what it has carried into the event log, wherever that is")
  ),
  into: Flag.String("into").pipe(
    Flag.withDefault("shadow"),
    Flag.withDescription(
      "The empty database that is made for it, on the shard's server: shadow is counterpoise_shadow_<shard>"
    )
  ),
  keep: Flag.Boolean("keep").pipe(
    Flag.withDefault(false),
    Flag.withDescription("Keep that database; it is dropped otherwise. A crash of its server empties it")
  )
}

const shown = (side: AccountDigest | null) =>
  side === null ? "-" : `posted ${side.posted}, held ${side.held}, sequence ${side.sequence}, ${side.status}`

const rowsOf = ({ differences, tables }: ReplayReport): ReadonlyArray<Output.Row> => [
  ...tables.map(({ digest, live, liveRows, rows, table }) => ({
    of: table,
    is: digest === live ? "ok" : "wrong",
    live: `${liveRows} rows, ${live}`,
    replayed: `${rows} rows, ${digest}`
  })),
  ...differences.map(({ account, live, shadow }) => ({
    of: account,
    is: "wrong",
    live: shown(live),
    replayed: shown(shadow)
  }))
]

/** `counterpoise replay` */
export const replay = Command.make(
  "replay",
  flags,
  Effect.fnUntraced(function*({ from, into, keep, shard }) {
    yield* Platform.required
    const { map, urls } = Settings.shardMapOf(yield* Settings.read(Settings.shards))
    const live = yield* Effect.fromOption(Option.fromUndefinedOr(urls[shard])).pipe(
      Effect.mapError(() => NotFound.make({ what: `shard ${shard}` }))
    )
    const name = into === "shadow" ? `counterpoise_shadow_${shard}` : into
    const shadow = yield* shadowBeside(live, { name, shard, partitions: map.partitions, keep })
    const options = {
      shard,
      map,
      live,
      shadow,
      told: (progress: { readonly events: number; readonly position: bigint; readonly of: bigint }) =>
        Output.progress(`${progress.events} events, position ${progress.position} of ${progress.of}`)
    }
    const report = yield* Effect.ensuring(
      from === "log"
        ? replayShard({ ...options, events: fromLog })
        : Effect.provide(replayShard({ ...options, events: fromEventLogOf(map) }), Processes.reachableEventLog, {
          local: true
        }),
      Output.progress("")
    )
    const rate = Math.round(report.events / Math.max(report.seconds, 0.001))
    yield* Output.say(
      `${report.events} events up to position ${report.upTo} in ${report.seconds.toFixed(1)} s (${rate}/s)`
    )
    yield* Output.list(rowsOf(report))
    if (!isEqual(report)) {
      return yield* Found.make({ what: `the books of shard ${shard} are not what its events come to` })
    }
  }, Effect.scoped)
).pipe(
  Command.provide(Layer.provideMerge(PgShardLog.layer, Platform.shards)),
  Command.withDescription(
    "Makes a shard's books again from its events alone, into an empty database beside it, and holds the two against each other, " +
      "digest for digest; accounts that differ are listed. The shard may work on meanwhile: what counts is one instant. The " +
      "shard's address must be that of a login that may create databases. Exit code 6: the books differ."
  ),
  Command.withShortDescription("Makes a shard's books again from its events, and compares"),
  Command.withExamples([
    { command: "counterpoise replay --shard 0", description: "From the shard's own log" },
    {
      command: "counterpoise replay --shard 0 --from kafka --keep",
      description: "From the event log; the shadow stays"
    }
  ])
)
