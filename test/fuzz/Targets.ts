/**
 * What takes texts from outside, and what is promised of each: it refuses with a word of its own and never throws, it means
 * one thing by what it takes, and what it takes it can say again.
 */
import assert from "node:assert/strict"
import { Effect, Exit, Result, Schema } from "effect"
import { fromJson, LedgerEventJson, toJson } from "#domain/ledger/LedgerEvent.ts"
import { Amount, maximum } from "#domain/money/Amount.ts"
import * as TransferId from "#domain/transfer/TransferId.ts"
import { fingerprintOf } from "#infra/http/Body.ts"
import { requestIdOf, traceparentOf } from "#infra/http/CurrentRequest.ts"
import * as Cursor from "#infra/http/Cursor.ts"
import { refusalOf } from "#infra/http/Issues.ts"
import { isCode } from "#infra/http/Problems.ts"
import { canonical, items, parse } from "#infra/http/StrictJson.ts"
import {
  AccountIdText,
  AmountText,
  CurrencyCode,
  IdempotencyKey,
  IfMatch,
  Instant,
  Limit,
  SequenceNumber
} from "#infra/http/Values.ts"
import { ListTransfers, RequestTransfer } from "../../apps/api/contract/Transfers.ts"
import { prefers } from "../../apps/api/http/Accept.ts"
import { maximumWaitSeconds, waitSeconds } from "../../apps/api/http/Prefer.ts"
import type { Target } from "./Guided.ts"

const values = "libs/infra/http/Values.ts"
const id = "trf_01KAJ7QZ6C0NV5XJ9A4T7MZB3D"
const held = `{"type":"transfer.held","transfer":"${id}","source":"a","destination":"b","amount":"70","currency":"EUR"}`
const asked = "{\"source\":\"a\",\"destination\":\"b\",\"amount\":\"1\",\"currency\":\"EUR\"}"

/** A schema's refusal is told as a problem: with a code that is known, in printable words. */
const isTold = (refused: Schema.SchemaError): void => {
  const { code, detail, errors } = refusalOf(refused.issue, "")
  assert(isCode(code))
  assert.match(detail ?? "", /^[\x20-\x7e]+$/)
  for (const { message, pointer } of errors ?? []) assert.match(pointer + message, /^[\x20-\x7e]+$/)
}

/** A value of requests: what is taken is said again in the same words, unless there are others for it. */
const value = <S extends Schema.Codec<unknown, unknown>>(
  name: string,
  schema: S,
  seeds: ReadonlyArray<string>,
  holds: (value: S["Type"], text: string) => void
): Target => {
  const decode = Schema.decodeUnknownResult(schema)
  const encode = Schema.encodeResult(schema)
  return {
    name,
    sources: [values],
    seeds,
    attempt: (text) => {
      const decoded = decode(text)
      if (Result.isFailure(decoded)) {
        isTold(decoded.failure)
        return false
      }
      const said = encode(decoded.success)
      assert(Result.isSuccess(said), "what was taken cannot be said again")
      const again = decode(said.success)
      assert(Result.isSuccess(again), "what was said again is not taken")
      assert.deepEqual(again.success, decoded.success)
      holds(decoded.success, text)
      return true
    }
  }
}

const storedAmountOf = Schema.decodeUnknownResult(Amount)

const valuesOfRequests: ReadonlyArray<Target> = [
  value("amount", AmountText, ["1", "1250", "0", "-1", "9".repeat(38), "9".repeat(39), "1.5", "01"], (amount, text) => {
    assert.equal(amount.toString(), text)
    assert(amount > 0n && amount <= maximum)
    assert(Result.isSuccess(storedAmountOf(text)), "what the API takes, events do not")
  }),
  value("limit", Limit, ["0", "-5000", "-0", "9".repeat(38)], (limit, text) => assert.equal(String(limit), text)),
  value("currency", CurrencyCode, ["EUR", "eur", "XXX"], (currency, text) => assert.equal(currency, text)),
  value("account id", AccountIdText, ["wallet-anna", "clearing:0:to:1:EUR", "a".repeat(64), "a@b.c:d_e"], (_, text) => {
    assert.equal(encodeURI(text), text)
    assert(text.length <= 64 && !text.startsWith("clearing:"))
  }),
  value(
    "idempotency key",
    IdempotencyKey,
    ["key-1", "\"key-1\"", "\"\\\"\"", "\"a\\\"b\\\\\"", "\"", "\"\"", "a\"b"],
    (key, text) => {
      assert.match(key, /^[\x21-\x7e]{1,255}$/)
      if (!text.startsWith("\"")) assert.equal(key, text)
    }
  ),
  value("ETag", IfMatch, ["\"v1\"", "W/\"v1\"", "*", "\"v0\""], (revision, text) => {
    assert.equal(`"v${revision}"`, text)
    assert(revision > 0n)
  }),
  value("sequence", SequenceNumber, ["0", "17", "-1", "9".repeat(15)], (sequence, text) => {
    assert.equal(sequence.toString(), text)
    assert(Number.isSafeInteger(Number(sequence)))
  }),
  value(
    "time",
    Instant,
    ["2026-11-21T09:31:00Z", "2026-02-29T23:59:59.123456789+23:59", "0000-01-01T00:00:00-23:59"],
    (millis) => assert(Number.isInteger(millis))
  )
]

