/**
 * What may go wrong, one kind a name: what is done to the rig, and how it ends by itself. A fault never outlives its effect;
 * only what it did to the processes does.
 */
import { readFileSync } from "node:fs"
import { Effect, Schedule } from "effect"
import { crashPoints } from "#infra/CrashPoints.ts"
import { between, type Chance, oneOf } from "../support/Chance.ts"
import type { Link, Weather } from "../support/Link.ts"
import { asking } from "../support/Databases.ts"
import { recovery } from "./Recovery.ts"
import type { Rig, Role, Worker } from "./Rig.ts"

export interface Fault {
  readonly kind: string
  /** What it is done to. */
  readonly target: string
  /** Does it, and heals it. */
  readonly strike: Effect.Effect<void>
}

/** Draws a fault of a kind: whom it meets and how long it lasts is left to chance. */
export type Kind = (rig: Rig, chance: Chance) => Fault

const workersOf = ({ workers }: Rig, role: Role) => workers.filter((worker) => worker.role === role)

/** Sends a signal to a process of ours; one that has just ended is as good as told. */
const signal = (worker: Worker, name: NodeJS.Signals) =>
  Effect.sync(() => {
    try {
      process.kill(worker.pid(), name)
    } catch {
      // It ended a moment ago, and is being started again.
    }
  })

const kill = (role: Role): Kind => (rig, chance) => {
  const worker = oneOf(chance, workersOf(rig, role))
  return { kind: `kill -9 ${role}`, target: worker.name, strike: signal(worker, "SIGKILL") }
}

/** Longer than a lease: another one takes over while it sleeps, and it wakes up believing that nothing happened. */
const freeze = (role: Role): Kind => (rig, chance) => {
  const worker = oneOf(chance, workersOf(rig, role))
  return {
    kind: `freeze ${role}`,
    target: worker.name,
    strike: signal(worker, "SIGSTOP").pipe(
      Effect.andThen(Effect.sleep(between(chance, 2_500, 5_000))),
      Effect.ensuring(signal(worker, "SIGCONT"))
    )
  }
}

const under = (link: Link, weather: Weather, millis: number) =>
  Effect.sync(() => {
    link.weather = weather
  }).pipe(
    Effect.andThen(Effect.sleep(millis)),
    Effect.ensuring(Effect.sync(() => {
      link.weather = { is: "fair" }
    }))
  )

const linksOf = (rig: Rig, role: Role | "client", server: "shard" | "event log"): ReadonlyArray<Link> =>
  role === "client"
    ? rig.doors
    : workersOf(rig, role).flatMap(({ links }) => links.filter(({ name }) => name.includes(server)))

const weather =
  (role: Role | "client", server: "shard" | "event log", how: (chance: Chance) => [Weather, number]): Kind =>
  (rig, chance) => {
    const link = oneOf(chance, linksOf(rig, role, server))
    const [weather, millis] = how(chance)
    return {
      kind: `${weather.is} ${role}–${role === "client" ? "api" : server}`,
      target: link.name,
      strike: under(link, weather, millis)
    }
  }

const weathers: ReadonlyArray<(chance: Chance) => [Weather, number]> = [
  (chance) => [{ is: "cut" }, between(chance, 100, 3_000)],
  (chance) => [{ is: "stalled" }, between(chance, 300, 4_000)],
  (chance) => [{ is: "swallowing" }, between(chance, 50, 800)],
  (chance) => [{ is: "half-open" }, between(chance, 50, 1_500)],
  (chance) => [{ is: "slow", millis: between(chance, 10, 150) }, between(chance, 1_000, 4_000)],
  (chance) => [{ is: "narrow", bytesPerSecond: between(chance, 10_000, 60_000) }, between(chance, 1_000, 4_000)]
]

/** Between every pair that talks to each other: each kind of weather. */
const ofLink = (role: Role | "client", server: "shard" | "event log") =>
  weathers.map((how) => weather(role, server, how))

const killServer = (which: RegExp): Kind => (rig, chance) => {
  const server = oneOf(chance, rig.servers.filter(({ name }) => which.test(name)))
  return { kind: `kill -9 ${server.name.replace(/-\d+$/, "")}`, target: server.name, strike: server.killAndStart }
}

