import { describe, layer } from "@effect/vitest"
import { Deferred, Effect, Fiber } from "effect"
import { expect } from "vitest"
import { AccountNotOpen, type AccountStatus } from "#domain/account/Account.ts"
import { AccountNotEmpty, AccountNotFrozen } from "#domain/account/AccountProtocol.ts"
import { type Reason, reasonOf } from "#domain/ledger/Instruction.ts"
import type { TransferStatus } from "#domain/transfer/Transfer.ts"
import { CaptureExceedsAuthorization, NotAuthorized } from "#domain/transfer/TransferProtocol.ts"
import type { Books } from "./fakes.ts"
import { freshKey, get, goodAccount, goodTransfer, Harness, json, post } from "./Harness.ts"

const header = (key: string) => ({ "idempotency-key": key })

/** A transfer that is authorized, and where it lives. */
const authorized = Effect.gen(function*() {
  const { books } = yield* Harness
  const { body } = yield* post("/v1/transfers", json({ ...goodTransfer, capture: "\"manual\"" }))
  const id = String(body["id"])
  yield* books.move(id, "authorized")
  return { id, path: `/v1/transfers/${id}`, status: "authorized" }
})

/** An account, and where it lives; its name needs to be encoded there. */
const opened = Effect.gen(function*() {
  const id = `wallet:${freshKey()}`
  yield* post("/v1/accounts", json({ ...goodAccount, id: JSON.stringify(id) }))
  return { id, path: `/v1/accounts/${encodeURIComponent(id)}`, status: "open" }
})

const frozenAccount = Effect.gen(function*() {
  const { books } = yield* Harness
  const account = yield* opened
  yield* books.become(account.id, "frozen")
  return { ...account, status: "frozen" }
})

/** From now on the worker answers so: with a refusal, that it is done (null), or nothing yet. */
const theWorkerSays = (reason: Reason | null | undefined) =>
  Effect.map(Harness, ({ books }) => {
    books.mishap = "none"
    books.worker = () => Effect.succeed(reason)
  })

const notAuthorized = NotAuthorized.fields.code.literals.map((code) =>
  NotAuthorized.make({ transfer: "trf_1", status: "committed", code })
)
const exceeded = CaptureExceedsAuthorization.make({ transfer: "trf_1", authorized: "12.50 EUR", asked: "13.00 EUR" })
const frozen = AccountNotOpen.make({ account: "a", status: "frozen" })
const closed = AccountNotOpen.make({ account: "a", status: "closed" })
const notFrozen = AccountNotFrozen.make({ account: "a" })
const notEmpty = AccountNotEmpty.make({ account: "a" })

const moved = (status: TransferStatus) => (books: Books, id: string) => books.move(id, status)
const become = (status: AccountStatus) => (books: Books, id: string) => books.become(id, status)

const operations = [
  ["capture", authorized, "transfer.capture_requested", moved("committed"), [...notAuthorized, exceeded]],
  ["void", authorized, "transfer.void_requested", moved("cancelled"), notAuthorized],
  ["freeze", opened, "account.freeze_requested", become("frozen"), [frozen, closed]],
  ["unfreeze", frozenAccount, "account.unfreeze_requested", become("open"), [notFrozen, closed]],
  ["close", opened, "account.close_requested", become("closed"), [closed, notEmpty]]
] as const

