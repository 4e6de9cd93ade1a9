/**
 * The routes, as far as the edge must know them before the router does: which template a path belongs to (the label of
 * metrics), and which methods live there (405 instead of 404, and OPTIONS).
 */
export interface Route {
  /** Such as `/v1/accounts/:id`. */
  readonly template: string
  readonly methods: ReadonlySet<string>
  /** The value of `Allow`. */
  readonly allow: string
}

/** The routes of an API. */
export const of = (
  { groups }: {
    readonly groups: {
      readonly [name: string]: {
        readonly endpoints: { readonly [name: string]: { readonly method: string; readonly path: string } }
      }
    }
  }
) => Object.values(groups).flatMap(({ endpoints }) => Object.values(endpoints))

export interface RouteTable {
  /** The route of a path (without its query). */
  readonly find: (path: string) => Route | undefined
}

export const make = (
  routes: Iterable<{ readonly method: string; readonly path: string }>
): RouteTable => {
  const byTemplate = Map.groupBy(routes, ({ path }) => path)
  const exact = new Map<string, Route>()
  const patterns: Array<readonly [pattern: RegExp, route: Route]> = []
  for (const [template, ofTemplate] of byTemplate) {
    const methods = new Set(ofTemplate.flatMap(({ method }) => method === "GET" ? ["GET", "HEAD"] : [method]))
    methods.add("OPTIONS")
    const route: Route = { template, methods, allow: [...methods].join(", ") }
    if (template.includes(":")) {
      // The router takes ; and # for the beginning of a query. Nothing of ours is named so, and no path means two things.
      const segments = template.split("/").map((segment) => segment.startsWith(":") ? "[^/;#]+" : segment)
      patterns.push([new RegExp(`^${segments.join("/")}$`), route])
    } else {
      exact.set(template, route)
    }
  }
  return {
    find: (path) => exact.get(path) ?? patterns.find(([pattern]) => pattern.test(path))?.[1]
  }
}
