import { Effect } from "effect"
import { Command } from "effect/cli"
import { examination } from "../doctor/Examination.ts"
import { Found } from "../ExitCode.ts"
import * as Output from "../Output.ts"
import { required } from "../Platform.ts"

/** `counterpoise doctor` */
export const doctor = Command.make(
  "doctor",
  {},
  Effect.fnUntraced(function*() {
    yield* required
    const diagnoses = yield* examination
    yield* Output.list(diagnoses.map(({ detail, fix, is, what }) => ({ is, what, detail, fix })))
    const faults = diagnoses.filter(({ is }) => is === "wrong").length
    if (faults > 0) return yield* Found.make({ what: `${faults} thing(s) are wrong` })
  })
).pipe(
  Command.withDescription(
    "Looks at the settings, the databases, the event log, the clocks, the seals and the API, and says what to fix. " +
      "It changes nothing. Exit code 6: something is wrong."
  ),
  Command.withShortDescription("What is wrong with this platform, and what mends it"),
  Command.withExamples([
    { command: "counterpoise doctor", description: "The platform that npm start runs" },
    { command: "SHARD_URLS=… EVENT_LOG_URL=… counterpoise doctor -o json", description: "Any platform, for a script" }
  ])
)
