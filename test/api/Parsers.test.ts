/**
 * The parsers of what comes from outside, under texts that nobody would think of: none throws, and what one takes it can
 * say again in the same words. The seed is drawn and printed; `FUZZ_SEED=…` tries the same texts.
 */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Exit, Result, Schema } from "effect"
import { fromJson, toJson } from "#domain/ledger/LedgerEvent.ts"
import { Amount, maximum } from "#domain/money/Amount.ts"
import * as TransferId from "#domain/transfer/TransferId.ts"
import { random } from "#infra/Entropy.ts"
import { traceparentOf } from "#infra/http/CurrentRequest.ts"
import * as Cursor from "#infra/http/Cursor.ts"
import { canonical, items, parse } from "#infra/http/StrictJson.ts"
import { AccountIdText, AmountText, IdempotencyKey, Instant } from "#infra/http/Values.ts"
import { waitSeconds } from "../../apps/api/http/Prefer.ts"
import { chance } from "../domain/Arbitraries.ts"
import { fuzz } from "./Fuzzing.ts"

const seed = Number(process.env["FUZZ_SEED"] ?? Math.floor(random() * 2 ** 31))
const times = 2_000

const amountOf = Schema.decodeUnknownResult(AmountText)
const storedAmountOf = Schema.decodeUnknownResult(Amount)
const keyOf = Schema.decodeUnknownResult(IdempotencyKey)
const accountOf = Schema.decodeUnknownResult(AccountIdText)
const instantOf = Schema.decodeUnknownResult(Instant)
const isTransferId = Schema.is(TransferId.TransferId)
const isAnything = (text: string): text is string => typeof text === "string"

const id = "trf_01KAJ7QZ6C0NV5XJ9A4T7MZB3D"
const held = `{"type":"transfer.held","transfer":"${id}","source":"a","destination":"b","amount":"70","currency":"EUR"}`

interface Parser {
  readonly seeds: ReadonlyArray<string>
  /** Parses it, and holds the outcome to what is promised. Answers whether it was taken. */
  readonly attempt: (text: string) => boolean
}

