/**
 * Holds answers to the served OpenAPI document: status, content type and body of an operation are those that it describes.
 *
 * The part of JSON Schema that the document uses is small, and checked here; a keyword that is not known is a mistake.
 */
import { isCode, registry } from "#infra/http/Problems.ts"

interface JsonObject {
  readonly [key: string]: unknown
}

export const isObject = (value: unknown): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const objectAt = (value: unknown, ...path: ReadonlyArray<string>): JsonObject | undefined => {
  const found = path.reduce<unknown>((inside, key) => isObject(inside) ? inside[key] : undefined, value)
  return isObject(found) ? found : undefined
}

const annotations = new Set(["$schema", "title", "description", "examples", "example", "default", "format"])

const typeOf = (value: unknown): string =>
  value === null
    ? "null"
    : Array.isArray(value)
    ? "array"
    : typeof value === "number" && Number.isInteger(value)
    ? "integer"
    : typeof value

/** What a value has against its schema, as sentences. */
export const faults = (document: unknown, schema: unknown, value: unknown, at = ""): ReadonlyArray<string> => {
  if (!isObject(schema)) return schema === false ? [`${at} must not be there`] : []
  const properties = objectAt(schema, "properties") ?? {}
  const patterns = Object.entries(objectAt(schema, "patternProperties") ?? {})
  const list = (key: string): ReadonlyArray<unknown> => {
    const found = schema[key]
    return Array.isArray(found) ? found : []
  }
  return Object.entries(schema).flatMap(([keyword, rule]): ReadonlyArray<string> => {
    const fault = (wrong: boolean, what: string) => wrong ? [`${at || "/"} ${what}`] : []
    switch (keyword) {
      case "$ref": {
        const name = String(rule).replace("#/components/schemas/", "")
        const target = objectAt(document, "components", "schemas", name)
        return target === undefined ? [`${at} refers to nothing: ${String(rule)}`] : faults(document, target, value, at)
      }
      case "type":
        return fault(
          typeOf(value) !== rule && !(rule === "number" && typeOf(value) === "integer"),
          `is ${typeOf(value)}, not ${String(rule)}`
        )
      case "enum":
        return fault(!list("enum").includes(value), `is none of ${JSON.stringify(rule)}`)
      case "const":
        return fault(value !== rule, `is not ${JSON.stringify(rule)}`)
      case "pattern":
        return fault(
          typeof value === "string" && !new RegExp(String(rule), "u").test(value),
          `does not match ${String(rule)}`
        )
      case "minLength":
        return fault(typeof value === "string" && value.length < Number(rule), "is too short")
      case "maxLength":
        return fault(typeof value === "string" && value.length > Number(rule), "is too long")
      case "minimum":
        return fault(typeof value === "number" && value < Number(rule), "is too small")
      case "maximum":
        return fault(typeof value === "number" && value > Number(rule), "is too large")
      case "maxProperties":
        return fault(isObject(value) && Object.keys(value).length > Number(rule), "has too many members")
      case "minItems":
        return fault(Array.isArray(value) && value.length < Number(rule), "has too few items")
      case "maxItems":
        return fault(Array.isArray(value) && value.length > Number(rule), "has too many items")
      case "allOf":
        return list("allOf").flatMap((one) => faults(document, one, value, at))
      case "anyOf":
        return fault(
          !list("anyOf").some((one) => faults(document, one, value, at).length === 0),
          "matches no alternative"
        )
      case "items":
        return Array.isArray(value)
          ? value.flatMap((item, index) => faults(document, rule, item, `${at}/${index}`))
          : []
      case "required":
        return isObject(value)
          ? list("required").flatMap((key) => fault(!Object.hasOwn(value, String(key)), `lacks ${String(key)}`))
          : []
      case "properties":
        return isObject(value)
          ? Object.entries(properties).flatMap(([key, inner]) =>
            Object.hasOwn(value, key) ? faults(document, inner, value[key], `${at}/${key}`) : []
          )
          : []
      case "patternProperties":
        return isObject(value)
          ? Object.entries(value).flatMap(([key, inner]) =>
            patterns.filter(([pattern]) => new RegExp(pattern, "u").test(key))
              .flatMap(([, schema]) => faults(document, schema, inner, `${at}/${key}`))
          )
          : []
      case "additionalProperties":
        return isObject(value)
          ? Object.entries(value)
            .filter(([key]) =>
              !Object.hasOwn(properties, key) && !patterns.some(([pattern]) => new RegExp(pattern, "u").test(key))
            )
            .flatMap(([key, inner]) => faults(document, rule, inner, `${at}/${key}`))
          : []
      default:
        return annotations.has(keyword) ? [] : [`${at} uses ${keyword}, which this check does not know`]
    }
  })
}

