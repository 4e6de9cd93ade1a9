/**
 * The data folder of a local PostgreSQL: made once, found again, and freed of a server that outlived its owner.
 */
import { randomBytes } from "node:crypto"
import { promises as fs } from "node:fs"
import { tmpdir } from "node:os"
import path from "node:path"
import { Effect } from "effect"
import { LocalPostgresFailed } from "./LocalPostgresFailed.ts"
import { canEnter, commonGround, type PostgresPrograms } from "./PostgresPrograms.ts"
import * as ServerProcess from "./ServerProcess.ts"

export interface PostgresCluster {
  /** Where the data really is: what the caller named, or what a link there points to. */
  readonly folder: string
  readonly superuser: string
  readonly password: string
  readonly logFile: string
}

const superuser = "postgres"
const passwordFile = "counterpoise.password"
/** Beside data on common ground: a note which data folder links to it. */
const note = "whose"

/** On the server's command line, which PostgreSQL keeps in postmaster.opts: whose child this server is. */
export const ownerSetting = "counterpoise.owner"

/** The server's environment: nothing of ours, lest a PGPORT or a locale of the user's decide how it runs. */
export const environment = { LC_ALL: "C", TZ: "UTC", PATH: process.env.PATH ?? "" }

/** The cluster in this folder, made if the folder is empty or not there; if not durable, without waiting for the disk. */
export const open = Effect.fn("PostgresCluster.open")(function*(
  dataDir: string,
  programs: PostgresPrograms,
  options: { readonly durable: boolean }
) {
  const found = yield* look(dataDir)
  // What the caller's own link points to is where an empty folder is filled.
  if (found === "nothing") {
    yield* create(yield* Effect.promise(() => fs.realpath(dataDir).catch(() => dataDir)), programs, options)
  }
  const folder = yield* attempt(dataDir, () => fs.realpath(dataDir))
  if (programs.account !== undefined && !(yield* canEnter(folder, programs.account))) {
    return yield* LocalPostgresFailed.make({
      what: `PostgreSQL runs as user ${programs.account.uid} here, who may not enter the data folder`,
      where: folder,
      remedy: "Let others pass through the folders above it (chmod o+x), or remove the data folder to start anew.",
      detail: ""
    })
  }
  const version = (yield* attempt(folder, () => fs.readFile(path.join(folder, "PG_VERSION"), "utf8"))).trim()
  if (version !== programs.major) {
    return yield* LocalPostgresFailed.make({
      what: `The data is PostgreSQL ${version}'s, the programs are PostgreSQL ${programs.major}`,
      where: folder,
      remedy: "Bring the data over with pg_dump from the older version, or remove the folder to start anew.",
      detail: ""
    })
  }
  const password = (yield* attempt(folder, () => fs.readFile(path.join(folder, passwordFile), "utf8"))).trim()
  const logFile = path.join(folder, "server.log")
  yield* attempt(folder, () => rotate(logFile))
  return { folder, superuser, password, logFile }
})

/** What to remove to be rid of the data: the folder or link itself, and what was put on common ground for it. */
export const belongings = (dataDir: string): Effect.Effect<ReadonlyArray<string>> =>
  Effect.promise(async () => {
    const folder = await fs.realpath(dataDir).catch(() => dataDir)
    const around = path.dirname(folder)
    return [await fs.stat(path.join(around, note)).then(() => around, () => folder), dataDir]
  })

/** What can be done about a file that will not be read or written is the same wherever it happens. */
const attempt = <A>(where: string, work: () => Promise<A>) =>
  Effect.tryPromise({
    try: work,
    catch: (cause) =>
      LocalPostgresFailed.make({
        what: "The data folder of PostgreSQL cannot be used",
        where,
        remedy: "Is it another user's, or is a part missing? Run this as that user, or remove it to start anew.",
        detail: String(cause)
      })
  })

