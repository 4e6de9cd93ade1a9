/**
 * Least privilege, tried statement by statement on a shard with books in it: what a role may not do is refused by its
 * grants, and what nobody may do is refused to the owner as well, by triggers.
 */
import { expect, layer } from "@effect/vitest"
import { Context, Effect, Layer, type Redacted } from "effect"
import { LedgerEvent } from "#domain/ledger/LedgerEvent.ts"
import { connect, sqlState } from "#infra/postgres/Postgres.ts"
import { TestPostgres } from "../support/TestPostgres.ts"
import { fill } from "./Books.ts"

class Shard extends Context.Service<Shard, { readonly url: Redacted.Redacted<string> }>()(
  "counterpoise/test/ShardWithBooks"
) {
  static readonly layer = Layer.effect(
    Shard,
    Effect.gen(function*() {
      const shards = yield* (yield* TestPostgres).freshShards(2)
      yield* fill(shards)
      const [url] = shards.urls
      return url === undefined ? yield* Effect.die("there is no shard") : { url }
    })
  )
}

const roles = ["api", "relay", "ledger", "reconciler", "auditor", "operator"] as const
type Role = typeof roles[number]

/** What happened to a statement: it was done (and undone), or the SQLSTATE of the refusal. */
const attempt = Effect.fnUntraced(function*(role: Role | "owner", statement: string) {
  const { url } = yield* Shard
  const sql = yield* connect({
    url,
    maxConnections: 1,
    ...(role === "owner" ? {} : { role: `counterpoise_${role}` })
  })
  return yield* sql.withTransaction(Effect.andThen(sql.unsafe(statement).unprepared, Effect.fail("done" as const)))
    .pipe(
      Effect.catch((error) => Effect.succeed(error === "done" ? error : sqlState(error) ?? "unknown"))
    )
}, Effect.scoped)

const denied = "42501" // insufficient_privilege
const restricted = "23001" // restrict_violation: raised by refuse_to_change()

const tables = [
  "account",
  "balance",
  "transfer",
  "idempotency_key",
  "verdict",
  "journal",
  "hold",
  "event",
  "lease",
  "relay_cursor",
  "consumer_position",
  "sealed_block",
  "break",
  "break_record",
  "operator_action",
  "adjustment",
  "shard_identity"
]

/** A column of each table, to set to itself. */
const column: Readonly<Record<string, string>> = {
  account: "floor",
  balance: "posted",
  transfer: "status",
  idempotency_key: "resource_id",
  verdict: "ruling",
  journal: "amount",
  hold: "amount",
  event: "payload",
  lease: "holder",
  relay_cursor: "position",
  consumer_position: "next_offset",
  sealed_block: "sealed_at",
  break: "status",
  break_record: "detail",
  operator_action: "reason",
  adjustment: "transfer_id",
  shard_identity: "shard"
}

const eventOf = (type: string) =>
  `INSERT INTO event (type, subject, key, partition, payload) VALUES ('${type}', 'b', 'c', 0, '{"type": "${type}"}')`

const insert: Readonly<Record<string, string>> = {
  account: `INSERT INTO account (account_id, partition, kind, normal_side, currency)
    VALUES ('new', 1, 'customer', 'credit', 'EUR')`,
  balance: `INSERT INTO balance (account_id) VALUES ('new')`,
  transfer: `INSERT INTO transfer (transfer_id, source, destination, amount, currency, capture, moving, client)
    VALUES ('new', 'a', 'b', 1, 'EUR', 'automatic', 1, 'shop')`,
  idempotency_key: `INSERT INTO idempotency_key (client, scope, key, fingerprint, resource_id)
    VALUES ('shop', 'account', 'new', sha256(''), 'new')`,
  verdict: `INSERT INTO verdict (transfer_id, ruling, source, destination, amount, currency, from_shard)
    VALUES ('new', 'CREDITED', 'a', 'b', 1, 'EUR', 0)`,
  journal: `INSERT INTO journal (transfer_id, step, amount, currency, debit_account, debit_sequence, debit_posted,
      credit_account, credit_sequence, credit_posted)
    SELECT 'new', 'direct', 1, 'EUR', min(account_id), 1001, 0, max(account_id), 1001, 0 FROM account`,
  hold: `INSERT INTO hold (transfer_id, number, account_id, change, amount)
    SELECT 'new', 1, min(account_id), 'placed', 1 FROM account`,
  event: eventOf("transfer.requested"),
  lease: `INSERT INTO lease (role, holder, epoch, expires_at) VALUES ('none', 'nobody', 1, now())`,
  relay_cursor: `INSERT INTO relay_cursor (log, position) VALUES ('a log', 0)`,
  consumer_position: `INSERT INTO consumer_position (partition, log, next_offset) VALUES (1, 'a log', 0)`,
  sealed_block: `INSERT INTO sealed_block (number, begins_after, up_to, leaves, root, list, previous, sealed_at, key_id,
      signature, hash, leaf_list, secret)
    SELECT 1, 0, 1, 1, sha256(''), sha256(''), decode(repeat('00', 32), 'hex'), now(), 'key', sha512(''), sha256(''),
      decode(repeat('00', 40), 'hex'), ''`,
  break: `INSERT INTO break (invariant, severity, subject, detail) VALUES ('a', 'warning', 'b', 'c')`,
  // The reconciler's are tried below, with what is an operator's to say.
  break_record: `INSERT INTO break_record (break, what, detail, actor, reason, request_id)
    SELECT 1, 'resolved', 'b', 'ann', 'why', 'req_1' WHERE false`,
  operator_action: `INSERT INTO operator_action (actor, request_id, action, subject, reason, outcome)
    VALUES ('ann', 'req_1', 'a', 'b', 'why', 'done')`,
  adjustment: `INSERT INTO adjustment (source, destination, amount, currency, reason, proposed_by, key, fingerprint)
    VALUES ('a', 'b', 1, 'EUR', 'why', 'ann', 'k', 'f')`,
  shard_identity: `INSERT INTO shard_identity (only_row, shard, partitions) VALUES (false, 7, 64)`
}

