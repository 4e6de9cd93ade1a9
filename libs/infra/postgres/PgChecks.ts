/**
 * The checks on PostgreSQL: every file of sql/checks run on every shard, in one snapshot each, and the evidence of all
 * shards brought together. It only reads: `counterpoise_auditor` may run it.
 */
import { NodeServices } from "@effect/platform-node"
import type { PgClient } from "@effect/sql-pg"
import { Duration, Effect, FileSystem, Layer, Schema } from "effect"
import { fileURLToPath } from "node:url"
import {
  type AccountEvidence,
  acrossChecks,
  type Check,
  checkAcross,
  type CheckOptions,
  Checks,
  type ClearingEvidence,
  isWanted,
  mostViolations,
  type SumEvidence,
  type TransferEvidence,
  type VerdictEvidence
} from "#domain/reconciliation/Checks.ts"
import type { ShardId } from "#domain/sharding/ShardMap.ts"
import { TransferStatus } from "#domain/transfer/Transfer.ts"
import { texts } from "./Columns.ts"
import { transaction } from "./Postgres.ts"
import { Numeric } from "./Rows.ts"
import { longPatience, ShardDatabases } from "./ShardDatabases.ts"

/** A check that one shard answers by itself: a query of (subject, detail), a row for each violation. */
export interface ShardCheck extends Check {
  readonly query: string
}

const headerOfCheck =
  /^-- (?<number>I\d\d) (?<sentence>.+?)\n-- A row is .+?\n-- Severity: (?<severity>critical|warning)\n/s

const queries = Effect.fnUntraced(function*(folder: "shard" | "across") {
  const fs = yield* FileSystem.FileSystem
  const path = fileURLToPath(new URL(`../../../sql/checks/${folder}/`, import.meta.url))
  const files = (yield* fs.readDirectory(path)).filter((file) => file.endsWith(".sql"))
  return yield* Effect.forEach(files, (file) =>
    Effect.map(fs.readFileString(`${path}${file}`), (text) => ({
      name: file.slice(0, -".sql".length),
      text,
      // Without its semicolon a query can stand inside another.
      query: text.trimEnd().replace(/;$/, "")
    })))
}, Effect.provide(NodeServices.layer))

/** The checks that one shard answers, as they stand in sql/checks/shard. */
export const shardChecks: Effect.Effect<ReadonlyArray<ShardCheck>> = queries("shard").pipe(
  Effect.map((found) =>
    found.map(({ name, query, text }): ShardCheck => {
      const header = headerOfCheck.exec(text)?.groups
      if (header === undefined) throw new Error(`sql/checks/shard/${name}.sql does not begin as checks do`)
      return {
        name,
        number: header["number"] ?? "",
        sentence: (header["sentence"] ?? "").replaceAll(/\n--\s*/g, " "),
        severity: header["severity"] === "warning" ? "warning" : "critical",
        query
      }
    }).toSorted((a, b) => a.number < b.number ? -1 : 1)
  ),
  Effect.orDie
)

const violationRows = Schema.decodeUnknownSync(
  Schema.Array(Schema.Struct({ subject: Schema.String, detail: Schema.String }))
)

// Evidence of corruption must decode: nothing here is stricter than the columns.
const terms = {
  transfer_id: Schema.String,
  source: Schema.String,
  destination: Schema.String,
  amount: Numeric,
  currency: Schema.String
}

const verdictRows = Schema.decodeUnknownSync(Schema.Array(Schema.Struct({
  ...terms,
  from_shard: Schema.Int,
  ruling: Schema.Literals(["CREDITED", "REFUSED"])
})))

const transferRows = Schema.decodeUnknownSync(Schema.Array(Schema.Struct({
  ...terms,
  status: TransferStatus,
  asked: Schema.Boolean
})))

const clearingRows = Schema.decodeUnknownSync(Schema.Array(Schema.Struct({
  direction: Schema.Literals(["to", "from"]),
  other: Schema.FiniteFromString,
  currency: Schema.String,
  posted: Numeric
})))

const accountRows = Schema.decodeUnknownSync(
  Schema.Array(Schema.Struct({ account_id: Schema.String, partition: Schema.Int }))
)

const sumRows = Schema.decodeUnknownSync(Schema.Array(Schema.Struct({ currency: Schema.String, posted: Numeric })))

const termsOf = (row: {
  readonly transfer_id: string
  readonly source: string
  readonly destination: string
  readonly amount: bigint
  readonly currency: string
}) => ({
  transfer: row.transfer_id,
  source: row.source,
  destination: row.destination,
  amount: row.amount,
  currency: row.currency
})

