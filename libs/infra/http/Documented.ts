/**
 * What an OpenAPI document needs beyond what is generated: each schema once.
 */
import { Schema } from "effect"

// The document arrives as plain JSON. Only the parts that are changed are looked at; all others pass untouched.
const asObject = Schema.decodeUnknownSync(Schema.Record(Schema.String, Schema.Unknown))

// A schema that is described anew where it is used appears once more, as Problem_1 and so on: one of each is enough.
const numbered = /_[0-9]+$/
const reference = /"#\/components\/schemas\/([A-Za-z]+)(?:_[0-9]+)?"/g

const withSchemas = (components: unknown): unknown => {
  const { schemas, ...rest } = asObject(components)
  const once = Object.entries(asObject(schemas)).filter(([name]) => !numbered.test(name))
  return {
    ...rest,
    schemas: Object.fromEntries(
      once.toSorted(([one], [other]) => one < other ? -1 : 1).map(([name, schema]) => {
        const { description: _ofOneUse, ...described } = asObject(schema)
        return [name, described]
      })
    )
  }
}

/** The document with each schema once. */
export const onceEach = (document: Record<string, unknown>): Record<string, unknown> => {
  const text = JSON.stringify({ ...document, components: withSchemas(document["components"]) })
  return asObject(JSON.parse(text.replace(reference, "\"#/components/schemas/$1\"")))
}
