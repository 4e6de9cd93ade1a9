/**
 * The PostgreSQL that npm start and the tests stand on: it must come up anywhere, and lose nothing.
 */
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  rmSync,
  writeFileSync
} from "node:fs"
import net from "node:net"
import { tmpdir } from "node:os"
import path from "node:path"
import { afterAll, assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import * as LocalPostgres from "#infra/local/LocalPostgres.ts"
import { connect } from "#infra/postgres/Postgres.ts"
import { eventually, folder, isGone, killedHolderOf, lives } from "./Folders.ts"

/** Room for 200 connections is not needed here, and two servers share the machine with everybody's tests. */
const small = { shared_buffers: "16MB", max_connections: "20" }

const query = (url: string, statement: string) =>
  Effect.gen(function*() {
    const sql = yield* connect({ url: Redacted.make(url), maxConnections: 1 })
    return yield* sql.unsafe(statement)
  }).pipe(Effect.scoped)

const isRoot = process.getuid?.() === 0

/** Making a cluster takes a second, starting one a fifth of that: those who do not mind share this one. */
const parentOfShared = mkdtempSync(path.join(tmpdir(), "counterpoise-local-"))
chmodSync(parentOfShared, 0o755)
const shared = path.join(parentOfShared, "postgres")
afterAll(() => rmSync(parentOfShared, { recursive: true, force: true }))

describe("a PostgreSQL on this machine", () => {
  it.live("keeps its data from one start to the next", () =>
    Effect.gen(function*() {
      const first = yield* Effect.scoped(Effect.gen(function*() {
        const postgres = yield* LocalPostgres.start({ dataDir: shared, settings: small })
        yield* query(postgres.url("postgres"), "CREATE TABLE kept AS SELECT 1 AS one")
        return postgres
      }))
      assert.isFalse(lives(first.pid))
      const postgres = yield* LocalPostgres.start({ dataDir: shared, settings: small })
      assert.deepEqual(yield* query(postgres.url("postgres"), "SELECT one FROM kept"), [{ one: 1 }])
    }))

  it.live("comes back with what was committed after its server was killed", () =>
    Effect.gen(function*() {
      const killed = yield* LocalPostgres.start({ dataDir: shared, settings: small })
      yield* query(killed.url("postgres"), "CREATE TABLE survivor AS SELECT 1 AS one")
      process.kill(killed.pid, "SIGKILL")
      assert.strictEqual(yield* killed.exited, "SIGKILL")
      const postgres = yield* LocalPostgres.start({ dataDir: shared, settings: small })
      assert.deepEqual(yield* query(postgres.url("postgres"), "SELECT one FROM survivor"), [{ one: 1 }])
    }))

  it.live("stops a server that was left behind when its owner was killed, and takes its data over", () =>
    Effect.gen(function*() {
      const left = yield* killedHolderOf("postgres", shared)
      assert.isTrue(lives(left))
      const postgres = yield* LocalPostgres.start({ dataDir: shared, settings: small })
      assert.isFalse(lives(left))
      assert.deepEqual(yield* query(postgres.url("postgres"), "SELECT 1 AS one"), [{ one: 1 }])
    }))

  it.live("leaves a server alone whose owner lives", () =>
    Effect.gen(function*() {
      const postgres = yield* LocalPostgres.start({ dataDir: shared, settings: small })
      const refused = yield* Effect.flip(Effect.scoped(LocalPostgres.start({ dataDir: shared, settings: small })))
      assert.include(refused.what, `process ${postgres.pid}, already works on this data`)
      assert.isTrue(lives(postgres.pid))
    }))

  it.live("does not take another process for its server because it has the number that its server had", () =>
    Effect.gen(function*() {
      yield* Effect.scoped(LocalPostgres.start({ dataDir: shared, settings: small }))
      writeFileSync(path.join(shared, "postmaster.pid"), `${process.ppid}\n${shared}\n`)
      const postgres = yield* LocalPostgres.start({ dataDir: shared, settings: small })
      assert.isTrue(lives(postgres.pid))
    }))

  it.live("steps around a port that is taken", () =>
    Effect.gen(function*() {
      const taken = yield* aTakenPort
      const postgres = yield* LocalPostgres.start({ dataDir: shared, port: taken, settings: small })
      assert.notStrictEqual(postgres.port, taken)
      assert.deepEqual(yield* query(postgres.url("postgres"), "SELECT 1 AS one"), [{ one: 1 }])
    }))

  it.live("lets in who knows the password, and nobody else", () =>
    Effect.gen(function*() {
      const postgres = yield* LocalPostgres.start({ dataDir: shared, settings: small })
      const url = Object.assign(new URL(postgres.url("postgres")), { password: "guessed" }).href
      assert.strictEqual((yield* Effect.flip(query(url, "SELECT 1"))).reason._tag, "AuthenticationError")
      assert.strictEqual(lstatSync(path.join(shared, "counterpoise.password")).mode & 0o077, 0)
    }))

  it.live("takes an ephemeral server's data away with it", () =>
    Effect.gen(function*() {
      const parent = yield* folder()
      const dataDir = path.join(parent, "postgres")
      yield* Effect.scoped(LocalPostgres.start({ dataDir, settings: small, ephemeral: true }))
      assert.deepEqual(readdirSync(parent), [])
    }))

  it.live("takes an ephemeral server and its data away even if their owner is killed", () =>
    Effect.gen(function*() {
      const parent = yield* folder()
      const dataDir = path.join(parent, "postgres")
      const server = yield* killedHolderOf("postgres", dataDir, "ephemeral")
      yield* eventually("the server ends", () => !lives(server))
      yield* eventually("its folder is removed", () => isGone(dataDir))
    }))

  it.live("fills no folder that holds something else", () =>
    Effect.gen(function*() {
      const dataDir = yield* folder()
      writeFileSync(path.join(dataDir, "thesis.txt"), "")
      const refused = yield* Effect.flip(Effect.scoped(LocalPostgres.start({ dataDir, settings: small })))
      assert.include(refused.what, "something that is not PostgreSQL's")
      assert.deepEqual(readdirSync(dataDir), ["thesis.txt"])
    }))

  it.live("says what its server said when it does not start", () =>
    Effect.gen(function*() {
      const failed = yield* Effect.flip(
        Effect.scoped(LocalPostgres.start({ dataDir: shared, settings: { shared_buffers: "much" } }))
      )
      assert.include(failed.detail, "invalid value for parameter \"shared_buffers\"")
    }))

  it.live("makes a database once, however many ask for it", () =>
    Effect.gen(function*() {
      const postgres = yield* LocalPostgres.start({ dataDir: shared, settings: small })
      const make = LocalPostgres.createDatabase(postgres.url("postgres"), "shard-\"0\"")
      yield* Effect.all([make, make, make], { concurrency: "unbounded" })
      assert.deepEqual(yield* query(postgres.url("shard-\"0\""), "SELECT current_database() AS name"), [{
        name: "shard-\"0\""
      }])
    }))

  it.live.skipIf(!isRoot)(
    "runs for root in a folder that only root may enter, and finds its data there again",
    () =>
      Effect.gen(function*() {
        const parent = yield* folder(0o700)
        const dataDir = path.join(parent, ".data", "postgres")
        yield* Effect.scoped(Effect.gen(function*() {
          const postgres = yield* LocalPostgres.start({ dataDir, settings: small })
          yield* query(postgres.url("postgres"), "CREATE TABLE kept AS SELECT 1 AS one")
        }))
        const data = realpathSync(dataDir)
        assert.isFalse(data.startsWith(parent))
        yield* Effect.scoped(Effect.gen(function*() {
          const postgres = yield* LocalPostgres.start({ dataDir, settings: small })
          assert.deepEqual(yield* query(postgres.url("postgres"), "SELECT one FROM kept"), [{ one: 1 }])
        }))
        yield* LocalPostgres.remove(dataDir)
        assert.isFalse(existsSync(data))
        assert.deepEqual(readdirSync(path.dirname(dataDir)), [])
      })
  )

  it.live.skipIf(!isRoot)(
    "tells root what to do when the way to existing data was closed",
    () =>
      Effect.gen(function*() {
        const parent = yield* folder()
        const dataDir = path.join(parent, "postgres")
        yield* Effect.scoped(LocalPostgres.start({ dataDir, settings: small }))
        chmodSync(parent, 0o700)
        const refused = yield* Effect.flip(Effect.scoped(LocalPostgres.start({ dataDir, settings: small })))
        assert.include(refused.what, "may not enter the data folder")
      })
  )
})

/** A port on which somebody listens for as long as the scope lasts. */
const aTakenPort = Effect.map(
  Effect.acquireRelease(
    Effect.callback<net.Server>((resume) => {
      const server = net.createServer().listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) => Effect.callback<void>((resume) => void server.close(() => resume(Effect.void)))
  ),
  (server) => {
    const address = server.address()
    return address === null || typeof address === "string" ? 0 : address.port
  }
)
