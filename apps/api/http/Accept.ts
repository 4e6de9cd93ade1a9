/**
 * `Accept` (RFC 9110): which of two media types a client would rather have.
 */

/** How much a client wants a media type, from 0 to 1: by the most specific of the ranges that it names. */
const quality = (accept: string, mediaType: string): number => {
  const [kind = ""] = mediaType.split("/")
  const ranges = accept.split(",").map((range) => {
    const [name = "", ...parameters] = range.split(";").map((part) => part.trim().toLowerCase())
    const [, q = "1"] = /^q=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)$/.exec(parameters.at(-1) ?? "") ?? []
    return { name, q: Number(q) }
  })
  const found = [mediaType, `${kind}/*`, "*/*"].map((wanted) => ranges.find(({ name }) => name === wanted))
  return found.find((range) => range !== undefined)?.q ?? 0
}

/** Would the client rather have `one` than `other`? Where it says nothing of either, no. */
export const prefers = (accept: string | undefined, one: string, other: string): boolean =>
  accept !== undefined && quality(accept, one) > quality(accept, other)
