/**
 * CSV (RFC 4180) that spreadsheets read as it was meant: no cell of ours becomes a formula of theirs.
 */

/** What a cell may hold. Numbers stay numbers; text that begins like a formula is marked as text. */
export type Cell = string | number | bigint | null

const beginsLikeAFormula = /^[=+\-@\t\r]/
const needsQuotes = /[",\r\n]/

const text = (cell: string): string => {
  const plain = beginsLikeAFormula.test(cell) ? `'${cell}` : cell
  return needsQuotes.test(plain) ? `"${plain.replaceAll("\"", "\"\"")}"` : plain
}

/** A line, with its end. */
export const line = (cells: ReadonlyArray<Cell>): string =>
  `${cells.map((cell) => cell === null ? "" : typeof cell === "string" ? text(cell) : cell.toString()).join(",")}\r\n`
