/**
 * Cursors: the place in a list where a page ended, opaque to clients. They name their list with its filters, so that one
 * list's cursor is never taken for another's.
 */
import { Effect } from "effect"
import { Refusal } from "./Refusal.ts"

const version = "1"
export const invalid = new Refusal({ code: "invalid_cursor" })

/** @param list what the cursor belongs to, such as `accounts` */
export const encode = (list: string, place: string): string =>
  Buffer.from(JSON.stringify([version, list, place])).toString("base64url")

/**
 * The place that a cursor of this list names; null where there is no cursor.
 *
 * @param isPlace whether it can be a place of this list: a client can make cursors, too
 */
export const decode = <Place extends string>(
  list: string,
  cursor: string | undefined,
  isPlace: (text: string) => text is Place
): Effect.Effect<Place | null, Refusal> => {
  if (cursor === undefined) return Effect.succeed(null)
  const bytes = Buffer.from(cursor, "base64url")
  const place = placeIn(list, bytes.toString("utf8"))
  // Only what was given out: decoding is lenient, writing is not.
  return place !== undefined && isPlace(place) && encode(list, place) === cursor
    ? Effect.succeed(place)
    : Effect.fail(invalid)
}

const placeIn = (list: string, text: string): string | undefined => {
  try {
    const parsed: unknown = JSON.parse(text)
    if (!Array.isArray(parsed) || parsed.length !== 3) return undefined
    const [writtenAs, of, place]: ReadonlyArray<unknown> = parsed
    return writtenAs === version && of === list && typeof place === "string" ? place : undefined
  } catch {
    return undefined
  }
}
