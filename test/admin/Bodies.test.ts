/** Bodies that the operators' API cannot take: each is a problem with its own code, and does nothing. */
import { expect, layer } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { TestPostgres } from "../support/TestPostgres.ts"
import { keys, served } from "./Harness.ts"

const problemOf = Schema.decodeUnknownSync(
  Schema.Struct({ status: Schema.Int, code: Schema.String, request_id: Schema.String })
)

const json = { "content-type": "application/json" }

layer(TestPostgres.layer, { excludeTestServices: true })("a body that cannot be read", (it) => {
  it.effect.each<readonly [string, Readonly<Record<string, string>>, string | Uint8Array, number, string]>([
    ["is no JSON", json, "{", 400, "validation_failed"],
    ["is empty", json, "", 400, "validation_failed"],
    ["is not UTF-8", json, new Uint8Array([0x22, 0xff, 0x22]), 400, "validation_failed"],
    ["is too large", json, JSON.stringify({ reason: "x".repeat(70_000) }), 413, "payload_too_large"],
    ["is something else", { "content-type": "text/plain" }, "{}", 415, "unsupported_media_type"],
    ["says nothing that was asked", json, "{}", 400, "validation_failed"]
  ])("is a problem, where it %s", ([, headers, body, status, code]) =>
    Effect.gen(function*() {
      const { url } = yield* served(yield* (yield* TestPostgres).freshShards(1))
      const response = yield* Effect.promise(() =>
        fetch(`${url}/admin/v1/transfers/trf_01KDVDNA001Z00000000000000/recall`, {
          method: "POST",
          headers: { authorization: `Bearer ${keys.ann}`, "x-request-id": "req-of-ours", ...headers },
          body
        })
      )
      const problem = problemOf(yield* Effect.promise(() => response.json()))
      expect(response.headers.get("content-type")).toBe("application/problem+json")
      expect({ at: response.status, status: problem.status, code: problem.code, request: problem.request_id }).toEqual({
        at: status,
        status,
        code,
        request: "req-of-ours"
      })
    }))
})
