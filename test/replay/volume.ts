/**
 * How fast a shard is replayed: `node test/replay/volume.ts [transfers]` lets real workers settle so many transfers (20,000
 * unless given) on two shards, half of them across, and replays a shard from its own log and from the event log.
 */
import { Cause, Effect, Exit, Layer } from "effect"
import { Intake } from "#domain/transfer/Intake.ts"
import { random } from "#infra/Entropy.ts"
import { isEqual } from "#infra/postgres/PgReplay.ts"
import { everybodyWorks, intentOf, nameOn, open, somebodyOn, World, world } from "../ledger/World.ts"
import { TestPostgres } from "../support/TestPostgres.ts"
import { replayed } from "./Replaying.ts"

const wanted = Number(process.argv[2] ?? 20_000)

const unended = Effect.forEach([0, 1], (shard) =>
  Effect.scoped(Effect.flatMap(
    somebodyOn(shard),
    (sql) =>
      sql<{ readonly left: number }>`
        SELECT count(*)::int4 AS left FROM transfer WHERE status NOT IN ('committed', 'rejected', 'cancelled')`
  ))).pipe(Effect.map((rows) => rows.flat().reduce((sum, { left }) => sum + left, 0)))

const program = Effect.gen(function*() {
  const intake = yield* Intake
  const banks = yield* Effect.forEach([0, 1], (shard) => open(nameOn(shard, `bank${shard}`), "external"))
  const customers = yield* Effect.forEach(
    Array.from({ length: 400 }, (_, index) => index),
    (index) => open(nameOn(index % 2, `customer${index}`)),
    { concurrency: 16 }
  )
  const pick = <A>(from: ReadonlyArray<A>) => from[Math.floor(random() * from.length)] ?? from[0]
  const wishes = Array.from({ length: wanted }, (_, index) => {
    const source = index % 4 === 0 ? pick(banks) : pick(customers)
    const destination = pick(customers.filter((id) => id !== source))
    return source === undefined || destination === undefined ? [] : [intentOf(source, destination, "7")]
  }).flat()
  yield* intake.requestAll(wishes)
  yield* Effect.raceFirst(
    everybodyWorks,
    Effect.repeat(Effect.delay(unended, "500 millis"), { until: (left) => left === 0 })
  )
  const shards = yield* World
  for (const from of ["log", "event log"] as const) {
    const cpu = process.cpuUsage()
    const report = yield* replayed(shards, 0, from)
    const used = process.cpuUsage(cpu)
    console.log(
      `from the ${from}: ${report.events} events in ${report.seconds.toFixed(1)} s, ` +
        `${Math.round(report.events / report.seconds)} events/s, ${
          ((used.user + used.system) / 1e6).toFixed(1)
        } s of ` +
        `CPU here, ${isEqual(report) ? "equal" : "NOT EQUAL"}`
    )
  }
})

const exit = await program.pipe(
  Effect.provide(Layer.provideMerge(world, TestPostgres.layer)),
  Effect.scoped,
  Effect.runPromiseExit
)
// Who raced against the workers, and lost, is interrupted: that is no failure.
if (Exit.isFailure(exit) && !Cause.hasInterruptsOnly(exit.cause)) throw Cause.squash(exit.cause)
