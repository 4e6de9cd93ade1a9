import { Effect } from "effect"
import { Command } from "effect/cli"
import { Admin, ask } from "../Admin.ts"
import * as Deciding from "../Deciding.ts"
import { transferId } from "./Timeline.ts"

/** `counterpoise transfers recall` */
export const recall = Command.make(
  "recall",
  { id: transferId, ...Deciding.flags },
  Effect.fnUntraced(function*({ id, ...decision }) {
    const payload = Deciding.payloadOf(decision)
    yield* Deciding.tell(yield* ask((client) => client.transfers.recall({ params: { id }, payload })))
  })
).pipe(
  Command.provide(Admin.layer),
  Command.withDescription(
    [
      "Asks the destination of a transfer that is held to rule. Where it was credited, that is said again and the transfer is",
      "committed; where it was not, it is refused for ever, and the money is free again. The verdict decides, never the question: it",
      "may be asked at any time, and twice. Exit codes: 3, there is no such transfer; 4, it is not held."
    ].join("\n")
  ),
  Command.withShortDescription("Asks the destination of a held transfer to rule"),
  Command.withExamples([
    {
      command: "counterpoise transfers recall trf_01KB… --reason \"the message was lost, incident 12\"",
      description: "The verdict decides what becomes of it"
    }
  ])
)

/** `counterpoise transfers requeue` */
export const requeue = Command.make(
  "requeue",
  { id: transferId, ...Deciding.flags },
  Effect.fnUntraced(function*({ id, ...decision }) {
    const payload = Deciding.payloadOf(decision)
    yield* Deciding.tell(yield* ask((client) => client.transfers.requeue({ params: { id }, payload })))
  })
).pipe(
  Command.provide(Admin.layer),
  Command.withDescription(
    "Asks the transfer's own shard again: about one that was requested and not picked up, or one that is authorized and past its time. " +
      "What was done meanwhile is not done again. Exit codes: 3, there is no such transfer; 4, it waits for nothing."
  ),
  Command.withShortDescription("Asks a transfer's own shard again"),
  Command.withExamples([
    {
      command: "counterpoise transfers requeue trf_01KB… --reason \"not picked up since nine\" --dry-run",
      description: "What would be asked"
    }
  ])
)
