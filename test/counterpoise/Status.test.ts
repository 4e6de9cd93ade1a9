/** The four answers as the command tells them, from an operators' API that listens; and what its refusals mean. */
import { expect, layer } from "@effect/vitest"
import { Context, Effect, Fiber, Layer, Schedule } from "effect"
import { TestConsole } from "effect/testing"
import { run } from "../../apps/counterpoise/Counterpoise.ts"
import { keys, served } from "../admin/Harness.ts"
import { type Books, fill } from "../checks/Books.ts"
import { TestPostgres } from "../support/TestPostgres.ts"
import { ask, json, nowhere } from "./Asking.ts"

class Served extends Context.Service<Served, {
  readonly books: Books
  readonly variables: { readonly ADMIN_URL: string; readonly ADMIN_KEY: string }
}>()("counterpoise/test/counterpoise/Served") {
  static readonly layer = Layer.effect(
    Served,
    Effect.gen(function*() {
      const shards = yield* (yield* TestPostgres).freshShards(2)
      const books = yield* fill(shards)
      const { url } = yield* served(shards)
      return { books, variables: { ADMIN_URL: url, ADMIN_KEY: keys.ann } }
    })
  )
}

layer(Layer.provide(Served.layer, TestPostgres.layer), { excludeTestServices: true })("counterpoise status", (it) => {
  it.effect("answers four questions, in this order, and ends with 6 where not all is well", () =>
    Effect.gen(function*() {
      const { books, variables } = yield* Served
      const { code, out } = yield* ask("status", variables)
      expect(code).toBe(6)
      const asked = ["Is the money right?  yes", "Is it moving?  NO", "What is stuck?", "What may I press?"]
      const places = asked.map((question) => out.indexOf(question))
      expect(places).not.toContain(-1)
      expect(places).toEqual(places.toSorted((one, other) => one - other))
      expect(out).toContain(books.transfer("held").transfer)
      expect(out).toMatch(/^ {2}counterpoise transfers timeline trf_/m)
    }))

  it.effect("answers the same as JSON", () =>
    Effect.gen(function*() {
      const { variables } = yield* Served
      expect(json(yield* ask("status -o json", variables))).toMatchObject({
        money: { right: true },
        moving: { well: false },
        stuck: { nothing: false }
      })
    }))

  it.effect("looks again and again, a line each time, until it is interrupted", () =>
    Effect.gen(function*() {
      const { variables } = yield* Served
      const watching = yield* Effect.forkChild(
        run(["status", "--watch", "--every", "1", "-o", "ndjson"], { ...nowhere, ...variables })
      )
      const lines = yield* Effect.repeat(TestConsole.logLines, {
        until: (lines) => lines.length >= 2,
        schedule: Schedule.spaced("20 millis")
      })
      yield* Fiber.interrupt(watching)
      for (const line of lines) expect(JSON.parse(String(line))).toMatchObject({ object: "status" })
    }).pipe(Effect.provide(TestConsole.layer, { local: true })))

  it.effect("says 5 to a key that is unknown, 1 where nobody answers, and 2 where nobody is named", () =>
    Effect.gen(function*() {
      const { variables } = yield* Served
      const unknown = yield* ask("status", { ...variables, ADMIN_KEY: "cp_admin_key_of_eve" })
      expect(unknown).toMatchObject({ code: 5, out: "" })
      expect(unknown.err).toContain("unauthenticated")
      expect(yield* ask("status", { ...variables, ADMIN_URL: "http://127.0.0.1:1" })).toMatchObject({
        code: 1,
        out: ""
      })
      const unnamed = yield* ask("status")
      expect(unnamed).toMatchObject({ code: 2, out: "" })
      expect(unnamed.err).toContain("ADMIN_URL")
      expect(unnamed.err).toContain("ADMIN_KEY")
    }))
})
