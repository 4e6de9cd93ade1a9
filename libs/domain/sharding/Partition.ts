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
  const bytes = encoder.encode(account)
  let hash = 0x811c9dc5
  for (let index = 0; index < bytes.length; index++) {
    hash = Math.imul(hash ^ (bytes[index] ?? 0), 0x01000193)
  }
  return ((hash ^ (hash >>> 16)) >>> 0) % partitions
}
