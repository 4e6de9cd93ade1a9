/**
 * Requests made from the served OpenAPI document, from a seed: valid ones, as far as the document says what is; those with
 * one thing wrong; and those that are wrong altogether. What one request makes, the next ones name.
 */
import { faults, isObject } from "./conformance.ts"

/** A request, as it is sent, and as it stands in the corpus. */
export interface Request {
  readonly method: string
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | null
  /** Does it know who it is from? */
  readonly known: boolean
}

export interface Case {
  /** Does the document say that it is wrong? Then it must be refused. */
  readonly wrong: boolean
  readonly request: Request
}

interface Parameter {
  readonly name: string
  readonly in: string
  readonly required: boolean
  readonly schema: unknown
}

interface Operation {
  readonly method: string
  readonly path: string
  readonly secured: boolean
  readonly parameters: ReadonlyArray<Parameter>
  readonly body: { readonly required: boolean; readonly schema: unknown } | undefined
}

const methods = ["get", "post", "patch"]

export const operationsOf = (document: unknown): ReadonlyArray<Operation> => {
  const paths = isObject(document) && isObject(document["paths"]) ? document["paths"] : {}
  return Object.entries(paths).flatMap(([path, item]) =>
    isObject(item)
      ? methods.flatMap((method): ReadonlyArray<Operation> => {
        const operation = item[method]
        if (!isObject(operation)) return []
        const { parameters, requestBody, security } = operation
        const content = isObject(requestBody) ? requestBody["content"] : undefined
        const media = isObject(content) ? content["application/json"] : undefined
        return [{
          method: method.toUpperCase(),
          path,
          secured: Array.isArray(security) && security.length > 0,
          parameters: Array.isArray(parameters) ? parameters.filter(isParameter) : [],
          body: isObject(media) && isObject(requestBody)
            ? { required: requestBody["required"] === true, schema: media["schema"] }
            : undefined
        }]
      })
      : []
  )
}

const isParameter = (value: unknown): value is Parameter =>
  isObject(value) && typeof value["name"] === "string" && typeof value["in"] === "string"

/** Text that is something here or there; what a schema asks for is among it, or one change away. */
const texts = [
  "EUR",
  "USD",
  "JPY",
  "1",
  "1250",
  "100000",
  "9".repeat(38),
  "0",
  "-1",
  "-500",
  "1.5",
  "1e3",
  "wallet-anna",
  "a",
  "B.c_d:e@f-9",
  "clearing:0:to:1:EUR",
  "x".repeat(64),
  "x".repeat(65),
  "2026-11-21T09:31:00Z",
  "2026-02-30T09:31:00.123456789+23:59",
  "9999-12-31T23:59:59Z",
  "0000-01-01T00:00:00-23:59",
  "\"v1\"",
  "\"v999\"",
  "\"k\"",
  "key-1",
  "wait=1",
  "wait=0",
  "wait=-1",
  "respond-async",
  "rent",
  "Grüße 😀",
  "",
  " ",
  "%00",
  "'; DROP TABLE account; --",
  "../../etc/passwd",
  "{}",
  "null",
  "trf_01KAJ7QZ6C0NV5XJ9A4T7MZB3D",
  "trf_81KAJ7QZ6C0NV5XJ9A4T7MZB3D",
  "WyIxIiwiYWNjb3VudHMiLCJhIl0",
  "constructor",
  "__proto__",
  "9007199254740993",
  "99999999999999999999",
  "1969-12-31T23:59:59.999Z"
]

const odd = ["\u0000", "\u202e", "\ud83d", "e\u0301", "\n", "\"", "\\", "٣", "-", "0", "Z", "%", "\u2028"]