layer(Harness.layer, { excludeTestServices: true })("instructions", (it) => {
  for (const [asks, subject, type, follow, refusals] of operations) {
    describe(`to ${asks}`, () => {
      it.effect("are recorded for the worker, with all that it must know", () =>
        Effect.gen(function*() {
          const { books } = yield* Harness
          const { id, path } = yield* subject
          yield* theWorkerSays(null)
          const key = freshKey()
          yield* post(`${path}/${asks}`, "{}", { ...header(key), "x-request-id": "req_7" })
          expect(books.intents.at(-1)).toMatchObject({
            request: {
              client: "anna",
              idempotencyKey: key,
              fingerprint: expect.stringMatching(/^[0-9a-f]{64}$/),
              requestId: "req_7"
            },
            event: {
              type,
              instruction: expect.stringMatching(/^ins_[0-9A-Z]{26}$/),
              ...(type.startsWith("account")
                ? { account: id }
                : { transfer: id, source: "wallet-anna", destination: "wallet-ben", amount: 1250n, currency: "EUR" })
            }
          })
        }))

      it.effect("that are done are answered with 200, and what they were asked of as it is now", () =>
        Effect.gen(function*() {
          const { books } = yield* Harness
          const { id, path, status: before } = yield* subject
          books.worker = () => Effect.as(follow(books, id), null)
          const answer = yield* post(`${path}/${asks}`, "{}")
          expect(answer).toMatchObject({ status: 200, body: { id } })
          expect(answer.body["status"]).not.toBe(before)
          expect(answer.text).toBe((yield* get(path)).text)
          expect(answer.headers.get("idempotent-replayed")).toBeNull()
          expect(answer.headers.get("preference-applied")).toBeNull()
        }))

      for (const refusal of refusals) {
        it.effect(`that are refused with ${refusal.code} are answered with 409, and the status that it is in`, () =>
          Effect.gen(function*() {
            const { id, path, status } = yield* subject
            yield* theWorkerSays(reasonOf(refusal))
            const answer = yield* post(`${path}/${asks}`, "{}")
            const { code, message } = refusal
            expect(answer).toMatchObject({
              status: 409,
              body: { code, detail: message, resource: id, resource_status: status, retryable: false }
            })
          }))
      }

      it.effect("that get no answer in time are answered with 202, and learn it later under the same key", () =>
        Effect.gen(function*() {
          const { books } = yield* Harness
          const { id, path, status } = yield* subject
          yield* theWorkerSays(undefined)
          const key = freshKey()
          const first = yield* post(`${path}/${asks}`, "{}", { ...header(key), prefer: "wait=0" })
          expect(first).toMatchObject({ status: 202, body: { id, status } })
          expect(first.headers.get("retry-after")).toBe("1")
          const again = yield* post(`${path}/${asks}`, "{}", { ...header(key), prefer: "wait=1" })
          expect(again).toMatchObject({ status: 202, text: first.text })
          expect(again.headers.get("idempotent-replayed")).toBe("true")
          yield* books.answer([...books.instructions.keys()].at(-1) ?? "", null)
          const size = books.instructions.size
          const last = yield* post(`${path}/${asks}`, "{}", header(key))
          expect(last).toMatchObject({ status: 200, body: { id } })
          expect(last.headers.get("idempotent-replayed")).toBe("true")
          expect(books.instructions.size).toBe(size)
        }))

      it.effect("are answered as soon as the worker has answered, though they would have waited longer", () =>
        Effect.gen(function*() {
          const { books } = yield* Harness
          const { id, path } = yield* subject
          const asked = yield* Deferred.make<string>()
          yield* theWorkerSays(undefined)
          books.worker = ({ instruction }) => Effect.as(Deferred.succeed(asked, instruction), undefined)
          const waiting = yield* Effect.forkChild(post(`${path}/${asks}`, "{}", { prefer: "wait=10" }))
          const instruction = yield* Deferred.await(asked)
          yield* get("/livez")
          const [refusal] = refusals
          yield* books.answer(instruction, reasonOf(refusal ?? closed))
          const answer = yield* Fiber.join(waiting)
          expect(answer).toMatchObject({ status: 409, body: { code: refusal?.code, resource: id } })
          expect(answer.headers.get("preference-applied")).toBe("wait=10")
        }))

      it.effect("are the same without a body, with an empty one and with an empty object", () =>
        Effect.gen(function*() {
          const { call } = yield* Harness
          const { path } = yield* subject
          yield* theWorkerSays(null)
          const headers = header(freshKey())
          const first = yield* call("POST", `${path}/${asks}`, { headers })
          expect([first.status, first.headers.get("idempotent-replayed")]).toStrictEqual([200, null])
          for (const body of ["", "{}", " { } "]) {
            const again = yield* call("POST", `${path}/${asks}`, { headers, body })
            expect([again.status, again.headers.get("idempotent-replayed")]).toStrictEqual([200, "true"])
          }
        }))

      it.effect("of what does not exist are answered with 404, and recorded nowhere", () =>
        Effect.gen(function*() {
          const { books } = yield* Harness
          const written = books.written
          const [path, code] = type.startsWith("account")
            ? ["/v1/accounts/nobody", "account_not_found"]
            : ["/v1/transfers/trf_01KAJ7QZ6C0NV5XJ9A4T7MZB3D", "transfer_not_found"]
          expect(yield* post(`${path}/${asks}`, "{}")).toMatchObject({ status: 404, body: { code } })
          expect(books.written).toBe(written)
        }))

      it.effect("are not refused because their answer cannot be learnt now", () =>
        Effect.gen(function*() {
          const { books } = yield* Harness
          const { id, path } = yield* subject
          yield* theWorkerSays(undefined)
          books.worker = () =>
            Effect.sync(() => {
              books.mishap = "shard-unavailable"
              return undefined
            })
          expect(yield* post(`${path}/${asks}`, "{}")).toMatchObject({ status: 202, body: { id } })
          yield* theWorkerSays(null)
        }))

      it.effect("are answered with 503 while the shard is down", () =>
        Effect.gen(function*() {
          const { books } = yield* Harness
          const { path } = yield* subject
          books.mishap = "shard-unavailable"
          const answer = yield* post(`${path}/${asks}`, "{}")
          expect(answer).toMatchObject({ status: 503, body: { code: "shard_unavailable" } })
          yield* theWorkerSays(null)
        }))

      it.effect("that the worker refuses for reasons that nobody knows are a mistake of the platform", () =>
        Effect.gen(function*() {
          const { path } = yield* subject
          yield* theWorkerSays({ code: "full_moon", detail: "secret" })
          const answer = yield* post(`${path}/${asks}`, "{}")
          expect(answer).toMatchObject({ status: 500, body: { code: "internal_error" } })
          expect(answer.text).not.toContain("secret")
        }))
    })
  }

  it.effect("a capture names the part that shall move, or none for all of it", () =>
    Effect.gen(function*() {
      const { books } = yield* Harness
      const { path } = yield* authorized
      yield* theWorkerSays(null)
      yield* post(`${path}/capture`, "{\"amount\":\"1000\"}")
      expect(books.intents.at(-1)).toMatchObject({ event: { amount: 1250n, captured: 1000n } })
      yield* post(`${path}/capture`, "{}")
      expect(books.intents.at(-1)).toMatchObject({ event: { amount: 1250n, captured: null } })
    }))

  it.effect("another amount under the same key is refused, and told of the transfer", () =>
    Effect.gen(function*() {
      const { id, path } = yield* authorized
      yield* theWorkerSays(null)
      const key = freshKey()
      yield* post(`${path}/capture`, "{\"amount\":\"1000\"}", header(key))
      expect(yield* post(`${path}/capture`, "{\"amount\":\"1001\"}", header(key))).toMatchObject({
        status: 422,
        body: { code: "idempotency_key_reused", resource: id, detail: expect.stringContaining(id) }
      })
    }))

  it.effect("one key may be used for a capture, a void, and another transfer", () =>
    Effect.gen(function*() {
      const { books } = yield* Harness
      const key = freshKey()
      yield* theWorkerSays(null)
      const [one, other] = [yield* authorized, yield* authorized]
      const before = books.instructions.size
      for (const path of [`${one.path}/capture`, `${one.path}/void`, `${other.path}/capture`]) {
        const answer = yield* post(path, "{}", header(key))
        expect([answer.status, answer.headers.get("idempotent-replayed")]).toStrictEqual([200, null])
      }
      expect(books.instructions.size).toBe(before + 3)
    }))

  it.effect("an account's name in a path is the same, encoded or not", () =>
    Effect.gen(function*() {
      const { id, path } = yield* opened
      yield* theWorkerSays(null)
      const key = freshKey()
      const first = yield* post(`${path}/freeze`, "{}", header(key))
      const again = yield* post(`/v1/accounts/${id}/freeze`, "{}", header(key))
      expect(path).toContain("%3A")
      expect([first.status, again.status]).toStrictEqual([200, 200])
      expect(again.headers.get("idempotent-replayed")).toBe("true")
    }))

  it.effect("50 requests at once under one key ask the worker once", () =>
    Effect.gen(function*() {
      const { books } = yield* Harness
      const { path } = yield* authorized
      yield* theWorkerSays(null)
      const before = books.instructions.size
      const key = freshKey()
      const answers = yield* Effect.all(
        Array.from({ length: 50 }, () => post(`${path}/capture`, "{}", header(key))),
        { concurrency: "unbounded" }
      )
      expect(answers.map(({ status }) => status)).toStrictEqual(answers.map(() => 200))
      expect(answers.filter(({ headers }) => headers.get("idempotent-replayed") === null).length).toBe(1)
      expect(books.instructions.size).toBe(before + 1)
    }))
})
