/**
 * Rows by key, and who is writing them: what a table of a database is to transactions under READ COMMITTED. What a
 * transaction writes is seen by itself alone until it commits, and a row that it claimed is its own until it ends.
 */
import type { MemoryTransaction } from "./MemoryTransaction.ts"

/** A constraint of the tables was about to be broken. It is a defect, as it is with a database: nobody can act on it. */
export class ConstraintViolation extends Error {
  readonly constraint: string

  constructor(constraint: string) {
    super(`new row violates constraint ${constraint}`)
    this.constraint = constraint
  }
}

/** Constraints by name: what a row must be, given what it was before (`undefined` where it is new). */
export type Constraints<Row> = Readonly<Record<string, (row: Row, before: Row | undefined) => boolean>>

export interface TableOptions<Row> {
  readonly constraints?: Constraints<Row>
  /** Told of each row as it is committed: the place to keep an index. */
  readonly committed?: (row: Row) => void
}

interface Claim<Row> {
  readonly by: MemoryTransaction
  /** What its owner has written; nothing yet where it only claimed. */
  row: Row | undefined
}

export class MemoryTable<Key, Row> {
  #rows: Map<Key, Row> = new Map()
  readonly #claims = new Map<Key, Claim<Row>>()
  readonly #constraints: ReadonlyArray<readonly [name: string, holds: (row: Row, before: Row | undefined) => boolean]>
  readonly #committed: (row: Row) => void

  constructor({ committed = () => {}, constraints = {} }: TableOptions<Row> = {}) {
    this.#constraints = Object.entries(constraints)
    this.#committed = committed
  }

  /** What is committed. */
  get rows(): ReadonlyMap<Key, Row> {
    return this.#rows
  }

  /** Puts other rows in the place of all that are there. Nobody may be writing. */
  replace(rows: ReadonlyMap<Key, Row>): void {
    this.#rows = new Map()
    for (const [key, row] of rows) this.#keep(key, row)
  }

  /** A row as a transaction sees it: as it wrote it, or else as it is committed. */
  get(transaction: MemoryTransaction, key: Key): Row | undefined {
    const claim = this.#claims.get(key)
    return claim?.by === transaction && claim.row !== undefined ? claim.row : this.#rows.get(key)
  }

  /** Claims rows, written or to be written, one after the other, up to the first that is another's; answers whose it is. */
  claim(transaction: MemoryTransaction, keys: ReadonlyArray<Key>): MemoryTransaction | undefined {
    for (const key of keys) {
      const claim = this.#claims.get(key)
      if (claim?.by === transaction) continue
      if (claim !== undefined) return claim.by
      this.#claims.set(key, { by: transaction, row: undefined })
      transaction.atEnd((isCommitted) => this.#end(key, isCommitted))
    }
    return undefined
  }

  /** Writes a row that is claimed. */
  put(transaction: MemoryTransaction, key: Key, row: Row): void {
    const claim = this.#claims.get(key)
    if (claim?.by !== transaction) throw new Error(`${String(key)} is written without being claimed`)
    const before = claim.row ?? this.#rows.get(key)
    for (const [name, holds] of this.#constraints) if (!holds(row, before)) throw new ConstraintViolation(name)
    claim.row = row
  }

  #end(key: Key, isCommitted: boolean): void {
    const row = this.#claims.get(key)?.row
    this.#claims.delete(key)
    if (isCommitted && row !== undefined) this.#keep(key, row)
  }

  #keep(key: Key, row: Row): void {
    this.#rows.set(key, row)
    this.#committed(row)
  }
}
