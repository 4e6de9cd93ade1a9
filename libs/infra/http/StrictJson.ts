/**
 * JSON, read strictly: what two readers could understand in two ways is refused.
 *
 * `JSON.parse` keeps the last of two members with the same name and says nothing, so the text is scanned once more for
 * its keys. The scan stands on text that `JSON.parse` has accepted, which keeps it small: 1 µs for a transfer.
 */
import { Result } from "effect"
import type { Code } from "./Problems.ts"
import { printable } from "./CurrentRequest.ts"

export type Json = null | boolean | number | string | ReadonlyArray<Json> | JsonObject
export interface JsonObject {
  readonly [key: string]: Json
}

/** What is wrong with the text. */
export interface Fault {
  readonly code: Extract<
    Code,
    "malformed_json" | "duplicate_key" | "forbidden_key" | "nesting_too_deep" | "validation_failed"
  >
  readonly detail: string
}

/** How many objects and arrays may stand in one another. */
export const maximumDepth = 16

// They reach into the prototypes of objects, where these are merged or copied carelessly further on.
const forbidden: ReadonlySet<string> = new Set(["__proto__", "constructor", "prototype"])

const quote = 0x22
const backslash = 0x5c
const comma = 0x2c
const colon = 0x3a
const openBrace = 0x7b
const closeBrace = 0x7d
const openBracket = 0x5b
const closeBracket = 0x5d

/**
 * Reads one JSON object.
 *
 * @param what names the text in what is said against it
 */
export const parse = (text: string, what = "the body"): Result.Result<JsonObject, Fault> => {
  let value: Json
  try {
    value = JSON.parse(text)
  } catch {
    return Result.fail({ code: "malformed_json", detail: `${what} ${text === "" ? "is empty" : "is not JSON"}` })
  }
  const fault = faultIn(text, what)
  if (fault !== undefined) return Result.fail(fault)
  return typeof value === "object" && value !== null && !isArray(value)
    ? Result.succeed(value)
    : Result.fail({ code: "validation_failed", detail: `${what} must be a JSON object` })
}

/**
 * Cuts `{"member": […]}` into the texts of its items, so that they can be read one by one. It finds where each ends and
 * no more: whether an item is JSON, `parse` says. Where the text is not of that form, `undefined` comes last.
 */
export function* items(text: string, member: string): Generator<string | undefined> {
  let at = afterSpace(text, 0)
  const take = (token: string): boolean => {
    const found = text.startsWith(token, at)
    if (found) at = afterSpace(text, at + token.length)
    return found
  }
  if (!take("{") || !take(JSON.stringify(member)) || !take(":") || !take("[")) return yield undefined
  if (!text.startsWith("]", at)) {
    do {
      const start = at
      at = endOfItem(text, start)
      yield text.slice(start, at)
    } while (take(","))
  }
  if (!take("]") || !take("}") || at < text.length) yield undefined
}

const white = /[ \t\n\r]*/y

const afterSpace = (text: string, at: number): number => {
  white.lastIndex = at
  white.test(text)
  return white.lastIndex
}

/** Where the comma or bracket after an item is. */
const endOfItem = (text: string, start: number): number => {
  let depth = 0
  for (let at = start; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case quote:
        for (at++; at < text.length && text.charCodeAt(at) !== quote; at++) {
          if (text.charCodeAt(at) === backslash) at++
        }
        break
      case openBrace:
      case openBracket:
        depth++
        break
      case closeBrace:
      case closeBracket:
        if (depth === 0) return at
        depth--
        break
      case comma:
        if (depth === 0) return at
        break
    }
  }
  return text.length
}

const isArray = (value: Json): value is ReadonlyArray<Json> => Array.isArray(value)

// A string is a key when a colon follows it; outside of strings, JSON has colons nowhere else.
const faultIn = (text: string, what: string): Fault | undefined => {
  const open: Array<Set<string> | undefined> = []
  let start = -1
  let end = -1
  let escaped = false
  for (let at = 0; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case quote: {
        start = at
        escaped = false
        for (at++; text.charCodeAt(at) !== quote; at++) {
          if (text.charCodeAt(at) === backslash) {
            escaped = true
            at++
          }
        }
        end = at + 1
        break
      }
      case colon: {
        const key: string = escaped ? JSON.parse(text.slice(start, end)) : text.slice(start + 1, end - 1)
        const keys = open[open.length - 1]
        if (forbidden.has(key)) return { code: "forbidden_key", detail: `the key ${key} is not allowed` }
        if (keys?.has(key) === true) {
          return { code: "duplicate_key", detail: `the key ${printable(key)} appears twice in one object` }
        }
        keys?.add(key)
        break
      }
      case openBrace:
      case openBracket: {
        open.push(text.charCodeAt(at) === openBrace ? new Set() : undefined)
        if (open.length > maximumDepth) {
          return { code: "nesting_too_deep", detail: `${what} nests deeper than ${maximumDepth}` }
        }
        break
      }
      case closeBrace:
      case closeBracket:
        open.pop()
        break
    }
  }
  return undefined
}

/** The same text for the same value, whatever the order of its members. */
export const canonical = (value: Json): string => {
  if (typeof value !== "object" || value === null) return JSON.stringify(value)
  if (isArray(value)) return `[${value.map(canonical).join(",")}]`
  let members = ""
  for (const key of Object.keys(value).toSorted()) {
    const member = value[key]
    if (member !== undefined) members += `${members === "" ? "" : ","}${JSON.stringify(key)}:${canonical(member)}`
  }
  return `{${members}}`
}
