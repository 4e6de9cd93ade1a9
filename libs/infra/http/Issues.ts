/**
 * What a schema has against a value, as field errors with problem codes.
 *
 * Rules carry their code as an annotation (Values.ts). One error is told for each place: the first.
 */
import type { SchemaIssue } from "effect"
import { type Code, type FieldError, isCode } from "./Problems.ts"
import { problemAnnotation } from "./Values.ts"
import { printable } from "./CurrentRequest.ts"
import { Refusal } from "./Refusal.ts"

interface Found extends FieldError {
  /** The code of the problem, if this were the only thing wrong. */
  readonly problem: Code
}

const codeIn = (annotations: { readonly [key: string]: unknown } | undefined): Code | undefined => {
  const code = annotations?.[problemAnnotation]
  return isCode(code) ? code : undefined
}

const messageIn = (annotations: { readonly [key: string]: unknown } | undefined): string | undefined => {
  const message = annotations?.["message"]
  return typeof message === "string" ? message : undefined
}

const typeNames: Readonly<Record<string, string>> = {
  String: "must be a string",
  Number: "must be a number",
  Boolean: "must be true or false",
  Objects: "must be an object",
  Arrays: "must be an array"
}

const segment = (key: PropertyKey): string => printable(String(key)).replaceAll("~", "~0").replaceAll("/", "~1")

const walk = (issue: SchemaIssue.Issue, pointer: string, inherited: Code | undefined): ReadonlyArray<Found> => {
  const found = (problem: Code, code: string, message: string): ReadonlyArray<Found> => [
    { pointer, code: problem === "validation_failed" ? code : problem, message, problem }
  ]
  switch (issue._tag) {
    case "Pointer":
      return walk(issue.issue, `${pointer}/${issue.path.map(segment).join("/")}`, inherited)
    case "Composite":
      return issue.issues.flatMap((one) => walk(one, pointer, inherited))
    case "Encoding":
      return walk(issue.issue, pointer, inherited)
    case "Filter": {
      const code = codeIn(issue.filter.annotations) ?? inherited
      const message = messageIn(issue.filter.annotations)
      return message === undefined
        ? walk(issue.issue, pointer, code)
        : found(code ?? "validation_failed", "out_of_range", message)
    }
    case "AnyOf": {
      // Of the members of a union, the one that got furthest has something to say: a rule with a code, or any at all.
      const inside = issue.issues.flatMap((one) => walk(one, pointer, inherited))
      const telling = inside.find(({ problem }) => problem !== "validation_failed") ?? inside[0]
      return telling === undefined
        ? found(
          codeIn(issue.ast.annotations) ?? inherited ?? "validation_failed",
          "not_allowed",
          messageIn(issue.ast.annotations) ?? allowed(issue.ast)
        )
        : [telling]
    }
    case "MissingKey":
      return found(codeIn(issue.annotations) ?? "validation_failed", "required", "is required")
    case "UnexpectedKey":
      return found("unknown_parameter", "unknown_parameter", "is not a parameter of this operation")
    case "InvalidType": {
      const code = codeIn(issue.ast.annotations) ?? inherited ?? "validation_failed"
      const message = messageIn(issue.ast.annotations) ?? typeNames[issue.ast._tag] ?? allowed(issue.ast)
      return found(code, "wrong_type", message)
    }
    case "InvalidValue":
      return found(inherited ?? "validation_failed", "out_of_range", messageIn(issue.annotations) ?? "is not allowed")
    default:
      return found(inherited ?? "validation_failed", "not_allowed", "is not allowed")
  }
}

/** What a union of literals allows, or nothing more than that the value is not allowed. */
const allowed = (ast: SchemaIssue.AnyOf["ast"] | SchemaIssue.InvalidType["ast"]): string => {
  const literals = ast._tag === "Union"
    ? ast.types.flatMap((type) => type._tag === "Literal" ? [type.literal] : [])
    : []
  return literals.length === 0 ? "is not allowed" : `must be one of ${literals.join(", ")}`
}

/**
 * The refusal of a value that does not decode.
 *
 * @param prefix put before each pointer: empty for the body, `header:` or `query:` for those
 */
export const refusalOf = (issue: SchemaIssue.Issue, prefix: string): Refusal => {
  const first = new Map<string, Found>()
  for (const found of walk(issue, "", undefined)) {
    const pointer = prefix === "" ? found.pointer : prefix + found.pointer.slice(1)
    if (!first.has(pointer)) first.set(pointer, { ...found, pointer })
  }
  const all = [...first.values()]
  // The code that everything shares; where several kinds of things are wrong, no single one of them.
  const problems = new Set(all.map(({ problem }) => problem))
  const [only] = problems
  const code = problems.size === 1 && only !== undefined ? only : "validation_failed"
  return new Refusal({
    code,
    detail: all.map(({ message, pointer }) => `${pointer === "" ? "the body" : pointer} ${message}`).join("; "),
    errors: all.slice(0, 20).map(({ code, message, pointer }) => ({ pointer, code, message }))
  })
}
