/**
 * Partitions: the slices of the accounts. `hash(account id) mod P`, with P fixed for the life of a platform; the unit of
 * order, of ownership and of moving. Kafka partition = ledger partition.
 */

/** The most partitions there can be: a transfer id carries its partition in two characters of Crockford's base 32. */
export const maximumPartitions = 1024

const encoder = new TextEncoder()

/**
 * The home partition of an account.
 *
 * FNV-1a over UTF-8 (draft-eastlake-fnv, 32 bit), folded to spread the high bits into the low ones. It must never change:
 * the home of every account in every database depends on it.
 */
export const partitionOf = (account: string, partitions: number): number => {
  const hash = hashOfAscii(account) ?? hashOfUtf8(account)
  return ((hash ^ (hash >>> 16)) >>> 0) % partitions
}

const seed = 0x811c9dc5
const mixed = (hash: number, byte: number) => Math.imul(hash ^ byte, 0x01000193)

/** Account ids are ASCII, of which each character is its own byte in UTF-8: a fifth of the time. */
const hashOfAscii = (account: string): number | undefined => {
  let hash = seed
  for (let index = 0; index < account.length; index++) {
    const code = account.charCodeAt(index)
    if (code > 0x7f) return undefined
    hash = mixed(hash, code)
  }
  return hash
}

const hashOfUtf8 = (account: string): number => encoder.encode(account).reduce(mixed, seed)
