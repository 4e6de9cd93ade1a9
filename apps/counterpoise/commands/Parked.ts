import { Effect, Option, Stream } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { type ParkedMessage, ParkedStatus } from "../../admin/contract/Parked.ts"
import { Admin, ask } from "../Admin.ts"
import * as Deciding from "../Deciding.ts"
import * as Output from "../Output.ts"
import { asked, limit } from "../Paging.ts"

const messageId = Argument.String("message").pipe(Argument.withDescription("The message's id, msg_…"))

const rowOf = (message: typeof ParkedMessage.Type): Output.Row => ({
  id: message.id,
  status: message.status,
  key: message.key,
  type: message.type,
  subject: message.subject,
  since: message.created_at,
  trouble: message.trouble === null
    ? null
    : Output.several(
      message.trouble,
      `${message.trouble.class} after ${message.trouble.tries}: ${message.trouble.detail}`
    )
})

/** `counterpoise parked list` */
const list = Command.make(
  "list",
  {
    status: Flag.Literals("status", ParkedStatus.literals).pipe(
      Flag.withDefault("waiting" as const),
      Flag.withDescription("Only those in that status")
    ),
    key: Flag.String("key").pipe(Flag.withDescription("Only those of that account"), Flag.optional),
    limit
  },
  Effect.fnUntraced(function*({ key, limit, status }) {
    const filter = { status, ...(Option.isNone(key) ? {} : { key: key.value }) }
    const rows = asked(limit, (page) => ask((client) => client.parked.list({ query: { ...filter, ...page } })))
    yield* Output.stream(Stream.map(rows, rowOf), "nothing is parked")
  })
).pipe(
  Command.provide(Admin.layer),
  Command.withDescription("The notifier's messages that wait for a person, in the order in which they were parked."),
  Command.withShortDescription("Which messages wait for a person"),
  Command.withExamples([{ command: "counterpoise parked list --key anna", description: "Those of one account" }])
)

/** `counterpoise parked show` */
const show = Command.make(
  "show",
  { id: messageId },
  Effect.fnUntraced(function*({ id }) {
    const message = yield* ask((client) => client.parked.get({ params: { id } }))
    if ((yield* Output.Format) !== "table") return yield* Output.value(message)
    yield* Output.one({
      ...rowOf(message),
      retries: message.retries.length,
      discarded_by: message.discarded_by,
      discarded_because: message.discarded_because,
      payload: message.payload
    })
  })
).pipe(
  Command.provide(Admin.layer),
  Command.withDescription("A parked message with its text and its trouble. Exit code 3: there is none."),
  Command.withShortDescription("One parked message, with its text"),
  Command.withExamples([{ command: "counterpoise parked show msg_17", description: "By its id" }])
)

/** `counterpoise parked retry` */
const retry = Command.make(
  "retry",
  { id: messageId, ...Deciding.flags },
  Effect.fnUntraced(function*({ id, ...decision }) {
    const payload = Deciding.payloadOf(decision)
    yield* Deciding.tell(yield* ask((client) => client.parked.retry({ params: { id }, payload })))
  })
).pipe(
  Command.provide(Admin.layer),
  Command.withDescription(
    "Has the notifier try it again; what waits behind it follows, in order. Exit codes: 3, there is none; 4, it does not wait for a person."
  ),
  Command.withShortDescription("Has a parked message tried again"),
  Command.withExamples([
    {
      command: "counterpoise parked retry msg_17 --reason \"their certificate was renewed\"",
      description: "Once it was mended"
    }
  ])
)

/** `counterpoise parked discard` */
const discard = Command.make(
  "discard",
  { id: messageId, ...Deciding.flags, yes: Deciding.yes },
  Effect.fnUntraced(function*({ id, yes, ...decision }) {
    yield* Deciding.confirmed("a message that was given up", { ...decision, yes })
    const payload = Deciding.payloadOf(decision)
    yield* Deciding.tell(yield* ask((client) => client.parked.discard({ params: { id }, payload })))
  })
).pipe(
  Command.provide(Admin.layer),
  Command.withDescription(
    "Gives a parked message up, so that the next of its account may go; nobody will be told of it. It stays on record, with who and why. " +
      "It cannot be taken back, so --yes is required. Exit codes: 3, there is none; 4, it does not wait for a person."
  ),
  Command.withShortDescription("Gives a parked message up"),
  Command.withExamples([
    { command: "counterpoise parked discard msg_17 --reason \"they know by phone\" --yes", description: "For good" }
  ])
)

export const parked = Command.make("parked").pipe(
  Command.withDescription("Messages of the notifier that wait for a person"),
  Command.withSubcommands([list, show, retry, discard])
)