/** The connections of one role end, as an administrator or a pooler would end them; statements and commits among them. */
const endSessions: Kind = (rig, chance) => {
  const shard = between(chance, 0, rig.shardUrls.length - 1)
  const role = oneOf(chance, ["api", "relay", "ledger", "reconciler"] as const)
  return {
    kind: "end sessions",
    target: `${role} on shard ${shard}`,
    strike: onShard(
      rig,
      shard,
      (sql) =>
        sql`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = ${`counterpoise_${role}`}`
    )
  }
}

type Sql = Parameters<Parameters<typeof asking>[1]>[0]

/** Does something on a shard as its superuser; a shard that is down is spared. */
const onShard = <A, E>(rig: Rig, shard: number, work: (sql: Sql) => Effect.Effect<A, E>) =>
  Effect.ignore(Effect.tryPromise(() => asking(rig.shardUrls[shard] ?? "", work)))

/** Somebody holds the rows of balances for a while, longer than a transaction likes to wait. */
const holdRows: Kind = (rig, chance) => {
  const shard = between(chance, 0, rig.shardUrls.length - 1)
  const seconds = between(chance, 1, 6)
  return {
    kind: "rows held",
    target: `shard ${shard} for ${seconds} s`,
    strike: onShard(rig, shard, (sql) =>
      sql.withTransaction(
        sql`SELECT pg_sleep(${seconds}) FROM (SELECT count(*) FROM (SELECT 1 FROM balance FOR UPDATE)) AS held`
      ))
  }
}

/** A shard takes no writes for a while, as in the middle of a fail-over. */
const readOnly: Kind = (rig, chance) => {
  const shard = between(chance, 0, rig.shardUrls.length - 1)
  const setting = (value: "on" | "off") =>
    onShard(rig, shard, (sql) =>
      Effect.andThen(
        sql`ALTER SYSTEM SET default_transaction_read_only = ${sql.literal(value)}`.unprepared,
        sql`SELECT pg_reload_conf()`
      ))
  return {
    kind: "read-only shard",
    target: `shard ${shard}`,
    strike: setting("on").pipe(
      Effect.andThen(Effect.sleep(between(chance, 500, 2_500))),
      Effect.ensuring(Effect.repeat(setting("off"), { times: 1 }))
    )
  }
}

/** Nobody else can connect for a while, as when a pool elsewhere has taken all there are. */
const noConnections: Kind = (rig, chance) => {
  const shard = between(chance, 0, rig.shardUrls.length - 1)
  const limit = (most: number) =>
    onShard(
      rig,
      shard,
      (sql) => sql`ALTER DATABASE counterpoise CONNECTION LIMIT ${sql.literal(String(most))}`.unprepared
    )
  return {
    kind: "no connections left",
    target: `shard ${shard}`,
    strike: limit(0).pipe(
      Effect.andThen(endSessions(rig, chance).strike),
      Effect.andThen(Effect.sleep(between(chance, 500, 2_500))),
      Effect.ensuring(limit(-1))
    )
  }
}

/** A relay begins again from an older position: everything after it is published once more. */
const replayFrom: Kind = (rig, chance) => {
  const shard = between(chance, 0, rig.shardUrls.length - 1)
  const back = between(chance, 10, 2_000)
  return {
    kind: "relay begins again",
    target: `shard ${shard}, ${back} positions earlier`,
    strike: onShard(rig, shard, (sql) => sql`UPDATE relay_cursor SET position = greatest(0, position - ${back}::int8)`)
      .pipe(Effect.andThen(Effect.forEach(workersOf(rig, "relay"), (worker) => signal(worker, "SIGKILL"))))
  }
}

/** Everything at once; it is started again in any order. */
const killAll: Kind = (rig) => ({
  kind: "kill -9 everything",
  target: "all processes",
  strike: Effect.forEach(rig.workers, (worker) => signal(worker, "SIGKILL"), { discard: true })
})

/** How often processes of a role have said that they reached a point. */
const timesReached = (rig: Rig, role: Role, point: string) =>
  workersOf(rig, role).reduce(
    (times, { outputFile }) =>
      times + readFileSync(outputFile, "utf8").split(`crash point reached: ${point}`).length - 1,
    0
  )

