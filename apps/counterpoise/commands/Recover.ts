import { Effect, Option } from "effect"
import { Command, Flag } from "effect/cli"
import { catchUp } from "#infra/postgres/PgCatchUp.ts"
import * as Processes from "#infra/Processes.ts"
import * as Settings from "#infra/Settings.ts"
import { NotFound } from "../ExitCode.ts"
import * as Output from "../Output.ts"
import * as Platform from "../Platform.ts"

const flags = {
  shard: Flag.Int("shard").pipe(Flag.withDescription("The number of the shard")),
  acceptLoss: Flag.String("accept-loss").pipe(
    Flag.optional,
    Flag.withDescription("Go on although events that others have seen are nowhere, and say why")
  )
}

/** `counterpoise shards recover` */
export const recover = Command.make(
  "recover",
  flags,
  Effect.fnUntraced(function*({ acceptLoss, shard }) {
    yield* Platform.required
    const { map, urls } = Settings.shardMapOf(yield* Settings.read(Settings.shards))
    if (urls[shard] === undefined) return yield* NotFound.make({ what: `shard ${shard}` })
    const { answersLost, events, from, seconds, to, wasBehind } = yield* catchUp({
      shard,
      map,
      urls,
      acceptLoss: Option.getOrNull(acceptLoss),
      told: ({ events, position }) => Output.progress(`${events} events, position ${position}`)
    }).pipe(
      Effect.provide(Processes.reachableEventLog, { local: true }),
      Effect.ensuring(Output.progress(""))
    )
    if (!wasBehind) yield* Output.say(`nobody has seen more of shard ${shard} than it has: there is nothing to do`)
    yield* Output.one({
      shard,
      was_behind: wasBehind,
      from_position: from,
      to_position: to,
      events,
      answers_lost: answersLost,
      took: Output.duration(seconds * 1_000)
    })
  })
).pipe(
  Command.withDescription(
    "Lets a shard that was restored from an older copy catch up: what it lost is applied again from the event log. Until then it " +
      "takes nothing. Where the copy was written to since, or events are nowhere, it says so and changes nothing it would have " +
      "to guess (exit code 4). The shards' addresses must be those of their owner."
  ),
  Command.withShortDescription("Lets a restored shard catch up from the event log"),
  Command.withExamples([
    { command: "counterpoise shards recover --shard 0", description: "After shard 0 was restored from a backup" },
    {
      command: "counterpoise shards recover --shard 0 --accept-loss \"the event log burned, too\"",
      description: "Go on with what is left; `counterpoise doctor` and the reconciler list what does not add up"
    }
  ])
)
