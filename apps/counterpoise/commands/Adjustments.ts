import { Effect, Option, Stream } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { AccountIdText, AmountText, CurrencyCode } from "#infra/http/Values.ts"
import { type Adjustment, AdjustmentStatus } from "../../admin/contract/Adjustments.ts"
import { Admin, ask } from "../Admin.ts"
import * as Deciding from "../Deciding.ts"
import * as Output from "../Output.ts"
import { asked, limit } from "../Paging.ts"

const adjustmentId = Argument.String("adjustment").pipe(Argument.withDescription("The adjustment's id, adj_…"))

const rowOf = (adjustment: typeof Adjustment.Type): Output.Row => ({
  id: adjustment.id,
  status: adjustment.status,
  amount: Output.minor(adjustment.amount, adjustment.currency),
  currency: adjustment.currency,
  source: adjustment.source,
  destination: adjustment.destination,
  proposed_by: adjustment.proposed_by,
  approved_by: adjustment.approved_by,
  transfer: adjustment.transfer,
  transfer_status: adjustment.transfer_status,
  reason: adjustment.reason
})

/** `counterpoise adjustments propose` */
const propose = Command.make(
  "propose",
  {
    source: Flag.String("source").pipe(
      Flag.withSchema(AccountIdText),
      Flag.withDescription("From that account")
    ),
    destination: Flag.String("destination").pipe(
      Flag.withSchema(AccountIdText),
      Flag.withDescription("To that account")
    ),
    amount: Flag.String("amount").pipe(
      Flag.withSchema(AmountText),
      Flag.withDescription("Minor units: 12.50 EUR is 1250")
    ),
    currency: Flag.String("currency").pipe(Flag.withSchema(CurrencyCode), Flag.withDescription("Such as EUR")),
    key: Flag.String("key").pipe(
      Flag.withDescription("The idempotency key: the same for each repetition; drawn unless given"),
      Flag.optional
    ),
    ...Deciding.flags
  },
  Effect.fnUntraced(function*({ amount, currency, destination, dryRun, key, reason, source }) {
    const payload = { source, destination, amount, currency, ...Deciding.payloadOf({ dryRun, reason }) }
    const headers = { "idempotency-key": Option.getOrElse(key, () => crypto.randomUUID()) }
    yield* Deciding.tell(yield* ask((client) => client.adjustments.propose({ headers, payload })))
  })
).pipe(
  Command.provide(Admin.layer),
  Command.withDescription(
    "Writes down a compensating transfer for another operator to approve. No money moves. Exit codes: 3, an account is not there; " +
      "4, the key was used for another proposal."
  ),
  Command.withShortDescription("Proposes a compensating transfer; another operator approves it"),
  Command.withExamples([
    {
      command:
        "counterpoise adjustments propose --source suspense --destination anna --amount 1250 --currency EUR --reason \"incident 12\"",
      description: "12.50 EUR out of the house's suspense account"
    }
  ])
)

/** `counterpoise adjustments approve` */
const approve = Command.make(
  "approve",
  { id: adjustmentId, ...Deciding.flags, yes: Deciding.yes },
  Effect.fnUntraced(function*({ id, yes, ...decision }) {
    yield* Deciding.confirmed("an adjustment that was approved", { ...decision, yes })
    const payload = Deciding.payloadOf(decision)
    yield* Deciding.tell(yield* ask((client) => client.adjustments.approve({ params: { id }, payload })))
  })
).pipe(
  Command.provide(Admin.layer),
  Command.withDescription(
    [
      "Requests the transfer that another operator proposed, in the ordinary way: it may be rejected like any other. To approve twice is",
      "to approve once. It cannot be taken back, so --yes is required. Exit codes: 3, there is none; 4, you proposed it yourself."
    ].join("\n")
  ),
  Command.withShortDescription("Approves what another operator proposed"),
  Command.withExamples([
    {
      command: "counterpoise adjustments approve adj_0_17 --reason \"looked at it, incident 12\" --yes",
      description: "By another operator than the one who proposed it"
    }
  ])
)

/** `counterpoise adjustments list` */
const list = Command.make(
  "list",
  {
    status: Flag.Literals("status", AdjustmentStatus.literals).pipe(
      Flag.withDescription("Only those in that status"),
      Flag.optional
    ),
    limit
  },
  Effect.fnUntraced(function*({ limit, status }) {
    const filter = Option.isNone(status) ? {} : { status: status.value }
    const rows = asked(limit, (page) => ask((client) => client.adjustments.list({ query: { ...filter, ...page } })))
    yield* Output.stream(Stream.map(rows, rowOf), "no adjustments")
  })
).pipe(
  Command.provide(Admin.layer),
  Command.withDescription("Compensating transfers, shard by shard, in the order in which they were proposed."),
  Command.withShortDescription("What was proposed, and what was approved"),
  Command.withExamples([{
    command: "counterpoise adjustments list --status proposed",
    description: "What waits for you"
  }])
)

export const adjustments = Command.make("adjustments").pipe(
  Command.withDescription("Compensating transfers, made by two operators"),
  Command.withSubcommands([list, propose, approve])
)
