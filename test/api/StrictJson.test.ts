import { it } from "@effect/vitest"
import { Effect, Result, Schema } from "effect"
import { describe, expect } from "vitest"
import { canonical, items, maximumDepth, parse } from "#infra/http/StrictJson.ts"

const deep = (depth: number): string => `${"{\"a\":".repeat(depth)}1${"}".repeat(depth)}`

describe("strict JSON", () => {
  for (
    const [text, verdict] of [
      ["{}", "fine"],
      ["{\"a\":1}", "fine"],
      ["{\"a\":{\"a\":1},\"b\":{\"a\":2}}", "fine"],
      ["{\"a\":[{\"a\":1},{\"a\":1}]}", "fine"],
      ["{\"a\":\"a\",\"b\":\"a\"}", "fine"],
      ["{\"a\":\"\\\"b\\\":1,\\\"b\\\":2\"}", "fine"],
      ["{\"a\":\"{[:\",\"b\":\"]}\\\\\"}", "fine"],
      ["{\"\":1}", "fine"],
      ["{\"__proto\":1,\"a__proto__\":2,\"Constructor\":3}", "fine"],
      ["{\"a\":\"__proto__\"}", "fine"],
      [deep(maximumDepth), "fine"],
      [deep(maximumDepth + 1), "nesting_too_deep"],
      ["{\"a\":1,\"a\":1}", "duplicate_key"],
      ["{\"\":1,\"\":2}", "duplicate_key"],
      ["{ \"a\" : 1 , \"a\" : 2 }", "duplicate_key"],
      ["{\"a\":1,\"\\u0061\":2}", "duplicate_key"],
      ["{\"a\\\"\":1,\"a\\u0022\":2}", "duplicate_key"],
      ["{\"b\":{\"c\":[[{\"a\":1,\"a\":2}]]}}", "duplicate_key"],
      ["{\"a\":{},\"b\":[],\"a\":{}}", "duplicate_key"],
      ["{\"__proto__\":1}", "forbidden_key"],
      ["{\"a\":[{\"constructor\":1}]}", "forbidden_key"],
      ["{\"proto\\u0074ype\":1}", "forbidden_key"],
      ["[]", "validation_failed"],
      ["\"a\"", "validation_failed"],
      ["[{\"a\":1,\"a\":2}]", "duplicate_key"],
      ["", "malformed_json"],
      ["{", "malformed_json"],
      ["{\"a\":1,}", "malformed_json"],
      ["\ufeff{}", "malformed_json"]
    ] as const
  ) {
    it(`${text.slice(0, 50)} is ${verdict}`, () => {
      const parsed = parse(text)
      expect(Result.isSuccess(parsed) ? "fine" : parsed.failure.code).toBe(verdict)
    })
  }

  it("does not print the control characters of a key that came twice", () => {
    const parsed = parse("{\"a\\u0007\u202e\":1,\"a\\u0007\u202e\":2}")
    expect(Result.isFailure(parsed) && parsed.failure.detail).toBe("the key a?? appears twice in one object")
  })

  it("leaves nothing behind on the prototype of objects", () => {
    parse("{\"__proto__\":{\"polluted\":true}}")
    expect(Object.hasOwn(Object.prototype, "polluted")).toBe(false)
  })

  // Keys from a small set: so that many objects name one twice.
  const Members = Schema.Array(
    Schema.Tuple([Schema.Literals(["a", "b", "\"", "\\", "é", ":", "{"]), Schema.Union([Schema.String, Schema.Int])])
  )

  it.effect.prop("finds a key that comes twice, and only then, however it is spelled", [Members, Schema.Boolean], (
    [members, escaped]
  ) =>
    Effect.sync(() => {
      const spell = (key: string, at: number) =>
        escaped && at % 2 === 1
          ? `"${[...key].map((one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`).join("")}"`
          : JSON.stringify(key)
      const text = `{${members.map(([key, value], at) => `${spell(key, at)}: ${JSON.stringify(value)}`).join(" ,")}}`
      const parsed = parse(text)
      const twice = new Set(members.map(([key]) => key)).size < members.length
      expect(Result.isSuccess(parsed)).toBe(!twice)
      if (Result.isSuccess(parsed)) expect(parsed.success).toStrictEqual(JSON.parse(text))
    }), { arbitrary: { runs: 500 } })

  it("writes a value in one way, whatever the order of its members", () => {
    const one = parse("{\"b\":[1,{\"d\":null,\"c\":\"é\"}],\"a\":true}")
    const other = parse("{\"a\":true,\"b\":[1.0,{\"c\":\"\\u00e9\",\"d\":null}]}")
    if (Result.isFailure(one) || Result.isFailure(other)) throw new Error("not parsed")
    expect(canonical(one.success)).toBe("{\"a\":true,\"b\":[1,{\"c\":\"é\",\"d\":null}]}")
    expect(canonical(other.success)).toBe(canonical(one.success))
  })
})

