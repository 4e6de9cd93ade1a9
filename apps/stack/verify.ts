/**
 * `npm run verify`: computes every sealed block anew from the rows as they are, and names what is not as it was sealed.
 * `--head shard:number:hash`, as often as there are heads that somebody has kept, finds a chain that was cut off or made
 * anew. It reads as the auditor, and ends with 1 if anything was found.
 *
 * Without SHARD_URLS it asks the platform that `npm start` runs.
 */
import { parseArgs } from "node:util"
import { ConfigProvider, Effect, Layer, Option, Schema } from "effect"
import { type Finding, type KnownHead, type Report, verify } from "#domain/sealing/Verification.ts"
import { environmentOf } from "#infra/local/Stack.ts"
import * as PgSeals from "#infra/postgres/PgSeals.ts"
import { ShardDatabases } from "#infra/postgres/ShardDatabases.ts"
import * as Processes from "#infra/Processes.ts"
import { main } from "#infra/Program.ts"
import * as Settings from "#infra/Settings.ts"
import { publicKeyOf, sha256, trusting } from "#infra/Signatures.ts"

/** Something is not as it was sealed. */
class Tampered extends Schema.TaggedError<Tampered>()("Tampered", { findings: Schema.Int }) {
  override get message() {
    return `${this.findings} thing(s) are not as they were sealed`
  }
}

const headOf = (text: string): Effect.Effect<KnownHead, Settings.InvalidSettings> => {
  const [, shard, number, hash] = /^(\d+):(\d+):([0-9a-f]{64})$/.exec(text) ?? []
  return shard === undefined || number === undefined || hash === undefined
    ? Effect.fail(Settings.InvalidSettings.make({ mistakes: [`--head ${text}: must be shard:number:hash`] }))
    : Effect.succeed({ shard: Number(shard), number: BigInt(number), hash })
}

const say = (line: string) => Effect.sync(() => process.stdout.write(`${line}\n`))

const told = ({ block, detail, shard, subject, what }: Finding) =>
  `  ${what.toUpperCase()}  ${subject}${block === null ? "" : `, shard ${shard}, block ${block}`}: ${detail}`

const sayReport = ({ events, findings, head, leaves, shard, unsealed, upTo }: Report) =>
  process.stdout.isTTY
    ? say([
      `shard ${shard}: ${head.number} blocks up to position ${upTo}; ${events} events and ${
        leaves - events
      } journals ` +
      `beside them; ${unsealed} events wait to be sealed; ${findings.length || "no"} findings`,
      `  its head, to be kept: --head ${shard}:${head.number}:${head.hash}`,
      ...findings.map(told)
    ].join("\n"))
    : say(JSON.stringify(
      { shard, head: `${shard}:${head.number}:${head.hash}`, upTo, events, leaves, unsealed, findings },
      (_, value: unknown) => typeof value === "bigint" ? String(value) : value
    ))

const program = Effect.fnUntraced(function*(heads: ReadonlyArray<KnownHead>) {
  const { publicKeys } = yield* Settings.read(Settings.seals)
  if (Option.isNone(publicKeys)) {
    return yield* Settings.InvalidSettings.make({
      mistakes: ["SEAL_PUBLIC_KEYS: who verifies must say whose seals are trusted"]
    })
  }
  const { shards } = yield* ShardDatabases
  const reports = yield* verify(shards, { hash: sha256, trusted: trusting(publicKeys.value.map(publicKeyOf)), heads })
  yield* Effect.forEach(reports, sayReport, { discard: true })
  const findings = reports.reduce((sum, report) => sum + report.findings.length, 0)
  if (findings > 0) return yield* Tampered.make({ findings })
})

// Only what it was asked for should be seen.
process.env["LOG_LEVEL"] ??= "Warn"
const { values } = parseArgs({ options: { head: { type: "string", multiple: true } } })
main(
  "verify",
  Effect.forEach(values.head ?? [], headOf).pipe(
    Effect.flatMap((heads) =>
      program(heads).pipe(
        Effect.provide(
          Layer.provideMerge(PgSeals.layer, Processes.shardDatabases("auditor")).pipe(
            Layer.provideMerge(ConfigProvider.layer(ConfigProvider.fromEnv({ env: environmentOf(process.env) })))
          )
        )
      )
    )
  )
)