const parsers: Readonly<Record<string, Parser>> = {
  "an amount": {
    seeds: ["1", "1250", "0", "-1", "9".repeat(38), "9".repeat(39), "1.5", "01"],
    attempt: (text) => {
      const amount = amountOf(text)
      expect(Result.isSuccess(storedAmountOf(text))).toBe(Result.isSuccess(amount))
      if (Result.isFailure(amount)) return false
      expect(amount.success.toString()).toBe(text)
      expect(amount.success > 0n && amount.success <= maximum).toBe(true)
      return true
    }
  },
  "a transfer's id": {
    seeds: [id, id.toLowerCase(), "trf_8ZZZZZZZZZZZZZZZZZZZZZZZZZ", "trf_7ZZZZZZZZZZZZZZZZZZZZZZZZZ", "acc_1"],
    attempt: (text) => {
      if (!isTransferId(text)) return false
      expect(TransferId.partitionOf(text)).toBeLessThan(1_024)
      expect(TransferId.partitionOf(text)).toBeGreaterThanOrEqual(0)
      expect(text.startsWith(TransferId.beginningOf(TransferId.timeOf(text)))).toBe(true)
      return true
    }
  },
  "an account's id": {
    seeds: ["wallet-anna", "clearing:0:to:1:EUR", "a".repeat(64), "a@b.c:d_e"],
    attempt: (text) => {
      const taken = Result.isSuccess(accountOf(text))
      expect(taken && (text.length > 64 || text.startsWith("clearing:") || encodeURI(text) !== text)).toBe(false)
      return taken
    }
  },
  "a cursor": {
    seeds: [
      Cursor.encode("accounts", "a"),
      Cursor.encode("accounts", ""),
      Cursor.encode("transfers", id),
      "WyIxIl0",
      ""
    ],
    attempt: (text) => {
      const place = Effect.runSyncExit(Cursor.decode("accounts", text, isAnything))
      if (Exit.isFailure(place)) return false
      expect(place.value === null ? "" : Cursor.encode("accounts", place.value)).toBe(text)
      return true
    }
  },
  "an idempotency key": {
    seeds: ["key-1", "\"key-1\"", "\"a\\\"b\\\\\"", "\"", "\"\"", "a\"b"],
    attempt: (text) => {
      const key = keyOf(text)
      if (Result.isFailure(key)) return false
      expect(key.success).toMatch(/^[\x21-\x7e]{1,255}$/)
      return true
    }
  },
  "a body": {
    seeds: [
      "{\"a\":1}",
      "{\"a\":{\"b\":[1,\"x\",null,true,-0.5e3]}}",
      "{\"a\":1,\"a\":2}",
      "{\"\\u0061\":\"\\ud83d\\ude00\"}",
      held
    ],
    attempt: (text) => {
      const body = parse(text)
      if (Result.isFailure(body)) return false
      expect(body.success).toStrictEqual(JSON.parse(text))
      const again = parse(canonical(body.success))
      expect(Result.isSuccess(again) && canonical(again.success)).toBe(canonical(body.success))
      return true
    }
  },
  "the items of a batch": {
    seeds: [
      "{\"transfers\":[{\"a\":1},{\"b\":\"]}\"}]}",
      "{\"transfers\":[]}",
      "{\"transfers\":[1,[2],\"\\\"\"]} ",
      "{}"
    ],
    attempt: (text) => {
      const found = [...items(text, "transfers")]
      if (found.includes(undefined)) return false
      const isJson = Result.try(() => JSON.parse(text))
      const whole = Result.isSuccess(isJson) ? isJson.success.transfers : undefined
      if (Array.isArray(whole)) expect(found.map((item) => JSON.parse(item ?? ""))).toStrictEqual(whole)
      return true
    }
  },
  "an event": {
    seeds: [
      held,
      held.replace("held", "requested").replace("}", ",\"capture\":\"manual\",\"client\":\"shop\"}"),
      held.replace("held", "refused").replace("}", ",\"reason\":{\"code\":\"c\",\"detail\":\"d\"}}"),
      "{\"type\":\"account.frozen\",\"account\":\"a\"}"
    ],
    attempt: (text) => {
      const event = fromJson(text)
      if (Result.isFailure(event)) return false
      expect(fromJson(toJson(event.success))).toStrictEqual(event)
      return true
    }
  },
  "a time": {
    seeds: ["2026-11-21T09:31:00Z", "2026-02-29T23:59:59.123456789+23:59", "0000-01-01T00:00:00-23:59"],
    attempt: (text) => Result.isSuccess(instantOf(text))
  },
  "a preference and a trace": {
    seeds: ["wait=5", "respond-async, wait = \"10\" ; x", `00-${"a".repeat(32)}-${"b".repeat(16)}-01`],
    attempt: (text) => {
      const seconds = waitSeconds(text)
      expect(seconds === undefined || (seconds >= 0 && seconds <= 10)).toBe(true)
      const trace = traceparentOf(text)
      expect(trace === null || (trace === text && /^[\x20-\x7e]*$/.test(trace))).toBe(true)
      return seconds !== undefined || trace !== null
    }
  }
}

describe(`the parser of what comes from outside never throws, and means what it takes; seed ${seed}`, () => {
  for (const [name, { attempt, seeds }] of Object.entries(parsers)) {
    it(name, () => {
      const taken = fuzz({
        seeds,
        times,
        chance: chance(seed),
        attempt: (text) => {
          try {
            return attempt(text)
          } catch (error) {
            console.error(`FUZZ_SEED=${seed} ${name}: ${JSON.stringify(text)}`)
            throw error
          }
        }
      })
      expect(taken).toBeGreaterThan(0)
    })
  }
})
