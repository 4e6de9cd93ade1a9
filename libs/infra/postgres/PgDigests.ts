/**
 * Digests of a shard's books: of each account, and of each table. Two that are equal stand for the same books.
 *
 * What no event says is left out: when and by whom something was asked for and described, how often a balance was written,
 * and whether an instruction was refused.
 */
import type { PgClient } from "@effect/sql-pg"
import { Effect } from "effect"

/** What is said of each row of a table, and in which order the rows come. */
const tables = {
  account: {
    row: "account_id, partition, kind, normal_side, currency, status, floor, ceiling",
    from: "account",
    order: "account_id"
  },
  balance: { row: "account_id, posted, held, sequence", from: "balance", order: "account_id" },
  entry: {
    row: "transfer_id, leg, step, amount, currency, debit_account, debit_sequence, debit_posted, credit_account, " +
      "credit_sequence, credit_posted",
    from: "journal",
    order: "transfer_id, leg, step"
  },
  event: {
    row: "position, type, subject, key, partition, payload::text, request_id, traceparent",
    from: "event",
    order: "position"
  },
  hold: {
    row: "transfer_id, leg, number, account_id, change, amount",
    from: "hold",
    order: "transfer_id, leg, number"
  },
  idempotency_key: {
    row: "client, scope, key, fingerprint, resource_id",
    from: "idempotency_key",
    order: "client, scope, key"
  },
  instruction: {
    row: "instruction_id, asks, subject, amount, status = 'done'",
    from: "instruction",
    order: "instruction_id"
  },
  transfer: {
    row: "transfer_id, source, destination, amount, currency, capture, moving, status, reason_code, reason_detail, " +
      "reverses, client",
    from: "transfer",
    order: "transfer_id"
  },
  verdict: {
    row: "transfer_id, leg, ruling, reason_code, reason_detail, source, destination, amount, currency, from_shard",
    from: "verdict",
    order: "transfer_id, leg"
  }
} as const

export type Table = keyof typeof tables

export interface TableDigest {
  readonly table: Table
  readonly rows: number
  readonly digest: string
}

/** How many rows are digested in one statement: each takes no longer than it may. */
const rowsPerStatement = 200_000

/** The digest of every table; of the events only those up to a position. */
export const ofTables = (sql: PgClient.PgClient, upTo: bigint) =>
  Effect.forEach(
    Object.entries(tables),
    ([table, { from, order, row }]) =>
      sql<{ readonly rows: number; readonly digest: string }>`
      SELECT coalesce(sum(n), 0)::int4 AS rows, md5(coalesce(string_agg(digest, '' ORDER BY stretch), '')) AS digest
      FROM (
        SELECT stretch, count(*) AS n, md5(string_agg(digest, '' ORDER BY nth)) AS digest
        FROM (
          SELECT md5(ROW(${sql.literal(row)})::text) AS digest, nth, nth / ${rowsPerStatement}::int8 AS stretch
          FROM (
            SELECT *, row_number() OVER (ORDER BY ${sql.literal(order)}) AS nth FROM ${sql.literal(from)}
            WHERE ${sql.literal(table === "event" ? "position" : "0")} <= ${upTo}::int8
          ) AS ordered
        ) AS digested
        GROUP BY stretch
      ) AS stretches`.pipe(
        // The keys are those of the object above; the compiler knows them only as text.
        Effect.map(([found]): TableDigest => ({
          table: table as Table,
          rows: found?.rows ?? 0,
          digest: found?.digest ?? ""
        }))
      )
  )

/** The books of one account, digested, with what is most worth knowing of them. */
export interface AccountDigest {
  readonly account: string
  readonly digest: string
  readonly posted: string
  readonly held: string
  readonly sequence: string
  readonly status: string
}

const accountsPerStatement = 10_000

/** The digests of accounts after one and up to another (`null`: of all), in the order of their ids: their own row, their balance, their entries, their holds. */
const ofAccounts = (sql: PgClient.PgClient, after: string, upTo: string | null) =>
  sql<AccountDigest>`
    WITH page AS MATERIALIZED (
      SELECT account_id FROM account
      WHERE account_id COLLATE "C" > ${after} AND (${upTo}::text IS NULL OR account_id COLLATE "C" <= ${upTo}::text)
      ORDER BY account_id COLLATE "C"
      LIMIT ${accountsPerStatement}
    ), held AS MATERIALIZED (
      SELECT account_id,
        string_agg(ROW(transfer_id, leg, number, change, amount)::text, '' ORDER BY transfer_id, leg, number) AS holds
      FROM hold JOIN page USING (account_id) GROUP BY account_id
    )
    SELECT
      account_id AS account, posted::text, held::text, sequence::text, status,
      md5(concat_ws(
        ' ', ROW(${sql.literal(tables.account.row)})::text, posted, held, sequence, holds,
        (SELECT string_agg(ROW(sequence, direction, amount, posted, transfer_id, leg, step)::text, '' ORDER BY sequence)
         FROM entry WHERE entry.account_id = page.account_id)
      )) AS digest
    FROM page JOIN account USING (account_id) LEFT JOIN balance USING (account_id) LEFT JOIN held USING (account_id)
    ORDER BY account_id COLLATE "C"`

/** An account whose books are not the same in two places; `null` where there is no such account. */
export interface AccountDifference {
  readonly account: string
  readonly live: AccountDigest | null
  readonly shadow: AccountDigest | null
}

/** The accounts that differ, as many as `most`. */
export const differencesOf = Effect.fnUntraced(
  function*(live: PgClient.PgClient, shadow: PgClient.PgClient, most: number) {
    const found: Array<AccountDifference> = []
    let after: string | null = ""
    while (after !== null && found.length < most) {
      const ours: ReadonlyArray<AccountDigest> = yield* ofAccounts(live, after, null)
      const last: string | null = ours.length < accountsPerStatement ? null : ours.at(-1)?.account ?? null
      const theirs = new Map((yield* ofAccounts(shadow, after, last)).map((each) => [each.account, each]))
      for (const each of ours) {
        const other = theirs.get(each.account) ?? null
        theirs.delete(each.account)
        if (other?.digest !== each.digest) found.push({ account: each.account, live: each, shadow: other })
      }
      for (const other of theirs.values()) found.push({ account: other.account, live: null, shadow: other })
      after = last
    }
    return found.slice(0, most)
  }
)
