/**
 * Answers that are successes: JSON as the contract describes it. The types hold the bodies to the contract, so that
 * nothing is checked a second time on the way out.
 */
import { HttpServerResponse } from "effect/http"

/** @param schema the contract's; only its type is used */
export const json = <A>(
  _schema: { readonly Encoded: A },
  body: A,
  options: { readonly status?: number; readonly headers?: Readonly<Record<string, string>> } = {}
): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.text(JSON.stringify(body), { ...options, contentType: "application/json" })

/** How soon a client should look again, in seconds. */
export const lookAgain = { "retry-after": "1" }

/** The header of an answer to a request that had been recorded before. */
export const replayed = (replayed: boolean): { readonly [name: string]: string } =>
  replayed ? { "idempotent-replayed": "true" } : {}

export interface Page<Item> {
  readonly object: "list"
  readonly data: ReadonlyArray<Item>
  readonly has_more: boolean
  readonly next_cursor: string | null
}

/** How many items a page has when its client does not say. */
export const defaultPageLimit = 50

/**
 * A page of at most `limit` items out of one more, which tells whether there are more.
 *
 * @param cursorOf the cursor that goes on after an item
 */
export const page = <Record, Item>(
  records: ReadonlyArray<Record>,
  limit: number,
  view: (record: Record) => Item,
  cursorOf: (last: Record) => string
): Page<Item> => {
  const shown = records.slice(0, limit)
  const last = shown.at(-1)
  const more = records.length > limit && last !== undefined
  return { object: "list", data: shown.map(view), has_more: more, next_cursor: more ? cursorOf(last) : null }
}

/** The filters of a list as a query, one spelling for each: what its cursors and links name it by. */
export const filters = (parameters: Readonly<Record<string, string | null>>): string =>
  Object.entries(parameters)
    .flatMap(([name, value]) => value === null ? [] : [`${name}=${encodeURIComponent(value)}`]).join("&")

/**
 * The headers of a page: where the next one is (RFC 8288).
 *
 * @param filters as {@link filters} spells them
 */
export const pageHeaders = (
  path: string,
  limit: number,
  page: Pick<Page<unknown>, "next_cursor">,
  filters = ""
): Readonly<Record<string, string>> =>
  page.next_cursor === null
    ? {}
    : { link: `<${path}?${filters === "" ? "" : `${filters}&`}limit=${limit}&after=${page.next_cursor}>; rel="next"` }
