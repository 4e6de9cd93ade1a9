/**
 * `Prefer: wait=N` (RFC 7240): how long a client would have its answer held.
 */

/** The longest that an answer is held, in seconds. */
export const maximumWaitSeconds = 10

/** The seconds that are granted; 0 where nothing was preferred. A preference that is not understood is ignored. */
export const waitSeconds = (header: string | undefined): number => {
  if (header === undefined) return 0
  for (const preference of header.split(",")) {
    const [, seconds] = /^\s*wait\s*=\s*"?([0-9]{1,9})"?\s*(?:;|$)/i.exec(preference) ?? []
    if (seconds !== undefined) return Math.min(Number(seconds), maximumWaitSeconds)
  }
  return 0
}