/** Where each role may add rows. A balance is opened with its account, so that one is tried as a whole, below. */
const mayInsert: Readonly<Record<Role, ReadonlyArray<string>>> = {
  api: ["account", "transfer", "idempotency_key", "event"],
  relay: ["lease", "relay_cursor"],
  ledger: ["account", "verdict", "journal", "hold", "event", "lease", "consumer_position"],
  reconciler: ["event", "lease", "sealed_block", "break"],
  auditor: [],
  operator: ["event", "break_record", "operator_action", "adjustment"]
}

const asked: ReadonlyArray<LedgerEvent["type"]> = [
  "transfer.requested",
  "transfer.capture_requested",
  "transfer.void_requested",
  "account.freeze_requested",
  "account.unfreeze_requested",
  "account.close_requested"
]
const everyType = LedgerEvent.members.map((member) => member.fields.type.literal)

/** Which types of event each role may write. */
const mayWrite: Readonly<Record<Role, ReadonlyArray<string>>> = {
  api: [...asked, "account.opened"],
  relay: [],
  ledger: everyType,
  reconciler: [...asked, "transfer.recalled", "transfer.expiry_due"],
  auditor: [],
  operator: ["transfer.requested", "transfer.recalled", "transfer.expiry_due"]
}

/** Which columns each role may change. */
const mayUpdate: Readonly<Record<Role, ReadonlyArray<string>>> = {
  api: [],
  relay: ["lease.holder", "relay_cursor.position"],
  ledger: ["balance.posted", "transfer.status", "lease.holder", "consumer_position.next_offset"],
  reconciler: ["lease.holder", "break.status"],
  auditor: [],
  operator: ["break.status", "adjustment.transfer_id"]
}

const only = (names: ReadonlyArray<string>) => names.length === 0 ? "nothing" : `${names.join(", ")} and nothing else`

const neverChanged = [
  "journal",
  "hold",
  "verdict",
  "event",
  "idempotency_key",
  "sealed_block",
  "break_record",
  "operator_action"
]