describe("the items of a list", () => {
  for (
    const [text, cut] of [
      ["{\"all\":[]}", []],
      [" {\t\"all\" :\r[ \n ] } ", []],
      ["{\"all\":[1]}", ["1"]],
      ["{\"all\":[1,\"a\",null,{\"b\":[1,2]}]}", ["1", "\"a\"", "null", "{\"b\":[1,2]}"]],
      ["{ \"all\" : [ 1 , 2 ] }\n", ["1 ", "2 "]],
      ["{\"all\":[\"],}\",\"\\\"]\",\"\\\\\"]}", ["\"],}\"", "\"\\\"]\"", "\"\\\\\""]],
      // What is between two commas may be anything: that it is not JSON, its reader says.
      ["{\"all\":[,]}", ["", ""]],
      ["{\"all\":[1,]}", ["1", ""]],
      ["{\"all\":[{\"a\":]}]}", ["{\"a\":]", undefined]],
      ["{\"all\":[{\"a\"[1,2]}]}", ["{\"a\"[1,2]}"]],
      // Not of that form
      ["", [undefined]],
      ["{}", [undefined]],
      ["[1]", [undefined]],
      ["{\"other\":[1]}", [undefined]],
      ["{\"\\u0061ll\":[1]}", [undefined]],
      ["{\"all\":1}", [undefined]],
      ["{\"all\":{}}", [undefined]],
      ["{\"all\":[1", ["1", undefined]],
      ["{\"all\":[\"1]}", ["\"1]}", undefined]],
      ["{\"all\":[1}", ["1", undefined]],
      ["{\"all\":[1]", ["1", undefined]],
      ["{\"all\":[1]]", ["1", undefined]],
      ["{\"all\":[1],\"more\":2}", ["1", undefined]],
      ["{\"all\":[1]}{}", ["1", undefined]],
      ["\ufeff{\"all\":[1]}", [undefined]]
    ] as const
  ) {
    it(`of ${text} are ${JSON.stringify(cut)}`, () => {
      expect([...items(text, "all")]).toStrictEqual(cut)
    })
  }

  const Value = Schema.Union([
    Schema.Literals(["", "\"", "\\", "\\\"", ",", "]", "}", "{\"all\":["]),
    Schema.String,
    Schema.Int,
    Schema.Null,
    Schema.Array(Schema.Record(Schema.String, Schema.String))
  ])

  it.effect.prop("are what was put into it, whatever it is", [Schema.Array(Value), Schema.Literals([0, 2])], (
    [values, indent]
  ) =>
    Effect.sync(() => {
      const cut = [...items(JSON.stringify({ all: values }, null, indent), "all")]
      expect(cut.map((text) => JSON.parse(text ?? "no form"))).toStrictEqual(JSON.parse(JSON.stringify(values)))
    }), { arbitrary: { runs: 500 } })
})
