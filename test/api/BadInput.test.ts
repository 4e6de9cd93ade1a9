import { describe, layer } from "@effect/vitest"
import { Effect } from "effect"
import { expect } from "vitest"
import { encode } from "#infra/http/Cursor.ts"
import { type Code, registry } from "#infra/http/Problems.ts"
import { text as document } from "../../apps/api/contract/OpenApiDocument.ts"
import {
  askedBy,
  changed,
  isTriedElsewhere,
  lists,
  members,
  methodOf,
  namesIn,
  queries,
  templateOf,
  timeParameters,
  writes
} from "./bad-requests.ts"
import * as Bad from "./bad-input.ts"
import { freshKey, get, goodAccount, goodTransfer, Harness, json, parsed, post } from "./Harness.ts"

const short = (text: string): string => text.length <= 60 ? text : `${text.slice(0, 57)}...`
const named = (value: string, what: string | undefined) =>
  what === undefined ? short(value) : `${short(value)} (${what})`

/** Sends it, expects the refusal, and that nothing came as far as the books. */
const refused = Effect.fn("refused")(function*(
  path: string,
  body: string | Uint8Array,
  code: Code,
  headers: Readonly<Record<string, string>> = {}
) {
  const { books, call } = yield* Harness
  const written = books.written
  // Accounts are changed where they live; everything else is a POST.
  const answer = path.startsWith(changed) && !path.startsWith(`${changed}/`)
    ? yield* call("PATCH", path, { body, headers: { "if-match": "\"v1\"", ...headers } })
    : yield* post(path, body, headers)
  expect({ status: answer.status, code: answer.body["code"] }).toStrictEqual({ status: registry[code].status, code })
  expect(books.written).toBe(written)
  // What came in is not handed back raw.
  expect(answer.text).toMatch(/^[\x20-\x7e]*$/)
  return answer
})

const isNotEmpty = ([, body]: (typeof Bad.bodies)[number]): boolean => body.length > 0