/**
 * The processes of a role die at one point after the other: whoever did is armed with the next when it is started again. The
 * reconciler passes its points only where something is silent: the ledgers sleep for so long.
 */
const crashAt = (role: Role, points: ReadonlyArray<string>): ReadonlyArray<Kind> =>
  points.map((point, index) => (rig) => {
    const name = `${role}.${point}`
    // One API is enough for its clients to come by; of the others, whoever has the lease.
    const armed = role === "api" ? workersOf(rig, role).slice(0, 1) : workersOf(rig, role)
    const arm = (at: string | undefined) =>
      Effect.forEach(armed, (worker) =>
        Effect.sync(() => {
          worker.env["CRASH_AT"] = at
        }), { discard: true })
    const killArmed = Effect.forEach(armed, (worker) => signal(worker, "SIGKILL"), { discard: true })
    const before = timesReached(rig, role, name)
    const reached = Effect.suspend(() =>
      timesReached(rig, role, name) > before ? Effect.sync(() => rig.reached.add(name)) : Effect.fail("not yet")
    ).pipe(
      Effect.retry(Schedule.upTo(Schedule.spaced("50 millis"), { duration: "90 seconds" })),
      Effect.catch(() => killArmed),
      Effect.asVoid
    )
    const ledgers = workersOf(rig, "ledger")
    const whileTheySleep = <A>(work: Effect.Effect<A>) =>
      Effect.forEach(ledgers, (worker) => signal(worker, "SIGSTOP"), { discard: true }).pipe(
        Effect.andThen(work),
        Effect.ensuring(Effect.forEach(ledgers, (worker) => signal(worker, "SIGCONT"), { discard: true }))
      )
    return {
      kind: `crash at ${name}`,
      target: `every ${role}`,
      strike: arm(`${name}:1`).pipe(
        Effect.andThen(index === 0 ? killArmed : Effect.void),
        Effect.andThen(role === "reconciler" && point !== "after_lease" ? whileTheySleep(reached) : reached),
        Effect.ensuring(index < points.length - 1 ? Effect.void : Effect.andThen(arm(undefined), killArmed))
      )
    }
  })

const roles = ["api", "relay", "ledger", "reconciler"] as const

export interface Scenario {
  /** One of these at a time, drawn. */
  readonly drawn?: ReadonlyArray<Kind>
  /** So many times rarer than faults that pass by themselves: a process that was killed needs a while to be back. */
  readonly rarer?: number
  /** All of these, one after the other. */
  readonly inTurn?: ReadonlyArray<Kind>
}

/** What is tried together. */
export const scenarios: Readonly<Record<string, Scenario>> = {
  processes: { drawn: [...roles.map(kill), ...roles.map(kill), ...roles.map(kill), killAll], rarer: 5 },
  "crash points": { inTurn: [...roles].toReversed().flatMap((role) => crashAt(role, crashPoints[role])) },
  recovery: {
    inTurn: roles.map((role): Kind => (rig, chance) =>
      recovery(role, (measured) => rig.recoveries.push(measured))(rig, chance)
    )
  },
  zombies: { drawn: [freeze("relay"), freeze("ledger"), freeze("reconciler"), freeze("api")], rarer: 3 },
  "shard links": {
    drawn: [
      ...ofLink("api", "shard"),
      ...ofLink("relay", "shard"),
      ...ofLink("ledger", "shard"),
      ...ofLink("reconciler", "shard")
    ]
  },
  "event log links": { drawn: [...ofLink("relay", "event log"), ...ofLink("ledger", "event log")] },
  clients: { drawn: ofLink("client", "shard") },
  servers: { drawn: [killServer(/^shard/), killServer(/^event-log/), killServer(/^shard/)], rarer: 4 },
  sessions: { drawn: [endSessions, holdRows, readOnly, noConnections] },
  replays: { drawn: [replayFrom, kill("ledger"), killServer(/^event-log/)], rarer: 5 }
}

/** Every crash point that there is, as it is armed. */
export const allCrashPoints: ReadonlyArray<string> = roles.flatMap((role) =>
  crashPoints[role].map((point) => `${role}.${point}`)
)
