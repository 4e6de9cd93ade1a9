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