layer(Harness.layer, { excludeTestServices: true })("bad input", (it) => {
  for (const [path, member, rows, good] of members) {
    describe(`${member} of ${methodOf(path)} ${path}`, () => {
      for (const [value, code, what] of rows) {
        it.effect(`${named(value, what)} is refused as ${code}`, () =>
          Effect.gen(function*() {
            const answer = yield* refused(path, json({ ...good, [member]: value }), code)
            if (code === "duplicate_key" || code === "forbidden_key") return
            expect(answer.body["errors"]).toMatchObject([{ pointer: expect.stringMatching(new RegExp(`^/${member}`)) }])
          }))
      }
    })
  }

  for (const [path, good, maybeLeftOut] of writes) {
    describe(`bodies of ${methodOf(path)} ${path}`, () => {
      for (
        const [what, body, status, code] of maybeLeftOut === undefined
          ? Bad.bodies
          : Bad.bodies.filter(isNotEmpty)
      ) {
        it.effect(`a body ${what} is refused as ${code}`, () =>
          Effect.gen(function*() {
            const answer = yield* refused(path, body, code)
            expect(answer.status).toBe(status)
          }))
      }
      for (const headers of Bad.mediaTypes) {
        it.effect(`a body with ${JSON.stringify(headers)} is refused as unsupported_media_type`, () =>
          refused(path, json(good), "unsupported_media_type", headers))
      }
      for (const [key, what] of path === changed ? [] : Bad.idempotencyKeys) {
        // Some of these cannot be sent by a client that keeps the rules; undici refuses them, and a socket does not.
        it.effect(`the idempotency key ${named(JSON.stringify(key), what)} is refused as idempotency_key_invalid`, () =>
          Effect.gen(function*() {
            const { books } = yield* Harness
            const written = books.written
            const answer = yield* sentRaw(path, json(good), [["idempotency-key", key]])
            expect(answer).toMatchObject({ status: 400, code: "idempotency_key_invalid" })
            expect(books.written).toBe(written)
          }))
      }
      if (path !== changed) {
        it.effect("two idempotency keys are refused as idempotency_key_invalid", () =>
          Effect.gen(function*() {
            const answer = yield* sentRaw(path, json(good), [["idempotency-key", "a"], ["idempotency-key", "b"]])
            expect(answer).toMatchObject({ status: 400, code: "idempotency_key_invalid" })
          }))
        it.effect("no idempotency key is refused as idempotency_key_missing", () =>
          Effect.gen(function*() {
            const { books, call } = yield* Harness
            const written = books.written
            const answer = yield* call("POST", path, { body: json(good) })
            expect(answer).toMatchObject({ status: 400, body: { code: "idempotency_key_missing" } })
            expect(books.written).toBe(written)
          }))
      }
      it.effect("a member that the operation does not know is refused as unknown_parameter", () =>
        refused(path, json({ ...good, amuont: "1" }), "unknown_parameter"))
      it.effect("a body with 5,000 unknown members is refused", () =>
        refused(path, Bad.unknownMembers, maybeLeftOut === undefined ? "validation_failed" : "unknown_parameter"))
      it.effect("a member's name is printed without its control characters", () =>
        Effect.gen(function*() {
          const answer = yield* refused(path, json({ ...good, "a\u001b[31m\u202e/~": "1" }), "unknown_parameter")
          expect(answer.body["errors"]).toMatchObject([{ pointer: "/a?[31m?~1~0" }])
        }))
      for (const member of Object.keys(good)) {
        it.effect(`a body without ${member} is refused, and said to lack it`, () =>
          Effect.gen(function*() {
            const { [member]: _left, ...rest } = good
            const answer = yield* refused(path, json(rest), "validation_failed")
            expect(answer.body["errors"]).toStrictEqual([
              { pointer: `/${member}`, code: "required", message: "is required" }
            ])
          }))
      }
      it.effect("a query parameter is refused as unknown_parameter", () =>
        refused(`${path}?dry_run=true`, json(good), "unknown_parameter"))
    })
  }

  it.effect("everything that is wrong with a transfer is said at once", () =>
    Effect.gen(function*() {
      const answer = yield* refused(
        "/v1/transfers",
        json({ source: "\"a b\"", amount: "12.5", currency: "\"eur\"", amuont: "1" }),
        "validation_failed"
      )
      expect(answer.body["errors"]).toEqual(expect.arrayContaining([
        expect.objectContaining({ pointer: "/amuont", code: "unknown_parameter" }),
        expect.objectContaining({ pointer: "/source", code: "invalid_account_id" }),
        expect.objectContaining({ pointer: "/destination", code: "required" }),
        expect.objectContaining({ pointer: "/amount", code: "amount_not_minor_units" }),
        expect.objectContaining({ pointer: "/currency", code: "unknown_currency" })
      ]))
    }))

  it.effect("a number as amount is told how amounts are written", () =>
    Effect.gen(function*() {
      const answer = yield* refused(
        "/v1/transfers",
        json({ ...goodTransfer, amount: "1000.00" }),
        "amount_not_minor_units"
      )
      expect(answer.body["detail"]).toContain("1000.00 EUR is \"100000\"")
    }))

  it.effect("a transfer to its own source is refused as same_account", () =>
    refused("/v1/transfers", json({ ...goodTransfer, destination: goodTransfer["source"] ?? "" }), "same_account"))

  it.effect("a reversal that is to be captured by hand is refused", () =>
    refused(
      "/v1/transfers",
      json({ ...goodTransfer, reverses: "\"trf_01KAJ7QZ6C0NV5XJ9A4T7MZB3D\"", capture: "\"manual\"" }),
      "validation_failed"
    ))

  it.effect("an expiry without manual capture is refused", () =>
    refused("/v1/transfers", json({ ...goodTransfer, expires_in: "60" }), "validation_failed"))

  for (
    const tag of [
      "",
      "v1",
      "\"1\"",
      "\"v0\"",
      "\"v01\"",
      "\"v-1\"",
      "\"v1",
      "W/\"v1\"",
      "*",
      "\"v1\", \"v2\"",
      "\"v1e3\""
    ]
  ) {
    it.effect(`If-Match: ${tag} is refused as validation_failed`, () =>
      Effect.gen(function*() {
        const answer = yield* refused(changed, "{\"metadata\":{}}", "validation_failed", { "if-match": tag })
        expect(answer.body["errors"]).toMatchObject([{ pointer: "header:if-match" }])
      }))
  }

  it.effect("a revision beyond all numbers is refused", () =>
    refused(changed, "{\"metadata\":{}}", "validation_failed", { "if-match": `"v${"9".repeat(19)}"` }))

  it.effect("a floor above zero is refused: the account would begin below it", () =>
    refused("/v1/accounts", json({ ...goodAccount, floor: "\"1\"" }), "validation_failed"))

  it.effect("a ceiling below zero is refused: the account would begin above it", () =>
    refused("/v1/accounts", json({ ...goodAccount, ceiling: "\"-1\"" }), "validation_failed"))

  for (const path of lists) {
    for (const [query, code] of Bad.listQueries) {
      it.effect(`GET ${path}?${short(query)} is refused as ${code}`, () =>
        Effect.gen(function*() {
          const answer = yield* get(`${path}?${query}`)
          expect({ status: answer.status, code: answer.body["code"] }).toStrictEqual({ status: 400, code })
          expect(answer.text).toMatch(/^[\x20-\x7e]*$/)
        }))
    }
  }

  for (const path of timeParameters) {
    for (const text of Bad.times) {
      it.effect(`GET ${path}=${short(text)} is refused: that is no time`, () =>
        Effect.gen(function*() {
          const answer = yield* get(`${path}=${text}`)
          expect(answer).toMatchObject({ status: 400, body: { code: "validation_failed" } })
          expect(answer.body["detail"]).toContain("must be an RFC 3339 time such as 2026-11-21T09:31:00Z")
        }))
    }
  }

  for (const sequence of Bad.sequences) {
    it.effect(`GET /v1/accounts/wallet-anna/balance?sequence=${sequence} is refused: that is no number of an entry`, () =>
      Effect.gen(function*() {
        const answer = yield* get(`/v1/accounts/wallet-anna/balance?sequence=${sequence}`)
        expect(answer).toMatchObject({ status: 400, body: { code: "validation_failed" } })
      }))
  }

  for (const [query, code] of Bad.transferQueries) {
    it.effect(`GET /v1/transfers?${short(query)} is refused as ${code}`, () =>
      Effect.gen(function*() {
        const answer = yield* get(`/v1/transfers?${query}`)
        expect(answer).toMatchObject({ status: 400, body: { code } })
        expect(answer.text).toMatch(/^[\x20-\x7e]*$/)
      }))
  }

  for (
    const [path, list, places] of [
      ["/v1/accounts", "accounts", ["", "a b", "\0", "clearing:0:to:1:EUR"]],
      ["/v1/transfers", "transfers?", ["", "x", "trf_1", "trf_01KAJ7QZ6C0NV5XJ9A4T7MZB3D\0"]],
      ["/v1/accounts/wallet-forged/entries", "entries of wallet-forged", ["", "0", "-1", "x", "1.5", "9".repeat(20)]],
      ["/v1/accounts/wallet-forged/statement", "statement of wallet-forged?", [
        "",
        "0 0",
        "0 0 x",
        "0 0 -1",
        "0 0 0 0",
        `0 0 ${"9".repeat(20)}`,
        "0 7 0",
        "7 7 7"
      ]]
    ] as const
  ) {
    for (const place of places) {
      it.effect(`a cursor of GET ${path} that names the place ${JSON.stringify(place)} was made by nobody here`, () =>
        Effect.gen(function*() {
          const { books } = yield* Harness
          if (!books.accounts.has("wallet-forged")) {
            yield* post("/v1/accounts", json({ ...goodAccount, id: "\"wallet-forged\"" }))
          }
          const answer = yield* get(`${path}?after=${encode(list, place)}`)
          expect(answer).toMatchObject({ status: 400, body: { code: "invalid_cursor" } })
        }))
    }
  }

  for (const path of queries) {
    it.effect(`GET ${path} refuses any query parameter`, () =>
      Effect.gen(function*() {
        const answer = yield* get(`${path.replace("{id}", "x")}?expand=all`)
        expect(answer).toMatchObject({ status: 400, body: { code: "unknown_parameter" } })
      }))
    if (!path.includes("{id}")) continue
    for (const id of Bad.pathIds) {
      it.effect(`GET ${path} with ${short(id)} finds nothing`, () =>
        Effect.gen(function*() {
          const answer = yield* get(path.replace("{id}", id))
          expect(answer.status).toBe(404)
          expect(answer.text).toMatch(/^[\x20-\x7e]*$/)
        }))
    }
  }

  for (const [path, good] of writes) {
    const template = templateOf(path)
    if (!template.includes("{id}")) continue
    for (const id of Bad.pathIds) {
      it.effect(`${methodOf(path)} ${template} with ${short(id)} finds nothing, and writes nothing`, () =>
        Effect.gen(function*() {
          const { books, call } = yield* Harness
          const written = books.written
          const headers = path === changed ? { "if-match": "\"v1\"" } : { "idempotency-key": freshKey() }
          const answer = yield* call(methodOf(path), template.replace("{id}", id), { body: json(good), headers })
          expect(answer.status).toBe(404)
          expect(answer.text).toMatch(/^[\x20-\x7e]*$/)
          expect(books.written).toBe(written)
        }))
    }
  }

  it("is sent to every operation, for every member of its body and every parameter that the served document knows", () => {
    const tried = new Set([
      ...members.map(([path, member]) => `${methodOf(path)} ${templateOf(path)} ${member}`),
      ...writes.map(([path]) => `${methodOf(path)} ${templateOf(path)}`),
      ...writes.flatMap(([path]) => [`${methodOf(path)} ${templateOf(path)} idempotency-key`]),
      `PATCH ${templateOf(changed)} if-match`,
      ...queries.map((path) => `GET ${path}`),
      ...[...writes.map(([path]) => `${methodOf(path)} ${templateOf(path)}`), ...queries.map((path) => `GET ${path}`)]
        .filter((operation) => operation.includes("{id}")).map((operation) => `${operation} id`),
      ...lists.flatMap((path) => namesIn(Bad.listQueries).map((name) => `GET ${templateOf(path)} ${name}`)),
      ...namesIn(Bad.transferQueries).map((name) => `GET /v1/transfers ${name}`),
      ...timeParameters.map((path) => `GET ${templateOf(path).replace("?", " ")}`),
      "GET /v1/accounts/{id}/balance sequence"
    ])
    expect(askedBy(JSON.parse(document)).filter((what) => !tried.has(what) && !isTriedElsewhere(what))).toEqual([])
  })
})

const sentRaw = (path: string, body: string, headers: ReadonlyArray<readonly [name: string, value: string]>) =>
  Effect.gen(function*() {
    const { raw } = yield* Harness
    const lines = [
      `POST ${path} HTTP/1.1`,
      "host: test",
      "connection: close",
      "authorization: Bearer cp_test_anna",
      "content-type: application/json",
      `content-length: ${Buffer.byteLength(body)}`,
      ...headers.map(([name, value]) => `${name}: ${value}`)
    ]
    return parsed(yield* raw(Buffer.from(`${lines.join("\r\n")}\r\n\r\n${body}`, "latin1")))
  })
