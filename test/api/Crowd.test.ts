/** More is asked at once than can be answered in time. */
import { layer } from "@effect/vitest"
import { Deferred, Effect, Fiber, Queue } from "effect"
import { expect } from "vitest"
import { get, goodTransfer, Harness, json } from "./Harness.ts"

layer(Harness.layerWith({}, { mostAtOnce: 2 }), { excludeTestServices: true })(
  "an API that may have two transfers under way",
  (it) => {
    it.effect("refuses the third at once, and takes it when it comes again", () =>
      Effect.gen(function*() {
        const { books, call } = yield* Harness
        const begun = yield* Queue.unbounded<void>()
        const mayEnd = yield* Deferred.make<void>()
        books.before = Effect.andThen(Queue.offer(begun, undefined), Deferred.await(mayEnd))
        const ask = (key: string, headers: Readonly<Record<string, string>> = {}) =>
          call("POST", "/v1/transfers", { body: json(goodTransfer), headers: { "idempotency-key": key, ...headers } })
        const under = yield* Effect.forkChild(Effect.all([ask("one"), ask("two")], { concurrency: 2 }))
        yield* Queue.takeN(begun, 2)

        const refused = yield* ask("three")
        expect(refused).toMatchObject({ status: 503, body: { code: "overloaded", retryable: true } })
        expect(refused.headers.get("retry-after")).toBe("1")
        expect((yield* call("POST", "/v1/transfers/batch", { body: "{}" })).status).toBe(503)

        // Who waits for an ending takes nothing meanwhile, and who only looks is welcome.
        const patient = yield* Effect.forkChild(ask("four", { prefer: "wait=1" }))
        yield* Queue.take(begun)
        expect((yield* get("/v1/accounts")).status).toBe(200)

        yield* Deferred.succeed(mayEnd, undefined)
        expect((yield* Fiber.join(under)).map(({ status }) => status)).toEqual([202, 202])
        expect((yield* Fiber.join(patient)).status).toBe(202)
        expect((yield* ask("three")).status).toBe(202)
      }))
  }
)
