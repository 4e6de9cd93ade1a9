import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { LedgerEventJson, toJson } from "#domain/ledger/LedgerEvent.ts"
import { fromShortForm } from "#domain/ledger/ShortForm.ts"

const decode = Schema.decodeSync(LedgerEventJson)

const terms =
  `"transfer":"trf_01KDVDNA001Z00000000000000","source":"alice:7","destination":"b@b-1","amount":"1250","currency":"EUR"`
const key = `"askedWith":{"client":"shop","scope":"transfer:alice:7","key":"é 1","fingerprint":"abab"}`

const short = [
  ...["authorized", "held", "credited", "committed"].map((type) => `{"type":"transfer.${type}",${terms}}`),
  `{"type":"transfer.requested",${terms},"capture":"automatic","client":"shop",${key}}`,
  `{"type":"transfer.requested",${terms},"capture":"manual","client":"",${key}}`
]

/** What has a meaning somewhere in an event, or in JSON. */
const characters = [
  "",
  " ",
  "0",
  "7",
  "a",
  "Z",
  "U",
  "_",
  "-",
  ".",
  ":",
  ",",
  "é",
  "\"",
  "\\",
  "\n",
  "{",
  "}",
  "clearing:"
]

const agrees = (json: string) => {
  const read = fromShortForm(json)
  if (read === undefined) return false
  assert.deepStrictEqual(read, decode(json))
  assert.strictEqual(toJson(read), json)
  return true
}

describe("the events that there are most of", () => {
  it("are read as their schema reads them", () => {
    for (const json of short) assert.isTrue(agrees(json), json)
  })

  it("are left to their schema, or read as it reads them, with any character put in or changed", () => {
    let read = 0
    for (const json of short) {
      for (let at = 0; at <= json.length; at++) {
        for (const character of characters) {
          for (const rest of [at, at + 1]) if (agrees(json.slice(0, at) + character + json.slice(rest))) read++
        }
      }
    }
    // Most accounts, amounts and keys are as good as the one they were made of.
    assert.isAbove(read, 1_000)
  })

  it("are left to their schema where they are none, or say more", () => {
    const others = [
      `{"type":"transfer.refused",${terms}}`,
      `{"type":"transfer.held",${terms},"reason":{"code":"a","detail":"b"}}`,
      `{"type":"transfer.held",${terms.replace("EUR", "XXX")}}`,
      `{"type":"transfer.held",${terms.replace("alice:7", "clearing:0:to:1:EUR")}}`,
      `{"type":"transfer.requested",${terms},"capture":"manual","client":"shop","expiresIn":60,${key}}`,
      "null"
    ]
    for (const json of others) assert.isUndefined(fromShortForm(json))
  })
})