const isTransferId = Schema.is(TransferId.TransferId)
const isAnything = (text: string): text is string => typeof text === "string"

const eventOf = Schema.decodeUnknownResult(LedgerEventJson)
const textOf = Schema.encodeResult(LedgerEventJson)

const queryOf = Schema.decodeUnknownResult(Schema.toCodecArrayFromSingle(Schema.toCodecStringTree(ListTransfers)), {
  errors: "all",
  onExcessProperty: "error"
})

const requestOf = Schema.decodeUnknownResult(RequestTransfer, { errors: "all", onExcessProperty: "error" })

/** As the server's own reader of queries does: what comes twice is a list. */
const parametersOf = (query: string) => {
  const parameters: Record<string, string | ReadonlyArray<string>> = Object.create(null)
  for (const [name, value] of new URLSearchParams(query)) {
    const before = parameters[name]
    parameters[name] = before === undefined ? value : [...typeof before === "string" ? [before] : before, value]
  }
  return parameters
}

export const targets: ReadonlyArray<Target> = [
  ...valuesOfRequests,
  {
    name: "transfer id",
    sources: ["libs/domain/transfer/TransferId.ts"],
    seeds: [id, id.toLowerCase(), "trf_8ZZZZZZZZZZZZZZZZZZZZZZZZZ", "trf_7ZZZZZZZZZZZZZZZZZZZZZZZZZ", "acc_1"],
    attempt: (text) => {
      if (!isTransferId(text)) return false
      const partition = TransferId.partitionOf(text)
      assert(partition >= 0 && partition < 1_024)
      assert(text.startsWith(TransferId.beginningOf(TransferId.timeOf(text))))
      return true
    }
  },
  {
    name: "cursor",
    sources: ["libs/infra/http/Cursor.ts"],
    seeds: [
      Cursor.encode("accounts", "a"),
      Cursor.encode("accounts", ""),
      Cursor.encode("transfers", id),
      "WyIxIl0",
      ""
    ],
    attempt: (text) => {
      const place = Effect.runSyncExit(Cursor.decode("accounts", text, isAnything))
      if (Exit.isFailure(place)) {
        assert.deepEqual(place, Exit.fail(Cursor.invalid))
        return false
      }
      assert.equal(place.value === null ? "" : Cursor.encode("accounts", place.value), text)
      return true
    }
  },
  {
    name: "body",
    sources: ["libs/infra/http/StrictJson.ts"],
    seeds: [
      "{\"a\":1}",
      "{\"a\":{\"b\":[1,\"x\",null,true,-0.5e3]}}",
      "{\"a\":1,\"a\":2}",
      "{\"\\u0061\":\"\\ud83d\\ude00\"}",
      "{\"a\":".repeat(17) + "1" + "}".repeat(17),
      held
    ],
    attempt: (text) => {
      const body = parse(text)
      if (Result.isFailure(body)) {
        assert(isCode(body.failure.code))
        assert.match(body.failure.detail, /^[\x20-\x7e]+$/)
        return false
      }
      assert.deepEqual(body.success, JSON.parse(text))
      const said = canonical(body.success)
      const again = parse(said)
      assert(Result.isSuccess(again), "its canonical form is not taken")
      assert.equal(canonical(again.success), said)
      return true
    }
  },
  {
    name: "items of a batch",
    sources: ["libs/infra/http/StrictJson.ts"],
    seeds: [
      "{\"transfers\":[{\"a\":1},{\"b\":\"]}\"}]}",
      "{\"transfers\":[]}",
      "{\"transfers\":[1,[2],\"\\\"\"]} ",
      "{}"
    ],
    attempt: (text) => {
      const found = [...items(text, "transfers")]
      if (found.includes(undefined)) return false
      const whole = Result.try(() => JSON.parse(text).transfers)
      if (Result.isSuccess(whole)) assert.deepEqual(found.map((item) => JSON.parse(item ?? "")), whole.success)
      return true
    }
  },
  {
    name: "event",
    sources: [
      "libs/domain/transfer/TransferEvent.ts",
      "libs/domain/account/AccountEvent.ts",
      "libs/domain/account/Account.ts",
      "libs/domain/ledger/Instruction.ts",
      "libs/domain/transfer/IdempotencyKey.ts"
    ],
    seeds: [
      held,
      held.replace("held", "requested").replace("}", ",\"capture\":\"manual\",\"client\":\"shop\"}"),
      held.replace("held", "refused").replace("}", ",\"reason\":{\"code\":\"c\",\"detail\":\"d\"}}"),
      "{\"type\":\"account.frozen\",\"account\":\"a\"}"
    ],
    attempt: (text) => {
      const event = fromJson(text)
      const bySchema = eventOf(text)
      assert.equal(Result.isSuccess(bySchema), Result.isSuccess(event), "the two readers of events disagree")
      if (Result.isFailure(event)) return false
      assert.deepEqual(bySchema, event)
      const said = toJson(event.success)
      assert.deepEqual(fromJson(said), event)
      const saidBySchema = textOf(event.success)
      assert(Result.isSuccess(saidBySchema))
      assert.deepEqual(JSON.parse(saidBySchema.success), JSON.parse(said))
      return true
    }
  },
  {
    name: "request for a transfer",
    sources: [values, "apps/api/contract/Transfers.ts", "libs/infra/http/StrictJson.ts"],
    seeds: [
      asked,
      asked.replace("}", ",\"capture\":\"manual\",\"expires_in\":60,\"metadata\":{\"k\":\"v\"}}"),
      asked.replace("}", `,"reverses":"${id}","reference":"r","description":"d"}`)
    ],
    attempt: (text) => {
      const body = parse(text)
      if (Result.isFailure(body)) return false
      const request = requestOf(body.success)
      if (Result.isFailure(request)) {
        isTold(request.failure)
        return false
      }
      const { amount, destination, source } = request.success
      assert(amount > 0n && source !== destination)
      // However it is written, it is recognised when it comes again.
      const again = parse(canonical(body.success))
      assert(Result.isSuccess(again))
      assert.equal(
        fingerprintOf("POST /v1/transfers", again.success),
        fingerprintOf("POST /v1/transfers", body.success)
      )
      return true
    }
  },
  {
    name: "query",
    sources: [values, "apps/api/contract/Transfers.ts"],
    seeds: [
      "limit=1",
      "limit=1&limit=2",
      "source=a&idempotency_key=k",
      `after=x&reverses=${id}&status=held`,
      "created_from=2026-11-21T09:31:00Z&created_to=2026-11-22T09:31:00Z"
    ],
    attempt: (text) => {
      const query = queryOf(parametersOf(text))
      if (Result.isFailure(query)) {
        isTold(query.failure)
        return false
      }
      const { created_from: from = -Infinity, created_to: to = Infinity, limit = 1 } = query.success
      assert(Number.isInteger(limit) && limit >= 1 && limit <= 200 && from <= to)
      return true
    }
  },
  {
    name: "headers",
    sources: ["apps/api/http/Prefer.ts", "apps/api/http/Accept.ts", "libs/infra/http/CurrentRequest.ts"],
    seeds: [
      "wait=5",
      "respond-async, wait = \"10\" ; x",
      `00-${"a".repeat(32)}-${"b".repeat(16)}-01`,
      "text/csv;q=0.9, application/json;q=0.1",
      "req-1"
    ],
    attempt: (text) => {
      const seconds = waitSeconds(text)
      assert(seconds === undefined || (seconds >= 0 && seconds <= maximumWaitSeconds))
      const trace = traceparentOf(text)
      assert(trace === null || (trace === text && /^[\x21-\x7e]{55,128}$/.test(trace)))
      assert.match(requestIdOf(text, 0), /^[A-Za-z0-9_-]{1,128}$/)
      assert(!(prefers(text, "text/csv", "application/json") && prefers(text, "application/json", "text/csv")))
      return seconds !== undefined || trace !== null
    }
  }
]
