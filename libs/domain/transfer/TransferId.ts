/**
 * Transfer ids: ULIDs that carry their home partition, so that any process can route by the id alone.
 *
 * `trf_` and a ULID whose first two characters of chance are the partition: 10 characters of time, 2 of partition, 14 of
 * chance (70 bits). Time-sortable and not guessable; an id is never a permission.
 */
import { Schema } from "effect"
import { decodeTime, encodeTime, type PRNG, ulid } from "ulid"

const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
const prefix = "trf_"
const partitionAt = prefix.length + 10

export const TransferId = Schema.String.check(
  Schema.isPattern(/^trf_[0-7][0-9A-HJKMNP-TV-Z]{25}$/, { message: "must be trf_ and a ULID" })
).pipe(Schema.brand("TransferId"))
export type TransferId = typeof TransferId.Type

/**
 * Makes an id.
 *
 * @param millis the time, in milliseconds since 1970
 * @param partition the home partition of the transfer's source account
 * @param random a cryptographic source of numbers in [0, 1)
 */
export const make = (millis: number, partition: number, random: PRNG): TransferId =>
  // Time and chance apart: ulid() reads the clock itself when it is given a time of 0, or none.
  TransferId.make(
    prefix + encodeTime(millis) + alphabet.charAt(partition >>> 5) + alphabet.charAt(partition & 31) +
      ulid(1, random).slice(12)
  )

/** The home partition an id carries. */
export const partitionOf = (id: TransferId): number =>
  alphabet.indexOf(id.charAt(partitionAt)) * 32 + alphabet.indexOf(id.charAt(partitionAt + 1))

/** The time an id was made, in milliseconds since 1970. */
export const timeOf = (id: TransferId): number => decodeTime(id.slice(prefix.length))

/** What all ids that were made at that time or later are not below, and all that were made before it are. */
export const beginningOf = (millis: number): string => prefix + encodeTime(Math.max(0, millis))
