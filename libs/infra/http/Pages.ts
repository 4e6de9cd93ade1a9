/**
 * The pages for people: the documentation, and what each problem means.
 */
import { Effect, Layer } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { type HttpApi, type HttpApiGroup, HttpApiScalar } from "effect/http-api"
import { CurrentRequest } from "./CurrentRequest.ts"
import { codes, isCode, type Kind } from "./Problems.ts"
import { Refusal, response } from "./Refusal.ts"

/** What the pages live at; the edge must know them. */
export const routes = ["/openapi.json", "/docs", "/problems", "/problems/:code"].map((path) => ({
  method: "GET",
  path
}))

// The documentation runs the script that it carries; it loads nothing, and speaks to this API only.
const docsPolicy = "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; " +
  "img-src data: blob:; font-src data:; connect-src 'self'; worker-src blob:; frame-ancestors 'none'"

const pagePolicy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"

const style = "body{font:16px/1.5 system-ui;max-width:44rem;margin:3rem auto;padding:0 1rem;color:#1c1c1c}" +
  "code{background:#f2f2f2;padding:.1em .3em;border-radius:3px}dt{font-weight:600;margin-top:1rem}dd{margin:0}" +
  "@media(prefers-color-scheme:dark){body{background:#161616;color:#ddd}code{background:#2a2a2a}a{color:#8ab4f8}}"

const escaped = (text: string) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll("\"", "&quot;")

const page = (title: string, body: string) =>
  HttpServerResponse.html(
    `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>${escaped(title)}</title>` +
      `<meta name="viewport" content="width=device-width"><style>${style}</style></head><body>${body}</body></html>`
  ).pipe(
    HttpServerResponse.setHeaders({ "content-security-policy": pagePolicy, "cache-control": "public, max-age=300" })
  )

const aboutKind = (code: string, kind: Kind) =>
  `<h1>${escaped(kind.title)}</h1><p><code>${code}</code> · HTTP ${kind.status} · ${
    kind.retryable ? "may be retried unchanged, with the same idempotency key" : "not by repeating it unchanged"
  }</p><p>${
    escaped(kind.explanation)
  }</p><p><a href="/problems">All problems</a> · <a href="/docs">Documentation</a></p>`

/** Codes that are explained beside the problems, because they stand in answers that are none. */
export interface Appendix {
  readonly title: string
  readonly introduction: string
  readonly codes: Readonly<Record<string, string>>
}

const listed = (entries: ReadonlyArray<readonly [term: string, meaning: string]>) =>
  `<dl>${entries.map(([term, meaning]) => `<dt>${term}</dt><dd>${escaped(meaning)}</dd>`).join("")}</dl>`

const index = (appendix: Appendix | undefined) =>
  page(
    "Problems",
    `<h1>Problems</h1>${
      listed(codes.map(([code, kind]) => [
        `<a href="/problems/${code}"><code>${code}</code></a> ${kind.status}`,
        kind.title
      ]))
    }` + (appendix === undefined
      ? ""
      : `<h1>${escaped(appendix.title)}</h1><p>${escaped(appendix.introduction)}</p>${
        listed(Object.entries(appendix.codes).map(([code, meaning]) => [`<code id="${code}">${code}</code>`, meaning]))
      }`)
  )

const pages = new Map(codes.map(([code, kind]) => [code, page(code, aboutKind(code, kind))]))

const problemPage = Effect.gen(function*() {
  const request = yield* HttpServerRequest.HttpServerRequest
  const code = request.url.slice(request.url.lastIndexOf("/") + 1).split("?")[0]
  const known = isCode(code) ? pages.get(code) : undefined
  return known ?? response(new Refusal({ code: "route_not_found" }), yield* CurrentRequest)
})

const withPolicy = HttpRouter.middleware(
  Effect.succeed((app) =>
    Effect.map(
      app,
      HttpServerResponse.setHeaders({
        "content-security-policy": docsPolicy,
        "cache-control": "public, max-age=300"
      })
    )
  )
).layer

/**
 * @param document the API's OpenAPI document, as it is served
 */
export const layer = <Id extends string, Groups extends HttpApiGroup.Constraint>(
  api: HttpApi.HttpApi<Id, Groups>,
  { appendix, document }: { readonly document: string; readonly appendix?: Appendix }
) =>
  Layer.mergeAll(
    HttpRouter.add(
      "GET",
      "/openapi.json",
      HttpServerResponse.text(document, {
        contentType: "application/json",
        headers: { "cache-control": "public, max-age=300" }
      })
    ),
    HttpRouter.add("GET", "/problems", index(appendix)),
    HttpRouter.add("GET", "/problems/:code", problemPage),
    HttpApiScalar.layer(api, { path: "/docs", scalar: { withDefaultFonts: false } }).pipe(Layer.provide(withPolicy))
  )