export const generator = (document: unknown, chance: () => number) => {
  const below = (most: number) => Math.floor(chance() * most)
  const one = <A>(of: readonly [A, ...Array<A>] | ReadonlyArray<A>): A => {
    const found = of[below(of.length)]
    if (found === undefined && of.length === 0) throw new RangeError("nothing to choose from")
    return found as A
  }
  /** Ids and cursors that answers told, and what they are of: the first words of their path. */
  const known: Array<{ readonly of: string; readonly value: string }> = []
  let keys = 0

  const changed = (text: string): string => {
    const at = below(text.length + 1)
    switch (below(4)) {
      case 0:
        return text.slice(0, at) + one(odd) + text.slice(at)
      case 1:
        return text.slice(0, at) + text.slice(at + 1)
      case 2:
        return text + text.slice(at)
      default:
        return text.slice(0, at) + one(odd) + text.slice(at + 1)
    }
  }

  const text = (): string => {
    const from = known.length > 0 && below(3) === 0 ? one(known).value : one(texts)
    return below(4) === 0 ? changed(from) : from
  }

  const anything = (depth = 0): unknown => {
    switch (below(depth > 3 ? 5 : 7)) {
      case 0:
        return null
      case 1:
        return below(2) === 0
      case 2:
        return one([0, -0, -1, 1.5, 1e21, Number.MAX_SAFE_INTEGER + 1, 200, 2_592_001])
      case 3:
      case 4:
        return text()
      case 5:
        return Array.from({ length: below(3) }, () => anything(depth + 1))
      default:
        return Object.fromEntries(Array.from({ length: below(3) }, () => [text(), anything(depth + 1)]))
    }
  }

  const resolved = (schema: unknown): unknown => {
    if (!isObject(schema) || typeof schema["$ref"] !== "string") return schema
    const found = schema["$ref"].split("/").slice(1).reduce<unknown>(
      (inside, key) => isObject(inside) ? inside[key] : undefined,
      document
    )
    return resolved(found)
  }

  const isRight = (schema: unknown, value: unknown) => faults(document, schema, value).length === 0

  /** A value that the schema takes: made where it says how, and looked for where it says only what it must be like. */
  const valid = (schema_: unknown): unknown => {
    const schema = resolved(schema_)
    if (!isObject(schema)) return anything()
    const { anyOf, enum: values, items, maxItems, maximum, minimum, minItems, properties, required, type } = schema
    if (Array.isArray(values)) return one(values)
    if (Array.isArray(anyOf)) return valid(one(anyOf))
    if (type === "integer") {
      const least = typeof minimum === "number" ? minimum : -1_000
      const most = typeof maximum === "number" ? maximum : 1_000_000
      return one([least, most, least + below(most - least + 1)])
    }
    if (type === "array") {
      const least = typeof minItems === "number" ? minItems : 0
      const most = Math.min(typeof maxItems === "number" ? maxItems : 3, least + 3)
      return Array.from({ length: least + below(most - least + 1) }, () => valid(items))
    }
    if (type === "object" && isObject(properties)) {
      const must = Array.isArray(required) ? required : []
      return Object.fromEntries(
        Object.entries(properties).flatMap(([name, inner]) =>
          must.includes(name) || below(3) === 0 ? [[name, valid(inner)]] : []
        )
      )
    }
    for (let tries = 0; tries < 200; tries++) {
      const value = type === "object"
        ? Object.fromEntries(Array.from({ length: below(3) }, () => [text(), text()]))
        : text()
      if (isRight(schema, value)) return value
    }
    return type === "object" ? {} : one(texts)
  }

  const wrong = (schema: unknown): unknown => {
    for (let tries = 0; tries < 200; tries++) {
      const value = below(2) === 0 ? anything() : broken(valid(schema))
      if (!isRight(schema, value)) return value
    }
    return undefined
  }

  /** A value with one thing in it changed. */
  const broken = (value: unknown): unknown => {
    if (typeof value === "string") return changed(value)
    if (Array.isArray(value)) return value.length === 0 ? {} : value.with(below(value.length), broken(one(value)))
    if (!isObject(value)) return anything()
    const names = Object.keys(value)
    if (names.length === 0 || below(4) === 0) return { ...value, [text()]: anything() }
    const name = one(names)
    const { [name]: inside, ...others } = value
    return below(3) === 0 ? others : { ...others, [name]: below(2) === 0 ? anything() : broken(inside) }
  }

  const inHeader = (value: string) => value.replaceAll(/[^\x20-\x7e]/g, "~").trim()

  const parametersOf = ({ parameters, path }: Operation, wrongAt: string | undefined) => {
    const headers: Record<string, string> = {}
    const query: Array<string> = []
    const here = known.filter(({ of }) => of === collectionOf(path))
    let at = path
    let isWrong = false
    for (const { in: where, name, required, schema } of parameters) {
      const isToBeWrong = name === wrongAt
      if (!isToBeWrong && !required && below(3) > 0) continue
      if (isToBeWrong && required && where !== "path" && below(3) === 0) {
        isWrong = true
        continue
      }
      const drawn = isToBeWrong
        ? wrong(schema)
        : name === "idempotency-key" && below(3) > 0
        ? `key-${++keys}`
        : name === "prefer"
        ? "wait=0"
        : where === "path" && here.length > 0 && below(4) > 0
        ? one(here).value
        : valid(schema)
      const value = typeof drawn === "object" || drawn === undefined ? JSON.stringify(drawn) ?? "" : String(drawn)
      if (where === "header") {
        headers[name] = inHeader(value)
        isWrong ||= !isRight(schema, inHeader(value))
      } else if (where === "query") {
        query.push(`${name}=${encoded(value)}`)
        isWrong ||= !isRight(schema, isObject(schema) && schema["type"] === "integer" ? numberOr(value) : value)
      } else {
        at = at.replace(`{${name}}`, encoded(value) || "%20")
      }
    }
    return { headers, path: query.length === 0 ? at : `${at}?${query.join("&")}`, isWrong }
  }

  const bodyOf = ({ body }: Operation, kind: "valid" | "nearly" | "invalid") => {
    if (body === undefined) return { text: null, isWrong: false }
    if (kind === "invalid" && below(2) === 0) {
      return {
        text: one(["", "{", "[]", "null", "\u0000", "{\"a\":1,\"a\":2}", changed(JSON.stringify(valid(body.schema)))]),
        isWrong: undefined
      }
    }
    if (kind === "valid" && !body.required && below(2) === 0) return { text: null, isWrong: false }
    const value = kind === "valid" ? valid(body.schema) : kind === "nearly" ? broken(valid(body.schema)) : anything()
    const text = JSON.stringify(value) ?? ""
    // JSON has no half of a surrogate pair; what was written is what is judged.
    return { text, isWrong: !isRight(body.schema, text === "" ? undefined : JSON.parse(text)) }
  }

  return {
    /** Remembers what an answer told. */
    learn: ({ path }: Operation, answer: Readonly<Record<string, unknown>>): void => {
      for (const name of ["id", "next_cursor"]) {
        const value = answer[name]
        if (typeof value === "string" && known.length < 200) known.push({ of: collectionOf(path), value })
      }
    },

    next: (operation: Operation): Case => {
      const kind = one(["valid", "valid", "nearly", "nearly", "invalid"] as const)
      const candidates = operation.parameters.map(({ name }) => name)
      const wrongAt = kind !== "valid" && candidates.length > 0 && (operation.body === undefined || below(2) === 0)
        ? one(candidates)
        : undefined
      const { headers, isWrong, path } = parametersOf(operation, wrongAt)
      const body = bodyOf(operation, wrongAt === undefined ? kind : "valid")
      const known = !operation.secured || kind !== "invalid" || below(3) > 0
      return {
        wrong: isWrong || body.isWrong === true || !known,
        request: { method: operation.method, path, headers, body: body.text, known }
      }
    }
  }
}

/** Such as /v1/accounts. */
const collectionOf = (path: string): string => path.split("/").slice(0, 3).join("/")

/** As it stands in a path or a query; half a surrogate pair cannot. */
const encoded = (value: string): string => encodeURIComponent(value.toWellFormed())

const numberOr = (value: string): unknown => /^-?\d+$/.test(value) ? Number(value) : value
