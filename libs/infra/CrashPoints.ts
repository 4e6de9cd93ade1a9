/**
 * Crash points: places where a process may be made to die, for those who test what is left then. They stand where a port is
 * used, before and after it: between what a process decided and what it wrote, and between what it wrote and what it says.
 *
 * CRASH_AT names one and on which pass the process kills itself there: `ledger.after_commit:3`. Where it is not set the ports
 * are handed on as they are, and none of this costs anything.
 */
import { writeSync } from "node:fs"
import { Context, Effect, Layer, Option } from "effect"
import { EventLog } from "#domain/messaging/EventLog.ts"
import { ShardLog } from "#domain/messaging/ShardLog.ts"
import { SilentTransfers } from "#domain/reconciliation/SilentTransfers.ts"
import { Leases } from "#domain/sharding/Leases.ts"
import { Shards } from "#domain/sharding/Shards.ts"
import { Intake } from "#domain/transfer/Intake.ts"
import * as Settings from "./Settings.ts"

/** All that there are, by process. What is beside `after_lease` each process passes with every batch or request. */
export const crashPoints = {
  api: ["before_record", "after_record", "after_replay"],
  relay: ["after_lease", "after_read", "before_append", "after_append", "after_advance"],
  ledger: ["after_lease", "after_take", "before_commit", "after_commit"],
  reconciler: ["after_lease", "after_find", "before_ask", "after_ask"]
} as const

export type Process = keyof typeof crashPoints

/** Passes a point; the process may not survive it. */
type Pass = (point: string) => Effect.Effect<void>

const armed = (process: Process, at: Settings.CrashAt): Pass => {
  let left = at.pass
  return (point) =>
    Effect.sync(() => {
      if (`${process}.${point}` !== at.point || --left > 0) return
      // Nothing that is buffered may be lost with us: this is how it is known that the point was reached.
      writeSync(2, `crash point reached: ${at.point}\n`)
      globalThis.process.kill(globalThis.process.pid, "SIGKILL")
    })
}

/** The ports of a process with its crash points around them, as far as it has these ports. */
export const around = <A, E, R>(process: Process, ports: Layer.Layer<A, E, R>) =>
  Layer.unwrap(Effect.map(Settings.read(Settings.crash), ({ crashAt }) =>
    Option.match(crashAt, {
      onNone: () => ports,
      onSome: (at) =>
        Layer.effectContext(Effect.map(Layer.build(ports), (context) => dressed(context, armed(process, at))))
    })))

const dressed = <A>(context: Context.Context<A>, pass: Pass): Context.Context<A> => {
  let result = context
  const replace = <I, S>(port: Context.Key<I, S>, dress: (real: S) => S) => {
    const real = Context.getOption(result as Context.Context<A | I>, port)
    if (Option.isSome(real)) result = Context.add(result, port, dress(real.value)) as Context.Context<A>
  }

  replace(Leases, (leases) => ({
    ...leases,
    acquire: (shard, role) =>
      Effect.tap(leases.acquire(shard, role), (lease) => Option.isSome(lease) ? pass("after_lease") : Effect.void)
  }))

  replace(Intake, (intake) => ({
    ...intake,
    request: (intent) =>
      pass("before_record").pipe(
        Effect.andThen(intake.request(intent)),
        Effect.tap(({ replayed }) => pass(replayed ? "after_replay" : "after_record"))
      )
  }))

  replace(ShardLog, (log) => ({
    ...log,
    after: (shard, position, most) =>
      Effect.tap(
        log.after(shard, position, most),
        ({ records }) => records.length > 0 ? pass("after_read") : Effect.void
      ),
    advance: (lease, name, to) => Effect.tap(log.advance(lease, name, to), () => pass("after_advance")),
    append: (shard, events) =>
      pass("before_ask").pipe(
        Effect.andThen(log.append(shard, events)),
        Effect.tap(() => pass("after_ask"))
      )
  }))

  replace(EventLog, (log) => ({
    ...log,
    writer: (source) =>
      Effect.map(log.writer(source), (writer) => ({
        ...writer,
        append: (records) =>
          pass("before_append").pipe(
            Effect.andThen(writer.append(records)),
            Effect.tap(() => pass("after_append"))
          )
      })),
    reader: (from) =>
      Effect.map(log.reader(from), (reader) => ({
        ...reader,
        take: (most) => Effect.tap(reader.take(most), () => pass("after_take"))
      }))
  }))

  replace(Shards, (shards) => ({
    ...shards,
    transact: (shard, work) =>
      shards.transact(shard, Effect.tap(work, () => pass("before_commit"))).pipe(
        Effect.tap(() => pass("after_commit"))
      )
  }))

  replace(SilentTransfers, (silent) => ({
    ...silent,
    find: (shard, patience, since, most) =>
      Effect.tap(
        silent.find(shard, patience, since, most),
        (found) => found.length > 0 ? pass("after_find") : Effect.void
      )
  }))
  return result
}
