import { Effect, Layer, Option, Schema } from "effect"
import { Command, Flag } from "effect/cli"
import { type Finding, type KnownHead, type Report, verify as verifySeals } from "#domain/sealing/Verification.ts"
import * as PgSeals from "#infra/postgres/PgSeals.ts"
import { ShardDatabases } from "#infra/postgres/ShardDatabases.ts"
import * as Settings from "#infra/Settings.ts"
import { publicKeyOf, sha256, trusting } from "#infra/Signatures.ts"
import { Found } from "../ExitCode.ts"
import * as Output from "../Output.ts"
import * as Platform from "../Platform.ts"
import * as Progress from "../Progress.ts"

const Head = Schema.String.check(
  Schema.isPattern(/^\d+:\d+:[0-9a-f]{64}$/, { message: "must be shard:number:hash, as it was printed" })
)

const headOf = (text: string): KnownHead => {
  const [shard = "", number = "", hash = ""] = text.split(":")
  return { shard: Number(shard), number: BigInt(number), hash }
}

const findingOf = ({ block, detail, subject, what }: Finding) => ({
  what,
  subject,
  block: block === null ? null : String(block),
  detail
})

const inWords = ({ block, detail, subject, what }: Finding) =>
  `${what.toUpperCase()}  ${subject}${block === null ? "" : `, block ${block}`}: ${detail}`

const rowOf = ({ events, findings, head, leaves, shard, unsealed, upTo }: Report): Output.Row => ({
  shard,
  is: findings.length === 0 ? "ok" : "wrong",
  up_to: upTo,
  events,
  journals: leaves - events,
  unsealed,
  head: `${shard}:${head.number}:${head.hash}`,
  findings: Output.several(findings.map(findingOf), findings.map(inWords).join("\n      "))
})

/** `counterpoise ledger verify` */
export const verify = Command.make(
  "verify",
  {
    heads: Flag.String("head").pipe(
      Flag.withSchema(Head),
      Flag.map(headOf),
      Flag.withMetavar("shard:number:hash"),
      Flag.withDescription("A head that was printed before, and kept elsewhere; as often as there are any"),
      Flag.between(0, 10_000)
    )
  },
  Effect.fnUntraced(function*({ heads }) {
    const { publicKeys } = yield* Settings.read(Settings.seals)
    if (Option.isNone(publicKeys)) {
      return yield* Settings.InvalidSettings.make({
        mistakes: ["SEAL_PUBLIC_KEYS: who verifies must say whose seals are trusted"]
      })
    }
    const { shards } = yield* ShardDatabases
    const progress = yield* Progress.make
    const reports = yield* verifySeals(shards, {
      hash: sha256,
      trusted: trusting(publicKeys.value.map(publicKeyOf)),
      heads,
      progress: (shard, block) => progress.told(`shard ${shard}: ${block} blocks`)
    })
    yield* progress.end
    yield* Output.list(reports.map(rowOf), { below: ["findings"] })
    const found = reports.reduce((sum, { findings }) => sum + findings.length, 0)
    if (found > 0) return yield* Found.make({ what: `${found} thing(s) are not as they were sealed` })
  })
).pipe(
  Command.provide(Layer.provideMerge(PgSeals.layer, Platform.shards)),
  Command.withDescription(
    [
      "Computes every sealed block anew from the rows as they are, in one snapshot for each shard, and names what is not as it was",
      "sealed: each row that was edited, deleted or inserted, whoever did it (docs/evidence.md). --head finds a chain that was cut",
      "off or made anew since that head was printed. Exit code 6: something was found."
    ].join("\n")
  ),
  Command.withShortDescription("Was anything of the past changed?"),
  Command.withExamples([
    { command: "counterpoise ledger verify", description: "Everything: the same as npm run verify" },
    { command: "counterpoise ledger verify --head 0:17:5be0…", description: "And that shard 0 still has that block" }
  ])
)
