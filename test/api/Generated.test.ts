/**
 * The API under requests that are made from its own document. Whatever comes, it answers within a second, as documented
 * (the harness looks at that), without a stack trace and never with a 5xx; what the document calls wrong is refused; and
 * what was refused has changed nothing.
 *
 * Each run draws a seed of its own and prints it: `FUZZ_SEED=… npm test -- test/api/Generated.test.ts` makes the same
 * requests. What once went wrong is added to corpus.jsonl, a request a line, and asked for ever after.
 */
import { expect, layer } from "@effect/vitest"
import { Effect } from "effect"
import { appendFileSync, readFileSync } from "node:fs"
import { random } from "#infra/Entropy.ts"
import { chance } from "../domain/Arbitraries.ts"
import { generator, operationsOf, type Request } from "./Generating.ts"
import { Harness } from "./Harness.ts"

const corpus = new URL("./corpus.jsonl", import.meta.url)
const each = 25
const seed = Number(process.env["FUZZ_SEED"] ?? Math.floor(random() * 2 ** 31))

const secrets = /node_modules|\.ts:\d|\bat .+\(.+:\d+:\d+\)|relation "|SELECT /

/** Sends a request and holds the answer to what is promised of every answer. */
const asked = Effect.fnUntraced(function*({ body, headers, known, method, path }: Request, wrong: boolean) {
  const { books, call } = yield* Harness
  // What is asked of an account or a transfer is done at once: nobody waits for a worker.
  books.worker = () => Effect.succeed(null)
  const [written, recorded] = [books.written, books.recorded]
  const begun = performance.now()
  const answer = yield* call(method, path, {
    headers,
    ...(body === null ? {} : { body }),
    ...(known ? {} : { as: "nobody" })
  })
  const took = performance.now() - begun
  expect(answer.status).toBeLessThan(500)
  expect(answer.text).not.toMatch(secrets)
  expect(took).toBeLessThan(1_000)
  // Of a batch each item has an answer of its own.
  if (wrong && answer.body["refused"] === undefined) expect(answer.status).toBeGreaterThanOrEqual(400)
  if (wrong) expect(answer.body["refused"]).not.toBe(0)
  if (answer.status >= 400) expect(books.recorded).toBe(recorded)
  if (answer.status >= 400 && wrong) expect(books.written).toBe(written)
  return answer
})

layer(Harness.layer, { excludeTestServices: true, timeout: "60 seconds" })("requests made from the document", (it) => {
  it.effect(`are answered as it says, whatever they are; seed ${seed}`, () =>
    Effect.gen(function*() {
      const { url } = yield* Harness
      const document: unknown = yield* Effect.promise(() =>
        fetch(`${url}/openapi.json`).then((served) => served.json())
      )
      const { learn, next } = generator(document, chance(seed))
      const operations = operationsOf(document)
      let [taken, refused] = [0, 0]
      for (let round = 0; round < each; round++) {
        for (const operation of operations) {
          const { request, wrong } = next(operation)
          const answer = yield* asked(request, wrong).pipe(
            Effect.tapCause(() =>
              Effect.sync(() => {
                appendFileSync(corpus, `${JSON.stringify({ ...request, wrong })}\n`)
                console.error(`FUZZ_SEED=${seed} ${wrong ? "(wrong) " : ""}${JSON.stringify(request)}`)
              })
            )
          )
          learn(operation, answer.body)
          if (answer.status < 400) taken++
          else refused++
        }
      }
      // It was neither all refused nor all taken.
      expect(taken).toBeGreaterThan(100)
      expect(refused).toBeGreaterThan(100)
    }))

  it.effect("are answered as it says where they once were not", () =>
    Effect.forEach(
      readFileSync(corpus, "utf8").split("\n").filter((line) => line !== ""),
      (line) => {
        const { wrong, ...request }: Request & { readonly wrong: boolean } = JSON.parse(line)
        return asked(request, wrong)
      }
    ))
})