export const layer = Layer.effect(
  Checks,
  Effect.gen(function*() {
    const databases = yield* ShardDatabases
    const onEachShard = yield* shardChecks
    const feeders = new Map((yield* Effect.orDie(queries("across"))).map(({ name, query }) => [name, query]))
    const feeder = (name: string): string => {
      const query = feeders.get(name)
      if (query === undefined) throw new Error(`sql/checks/across/${name}.sql is missing`)
      return query
    }

    /** One snapshot of a shard, with the time and the memory that a look at everything takes. */
    const snapshot = <A, E>(
      shard: ShardId,
      { grace }: CheckOptions,
      look: (sql: PgClient.PgClient) => Effect.Effect<A, E>
    ) =>
      databases.on(shard, (sql) =>
        transaction(
          sql,
          Effect.gen(function*() {
            yield* sql`SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY`
            yield* sql`
            SELECT set_config('statement_timeout', '10min', true), set_config('work_mem', '64MB', true),
              set_config('counterpoise.grace', ${`${Duration.toMillis(grace)} milliseconds`}, true)`
            return yield* look(sql)
          })
        ), longPatience)

    const everywhere = <A, E>(look: (shard: ShardId) => Effect.Effect<A, E>) =>
      Effect.forEach(databases.shards, look, { concurrency: 2 })

    const ask = Effect.fnUntraced(function*(sql: PgClient.PgClient, shard: ShardId, { query, ...check }: ShardCheck) {
      // Materialized, because a planner that sees the LIMIT prefers plans that find a first row soon, and there is none:
      // of half a million entries one check took 71 seconds so, and takes half a second now.
      const offending = sql.unsafe(
        `WITH offending AS MATERIALIZED (${query}) SELECT subject, detail FROM offending LIMIT ${mostViolations}`
      )
      const [took, rows] = yield* Effect.timed(offending.unprepared)
      const violations = violationRows(rows).map((row) => ({ check: check.name, shard, ...row }))
      return { check, shard, millis: Math.round(Duration.toMillis(took)), violations }
    })

    const checkShard = (options: CheckOptions) => (shard: ShardId) =>
      snapshot(shard, options, (sql) =>
        Effect.forEach(
          onEachShard.filter((check) => isWanted(options, check)),
          (check) => ask(sql, shard, check)
        ))

    const verdicts = (sql: PgClient.PgClient, shard: ShardId, of?: ReadonlyArray<string>) =>
      Effect.map(
        of === undefined
          ? sql.unsafe(feeder("verdicts")).unprepared
          : sql`
            SELECT * FROM (${sql.literal(feeder("verdicts"))}) AS verdict
            WHERE transfer_id = ANY(${texts(of)}::text[])`,
        (rows) =>
          verdictRows(rows).map((row): VerdictEvidence => ({
            shard,
            from: row.from_shard,
            ruling: row.ruling,
            terms: termsOf(row)
          }))
      )

    const transfers = (sql: PgClient.PgClient, shard: ShardId) =>
      Effect.map(
        sql.unsafe(feeder("transfers")).unprepared,
        (rows) =>
          transferRows(rows).map((row): TransferEvidence => ({
            shard,
            status: row.status,
            asked: row.asked,
            terms: termsOf(row)
          }))
      )

    const clearing = (sql: PgClient.PgClient, shard: ShardId) =>
      Effect.map(
        sql.unsafe(feeder("clearing_balances")).unprepared,
        (rows) => clearingRows(rows).map((row): ClearingEvidence => ({ shard, ...row }))
      )

    const accounts = (sql: PgClient.PgClient, shard: ShardId) =>
      Effect.map(sql.unsafe(feeder("accounts")).unprepared, (rows) =>
        accountRows(rows).map((row): AccountEvidence => ({
          shard,
          account: row.account_id,
          partition: row.partition
        })))

    const sums = (sql: PgClient.PgClient, shard: ShardId) =>
      Effect.map(
        sql.unsafe(feeder("sums")).unprepared,
        (rows) => sumRows(rows).map((row): SumEvidence => ({ shard, ...row }))
      )

    const ruledBy = (options: CheckOptions) => (shard: ShardId) =>
      snapshot(shard, options, (sql) => Effect.all({ verdicts: verdicts(sql, shard), clearing: clearing(sql, shard) }))

    const stoodOn = (options: CheckOptions) => (shard: ShardId) =>
      snapshot(shard, options, (sql) =>
        Effect.all({
          transfers: transfers(sql, shard),
          clearing: clearing(sql, shard),
          accounts: accounts(sql, shard),
          sums: sums(sql, shard)
        }))

    const across = (options: CheckOptions) =>
      checkAcross(databases.map, {
        ruled: ruledBy(options),
        stood: stoodOn(options),
        late: (shard, transfers) => snapshot(shard, options, (sql) => verdicts(sql, shard, transfers))
      }, options)

    return Checks.of({
      all: [...onEachShard, ...acrossChecks],
      run: Effect.fn("PgChecks.run")(function*(options) {
        const perShard = yield* everywhere(checkShard(options))
        return [...perShard.flat(), ...yield* across(options)]
      })
    })
  })
)
