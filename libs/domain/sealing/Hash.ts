/**
 * SHA-256, which the domain is given: it knows no platform.
 *
 * What is hashed is told apart by its first byte, so that nothing can pass for something else: 0x00 begins a leaf and 0x01 an
 * inner node of a Merkle tree, and `[` anything else, which is a JSON array.
 */
export interface Hash {
  /** The digest's 32 bytes; of a string, that of its UTF-8. */
  readonly bytes: (data: Uint8Array | string) => Uint8Array
  /** The same as 64 hexadecimal digits. */
  readonly hex: (data: Uint8Array | string) => string
}

export const digestBytes = 32

const digits = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"))

export const hexOf = (bytes: Uint8Array): string => {
  let text = ""
  for (const byte of bytes) text += digits[byte]
  return text
}

/**
 * The one spelling of a list of facts: RFC 8785, which for an array of strings and nulls is what JSON.stringify writes.
 * Two lists with the same spelling are the same list.
 */
export const canonical = (facts: ReadonlyArray<string | null>): string => JSON.stringify(facts)