const look = Effect.fnUntraced(function*(dataDir: string) {
  const names = yield* attempt(dataDir, () =>
    fs.readdir(dataDir).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "ENOENT") throw error
      return undefined
    }))
  const link = yield* Effect.promise(() => fs.readlink(dataDir).catch(() => undefined))
  if (link !== undefined && names === undefined) {
    return yield* LocalPostgresFailed.make({
      what: "The data of PostgreSQL is gone: a link to it is all that is left",
      where: `${dataDir} -> ${link}`,
      remedy: "Bring the folder back, or remove the link to start anew.",
      detail: ""
    })
  }
  if (names === undefined || names.length === 0) return "nothing"
  if (names.includes("PG_VERSION")) return "cluster"
  return yield* LocalPostgresFailed.make({
    what: "The data folder holds something that is not PostgreSQL's",
    where: dataDir,
    remedy: "Name another folder, or empty this one.",
    detail: names.slice(0, 10).join("\n")
  })
})

/**
 * Makes a cluster beside its place and moves it there whole, so that an initdb that was cut short leaves no half of a
 * cluster behind. If the server's account cannot come to that place, the cluster stays on common ground and the place
 * becomes a link to it: who removes the link forgets the data (it stays there, with a note whose it was).
 *
 * Passwords, though the server listens on 127.0.0.1 only: everybody on this machine can connect to that, and a
 * superuser of PostgreSQL can run programs. The password lies with the data, readable to the server's account only.
 */
const create = Effect.fnUntraced(function*(
  dataDir: string,
  programs: PostgresPrograms,
  options: { readonly durable: boolean }
) {
  const { account } = programs
  const parent = path.dirname(dataDir)
  yield* attempt(parent, () => fs.mkdir(parent, { recursive: true }))
  const inPlace = account === undefined || (yield* canEnter(parent, account))
  const workshop = inPlace ? parent : yield* commonGround(account)
  if (!inPlace) yield* sweep(workshop)

  const made = yield* Effect.acquireUseRelease(
    attempt(workshop, () => fs.mkdtemp(path.join(workshop, `${inPlace ? "." : ""}${path.basename(dataDir)}-`))),
    Effect.fnUntraced(function*(folder) {
      const data = path.join(folder, "data")
      const secret = path.join(folder, passwordFile)
      yield* attempt(folder, async () => {
        await fs.writeFile(secret, `${randomBytes(24).toString("base64url")}\n`, { mode: 0o600 })
        if (account !== undefined) {
          await fs.chown(secret, account.uid, account.gid)
          await fs.chown(folder, account.uid, account.gid)
        }
      })
      const { code, output } = yield* ServerProcess.run(
        programs.initdb,
        [
          `--pgdata=${data}`,
          `--username=${superuser}`,
          `--pwfile=${secret}`,
          "--auth=scram-sha-256",
          "--encoding=UTF8",
          "--locale=C",
          "--no-instructions",
          ...(options.durable ? [] : ["--no-sync"])
        ],
        { account, cwd: folder, env: environment }
      ).pipe(Effect.catchTag("NotStarted", (error) => Effect.succeed({ code: -1, output: error.message })))
      if (code !== 0) {
        return yield* LocalPostgresFailed.make({
          what: "PostgreSQL could not make its data folder: initdb failed",
          where: dataDir,
          remedy: "Is the disk full or not writable? initdb's own words are below.",
          detail: ServerProcess.lastLines(output)
        })
      }
      yield* attempt(dataDir, async () => {
        await fs.rename(secret, path.join(data, passwordFile))
        try {
          if (inPlace) return await fs.rename(data, dataDir)
          await fs.rmdir(dataDir).catch(() => undefined)
          await fs.symlink(data, dataDir)
          // After the link, lest `sweep` takes it for one that was removed.
          await fs.writeFile(path.join(folder, note), `${dataDir}\n`)
        } catch (error) {
          // Another process was faster: then its cluster it is.
          if (!await fs.stat(path.join(dataDir, "PG_VERSION")).then(() => true, () => false)) throw error
        }
      })
      return data
    }),
    (folder) =>
      Effect.promise(async () => {
        const place = await fs.realpath(dataDir).catch(() => "")
        if (!place.startsWith(folder)) await fs.rm(folder, { recursive: true, force: true })
      })
  )
  if (!inPlace) {
    yield* Effect.logInfo("PostgreSQL's user may not enter this folder: the data is elsewhere, with a link to it", {
      dataDir,
      data: made
    })
  }
})