layer(Shard.layer.pipe(Layer.provideMerge(TestPostgres.layer)), { excludeTestServices: true, timeout: "2 minutes" })(
  "grants",
  (it) => {
    for (const role of roles) {
      it.effect(`the ${role} reads everything`, () =>
        Effect.gen(function*() {
          for (const table of [...tables, "entry"]) {
            expect([table, yield* attempt(role, `SELECT 1 FROM ${table}`)]).toEqual([table, "done"])
          }
        }))

      it.effect(`the ${role} adds rows to ${only(mayInsert[role])}`, () =>
        Effect.gen(function*() {
          for (const table of tables.filter((table) => table !== "balance")) {
            const expected = mayInsert[role].includes(table) ? "done" : denied
            expect([table, yield* attempt(role, insert[table] ?? "")]).toEqual([table, expected])
          }
        }))

      it.effect(`the ${role} writes ${mayWrite[role].length} of the ${everyType.length} types of event`, () =>
        Effect.gen(function*() {
          for (const type of everyType) {
            const expected = mayWrite[role].includes(type) ? "done" : denied
            expect([type, yield* attempt(role, eventOf(type))]).toEqual([type, expected])
          }
        }))

      it.effect(`the ${role} changes ${only(mayUpdate[role])}`, () =>
        Effect.gen(function*() {
          for (const table of tables) {
            const expected = mayUpdate[role].includes(`${table}.${column[table]}`) ? "done" : denied
            const done = yield* attempt(role, `UPDATE ${table} SET ${column[table]} = ${column[table]} WHERE false`)
            expect([table, done]).toEqual([table, expected])
          }
        }))

      it.effect(`the ${role} deletes nothing, truncates nothing, and builds nothing`, () =>
        Effect.gen(function*() {
          for (const table of tables) {
            expect([table, yield* attempt(role, `DELETE FROM ${table}`)]).toEqual([table, denied])
            expect([table, yield* attempt(role, `TRUNCATE ${table} CASCADE`)]).toEqual([table, denied])
            expect([table, yield* attempt(role, `ALTER TABLE ${table} DISABLE TRIGGER ALL`)]).toEqual([table, denied])
          }
          expect(yield* attempt(role, "CREATE TABLE mine (only_column int)")).toBe(denied)
          expect(yield* attempt(role, "SET session_replication_role = replica")).toBe(denied)
        }))
    }

    it.effect("the reconciler says what it found, and never that somebody explained it; an operator, nothing else", () =>
      Effect.gen(function*() {
        const saying = (what: string, by: string) =>
          `WITH found AS (SELECT 1) INSERT INTO break_record (break, what, detail${by === "" ? "" : ", actor, reason"})
          SELECT 1, '${what}', 'c'${by} FROM found`
        const explained = saying("resolved", ", 'ann', 'why'")
        // 23503: the policy let it through, and there is no such break
        expect(yield* attempt("reconciler", saying("opened", ""))).toBe("23503")
        expect(yield* attempt("reconciler", explained)).toBe(denied)
        expect(yield* attempt("operator", explained)).toBe("23503")
        expect(yield* attempt("operator", saying("closed", ""))).toBe(denied)
      }))

    it.effect("one operator alone makes no adjustment, whoever writes it", () =>
      Effect.gen(function*() {
        expect(
          yield* attempt(
            "owner",
            `INSERT INTO adjustment (source, destination, amount, currency, reason, proposed_by, key, fingerprint,
              approved_by, approved_at, transfer_id)
            VALUES ('a', 'b', 1, 'EUR', 'why', 'ann', 'k', 'f', 'ann', now(), 'trf')`
          )
        ).toBe("23514")
      }))

    it.effect("the api cannot write a balance, and opens accounts at zero", () =>
      Effect.gen(function*() {
        expect(yield* attempt("api", "UPDATE balance SET posted = posted + 1")).toBe(denied)
        expect(yield* attempt("api", "INSERT INTO balance (account_id, posted) SELECT 'new', 1000")).toBe(denied)
        expect(
          yield* attempt(
            "api",
            `WITH opened AS (${insert["account"]} RETURNING account_id)
            INSERT INTO balance (account_id) SELECT account_id FROM opened`
          )
        ).toBe("done")
      }))

    it.effect("the api cannot hide a verdict among its requests: a statement with one is refused as a whole", () =>
      Effect.gen(function*() {
        const both = `INSERT INTO event (type, subject, key, partition, payload)
          SELECT type, 'b', 'c', 0, '{}' FROM (VALUES ('transfer.requested'), ('transfer.credited')) AS t (type)`
        expect(yield* attempt("api", both)).toBe(denied)
        expect(yield* attempt("api", "ALTER TABLE event DISABLE ROW LEVEL SECURITY")).toBe(denied)
      }))

    it.effect("the api cannot make a transfer that has ended already", () =>
      Effect.gen(function*() {
        expect(
          yield* attempt(
            "api",
            `
            INSERT INTO transfer (transfer_id, source, destination, amount, currency, capture, moving, client, status)
            VALUES ('new', 'a', 'b', 1, 'EUR', 'automatic', 1, 'shop', 'committed')`
          )
        ).toBe(denied)
      }))

    it.effect("the ledger cannot change the terms of a transfer, nor an account's limits", () =>
      Effect.gen(function*() {
        for (const terms of ["source", "destination", "amount", "currency", "client", "capture"]) {
          const done = yield* attempt("ledger", `UPDATE transfer SET ${terms} = ${terms}`)
          expect([terms, done]).toEqual([terms, denied])
        }
        expect(yield* attempt("ledger", "UPDATE account SET floor = NULL")).toBe(denied)
      }))

    it.effect("nobody changes or deletes journals, holds, verdicts, events, keys or sealed blocks: the owner is refused too", () =>
      Effect.gen(function*() {
        for (const table of neverChanged) {
          for (
            const statement of [
              `UPDATE ${table} SET ${column[table]} = ${column[table]}`,
              `UPDATE ${table} SET ${column[table]} = ${column[table]} WHERE false`,
              `DELETE FROM ${table}`,
              `TRUNCATE ${table}`
            ]
          ) {
            expect([statement, yield* attempt("owner", statement)]).toEqual([statement, restricted])
          }
        }
      }))

    it.effect("the owner cannot delete a transfer, turn it back, or change its terms", () =>
      Effect.gen(function*() {
        expect(yield* attempt("owner", "DELETE FROM transfer")).toBe(restricted)
        expect(yield* attempt("owner", "TRUNCATE transfer")).toBe(restricted)
        const back = "UPDATE transfer SET status = 'held' WHERE status = 'committed'"
        expect(yield* attempt("owner", back)).toBe("23514")
        expect(yield* attempt("owner", "UPDATE transfer SET amount = amount + 1")).toBe("23514")
      }))

    it.effect("the owner cannot take an account below its floor", () =>
      Effect.gen(function*() {
        const overdraw = `UPDATE balance SET posted = -1
          WHERE account_id = (SELECT min(account_id) FROM account WHERE floor = 0)`
        expect(yield* attempt("owner", overdraw)).toBe("23514")
      }))
  }
)
