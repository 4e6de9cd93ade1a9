/**
 * `Prefer: wait=N` (RFC 7240): how long a client would have its answer held.
 */

/** The longest that an answer is held, in seconds. */
export const maximumWaitSeconds = 10

/** The seconds that are granted; none where nothing was preferred. A preference that is not understood is ignored. */
export const waitSeconds = (header: string | undefined): number | undefined => {
  if (header === undefined) return undefined
  for (const preference of header.split(",")) {
    const [, seconds] = /^\s*wait\s*=\s*"?([0-9]{1,9})"?\s*(?:;|$)/i.exec(preference) ?? []
    if (seconds !== undefined) return Math.min(Number(seconds), maximumWaitSeconds)
  }
  return undefined
}

/** The header of an answer that was waited for, where the client preferred that. */
export const applied = (seconds: number | undefined): { readonly [name: string]: string } =>
  seconds === undefined || seconds === 0 ? {} : { "preference-applied": `wait=${seconds}` }