/** An answer as a client has it. */
export interface Answered {
  readonly method: string
  readonly path: string
  readonly status: number
  readonly headers: Headers
  readonly text: string
}

const templateOf = (document: unknown, path: string): string | undefined =>
  Object.keys(objectAt(document, "paths") ?? {}).find((template) =>
    new RegExp(`^${template.replace(/\{[^}]+\}/g, "[^/]+")}$`).test(path)
  )

// These are answered before an operation is known, and stand in no operation.
const beforeAnyOperation = new Set(["route_not_found", "method_not_allowed", "expectation_failed", "malformed_http"])

/** What an answer has against the document and against the shape of problems. */
export const unlawful = (document: unknown, answer: Answered): ReadonlyArray<string> => {
  const { headers, method, path, status, text } = answer
  const problems: Array<string> = []
  if (!headers.has("x-request-id")) problems.push("no x-request-id")
  if (headers.get("x-content-type-options") !== "nosniff") problems.push("no nosniff")
  if (method === "HEAD" || status === 204) {
    if (text !== "") problems.push("a body where there must be none")
    return problems
  }
  const contentType = headers.get("content-type") ?? ""
  const body: unknown = contentType.includes("json") ? JSON.parse(text) : text
  if (status >= 400) problems.push(...ofProblem(answer, contentType, body))
  const code = isObject(body) ? body["code"] : undefined
  if (typeof code === "string" && beforeAnyOperation.has(code)) return problems
  const template = templateOf(document, path.split("?")[0] ?? path)
  if (template === undefined) return problems
  const response = objectAt(document, "paths", template, method.toLowerCase(), "responses", String(status))
  if (response === undefined) {
    return [...problems, `${method} ${template} is not described with ${status} ${String(code)}`]
  }
  const media = objectAt(response, "content", contentType)
  if (media === undefined) return [...problems, `${method} ${template} ${status} is not described with ${contentType}`]
  const described = response["description"]
  if (status >= 400 && typeof described === "string" && !described.includes(`\`${String(code)}\``)) {
    problems.push(`${method} ${template} ${status} is not described with the code ${String(code)}`)
  }
  return [...problems, ...faults(document, media["schema"], body)]
}

const ofProblem = ({ headers, path, status }: Answered, contentType: string, body: unknown): ReadonlyArray<string> => {
  if (contentType !== "application/problem+json") return [`${status} with ${contentType}`]
  if (!isObject(body)) return ["a problem that is no object"]
  const { code } = body
  if (!isCode(code)) return [`an unknown code: ${String(code)}`]
  const kind = registry[code]
  const says = (key: string, value: unknown) =>
    body[key] === value ? [] : [`${key} is ${JSON.stringify(body[key])}, not ${JSON.stringify(value)}`]
  return [
    ...says("type", `/problems/${code}`),
    ...says("status", status),
    ...says("title", kind.title),
    ...says("retryable", kind.retryable),
    ...(kind.status === status ? [] : [`${code} has status ${kind.status}, and came with ${status}`]),
    ...says("request_id", headers.get("x-request-id")),
    ...(path.length < 100 && /^[\x21-\x7e]*$/.test(path) ? says("instance", path.split("?")[0]) : []),
    ...(status === 503 && !headers.has("retry-after") ? ["503 without retry-after"] : []),
    ...(status === 401 && !headers.has("www-authenticate") ? ["401 without www-authenticate"] : []),
    ...(status === 405 && !headers.has("allow") ? ["405 without allow"] : [])
  ]
}