/**
 * Removes from common ground the data of temporary folders that are gone: who removed them, as tests do, did not know
 * that they held a link only. Data of any other folder stays, for that may have been moved together with its link.
 */
const sweep = Effect.fnUntraced(function*(ground: string) {
  for (const name of yield* attempt(ground, () => fs.readdir(ground))) {
    const home = path.join(ground, name)
    const dataDir = (yield* Effect.promise(() => fs.readFile(path.join(home, note), "utf8").catch(() => ""))).trim()
    if (!dataDir.startsWith(tmpdir() + path.sep)) continue
    if (yield* Effect.promise(() => fs.lstat(dataDir).then(() => true, () => false))) continue
    const data = path.join(home, "data")
    const lock = yield* Effect.promise(() => fs.readFile(path.join(data, "postmaster.pid"), "utf8").catch(() => ""))
    const pid = Number.parseInt(lock, 10)
    if (pid > 0 && (yield* ServerProcess.serves(pid, data))) continue
    yield* Effect.promise(() => fs.rm(home, { recursive: true, force: true }).catch(() => undefined))
  }
})

/** Keeps one older log, so that years of development do not fill the disk. */
const rotate = async (logFile: string) => {
  const size = await fs.stat(logFile).then((stat) => stat.size, () => 0)
  if (size > 10_000_000) await fs.rename(logFile, `${logFile}.1`)
}

/**
 * Makes sure that no server works on this cluster. One that was left behind when its owner was killed is stopped as
 * its owner would have; one whose owner is alive is somebody's, and refused. What a killed server leaves behind (its
 * postmaster.pid) PostgreSQL clears away itself, unless the number now belongs to another process.
 */
export const vacate = Effect.fn("PostgresCluster.vacate")(function*(cluster: PostgresCluster) {
  const pidFile = path.join(cluster.folder, "postmaster.pid")
  const read = (name: string) =>
    Effect.promise(() => fs.readFile(path.join(cluster.folder, name), "utf8").catch(() => ""))
  const pid = Math.abs(Number.parseInt(yield* read("postmaster.pid"), 10))
  if (!(pid > 0)) return
  const owner = Number(new RegExp(`${ownerSetting}=(\\d+)`).exec(yield* read("postmaster.opts"))?.[1] ?? Number.NaN)
  const outcome = yield* ServerProcess.stopLeftBehind({
    pid,
    owner,
    folder: cluster.folder,
    stop: [["SIGINT", "10 seconds"], ["SIGQUIT", "5 seconds"]]
  })
  switch (outcome) {
    case "not running":
      // PostgreSQL would take any living process with this number for its server and refuse to start.
      if (ServerProcess.isAlive(pid)) yield* attempt(pidFile, () => fs.rm(pidFile, { force: true }))
      return
    case "stopped":
      return yield* Effect.logInfo("stopped a PostgreSQL that was left behind when its owner was killed", { pid })
    case "owned":
      return yield* inUse(cluster, pid, owner > 0 ? `It belongs to process ${owner}.` : "It is not one of ours.")
    case "does not stop":
      return yield* inUse(cluster, pid, "It was left behind by a process that was killed, and does not stop.")
  }
})

const inUse = (cluster: PostgresCluster, pid: number, why: string) =>
  LocalPostgresFailed.make({
    what: `A PostgreSQL, process ${pid}, already works on this data. ${why}`,
    where: cluster.folder,
    remedy: "Stop it (kill -INT), or name another data folder.",
    detail: ""
  })
