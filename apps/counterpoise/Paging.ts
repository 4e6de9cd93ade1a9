/** Lists that come in pages, as one stream of their rows; and the flags of such lists. */
import { Effect, Option, Schema, Stream } from "effect"
import { Flag } from "effect/cli"

const mostPerPage = 500

/** All rows of a list, page after page; `after` of the last row of a page is where the next begins. */
export const pages = <A, Place, E, R>(
  first: Place,
  page: (
    after: Place,
    most: number
  ) => Effect.Effect<{ readonly rows: ReadonlyArray<A>; readonly next: Place | null }, E, R>
): Stream.Stream<A, E, R> =>
  Stream.paginate(
    first,
    (after) => Effect.map(page(after, mostPerPage), ({ next, rows }) => [rows, Option.fromNullOr(next)] as const)
  )

/** The most that the operators' API gives at once. */
const mostAtOnce = 200

/** All rows of a list of the operators' API, page after page, as many as are wanted. */
export const asked = <A, E, R>(
  wanted: number,
  page: (query: { readonly limit: number; readonly after?: string }) => Effect.Effect<
    { readonly data: ReadonlyArray<A>; readonly next_cursor: string | null },
    E,
    R
  >
): Stream.Stream<A, E, R> =>
  Stream.paginate(undefined as string | undefined, (after) =>
    Effect.map(
      page({ limit: Math.min(wanted, mostAtOnce), ...(after === undefined ? {} : { after }) }),
      ({ data, next_cursor }) => [data, Option.fromNullOr(next_cursor)] as const
    )).pipe(Stream.take(wanted))

/** `--limit`: how many rows at most. */
export const limit = Flag.Int("limit").pipe(
  Flag.withSchema(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 1_000_000_000 }))),
  Flag.withDefault(50),
  Flag.withDescription("How many at most")
)

/** A time as a flag, in milliseconds since 1970. */
export const time = (name: string, description: string) =>
  Flag.Date(name).pipe(
    Flag.map((date) => date.getTime()),
    Flag.withMetavar("time"),
    Flag.withDescription(`${description}, such as 2026-11-21T09:00:00Z`),
    Flag.optional
  )
