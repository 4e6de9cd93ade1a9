/**
 * How long sealing and verifying take: `node test/sealing/volume.ts [entries]` fills two shards with healthy books of so
 * many entries in all (1,000,000 unless given), seals them, verifies them, and says what a transfer's seals cost on disk.
 */
import { Effect } from "effect"
import { connect } from "#infra/postgres/Postgres.ts"
import { fill } from "../checks/Filled.ts"
import { TestPostgres } from "../support/TestPostgres.ts"
import { makeSigner, sealing, sealShard, verifyAll } from "./Sealing.ts"

const wanted = Number(process.argv[2] ?? 1_000_000)

const program = Effect.gen(function*() {
  const shards = yield* (yield* TestPostgres).freshShards(2)
  yield* fill(shards, { accountsPerShard: 10_000, entries: wanted })
  const signer = makeSigner()
  let entries = 0
  let transfers = 0
  for (const url of shards.urls) {
    const sql = yield* connect({ url, maxConnections: 1 })
    const [row] = yield* sql<{ readonly entries: number; readonly transfers: number }>`
      SELECT (SELECT 2 * count(*) FROM journal)::int4 AS entries, (SELECT count(*) FROM transfer)::int4 AS transfers`
    entries += row?.entries ?? 0
    transfers += row?.transfers ?? 0
  }

  const sealingBegun = performance.now()
  const cpu = process.cpuUsage()
  yield* Effect.provide(
    Effect.forEach([0, 1], (shard) => sealShard(shard, signer), { concurrency: 2 }),
    sealing(shards)
  )
  const sealedIn = (performance.now() - sealingBegun) / 1000
  const used = process.cpuUsage(cpu)
  console.log(
    `sealed ${entries} entries of ${transfers} transfers in ${sealedIn.toFixed(1)} s: ` +
      `${Math.round(entries / sealedIn)} entries/s, ${((used.user + used.system) / 1e6).toFixed(1)} s of CPU here`
  )

  const verifyingBegun = performance.now()
  const reports = yield* verifyAll(shards, signer)
  const verifiedIn = (performance.now() - verifyingBegun) / 1000
  for (const { events, findings, head, leaves, shard } of reports) {
    console.log(
      `shard ${shard}: ${head.number} blocks, ${events} events, ${leaves} leaves, ${findings.length} findings`
    )
  }
  console.log(`verified in ${verifiedIn.toFixed(1)} s: ${Math.round(entries / verifiedIn)} entries/s`)
  console.log(`memory ${process.memoryUsage.rss() >> 20} MB`)

  let bytes = 0
  for (const url of shards.urls) {
    const sql = yield* connect({ url, maxConnections: 1 })
    const [row] = yield* sql<{ readonly bytes: bigint }>`SELECT pg_total_relation_size('sealed_block') AS bytes`
    bytes += Number(row?.bytes ?? 0n)
  }
  console.log(`sealed blocks take ${bytes >> 20} MB, ${Math.round(bytes / transfers)} bytes a transfer`)
})

await program.pipe(Effect.scoped, Effect.provide(TestPostgres.layer), Effect.runPromise)
