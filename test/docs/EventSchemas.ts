/** The JSON Schemas of the events, made from the schemas that the code itself encodes and decodes them with. */
import { Schema } from "effect"
import { LedgerEvent } from "#domain/ledger/LedgerEvent.ts"

type EventType = LedgerEvent["type"]

/** What each event says, for those who read it elsewhere. The compiler sees that none is forgotten. */
const meanings: Readonly<Record<EventType, string>> = {
  "transfer.requested": "A client asked for a transfer, and the wish is on disk. Nothing is reserved yet.",
  "transfer.authorized": "The money is reserved and waits for the client's capture. The destination was not asked.",
  "transfer.held": "The money is reserved, and the destination is asked to take it.",
  "transfer.credited": "The destination has taken the money. From here the transfer can only be committed.",
  "transfer.refused": "The destination does not take the money, now or ever.",
  "transfer.recalled": "There was no answer in time: the destination is asked to rule, or to repeat what it ruled.",
  "transfer.capture_requested": "The client captures an authorized transfer, or a part of it; null captures all.",
  "transfer.void_requested": "The client gives up an authorized transfer.",
  "transfer.expiry_due": "An authorized transfer was not captured in time.",
  "transfer.committed": "The money has moved. Final.",
  "transfer.rejected": "The transfer was not possible, and nothing was reserved. Final.",
  "transfer.cancelled": "The money was reserved and is free again. Final.",
  "account.opened": "An account was opened, with a balance of zero.",
  "account.freeze_requested": "A client asks that nothing new leaves or reaches an account.",
  "account.unfreeze_requested": "A client asks that a frozen account is open again.",
  "account.close_requested": "A client asks that an account is closed for ever; it must be empty.",
  "account.frozen": "Nothing new leaves or reaches the account; what was on its way goes on.",
  "account.unfrozen": "The account is open again.",
  "account.closed": "The account is closed, with nothing posted and nothing held. Final."
}

const members: Readonly<Record<string, string>> = {
  transfer: "The id of the transfer",
  source: "The account that the money leaves",
  destination: "The account that the money goes to",
  amount: "In minor units of the currency, 1 to 38 digits; of a transfer captured in part, that part",
  currency: "An ISO 4217 code",
  captured: "The part of the amount that is captured, in minor units; null is all of it",
  client: "Who asked",
  reverses: "The transfer whose money this one brings back, in whole or in part",
  instruction: "The id of what the client asked, under which the answer is kept",
  expiresIn: "After how many seconds the authorization ends, if it is not captured",
  askedWith: "The idempotency key that the client asked with, its scope, and the SHA-256 of the request",
  reason: "Why: a stable code, and prose for people",
  account: "The id of the account",
  floor: "The least that may be available, in minor units; null is unlimited",
  ceiling: "The most that may be in it, in minor units; null is unlimited"
}

/** The version of all events so far. A change that an old reader would misread needs the next one, beside the old. */
const version = "v1"

const described = (properties: object) =>
  Object.fromEntries(
    Object.entries(properties).map(([name, property]: [string, object]) => {
      const description = members[name]
      return [name, description === undefined ? property : { description, ...property }]
    })
  )

const schemaOf = (member: (typeof LedgerEvent.members)[number]) => {
  const type = member.fields.type.literal
  const { schema } = Schema.toJsonSchemaDocument(member)
  return {
    file: `${type}.${version}.json`,
    text: `${
      JSON.stringify(
        {
          $schema: "https://json-schema.org/draft/2020-12/schema",
          $id: `${type}.${version}.json`,
          title: `io.counterpoise.${type}.${version}`,
          description: meanings[type],
          ...schema,
          properties: described(schema.properties ?? {})
        },
        null,
        2
      )
    }\n`
  }
}

/** Each file of docs/events, by its name. */
export const eventSchemas: ReadonlyMap<string, string> = new Map(
  LedgerEvent.members.map(schemaOf).map(({ file, text }) => [file, text])
)

export const types: ReadonlyArray<EventType> = LedgerEvent.members.map((member) => member.fields.type.literal)
