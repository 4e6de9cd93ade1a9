/** What the books of all shards say of a round's transfers. */
import { Effect } from "effect"
import { asking } from "../support/Databases.ts"
import type { Books, RecordedJournal, RecordedTransfer } from "./History.ts"

interface TransferRow {
  readonly id: string
  readonly key: string
  readonly source: string
  readonly destination: string
  readonly amount: string
  readonly status: string
  readonly reason: string | null
}

interface JournalRow {
  readonly transfer: string
  readonly step: RecordedJournal["step"]
  readonly amount: string
  readonly debit_account: string
  readonly debit_sequence: number
  readonly debit_posted: string
  readonly credit_account: string
  readonly credit_sequence: number
  readonly credit_posted: string
}

/** Of the accounts whose name begins so. */
export const booksOf = async (
  urls: ReadonlyArray<string>,
  prefix: string,
  customers: ReadonlyArray<string>
): Promise<Books> => {
  const like = `${prefix}-%`
  const parts = await Promise.all(urls.map((url) =>
    asking(url, (sql) =>
      Effect.all({
        transfers: sql<TransferRow>`
          SELECT transfer_id AS id, coalesce(idempotency_key.key, '') AS key, source, destination,
            transfer.amount::text, status, reason_code AS reason
          FROM transfer LEFT JOIN idempotency_key ON transfer_id = resource_id
          WHERE source LIKE ${like}`,
        // The clearing accounts are of all rounds: what else moved through them is not of this one.
        journals: sql<JournalRow>`
          SELECT transfer_id AS transfer, step, amount::text,
            debit_account, debit_sequence::int4, debit_posted::text,
            credit_account, credit_sequence::int4, credit_posted::text
          FROM journal
          WHERE debit_account LIKE ${like} OR credit_account LIKE ${like}`
      }))
  ))
  return {
    customers: new Set(customers),
    transfers: parts.flatMap(({ transfers }) =>
      transfers.map((row): RecordedTransfer => ({ ...row, amount: BigInt(row.amount) }))
    ),
    journals: parts.flatMap(({ journals }) =>
      journals.map((row): RecordedJournal => ({
        transfer: row.transfer,
        step: row.step,
        amount: BigInt(row.amount),
        debit: { account: row.debit_account, sequence: row.debit_sequence, posted: BigInt(row.debit_posted) },
        credit: { account: row.credit_account, sequence: row.credit_sequence, posted: BigInt(row.credit_posted) }
      }))
    )
  }
}

/** How many transfers have not ended yet, over all shards. */
export const openTransfers = async (urls: ReadonlyArray<string>): Promise<number> => {
  const counts = await Promise.all(urls.map((url) =>
    asking(url, (sql) =>
      Effect.map(
        sql<{ readonly open: number }>`
          SELECT count(*)::int4 AS open FROM transfer WHERE status NOT IN ('committed', 'rejected', 'cancelled')`,
        ([row]) => row?.open ?? 0
      ))
  ))
  return counts.reduce((sum, count) => sum + count, 0)
}
