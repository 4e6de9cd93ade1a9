/** The operators' contract, as it is committed. */
import { readFileSync } from "node:fs"
import path from "node:path"
import { describe, expect, it } from "vitest"
import { AdminApi } from "../../apps/admin/contract/AdminApi.ts"
import { text } from "../../apps/admin/contract/OpenApiDocument.ts"

describe("the operators' contract", () => {
  it("is committed as it is served", () => {
    // A difference is mended by: node run.mjs apps/admin/contract/writeOpenApi.ts
    expect(readFileSync(path.join(import.meta.dirname, "../../docs/admin-openapi.json"), "utf8")).toBe(text)
  })

  it("explains every operation", () => {
    const { paths }: { readonly paths: Record<string, Record<string, { summary?: string; description?: string }>> } =
      JSON.parse(text)
    const unexplained = Object.entries(paths).flatMap(([route, methods]) =>
      Object.entries(methods).flatMap(([method, { description, summary }]) =>
        summary === undefined || (description === undefined) ? [`${method} ${route}`] : []
      )
    )
    expect(unexplained.filter((each) => !each.endsWith("/metrics"))).toEqual([])
  })

  it("lets nobody in without a key, but for probes", () => {
    const open = Object.values(AdminApi.groups).flatMap(({ endpoints, identifier }) =>
      Object.entries(endpoints).flatMap(([name, { middlewares }]) =>
        [...middlewares].some(({ key }) => key.endsWith("OperatorAuthorization")) ? [] : [`${identifier}.${name}`]
      )
    )
    expect(open).toEqual(["system.live", "system.ready", "system.metrics", "system.version"])
  })
})
